"""The pair of directions that explains the windows of a recording best."""

import numpy as np
import pytest

from ssl_jax.config import AZIMUTH_STEP, AZIMUTHS
from ssl_jax.metrics import degrees_apart
from ssl_jax.recordings import pairs
from ssl_jax.recordings.pairs import CHANCE, NEAR, Pairs


def peak(azimuth, spread=5.0):
    """A posterior (72,) about an azimuth, degrees, as wide as the networks' labels."""
    apart = degrees_apart(AZIMUTH_STEP * np.arange(AZIMUTHS), azimuth)
    weight = np.exp(-0.5 * np.square(apart / spread))
    return weight / weight.sum()


def turns(*shares_of_azimuths, windows=40):
    """Posteriors (windows, 72); each window is one of the talkers', by shares of the windows."""
    rows = []
    for azimuth, share in shares_of_azimuths:
        rows += [peak(azimuth)] * round(share * windows)
    return np.array(rows)


def best_of(posterior):
    found = Pairs()
    found.add(posterior)
    return found.best()


def test_two_talkers_in_turn_are_found_with_their_shares():
    first, second = best_of(turns((40, 0.7), (290, 0.3)))
    assert (first.label, second.label) == (8, 58)
    # a window says a little of every direction
    assert (first.share, second.share) == pytest.approx((0.7, 0.3), abs=2 * CHANCE)


def test_a_talker_who_is_seldom_louder_beats_another_ones_mirror_image():
    """The image is the higher peak of the mean, but it explains no window of its own."""
    open_windows = 0.6 * turns((20, 0.8)) + 0.4 * turns((160, 0.8))
    posterior = np.concatenate([open_windows, turns((280, 0.2))])
    mean = posterior.mean(0)
    assert mean[160 // 5] > mean[280 // 5]
    assert {part.label for part in best_of(posterior)} == {4, 56}


def test_one_broad_peak_is_no_pair():
    _, second = best_of(np.tile(peak(61, spread=8), (20, 1)))
    assert second.share < 0.1


def test_the_best_pair_is_that_of_a_plain_loop(monkeypatch):
    rng = np.random.default_rng(5)
    # of few classes each, and two that come often
    posterior = 0.3 * rng.dirichlet(np.full(AZIMUTHS, 0.1), size=30)
    posterior[np.arange(30), rng.choice([15, 50], 30)] += 0.7
    near = np.full_like(posterior, CHANCE)
    for label in range(AZIMUTHS):
        for step, weight in NEAR.items():
            near[:, label] += weight * posterior[:, (label - step) % AZIMUTHS]
    likelihoods = {
        (a, b): np.log((near[:, a] + near[:, b]) / 2).sum()
        for a in range(AZIMUTHS)
        for b in range(a)
        if degrees_apart(AZIMUTH_STEP * a, AZIMUTH_STEP * b) > 20
    }
    a, b = max(likelihoods, key=likelihoods.get)
    expected = {a: np.mean(near[:, a] / (near[:, a] + near[:, b]))}
    expected[b] = 1 - expected[a]
    # also where windows come in several lots
    monkeypatch.setattr(pairs, "WINDOWS_AT_A_TIME", 7)
    found = best_of(posterior)
    assert dict(found) == pytest.approx(expected)
    assert found[0].share >= found[1].share


def test_windows_that_know_nothing_have_no_pair():
    assert best_of(np.full((20, AZIMUTHS), 1 / AZIMUTHS)) is None
    assert Pairs().best() is None


def test_windows_may_come_one_by_one():
    posterior = turns((0, 0.5), (100, 0.5))
    found = Pairs()
    for window in posterior:
        found.add(window[None])
    assert dict(found.best()) == pytest.approx(dict(best_of(posterior)))

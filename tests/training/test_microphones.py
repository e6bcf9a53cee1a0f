"""Unlike microphones and heads: smooth curves, ear canals, ILDs of another strength."""

import jax
import numpy as np
import pytest

from ssl_jax.config import FrontEnd
from ssl_jax.training.microphones import UNLIKE, Microphones, canal_curves, colour_maps

FRONT = FrontEnd(max_ild=20.0, levels=True)


def changed(cues, microphones, seed=0):
    """The cue maps as other microphones give them, in float64."""
    return np.asarray(colour_maps(cues, microphones, jax.random.key(seed), FRONT), np.float64)


@pytest.fixture(scope="module")
def added():
    """What microphones that differ by 1 dB add to 2000 mixtures of silent maps."""
    cues = jax.numpy.zeros((2000, 4, 32, 2), "float16")
    return changed(cues, Microphones(ild_db=1.0))


def test_unlike_microphones_change_ilds_alone(added):
    assert not added[:, [0, 2, 3]].any()
    assert added[:, 1].any()


def test_unlike_microphones_do_not_change_over_time(added):
    assert (added[..., 0] == added[..., 1]).all()


def test_unlike_microphones_have_the_spread_asked_for(added):
    # 8000 draws: the deviation of their root mean square is 0.8 %
    assert np.sqrt(np.mean(added[:, 1] ** 2)) == pytest.approx(1, rel=0.05)


def test_unlike_microphones_leave_the_mean_over_channels(added):
    # in float16 its steps near 3 dB are 2e-3
    assert np.abs(added.mean((2, 3))).max() < 2e-3


def test_curved_microphones_change_levels_alone():
    cues = jax.numpy.zeros((2000, 4, 32, 2), "float16")
    added = changed(cues, Microphones(level_db=3.0))
    assert not added[:, :3].any()
    assert np.sqrt(np.mean(added[:, 3] ** 2)) == pytest.approx(3, rel=0.05)


def test_unlike_microphones_are_others_for_another_key(added):
    cues = jax.numpy.zeros((2000, 4, 32, 2), "float16")
    other = changed(cues, Microphones(ild_db=1.0), seed=1)
    assert not np.array_equal(added, other)


def test_ear_canals_change_the_levels_of_their_share_alone():
    cues = jax.numpy.zeros((2000, 4, 32, 2), "float16")
    added = changed(cues, Microphones(canal_share=0.5))
    assert not added[:, :3].any()
    with_canal = added[:, 3].any((1, 2))
    # a share of 2000 draws has a standard deviation of 0.011
    assert with_canal.mean() == pytest.approx(0.5, abs=0.05)
    assert (added[:, 3] >= 0).all()


def test_an_ear_canal_resonates_at_2_to_4_khz_and_three_times_that():
    cfs = np.geomspace(500, 20_000, 400)
    curves = np.asarray(canal_curves(200, cfs, 1.0, jax.random.key(0)))
    loudest = cfs[curves.argmax(1)]
    # channels lie 0.9 % apart, and the overtone draws the peak upwards by a little
    assert loudest.min() > 1980 and loudest.max() < 4200
    # its half dB, and what is left of the first resonance log2(3) octaves above it: 1/11
    overtone = [np.interp(3 * f, cfs, c) / c.max() for f, c in zip(loudest, curves, strict=True)]
    assert np.allclose(overtone, 0.55, atol=0.05)


def test_ilds_become_stronger_or_weaker_alike_in_all_channels():
    rng = np.random.default_rng(0)
    cues = np.zeros((500, 4, 32, 2), np.float32)
    cues[:, 1] = rng.uniform(-15, 15, (500, 32, 2))
    strength = changed(jax.numpy.asarray(cues), Microphones(ild_spread=0.3))[:, 1] / cues[:, 1]
    assert np.ptp(strength, axis=(1, 2)).max() < 1e-5  # float32
    factors = strength[:, 0, 0]
    assert 0.7 <= factors.min() < 0.72 and 1.28 < factors.max() <= 1.3


@pytest.mark.parametrize("microphones", [Microphones(ild_spread=0.3), UNLIKE])
def test_ilds_stay_within_those_of_the_front_end(microphones):
    cues = jax.numpy.full((500, 4, 32, 2), 20.0, "float16")
    ild = changed(cues, microphones)[:, 1]
    assert ild.max() == FRONT.max_ild
    assert ild.min() < 18

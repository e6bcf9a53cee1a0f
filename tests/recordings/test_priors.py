"""Priors over azimuths: the weights they give, once for every recording however long."""

import numpy as np
import pytest

from ssl_jax import localise
from ssl_jax.config import AZIMUTHS
from ssl_jax.recordings.overall import Overall
from ssl_jax.recordings.pairs import CHANCE
from ssl_jax.recordings.posteriors import peak_azimuth
from ssl_jax.recordings.priors import apply_prior, prior_of
from ssl_jax.recordings.scene import render_scene
from support.estimates import windows_of
from support.runs import refused, refuses

FS = 44_100
BEHIND = slice(19, 54)  # classes 95 to 265 degrees


@pytest.mark.parametrize("name", ["frontal", "uniform", "front"])
def test_a_prior_is_a_distribution_alike_on_both_sides(name):
    prior = prior_of(name)
    assert prior.sum() == pytest.approx(1)
    np.testing.assert_array_equal(prior, prior[-np.arange(AZIMUTHS)])


def test_the_front_half_with_both_sides_is_four_times_as_likely():
    frontal = prior_of("frontal") / prior_of("frontal")[36]
    assert set(frontal[BEHIND]) == {1}
    assert set(np.delete(frontal, BEHIND)) == {4}


def test_front_leaves_nothing_behind():
    assert not prior_of("front")[BEHIND].any()
    assert prior_of("front")[[18, 54]].all()


def test_front_and_back_alike_are_four_to_one():
    posterior = np.zeros((2, 3, AZIMUTHS), np.float32)
    posterior[..., [4, 32]] = 0.5
    weighed = apply_prior(posterior, "frontal")
    assert weighed.dtype == np.float32
    np.testing.assert_allclose(weighed[..., 4], 0.8, rtol=1e-6)  # float32
    np.testing.assert_allclose(weighed[..., 32], 0.2, rtol=1e-6)


def test_whole_numbers_are_shares_too():
    certain = np.eye(AZIMUTHS, dtype=int)[4]
    np.testing.assert_array_equal(apply_prior(certain, "frontal"), certain)


def test_uniform_changes_nothing():
    posterior = np.random.default_rng(7).dirichlet(np.ones(AZIMUTHS))
    np.testing.assert_allclose(apply_prior(posterior, "uniform"), posterior, rtol=1e-12)


def test_where_a_prior_excludes_everything_it_alone_is_left():
    behind = np.eye(AZIMUTHS)[36]
    np.testing.assert_array_equal(apply_prior(behind, "front"), prior_of("front"))


def test_a_prior_counts_once_for_all_windows():
    """The same doubt in one window and in a hundred."""
    doubt = np.zeros((100, AZIMUTHS))
    doubt[:, [4, 32]] = 0.5
    posterior = apply_prior(doubt, "frontal")
    for count in (1, 100):
        overall = Overall.of(windows_of(posterior[:count]))
        # each window may be either's by chance
        expected = (0.8 + CHANCE) / (1 + 2 * CHANCE)
        assert overall.directions[0].share == pytest.approx(expected)
        assert overall.shown == pytest.approx([20, 160])


@pytest.fixture(scope="module")
def at_120(speech):
    """One second of a voice behind the left ear."""
    return render_scene(speech[0], FS, [120]).ears


@pytest.mark.parametrize("name", ["frontal", "front"])
def test_localise_applies_the_prior_before_it_decides(at_120, name):
    uniform = localise(at_120, FS, prior="uniform")
    answer = localise(at_120, FS, prior=name)
    wanted = apply_prior(uniform.posterior, name)
    np.testing.assert_allclose(answer.posterior, wanted, atol=1e-6)  # float32
    np.testing.assert_allclose(answer.azimuth, peak_azimuth(wanted)[0], atol=1e-2)  # the same
    assert answer.prior == answer.to_dict()["prior"] == name


def test_the_default_prior_is_frontal(at_120):
    assert localise(at_120, FS).prior == "frontal"


def test_silence_has_the_prior_alone(at_120):
    ears = np.concatenate([at_120, np.zeros_like(at_120)])
    answer = localise(ears, FS, step=1.0)
    assert answer.flags[1] == ("silent",)
    np.testing.assert_allclose(answer.posterior[1], prior_of("frontal"), rtol=1e-6)  # float32


UNKNOWN = "prior 'behind': unknown: use one of frontal, uniform, front"


def test_an_unknown_prior_is_refused(at_120):
    refuses(UNKNOWN, localise, at_120, FS, prior="behind")


def test_an_unknown_prior_is_one_line_of_the_command(call):
    ended = call("localise", "none.wav", "--prior=behind")
    refused(ended, UNKNOWN)
    assert len(ended.lines) == 1

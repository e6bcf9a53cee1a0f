"""Unlike microphones: smooth random curves over the channels."""

import jax
import numpy as np
import pytest

from ssl_jax.training.microphones import Microphones, colour_maps


@pytest.fixture(scope="module")
def added():
    """What microphones that differ by 1 dB add to 2000 mixtures of silent maps."""
    cues = jax.numpy.zeros((2000, 4, 32, 2), "float16")
    return np.asarray(colour_maps(cues, Microphones(ild_db=1.0), jax.random.key(0)), np.float64)


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
    added = np.asarray(colour_maps(cues, Microphones(level_db=3.0), jax.random.key(0)), np.float64)
    assert not added[:, :3].any()
    assert np.sqrt(np.mean(added[:, 3] ** 2)) == pytest.approx(3, rel=0.05)


def test_unlike_microphones_are_others_for_another_key(added):
    cues = jax.numpy.zeros((2000, 4, 32, 2), "float16")
    other = np.asarray(colour_maps(cues, Microphones(ild_db=1.0), jax.random.key(1)), np.float64)
    assert not np.array_equal(added, other)

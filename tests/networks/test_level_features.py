"""Levels as features: about the mean of the second around, and their rise."""

import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.networks.level_features import Extent, level_features, mean_around

# float32 sums of up to 250 levels of 100 dB, whose means are taken from
TOLERANCE_DB = 0.01


def made_levels(frames):
    return np.random.default_rng(0).uniform(-100, 0, (2, 3, frames))


@pytest.mark.parametrize("frames", [1, 30, 100, 250])
def test_the_mean_is_of_the_second_around(frames):
    level = made_levels(frames)
    expected = np.empty_like(level)
    for t in range(frames):
        expected[..., t] = level[..., max(t - 50, 0) : t + 50].mean(-1)
    mean = mean_around(jnp.asarray(level), Extent(0, frames))
    np.testing.assert_allclose(mean, expected, atol=TOLERANCE_DB)


def test_frames_that_fill_up_count_for_nothing():
    level = made_levels(160)
    filled = np.pad(level, [(0, 0), (0, 0), (20, 30)], constant_values=-300)
    features = level_features(jnp.asarray(filled), Extent(20, 180))
    for feature, expected in zip(features, level_features(jnp.asarray(level)), strict=True):
        # in units of 3 dB or more
        np.testing.assert_allclose(feature[..., 20:180], expected, atol=TOLERANCE_DB / 3)


def test_a_rise_is_over_the_last_frame():
    level = jnp.array([[[-40.0, -37.0, -40.0]]])
    _, rise = level_features(level)
    np.testing.assert_allclose(rise[0, 0], [0, 1, -1])

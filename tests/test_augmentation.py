"""Cue maps of other heads."""

import numpy as np
import pytest

from ssl_jax.augmentation import BEND_HIGH, BEND_LOW, DRAWS, ITD_SCALE, SHIFT, vary


@pytest.fixture
def cues():
    rng = np.random.default_rng(0)
    maps = np.stack([rng.uniform(-1, 1, (4, 32, 9)), rng.uniform(-4, 4, (4, 32, 9)), rng.uniform(0, 1, (4, 32, 9))], 1)
    return maps.astype(np.float16)


def draw(**given):
    draws = np.zeros((4, DRAWS), np.float32)
    for column, value in given.items():
        draws[:, int(column[1:])] = value
    return draws


def test_no_variation_changes_nothing(cues):
    varied = vary(cues, draw())
    np.testing.assert_array_equal(varied, cues)
    assert varied.dtype == np.float16


def test_a_larger_head_has_longer_delays_and_only_those(cues):
    varied = vary(cues, draw(c0=1))
    np.testing.assert_allclose(varied[:, 0], cues[:, 0] * (1 + ITD_SCALE), atol=1e-3)
    np.testing.assert_array_equal(varied[:, 1:], cues[:, 1:])


def test_a_shift_by_whole_channels_and_between(cues):
    varied = vary(cues, draw(c1=1 / SHIFT))
    np.testing.assert_allclose(varied[:, 1, :-1], cues[:, 1, 1:], atol=4e-3)
    half = vary(cues, draw(c1=0.5 / SHIFT))
    between = (cues[:, 1, :-1].astype(float) + cues[:, 1, 1:]) / 2
    np.testing.assert_allclose(half[:, 1, :-1], between, atol=4e-3)


def test_the_curve_is_larger_at_high_frequencies_and_ild_stays_clipped(cues):
    draws = draw()
    draws[:, 3:] = 1
    bend = vary(cues, draws)[:, 1].astype(float) - cues[:, 1]
    np.testing.assert_allclose(bend[:, 0], BEND_HIGH, atol=4e-3)
    np.testing.assert_allclose(bend[:, -1], BEND_LOW, atol=4e-3)
    draws[:, 3:] = 100
    assert (vary(cues, draws)[:, 1] == 7).all()

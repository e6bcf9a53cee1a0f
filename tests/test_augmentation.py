"""Cue maps of other heads."""

import numpy as np
import pytest

from ssl_jax.augmentation import BEND_HIGH, BEND_LOW, DRAWS, ITD_SCALE, SHIFT, vary


@pytest.fixture
def cues():
    rng = np.random.default_rng(0)
    maps = np.stack([rng.uniform(-1, 1, (4, 32, 9)), rng.uniform(-4, 4, (4, 32, 9)), rng.uniform(0, 1, (4, 32, 9))], 1)
    return maps.astype(np.float16), np.array([0, 3, 36, 71], np.int32)


def draw(**given):
    draws = np.zeros((4, DRAWS), np.float32)
    draws[:, 3] = 1  # ears as they are
    for column, value in given.items():
        draws[:, int(column[1:])] = value
    return draws


def test_no_variation_changes_nothing(cues):
    varied, labels = vary(*cues, draw())
    np.testing.assert_array_equal(varied, cues[0])
    np.testing.assert_array_equal(labels, cues[1])
    assert varied.dtype == np.float16 and labels.dtype == np.int32


def test_swapped_ears_are_the_mirror_image(cues):
    varied, labels = vary(*cues, draw(c3=-1))
    np.testing.assert_array_equal(varied, cues[0] * np.array([-1, -1, 1])[:, None, None])
    assert labels.tolist() == [0, 69, 36, 1]
    again, back = vary(varied, labels, draw(c3=-1))
    np.testing.assert_array_equal(again, cues[0])
    np.testing.assert_array_equal(back, cues[1])


def test_a_larger_head_has_longer_delays_and_only_those(cues):
    varied, _ = vary(*cues, draw(c0=1))
    np.testing.assert_allclose(varied[:, 0], cues[0][:, 0] * (1 + ITD_SCALE), atol=1e-3)
    np.testing.assert_array_equal(varied[:, 1:], cues[0][:, 1:])


def test_a_shift_by_whole_channels_and_between(cues):
    maps, labels = cues
    varied, _ = vary(maps, labels, draw(c1=1 / SHIFT))
    np.testing.assert_allclose(varied[:, 1, :-1], maps[:, 1, 1:], atol=4e-3)
    half, _ = vary(maps, labels, draw(c1=0.5 / SHIFT))
    between = (maps[:, 1, :-1].astype(float) + maps[:, 1, 1:]) / 2
    np.testing.assert_allclose(half[:, 1, :-1], between, atol=4e-3)


def test_the_curve_is_larger_at_high_frequencies_and_ild_stays_clipped(cues):
    maps, labels = cues
    draws = draw()
    draws[:, 4:] = 1
    bend = vary(maps, labels, draws)[0][:, 1].astype(float) - maps[:, 1]
    np.testing.assert_allclose(bend[:, 0], BEND_HIGH, atol=4e-3)
    np.testing.assert_allclose(bend[:, -1], BEND_LOW, atol=4e-3)
    draws[:, 4:] = 100
    assert (vary(maps, labels, draws)[0][:, 1] == 7).all()

"""Steadiness of sounds made by hand, whose levels are known."""

import numpy as np
import pytest

from ssl_jax.sounds.steadiness import FLOOR, block_levels, steadiness

FS = 8_000
BLOCK = 400  # samples, 50 ms
ROUNDING = 1e-9  # dB, of float64


def tone(amplitudes):
    """A tone of 200 Hz, ten whole periods in each block, at an amplitude per block."""
    sine = np.sin(2 * np.pi * 200 * np.arange(BLOCK * len(amplitudes)) / FS)
    return np.repeat(amplitudes, BLOCK) * sine


def test_a_tone_has_the_level_of_half_its_squared_amplitude_in_every_block():
    levels = block_levels(tone([1.0, 0.1, 0.5]), FS)
    expected = 10 * np.log10(np.array([1.0, 0.01, 0.25]) / 2)
    assert levels == pytest.approx(expected, abs=ROUNDING)


def test_a_tone_that_stays_is_steady():
    assert steadiness(tone([0.5] * 20), FS) == pytest.approx(0, abs=ROUNDING)


def test_levels_20_db_apart_in_turn_have_a_standard_deviation_of_10_db():
    assert steadiness(tone([1.0, 0.1] * 10), FS) == pytest.approx(10, abs=ROUNDING)


@pytest.mark.parametrize("gain", [1e-3, 1e3])
def test_loudness_does_not_count(gain):
    sound = tone([1.0, 0.3, 0.0, 0.5])
    assert steadiness(gain * sound, FS) == pytest.approx(steadiness(sound, FS), abs=ROUNDING)


def test_nothing_but_silence_is_steady():
    silence = np.zeros(3 * BLOCK)
    assert np.isfinite(block_levels(silence, FS)).all()
    assert steadiness(silence, FS) == pytest.approx(0, abs=ROUNDING)


def test_silence_beside_sound_counts_as_so_far_below_the_sound_as_the_floor_says():
    half_silent = tone([1.0, 0.0] * 10)
    floor_below_mean = -10 * np.log10(FLOOR)
    loud_above_mean = 10 * np.log10(2)
    expected = (loud_above_mean + floor_below_mean) / 2
    assert steadiness(half_silent, FS) == pytest.approx(expected, abs=ROUNDING)


def test_a_rest_shorter_than_a_block_is_left_out():
    sound = tone([0.5, 0.5, 1.0])
    assert steadiness(sound[:-1], FS) == pytest.approx(0, abs=ROUNDING)


def test_each_sound_of_an_array_counts_by_itself():
    sounds = np.stack([tone([1.0, 1.0]), tone([1.0, 0.1])])[:, None]
    assert steadiness(sounds, FS) == pytest.approx(np.array([[0.0], [10.0]]), abs=ROUNDING)

"""A network beside classical baselines: what is rendered for them, and how they are scored."""

import numpy as np
import pytest

from ssl_jax.config import AZIMUTH_STEP
from ssl_jax.sounds.hrtf import KEMAR
from ssl_jax.sounds.noises import Noises
from ssl_jax.studies.classical import Estimates, frontal_recipes, method_cells, overshoot
from ssl_jax.studies.places import Place, ears_at, measured_place

FS = 44_100


@pytest.fixture(scope="module")
def kemar():
    return measured_place(KEMAR, FS)


@pytest.fixture(scope="module")
def noises():
    """Two kinds of two short clips each."""
    waveforms = np.random.default_rng(0).standard_normal((2, 2, 2000)).astype(np.float32)
    return Noises(("a", "b"), (("1", "2"), ("3", "4")), waveforms)


def test_sources_are_in_front_and_noises_anywhere(kemar, noises):
    both = frontal_recipes(kemar, 3, noises)
    assert list(both) == ["none", "0 to 20 dB"]
    for recipes in both.values():
        azimuth = kemar.azimuth[recipes.azimuth]
        assert sorted(set(azimuth)) == [*range(0, 91, 5), *range(270, 360, 5)]
        assert len(azimuth) == 3 * 37
        assert recipes.noise_azimuth.max() > 36
    assert np.isinf(both["none"].snr).all()
    assert both["0 to 20 dB"].snr.min() >= 0 and both["0 to 20 dB"].snr.max() <= 20


def test_without_noise_nothing_is_added(kemar, noises):
    """A silent second at the second ear of a place that hears with the first alone."""
    hrirs = np.zeros((72, 2, 4), np.float32)
    hrirs[:, 0, 0] = 1
    hrirs[40:, 1, 0] = 1  # behind and to the right, where some noises are
    place = Place("", hrirs, kemar.azimuth, kemar.elevation, kemar.fs)
    recipes = frontal_recipes(place, 1, noises)
    sound = np.ones((1, 2000), np.float32)
    blocks = {noise: next(ears_at(place, sound, noises, some)) for noise, some in recipes.items()}
    first = {noise: block.ears[:12, 1] for noise, block in blocks.items()}
    assert not first["none"].any() and first["0 to 20 dB"].any()


def test_an_overshoot_is_away_from_the_front():
    """80 for 75 and 270 for 285 are too far out by 5 and 15; 40 for 30 does not count."""
    assert overshoot(np.array([80.0, 270, 40]), np.array([75.0, 285, 30])) == 10
    assert overshoot(np.array([70.0]), np.array([75.0])) == -5
    assert np.isnan(overshoot(np.array([0.0]), np.array([0.0])))


def test_a_cell_for_each_method():
    truth = np.array([75.0, 0.0])
    estimates = Estimates(np.array([truth, truth + [5, 355]]), truth)
    assert method_cells(estimates) == ["0.0°, 0.0°, +0.0°", "5.0°, 5.0°, +5.0°"]
    ahead = Estimates(np.zeros((1, 1)), np.array([AZIMUTH_STEP]))
    assert method_cells(ahead) == ["5.0°, 5.0°, -"]

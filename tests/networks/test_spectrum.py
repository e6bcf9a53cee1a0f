"""A window's mean spectrum: what a microphone adds is gone, what ears add stays."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax.config import FrontEnd
from ssl_jax.networks.registry import build_model
from ssl_jax.networks.spectrum import FITTED_HZ, UNIT, Spectrum, without_smooth_part

FRONT = FrontEnd(levels=True, max_ild=20.0)
FITTED = FRONT.cfs <= FITTED_HZ
# float32 of levels up to 60 dB
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def spectrum():
    return Spectrum(nnx.Rngs(0), FRONT)


def maps(seed=0, batch=2, frames=9):
    """Levels (dB), ILDs (dB) and gates of windows."""
    rng = np.random.default_rng(seed)
    shape = batch, 32, frames
    return rng.uniform(-40, 0, shape), rng.uniform(-20, 20, shape), rng.uniform(0.1, 1, shape)


def features(spectrum, level, ild, gate):
    """The mean spectrum, the gated one and ILDs: each (batch, 32)."""
    arrays = (jnp.asarray(array, jnp.float32) for array in (level, ild, gate))
    return np.split(np.asarray(spectrum.features(*arrays)), 3, axis=1)


def test_a_cubic_over_fitted_channels_is_taken_out():
    positions = np.linspace(-1, 1, FITTED.sum())
    levels = np.zeros(32)
    levels[FITTED] = 3 - 5 * positions + 4 * positions**2 + 2 * positions**3
    assert np.abs((without_smooth_part(FRONT.cfs) @ levels)[FITTED]).max() < 1e-5


def test_a_notch_of_one_channel_stays():
    levels = np.zeros(32)
    levels[15] = -10
    left = without_smooth_part(FRONT.cfs) @ levels
    # a cubic of 25 channels follows one of them by a few hundredths
    assert left[15] == pytest.approx(-10, abs=2)
    assert np.abs(np.delete(left, 15)).max() < 2


def test_gain_changes_nothing(spectrum):
    level, ild, gate = maps()
    plain = features(spectrum, level, ild, gate)
    louder = features(spectrum, level + 12, ild, gate)
    for before, after in zip(plain, louder, strict=True):
        np.testing.assert_allclose(after, before, atol=TOLERANCE)


def test_mean_spectrum_is_of_powers(spectrum):
    level, ild, gate = maps()
    mean = 10 * np.log10(np.mean(10 ** (level / 10), axis=-1))
    expected = mean @ without_smooth_part(FRONT.cfs).T / UNIT
    np.testing.assert_allclose(features(spectrum, level, ild, gate)[0], expected, atol=TOLERANCE)


def test_moments_behind_a_closed_gate_do_not_count(spectrum):
    level, ild, gate = maps()
    gate[..., 4:] = 0
    shown = [array[..., :4] for array in (level, ild, gate)]
    # the loudest moment of all is among those that count
    level[..., 4:] -= 30
    ild[..., 4:] = 20
    whole = features(spectrum, level, ild, gate)
    part = features(spectrum, *shown)
    # a gate that is all but closed counts with LEAST_OPENING
    np.testing.assert_allclose(whole[1], part[1], atol=1e-2)
    np.testing.assert_allclose(whole[2], part[2], atol=1e-2)


def test_a_window_without_open_moments_is_finite(spectrum):
    level, ild, gate = maps()
    for part in features(spectrum, level, ild, 0 * gate):
        assert np.isfinite(part).all()


def test_a_front_end_without_levels_is_refused():
    with pytest.raises(ValueError, match="levels"):
        build_model("phase_spectrum", 0, FrontEnd())

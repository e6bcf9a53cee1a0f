"""The cues against the equations as plain loops, in `reference.py`."""

import jax
import numpy as np
import pytest
from scipy import signal as sps

from ssl_jax.frontend.auditory_model import GF_spectrogram
from ssl_jax.frontend.binaural_feature import calculate_itd_ild_ic, get_cues_clean
from ssl_jax.frontend.cues import Cues
from ssl_jax.frontend.filter_design import centre_frequencies
from ssl_jax.frontend.reference import cues_of_sound, running_cues

FS = 44_100

# What docs/frontend.md promises of float32 against the float64 loop.
ITD_SHARE = 0.999  # of points with the same lag: rounding may break a near tie the other way
ILD_TOLERANCE = 0.01  # dB
IC_TOLERANCE = 1e-3
POWER_TOLERANCE = 1e-4  # relative

SAME_LAG = 1e-3  # ms, under a twentieth of a lag at 44.1 kHz


def assert_like_reference(ours: Cues, reference, skip=0, least_power=0.0):
    """Cues within the promised tolerances, but for the first `skip` frames.

    IC and power are compared where the power is at least `least_power` of the loudest.
    """
    itd, ild, ic, power = (np.asarray(cue)[..., skip:] for cue in ours)
    same = np.abs(itd - reference.itd[..., skip:]) < SAME_LAG
    assert same.mean() >= ITD_SHARE
    # where the lag differs the other cues are read at another lag
    assert np.abs(ild - reference.ild[..., skip:])[same].max() < ILD_TOLERANCE
    wanted_power = reference.power[..., skip:]
    heard = wanted_power >= least_power * wanted_power.max()
    assert np.abs(ic - reference.ic[..., skip:])[heard].max() < IC_TOLERANCE
    ratio = power / np.maximum(wanted_power, 1e-30)  # silence has no power
    assert np.abs(ratio - 1)[same & heard].max() < POWER_TOLERANCE


@pytest.mark.parametrize(
    "filter_type, hair_cell, least_power",
    [
        ("gammatone", "none", 0.0),
        ("gammatone", "roman", 0.0),
        # steep filters: what a channel has 90 dB below the loudest, float32 rounds with that
        pytest.param("butterworth", "halfwave", 1e-9, marks=pytest.mark.slow),
    ],
)
def test_speech_in_noise(mixture, filter_type, hair_cell, least_power):
    """The whole way of a second of sound, 32 channels."""
    cfs = centre_frequencies(FS)
    reference = cues_of_sound(mixture, FS, cfs, filter_type, hair_cell, hop=441)
    ours = get_cues_clean(mixture, FS, None, filter_type, hair_cell)
    assert_like_reference(ours, reference, least_power=least_power)


def test_speech_in_noise_by_allpole_filters(mixture):
    """Low channels: without zeros the top ones hear mostly speech's lows, 60 dB down."""
    cfs = [2000.0, 600.0]
    reference = cues_of_sound(mixture, FS, cfs, "allpole", "halfwave", hop=441)
    assert_like_reference(get_cues_clean(mixture, FS, cfs, "allpole", "halfwave"), reference)


def test_speech_in_noise_at_a_short_hop(mixture):
    x = mixture[:20_000]
    reference = cues_of_sound(x, FS, centre_frequencies(FS), hair_cell="none", hop=7)
    ours = get_cues_clean(x, FS, hair_cell="none", hop=7)
    # the first 5 ms hold a few products only: many lags fit them nearly alike
    assert_like_reference(ours, reference, skip=30)


HOPS = {8_000: (80,), 16_000: (160, 1), 44_100: (512, 443, 1, 7, 89), 48_000: (480, 1)}


@pytest.mark.parametrize("fs, hop", [(fs, hop) for fs, hops in HOPS.items() for hop in hops])
def test_rates_and_hops(mixture, fs, hop):
    """Hops over and under the 2 D lags, prime and round ones."""
    x = sps.resample_poly(mixture[10_000:16_000], fs // 100, 441).astype(np.float32)
    left, right = np.maximum(GF_spectrogram(x.T, fs, [3000.0, 1000.0, 200.0]), 0)
    ours = calculate_itd_ild_ic(left, right, fs, hop=hop)
    reference = running_cues(left, right, fs, hop=hop)
    # the first 5 ms hold a few products only: many lags fit them nearly alike
    assert_like_reference(ours, reference, skip=fs // 200 // hop)


def quiet_ears():
    """Left and right, (2, 4, 3000)."""
    return 1e-3 * np.random.default_rng(1).standard_normal((2, 4, 3000))


def assert_envelopes_like_reference(ears, hop):
    left, right = ears.astype(np.float32)
    ours = calculate_itd_ild_ic(left, right, FS, hop=hop)
    assert_like_reference(ours, running_cues(left, right, FS, hop=hop))


@pytest.mark.parametrize("hop", [441, 100, 20])
def test_clicks(hop):
    ears = quiet_ears()
    ears[:, :, ::700] = 1
    assert_envelopes_like_reference(ears, hop)


@pytest.mark.parametrize("hop", [441, 100, 20])
def test_an_ear_that_starts_late(hop):
    ears = quiet_ears()
    ears[1, :, :2000] = 0
    assert_envelopes_like_reference(ears, hop)


@pytest.mark.parametrize("hop", [441, 100, 20])
def test_a_click_at_the_start(hop):
    """RR counts r from sample m on: lags over 10 do not share this click."""
    ears = quiet_ears()
    ears[1, :, 10] = 100
    assert_envelopes_like_reference(ears, hop)


@pytest.mark.parametrize("loud", [0, 6])
@pytest.mark.parametrize("hop", [1, 3])
def test_short_hops_long_after_the_start(hop, loud):
    """What E has and RR has not fades within 1300 samples, or 2800 after a loud start."""
    fs = 8000
    ears = np.random.default_rng(2).standard_normal((2, 2, 4000))
    ears[1, :, 5:] = 0.7 * ears[0, :, :-5] + 0.3 * ears[1, :, 5:]
    ears[:, :, :loud] *= 1e4
    left, right = ears.astype(np.float32)
    ours = calculate_itd_ild_ic(left, right, fs, hop=hop)
    assert_like_reference(ours, running_cues(left, right, fs, hop=hop), skip=fs // 200 // hop)


def test_a_hop_that_forgets_all_before_it():
    """The decay of a hop, 1e-49, is 0 in float32; that of a sample is not."""
    left, right = quiet_ears().astype(np.float32)
    settings = {"tau": 3e-5, "hop": 80}
    ours = calculate_itd_ild_ic(left, right, FS, **settings)
    assert_like_reference(ours, running_cues(left, right, FS, **settings))


@pytest.mark.parametrize("hop", [441, 100, 20])
def test_very_quiet_sound(hop):
    assert_envelopes_like_reference(1e-6 * quiet_ears(), hop)


@pytest.mark.parametrize("hop", [441, 100, 20])
def test_an_offset(hop):
    """All values of gamma are within 1e-6 of each other: the lag is not defined, IC and ILD are."""
    left, right = (quiet_ears() + 0.5).astype(np.float32)
    ours = calculate_itd_ild_ic(left, right, FS, hop=hop)
    reference = running_cues(left, right, FS, hop=hop)
    np.testing.assert_allclose(ours.ic, reference.ic, atol=IC_TOLERANCE)
    np.testing.assert_allclose(ours.ild, reference.ild, atol=ILD_TOLERANCE)


def test_float64(mixture):
    x = mixture[:5000].astype(np.float64)
    cfs = [900.0, 300.0]
    with jax.enable_x64(new_val=True):
        cues = get_cues_clean(x, FS, cfs, hair_cell="none", hop=441)
    assert cues.ic.dtype == np.float64
    reference = cues_of_sound(x, FS, cfs, hair_cell="none", hop=441)
    for name in ("itd", "ild", "ic", "power"):
        ours, loop = getattr(cues, name), getattr(reference, name)
        # the filters' poles are near the unit circle: block products and cascade differ by 1e-9
        np.testing.assert_allclose(ours, loop, rtol=1e-7, atol=1e-9)


def test_a_published_limit_is_one_setting():
    noise = np.random.default_rng(0).standard_normal((2000, 2)).astype(np.float32)
    left, right = noise.T[:, None] * np.float32([[[4]], [[1]]])
    cues = calculate_itd_ild_ic(left, right, FS, tau=0.020, max_ild=7.0)
    assert np.abs(cues.ild).max() <= 7
    reference = running_cues(left, right, FS, tau=0.020, max_ild=7.0, hop=441)
    np.testing.assert_allclose(cues.ild, reference.ild, atol=ILD_TOLERANCE)

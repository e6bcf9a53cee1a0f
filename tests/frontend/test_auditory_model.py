import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal as sps

from ssl_jax.config import HAIR_CELLS
from ssl_jax.frontend.auditory_model import GF_spectrogram, Roman, auditory_peripheral, haircell_model
from ssl_jax.frontend.filter_design import allpole_sos, butterworth_sos, centre_frequencies, gammatone_sos

PEAK_TOLERANCE = 5e-5  # of the channel's peak: float32 block products against the float64 cascade


def cascade(x, fs, cfs):
    """Float64 second-order sections by scipy: (channels, samples)."""
    return np.array([sps.sosfilt(sos, np.asarray(x, np.float64)) for sos in gammatone_sos(fs, cfs)])


def worst(ours, reference):
    """Largest error of each channel relative to its peak, the largest of these."""
    return np.max(np.abs(ours - reference).max(-1) / np.abs(reference).max(-1))


def test_published_impulse_response():
    """Slaney's toolbox, fs 16 kHz, 10 channels from 100 Hz: peak value and peak bins."""
    impulse = np.zeros(512, np.float32)
    impulse[0] = 1
    y = np.asarray(GF_spectrogram(impulse, 16_000, centre_frequencies(16_000, 10, 100.0)))
    assert y.max() == pytest.approx(0.1065741, abs=2e-7)
    bins = np.abs(np.fft.rfft(y)).argmax(axis=1) + 1
    np.testing.assert_array_equal(bins, [184, 132, 94, 66, 46, 32, 21, 14, 8, 4])


@pytest.mark.parametrize("fs", [8_000, 16_000, 44_100, 48_000])
def test_speech_against_scipy(mixture, fs):
    x = sps.resample_poly(mixture[:, 0], fs // 100, 441).astype(np.float32)
    cfs = centre_frequencies(fs)
    assert worst(np.asarray(GF_spectrogram(x, fs)), cascade(x, fs, cfs)) < PEAK_TOLERANCE


@pytest.mark.parametrize("samples", [1, 31, 64, 65, 1024, 1025, 3000])
@pytest.mark.parametrize("channels", [1, 5, 40])
def test_any_length_and_channel_count(samples, channels):
    x = np.random.default_rng(samples).standard_normal(samples).astype(np.float32)
    cfs = centre_frequencies(44_100, channels)
    y = np.asarray(GF_spectrogram(x, 44_100, cfs))
    assert y.shape == (channels, samples)
    assert worst(y, cascade(x, 44_100, cfs)) < PEAK_TOLERANCE


@pytest.mark.parametrize("kind", ["click", "step", "loud and late"])
def test_hard_signals(kind):
    x = np.zeros(20_000, np.float32)
    if kind == "click":
        x[777] = 1
    elif kind == "step":
        x[100:] = 1
    else:
        x[-500:] = np.random.default_rng(0).choice([-1, 1], 500)
    cfs = centre_frequencies(44_100)
    assert worst(np.asarray(GF_spectrogram(x, 44_100)), cascade(x, 44_100, cfs)) < PEAK_TOLERANCE


def test_float64_is_exact():
    x = np.random.default_rng(0).standard_normal(5000)
    with jax.enable_x64(True):
        y = np.asarray(GF_spectrogram(x, 44_100))
    assert y.dtype == np.float64
    assert worst(y, cascade(x, 44_100, centre_frequencies(44_100))) < 1e-9


def test_batch_axes_are_kept_apart():
    x = np.random.default_rng(0).standard_normal((2, 3, 700)).astype(np.float32)
    y = np.asarray(GF_spectrogram(x, 16_000))
    assert y.shape == (2, 3, 32, 700)
    np.testing.assert_allclose(y[1, 2], np.asarray(GF_spectrogram(x[1, 2], 16_000)), atol=1e-6)


def test_unit_gain_at_the_centre_frequency():
    fs, cfs = 16_000, np.array([3000.0, 1000.0, 300.0])
    t = np.arange(fs) / fs
    for k, cf in enumerate(cfs):
        y = np.asarray(GF_spectrogram(np.sin(2 * np.pi * cf * t).astype(np.float32), fs, cfs))[k]
        assert np.abs(y[fs // 2 :]).max() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("fs", [16_000, 44_100, 48_000])
def test_allpole_against_scipy(fs):
    # noise: without zeros the top channels hear mostly speech's low frequencies, 60 dB down
    x = np.random.default_rng(0).standard_normal(20_000).astype(np.float32)
    cfs = centre_frequencies(fs)
    reference = np.array([sps.sosfilt(sos, x.astype(float)) for sos in allpole_sos(fs, cfs)])
    assert worst(np.asarray(GF_spectrogram(x, fs, cfs, "allpole")), reference) < PEAK_TOLERANCE


@pytest.mark.parametrize(
    "fs", [pytest.param(16_000, marks=pytest.mark.slow), 44_100, pytest.param(48_000, marks=pytest.mark.slow)]
)
def test_butterworth_against_scipy(mixture, fs):
    x = sps.resample_poly(mixture[:20_000, 0], fs // 100, 441).astype(np.float32)
    cfs = centre_frequencies(fs, 8)
    reference = np.array([sps.sosfiltfilt(sos, x.astype(float)) for sos in butterworth_sos(fs, cfs)])
    assert worst(np.asarray(GF_spectrogram(x, fs, cfs, "butterworth")), reference) < PEAK_TOLERANCE


def test_butterworth_has_zero_phase():
    fs, cf = 16_000, 1000.0
    tone = np.cos(2 * np.pi * cf * np.arange(8000) / fs).astype(np.float32)
    y = np.asarray(GF_spectrogram(tone, fs, [cf], "butterworth"))[0]
    np.testing.assert_allclose(y[3000:5000], tone[3000:5000], atol=2e-3)


def test_roman():
    x = jnp.array([-4.0, 0.0, 0.25, 9.0])
    np.testing.assert_array_equal(Roman(x), [0, 0, 0.5, 3])
    slope = jax.grad(lambda x: Roman(x).sum())(x)
    np.testing.assert_allclose(slope, [0, 0, 1, 1 / 6], rtol=1e-6)


def scipy_haircell(x, fs, model):
    half = np.maximum(x, 0)
    if model == "none":
        return x
    if model == "halfwave":
        return half
    if model == "roman":
        return np.sqrt(half)
    if model == "envelope":
        return np.abs(sps.hilbert(half))
    if model == "lindemann":
        return sps.lfilter(*sps.butter(1, 800, fs=fs), half)
    if model == "breebaart":
        for _ in range(5):
            half = sps.lfilter(*sps.butter(1, 770 / np.sqrt(2**0.2 - 1), fs=fs), half)
        return half
    compressed = x * np.abs(sps.hilbert(x)) ** (0.23 - 1)
    return sps.sosfilt(sps.butter(4, 425, fs=fs, output="sos"), np.maximum(compressed, 0) ** 2)


@pytest.mark.parametrize("model", HAIR_CELLS)
@pytest.mark.parametrize("samples", [999, 1000])
def test_haircell_against_scipy(model, samples):
    x = np.random.default_rng(0).standard_normal((3, samples))
    ours = np.asarray(haircell_model(jnp.asarray(x, jnp.float32), 44_100.0, model))
    reference = scipy_haircell(x, 44_100, model)
    # float32: 425 Hz is 1 % of fs, where a 4th-order recursion loses three digits
    assert np.abs(ours - reference).max() < 2e-4 * np.abs(reference).max()


def test_breebaart_is_three_decibels_down_at_770_hz():
    fs = 44_100
    t = np.arange(fs) / fs
    tone = (1 + 0.5 * np.sin(2 * np.pi * 770 * t)).astype(np.float32)  # positive: not rectified
    y = np.asarray(haircell_model(tone, float(fs), "breebaart"))[fs // 2 :]
    assert (y.max() - y.min()) / 2 == pytest.approx(0.5 / np.sqrt(2), rel=0.01)


def test_peripheral_shapes_and_ears(mixture):
    audiogram, envelope = auditory_peripheral(mixture[:3000], 44_100)
    assert audiogram.shape == envelope.shape == (32, 3000, 2)
    np.testing.assert_allclose(envelope, np.sqrt(np.maximum(audiogram, 0)), atol=1e-6)
    swapped, _ = auditory_peripheral(mixture[:3000, ::-1], 44_100)
    np.testing.assert_allclose(swapped, audiogram[..., ::-1], atol=1e-6)


@pytest.mark.parametrize(
    "call",
    [
        lambda: auditory_peripheral(np.zeros(100), 44_100),
        lambda: auditory_peripheral(np.zeros((100, 3)), 44_100),
        lambda: GF_spectrogram(np.zeros(0), 44_100),
        lambda: GF_spectrogram(np.zeros(10), 44_100, [30_000.0]),
        lambda: GF_spectrogram(np.zeros(10), 44_100, filter_type="nonsense"),
        lambda: haircell_model(np.zeros(10), 44_100.0, "nonsense"),
        lambda: haircell_model(np.zeros(10), 800.0, "bernstein"),
    ],
)
def test_senseless_arguments_are_refused(call):
    with pytest.raises(ValueError):
        call()

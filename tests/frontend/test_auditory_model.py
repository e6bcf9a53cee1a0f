import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal as sps

from ssl_jax.frontend import HAIR_CELLS
from ssl_jax.frontend.auditory_model import (
    GF_spectrogram,
    Roman,
    auditory_peripheral,
    haircell_model,
)
from ssl_jax.frontend.filter_design import FILTERS, centre_frequencies
from support.numpy_loop import SECTIONS

PEAK_TOLERANCE = 5e-5  # of the channel's peak: float32 block products against the float64 cascade
FLOAT64_TOLERANCE = 1e-9  # the same in float64
HAIR_CELL_TOLERANCE = (
    2e-4  # of the peak: 425 Hz is 1 % of fs, where a 4th-order recursion loses three digits
)


def assert_scipy(x, fs, cfs=None, filter_type="gammatone", tolerance=PEAK_TOLERANCE):
    """Each channel within the tolerance, times its peak, of scipy's second-order sections."""
    ours = np.asarray(GF_spectrogram(x, fs, cfs, filter_type))
    run = sps.sosfiltfilt if filter_type == "butterworth" else sps.sosfilt
    cfs = centre_frequencies(fs) if cfs is None else cfs
    reference = np.array([run(sos, np.asarray(x, float)) for sos in SECTIONS[filter_type](fs, cfs)])
    assert ours.shape == reference.shape
    assert np.max(abs(ours - reference).max(-1) / abs(reference).max(-1)) < tolerance
    return ours


def test_public_names():
    found = {}
    exec("from ssl_jax import *", found)
    assert found["auditory_model"].haircell_model is found["haircell_model"] is haircell_model


def test_published_impulse_response():
    """Slaney's toolbox, fs 16 kHz, 10 channels from 100 Hz: peak value and peak bins."""
    y = np.asarray(GF_spectrogram(np.eye(1, 512)[0], 16_000, centre_frequencies(16_000, 10, 100.0)))
    assert y.max() == pytest.approx(0.1065741, abs=2e-7)
    bins = np.abs(np.fft.rfft(y)).argmax(axis=1) + 1
    np.testing.assert_array_equal(bins, [184, 132, 94, 66, 46, 32, 21, 14, 8, 4])


RATES = {
    "gammatone": (8_000, 16_000, 44_100, 48_000),
    "allpole": (16_000, 44_100),
    "butterworth": (44_100,),
}


@pytest.mark.parametrize(
    "filter_type, fs", [(name, fs) for name, rates in RATES.items() for fs in rates]
)
def test_speech_against_scipy(mixture, filter_type, fs):
    x = sps.resample_poly(mixture[:, 0], fs // 100, 441).astype(np.float32)
    if (
        filter_type == "allpole"
    ):  # without zeros the top channels hear mostly speech's lows, 60 dB down
        x = np.random.default_rng(0).standard_normal(20_000).astype(np.float32)
    assert_scipy(
        x, fs, centre_frequencies(fs, 8 if filter_type == "butterworth" else 32), filter_type
    )


@pytest.mark.parametrize("samples", [1, 31, 64, 65, 1024, 1025, 3000])
@pytest.mark.parametrize("channels", [1, 5, 40])
def test_any_length_and_channel_count(samples, channels):
    x = np.random.default_rng(samples).standard_normal(samples).astype(np.float32)
    assert_scipy(x, 44_100, centre_frequencies(44_100, channels))


@pytest.mark.parametrize("filter_type", FILTERS)
def test_float64_is_exact(filter_type):
    with jax.enable_x64(True):
        x, cfs = np.random.default_rng(0).standard_normal(5000), centre_frequencies(96_000, 6, 40.0)
        assert assert_scipy(x, 96_000, cfs, filter_type, FLOAT64_TOLERANCE).dtype == np.float64


def test_roman():
    x = jnp.array([-4.0, 0.0, 0.25, 9.0])
    np.testing.assert_array_equal(Roman(x), [0, 0, 0.5, 3])
    np.testing.assert_allclose(jax.grad(lambda x: Roman(x).sum())(x), [0, 0, 1, 1 / 6], rtol=1e-6)


def scipy_haircell(x, fs, model):
    half = np.maximum(x, 0)
    compressed = np.maximum(x * np.abs(sps.hilbert(x)) ** (0.23 - 1), 0) ** 2
    five = np.repeat(sps.butter(1, 770 / np.sqrt(2**0.2 - 1), fs=fs, output="sos"), 5, axis=0)
    return {
        "halfwave": half,
        "roman": np.sqrt(half),
        "envelope": np.abs(sps.hilbert(half)),
        "lindemann": sps.lfilter(*sps.butter(1, 800, fs=fs), half),
        "breebaart": sps.sosfilt(five, half),
        "bernstein": sps.sosfilt(sps.butter(4, 425, fs=fs, output="sos"), compressed),
    }.get(model, x)


@pytest.mark.parametrize("model", [None, *HAIR_CELLS])
@pytest.mark.parametrize("samples", [999, 1000])
def test_haircell_against_scipy(model, samples):
    x = np.random.default_rng(0).standard_normal((3, samples))
    ours = np.asarray(haircell_model(jnp.asarray(x, jnp.float32), 44_100.0, model))
    reference = scipy_haircell(x, 44_100, model)
    assert np.abs(ours - reference).max() < HAIR_CELL_TOLERANCE * np.abs(reference).max()


def test_breebaart_is_three_decibels_down_at_770_hz():
    t = np.arange(44_100) / 44_100
    tone = (1 + 0.5 * np.sin(2 * np.pi * 770 * t)).astype(np.float32)  # positive: not rectified
    y = np.asarray(haircell_model(tone, 44_100.0, "breebaart"))[22_050:]
    assert (y.max() - y.min()) / 2 == pytest.approx(0.5 / np.sqrt(2), rel=0.01)


def test_ears_and_batch_axes_are_kept_apart(mixture):
    x = mixture[:3000]
    audiogram, envelope = auditory_peripheral(x, 44_100)
    assert audiogram.shape == envelope.shape == (32, 3000, 2)
    np.testing.assert_allclose(envelope, np.sqrt(np.maximum(audiogram, 0)), atol=1e-6)
    batch = GF_spectrogram(np.stack([x, -2 * x]).swapaxes(1, 2), 44_100)  # 2, 2, channels, samples
    for ear in (0, 1):
        alone = np.asarray(GF_spectrogram(x[:, ear], 44_100))
        for y in (audiogram[..., ear], batch[0, ear], batch[1, ear] / -2):
            np.testing.assert_allclose(y, alone, atol=1e-6)


def test_senseless_arguments_are_refused():
    x = np.zeros(100)
    for says, call, *arguments in (
        ("left ear first", auditory_peripheral, np.zeros((100, 3)), 44_100),
        ("at least one sample", GF_spectrogram, x[:0], 44_100),
        ("between 0 and fs / 2", GF_spectrogram, x, 44_100, [30_000.0]),
        ("'nonsense' is not known.*allpole", GF_spectrogram, x, 44_100, None, "nonsense"),
        ("'nonsense' is not known.*roman", haircell_model, x, 44_100.0, "nonsense"),
        ("too low for the 425", haircell_model, x, 800.0, "bernstein"),
    ):
        with pytest.raises(ValueError, match=says):
            call(*arguments)

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
from ssl_jax.frontend.reference import filterbank, hair_cell_output

FS = 44_100
PEAK_TOLERANCE = 5e-5  # of the channel's peak: float32 block products against the float64 cascade
FLOAT64_TOLERANCE = 1e-9  # the same in float64
# of the peak: 425 Hz is 1 % of fs, where a 4th-order recursion loses three digits
HAIR_CELL_TOLERANCE = 2e-4
# of signals near 1: float32 rounding of sums that XLA orders otherwise for another batch
BATCH_TOLERANCE = 1e-6


def noise(samples, seed=0):
    return np.random.default_rng(seed).standard_normal(samples)


def assert_like_reference(x, fs, cfs, filter_type="gammatone", tolerance=PEAK_TOLERANCE):
    """Each channel is within the tolerance, times its peak, of the cascade in float64."""
    ours = np.asarray(GF_spectrogram(x, fs, cfs, filter_type))
    reference = filterbank(x, fs, cfs, filter_type)
    assert ours.shape == reference.shape
    error = abs(ours - reference).max(axis=-1)
    peak = abs(reference).max(axis=-1)
    assert (error / peak).max() < tolerance


def test_32_channels_unless_given():
    x = noise(500).astype(np.float32)
    default = GF_spectrogram(x, FS)
    np.testing.assert_array_equal(default, GF_spectrogram(x, FS, centre_frequencies(FS)))


@pytest.mark.parametrize("fs", [8_000, 16_000, 44_100, 48_000])
def test_gammatone_of_speech_at_every_rate(mixture, fs):
    x = sps.resample_poly(mixture[:, 0], fs // 100, 441).astype(np.float32)
    assert_like_reference(x, fs, centre_frequencies(fs))


@pytest.mark.parametrize("fs", [16_000, 44_100])
def test_allpole_of_noise(fs):
    """Noise, as without zeros the top channels hear mostly speech's lows, 60 dB down."""
    assert_like_reference(noise(20_000).astype(np.float32), fs, centre_frequencies(fs), "allpole")


def test_butterworth_of_speech(mixture):
    x = mixture[:, 0]
    assert_like_reference(x, FS, centre_frequencies(FS, 8), "butterworth")


@pytest.mark.parametrize("samples", [1, 31, 64, 65, 1024, 1025, 3000])
@pytest.mark.parametrize("channels", [1, 5, 40])
def test_any_length_and_channel_count(samples, channels):
    x = noise(samples, seed=samples).astype(np.float32)
    assert_like_reference(x, FS, centre_frequencies(FS, channels))


@pytest.mark.parametrize("filter_type", FILTERS)
def test_float64_is_exact(filter_type):
    with jax.enable_x64(new_val=True):
        cfs = centre_frequencies(96_000, 6, 40.0)
        assert_like_reference(noise(5000), 96_000, cfs, filter_type, FLOAT64_TOLERANCE)


@pytest.mark.parametrize("dtype, expected", [("float32", "float32"), ("int16", "float32")])
def test_the_dtype_is_the_sound_s_and_integers_become_float32(dtype, expected):
    assert GF_spectrogram(np.ones(100, dtype), FS).dtype == expected


def test_roman_is_the_root_of_the_positive_part():
    np.testing.assert_array_equal(Roman(jnp.array([-4.0, 0.0, 0.25, 9.0])), [0, 0, 0.5, 3])


def test_the_slope_of_roman_is_zero_where_it_is_zero():
    slope = jax.grad(lambda x: Roman(x).sum())(jnp.array([-4.0, 0.0, 0.25, 9.0]))
    np.testing.assert_allclose(slope, [0, 0, 1, 1 / 6], rtol=1e-6)  # float32 rounding


@pytest.mark.parametrize("hair_cell", HAIR_CELLS)
@pytest.mark.parametrize("samples", [999, 1000])
def test_hair_cells(hair_cell, samples):
    """Odd and even lengths: the analytic signal treats fs / 2 apart."""
    x = noise((3, samples))
    ours = np.asarray(haircell_model(jnp.asarray(x, jnp.float32), float(FS), hair_cell))
    reference = hair_cell_output(x, FS, hair_cell)
    assert np.abs(ours - reference).max() < HAIR_CELL_TOLERANCE * np.abs(reference).max()


def test_no_hair_cell_is_the_filter_output():
    x = noise((3, 100)).astype(np.float32)
    np.testing.assert_array_equal(haircell_model(x, float(FS), None), x)


def test_breebaart_is_three_decibels_down_at_770_hz():
    t = np.arange(FS) / FS
    tone = (1 + 0.5 * np.sin(2 * np.pi * 770 * t)).astype(np.float32)  # positive: not rectified
    settled = np.asarray(haircell_model(tone, float(FS), "breebaart"))[FS // 2 :]
    amplitude = (settled.max() - settled.min()) / 2
    # 1 %: a period has 57 samples, the peak may lie between two
    assert amplitude == pytest.approx(0.5 / np.sqrt(2), rel=0.01)


def test_the_periphery_is_filterbank_and_hair_cell(mixture):
    audiogram, envelope = auditory_peripheral(mixture[:3000], FS, hair_cell="roman")
    assert audiogram.shape == envelope.shape == (32, 3000, 2)
    np.testing.assert_allclose(envelope, np.sqrt(np.maximum(audiogram, 0)), atol=BATCH_TOLERANCE)


@pytest.mark.parametrize("ear", [0, 1])
def test_ears_are_kept_apart(mixture, ear):
    x = mixture[:3000]
    audiogram, _ = auditory_peripheral(x, FS)
    alone = GF_spectrogram(x[:, ear], FS)
    np.testing.assert_allclose(audiogram[..., ear], alone, atol=BATCH_TOLERANCE)


def test_batch_axes_are_kept_apart(mixture):
    left, right = mixture[:3000].T
    batch = GF_spectrogram(np.array([[left, right], [-2 * left, -2 * right]]), FS)
    assert batch.shape == (2, 2, 32, 3000)
    np.testing.assert_allclose(batch[0, 1], GF_spectrogram(right, FS), atol=BATCH_TOLERANCE)
    np.testing.assert_allclose(batch[1], -2 * batch[0], atol=2 * BATCH_TOLERANCE)


@pytest.mark.parametrize("wrong", [np.nan, -np.inf])
@pytest.mark.parametrize(
    "function",
    [
        lambda x: GF_spectrogram(x, FS),
        lambda x: haircell_model(x, FS, "halfwave"),
        lambda x: auditory_peripheral(np.stack([x, x], -1), FS),
        Roman,
    ],
)
def test_numbers_that_are_not_finite_are_refused(function, wrong):
    """A comparison with NaN is false: a hair cell would make zeros of it."""
    x = noise(100)
    x[50] = wrong
    with pytest.raises(ValueError, match="NaN or infinity"):
        function(x)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: GF_spectrogram(x, FS),
        lambda x: haircell_model(x, FS, "halfwave"),
        lambda x: auditory_peripheral(x[:, None] * np.ones(2), FS),
        Roman,
    ],
)
def test_no_samples_are_refused(function):
    with pytest.raises(ValueError, match="at least one sample"):
        function(np.zeros(0))


@pytest.mark.parametrize(
    "function",
    [lambda x: GF_spectrogram(x, FS), lambda x: haircell_model(x, FS, "lindemann")],
)
def test_two_ears_along_the_axis_of_time_are_refused(function):
    with pytest.raises(ValueError, match="time must be the last axis"):
        function(np.zeros((100, 2)))


def test_ears_along_the_first_axis_are_refused_with_the_remedy():
    with pytest.raises(ValueError, match=r"transpose it: signal\.T"):
        auditory_peripheral(np.zeros((2, 100)), FS)


def test_values_that_are_traced_are_not_asked_for():
    x = np.array([np.nan, 4.0], np.float32)
    assert jax.jit(Roman)(x)[1] == 2


def test_no_hair_cell_unless_it_is_asked_for():
    x = noise((3, 100)).astype(np.float32)
    np.testing.assert_array_equal(haircell_model(x, FS), x)


def test_three_ears_are_refused():
    with pytest.raises(ValueError, match="left ear first"):
        auditory_peripheral(np.zeros((100, 3)), FS)


def test_a_centre_frequency_above_half_the_rate_is_refused():
    with pytest.raises(ValueError, match="between 0 and fs / 2"):
        GF_spectrogram(np.zeros(100), FS, [30_000.0])


def test_an_unknown_filter_is_refused():
    with pytest.raises(ValueError, match="'nonsense' is not known.*allpole"):
        GF_spectrogram(np.zeros(100), FS, filter_type="nonsense")


def test_an_unknown_hair_cell_is_refused():
    with pytest.raises(ValueError, match="'nonsense' is not known.*roman"):
        haircell_model(np.zeros(100), float(FS), "nonsense")


def test_a_rate_below_the_hair_cell_s_low_pass_is_refused():
    with pytest.raises(ValueError, match="too low for the 425"):
        haircell_model(np.zeros(100), 800.0, "bernstein")

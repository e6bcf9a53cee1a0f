"""Cues of sounds whose cues are known; what is refused; gradients."""

import jax
import numpy as np
import pytest

from ssl_jax.frontend import HAIR_CELLS
from ssl_jax.frontend.binaural_feature import calculate_itd_ild_ic, get_cues_clean

FS = 44_100


FLOAT32_ROUNDING = 1e-6  # relative, of a few operations
BATCH_TOLERANCE = 1e-4  # dB: another batch, another order of the same float32 sums


def noise(samples, *shape):
    return np.random.default_rng(0).standard_normal((samples, *shape)).astype(np.float32)


@pytest.mark.parametrize("delay", [-44, -22, 0, 1, 22, 44])
def test_known_delay(delay):
    """Left leads by `delay` samples: positive ITD, coherence one."""
    x = noise(FS // 2 + 88)
    ears = np.stack([x[44:-44], x[44 - delay : len(x) - 44 - delay]], axis=-1)
    cues = get_cues_clean(ears, FS, [6000.0, 900.0, 300.0], hair_cell="none")
    # 200 ms in, the window has forgotten (e^-20) that the two ears began with other samples
    settled = slice(20, -1)
    np.testing.assert_allclose(np.asarray(cues.itd)[:, settled], 1000 * delay / FS, atol=1e-6)
    assert np.asarray(cues.ic)[:, settled].min() >= 1 - FLOAT32_ROUNDING


# 6 dB in, 6 dB out; beyond 20 dB the ILD is clipped
LEVELS = [(10**0.3, 1, 6), (1, 10**0.95, -19), (1, 1, 0), (1, 100, -20), (100, 1, 20)]


@pytest.mark.parametrize("left, right, ild", LEVELS)
def test_known_level_difference(left, right, ild):
    ears = noise(FS // 4, 1) * np.float32([left, right])
    cues = get_cues_clean(ears, FS, [2000.0, 500.0])
    np.testing.assert_allclose(cues.ild, np.full((2, 25), ild), atol=1e-3)  # dB, float32 logarithms
    np.testing.assert_array_equal(cues.itd, 0)
    np.testing.assert_allclose(cues.ic, 1, atol=FLOAT32_ROUNDING)


@pytest.mark.parametrize("left, right, ild", [(1, 0, 20), (0, 1, -20)])
def test_one_silent_ear(left, right, ild):
    ears = noise(FS // 4, 1) * np.float32([left, right])
    cues = get_cues_clean(ears, FS, [2000.0, 500.0], hair_cell="none")
    np.testing.assert_array_equal(cues.ild, np.full((2, 25), ild))
    np.testing.assert_array_equal(cues.itd, 0)
    np.testing.assert_array_equal(cues.ic, 0)


@pytest.mark.parametrize("hop", [1, 441])
@pytest.mark.parametrize("hair_cell", ["none", "roman", "bernstein"])
def test_silence_is_zero(hop, hair_cell):
    silence = np.zeros((2000, 2), np.float32)
    cues = get_cues_clean(silence, FS, [1000.0], hair_cell=hair_cell, hop=hop)
    np.testing.assert_array_equal(cues, np.zeros((4, 1, 2000 // hop)))


def test_no_hair_cell_is_none():
    x = noise(3000, 2)
    without = get_cues_clean(x, FS, [1000.0], hair_cell=None)
    np.testing.assert_array_equal(without, get_cues_clean(x, FS, [1000.0], hair_cell="none"))


def test_batch_axes_are_kept_apart(mixture):
    x = np.stack([mixture[:20_000], mixture[:20_000, ::-1]])
    both = get_cues_clean(x[None], FS, [700.0, 300.0])
    assert both.ild.shape == (1, 2, 2, 45)  # 1, clips, channels, frames
    for clip in range(2):
        alone = get_cues_clean(x[clip], FS, [700.0, 300.0])
        np.testing.assert_allclose(both.ild[0, clip], alone.ild, atol=BATCH_TOLERANCE)


@pytest.mark.parametrize("azimuth, sign", [(30, 1), (90, 1), (300, -1), (240, -1)])
def test_left_is_positive(speech, heads, azimuth, sign):
    """SOFA's convention through the whole chain: 90 degrees is left, and left is positive."""
    responses = heads.hrirs[10, azimuth // 5]
    ears = [np.convolve(speech[0], response) for response in responses]
    cues = get_cues_clean(np.stack(ears, axis=-1).astype(np.float32), FS, hair_cell="none")
    loud = np.asarray(cues.power) > np.quantile(cues.power, 0.5, axis=1, keepdims=True)
    # KEMAR's smallest here is 255 us at 30 degrees (ITD in ms), and above 1 dB
    assert sign * np.median(np.asarray(cues.itd)[loud]) > 0.2
    assert sign * np.median(np.asarray(cues.ild)[loud]) > 1


# of an ILD of 6 dB, what haircell_model's docstring says is left
ILD_LEFT = dict.fromkeys(HAIR_CELLS, 6.0) | {"roman": 3.0, "bernstein": 0.46 * 6}


@pytest.mark.parametrize("hair_cell", HAIR_CELLS)
def test_hair_cells_keep_the_ild_or_compress_it_as_documented(hair_cell):
    ears = noise(FS // 10, 1) * np.float32([10**0.3, 1])
    cues = get_cues_clean(ears, FS, [2000.0, 500.0], hair_cell=hair_cell)
    settled = np.asarray(cues.ild)[:, 3:]  # the low-pass filters' starts are over
    np.testing.assert_allclose(settled, ILD_LEFT[hair_cell], atol=0.02)  # dB


@pytest.mark.parametrize(
    "dtype, expected",
    [("float64", "float32"), ("float32", "float32"), ("float16", "float32"), ("int16", "float32")],
)
def test_cues_are_float32_unless_jax_is_told_otherwise(dtype, expected):
    x = (10 * noise(1000, 2)).astype(dtype)
    cues = get_cues_clean(x, FS, [1000.0])
    assert cues.ild.dtype == expected
    single = get_cues_clean(x.astype(np.float32), FS, [1000.0])
    np.testing.assert_array_equal(cues, single)


def test_ears_along_the_first_axis_are_refused_with_the_remedy():
    with pytest.raises(ValueError, match=r"transpose it: signal\.T"):
        get_cues_clean(np.zeros((2, 1000)), FS)


def test_ears_before_the_samples_of_a_batch_are_refused_with_the_remedy():
    with pytest.raises(ValueError, match=r"signal\.swapaxes\(-1, -2\)"):
        get_cues_clean(np.zeros((3, 2, 1000)), FS)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(wrong):
    x = noise(1000, 2)
    x[500, 1] = wrong
    with pytest.raises(ValueError, match="NaN or infinity"):
        get_cues_clean(x, FS)
    with pytest.raises(ValueError, match="NaN or infinity"):
        calculate_itd_ild_ic(x.T, x.T, FS)


def test_values_whose_squares_would_overflow_are_refused():
    """In silence the cues of such a sound were NaN."""
    with pytest.raises(ValueError, match=r"values over 1e\+15: divide it by its full scale"):
        get_cues_clean(1e20 * noise(1000, 2), FS)


@pytest.mark.parametrize("wrong", [np.uint8, np.uint16])
def test_numbers_without_a_sign_are_refused(wrong):
    """uint8 of a WAV file counts from 128: the cues would be those of an offset."""
    with pytest.raises(ValueError, match="without a sign: subtract its zero"):
        get_cues_clean(np.full((1000, 2), 128, wrong), FS)


def test_bytes_in_the_other_order_are_read_and_objects_refused():
    x = noise(1000, 2)
    for order in "<>":
        np.testing.assert_array_equal(
            get_cues_clean(x.astype(f"{order}f4"), FS), get_cues_clean(x, FS)
        )
    with pytest.raises(ValueError, match="holds object: use floats"):
        get_cues_clean(x.astype(object), FS)


def test_complex_numbers_are_refused():
    with pytest.raises(ValueError, match="complex"):
        get_cues_clean(np.ones((1000, 2), complex), FS)


def test_no_samples_are_refused():
    with pytest.raises(ValueError, match="at least one sample"):
        get_cues_clean(np.zeros((0, 2)), FS)
    with pytest.raises(ValueError, match="at least one sample"):
        calculate_itd_ild_ic(np.zeros((3, 0)), np.zeros((3, 0)), FS)


@pytest.mark.parametrize("shape", [(1000,), (1000, 3)])
def test_a_sound_that_is_not_of_two_ears_is_refused(shape):
    with pytest.raises(ValueError, match="left ear first"):
        get_cues_clean(np.zeros(shape), FS)


def test_a_sound_shorter_than_a_hop_is_refused():
    with pytest.raises(ValueError, match="fewer than one hop of 441"):
        get_cues_clean(np.zeros((100, 2)), FS)


SENSELESS = {
    "hop": [0, 2.5, np.inf],
    "tau": [-1, 1e-6, np.inf],
    "max_itd": [0, 1e-6, 1.0],
    "max_ild": [0, np.nan],
    "sharpness": [-5, np.nan],
}


@pytest.mark.parametrize("name", SENSELESS)
def test_senseless_settings_are_refused(name):
    for value in SENSELESS[name]:
        with pytest.raises(ValueError, match=f"^{name} "):
            get_cues_clean(np.zeros((1000, 2)), FS, **{name: value})


@pytest.mark.parametrize("fs", ["fast", None, 0, np.nan, np.inf])
def test_a_rate_that_is_none_is_refused(fs):
    with pytest.raises(ValueError, match="not a sampling rate"):
        get_cues_clean(np.zeros((1000, 2)), fs)


@pytest.mark.parametrize("left, right", [((2, 1000), (3, 1000)), ((1000,), (1000,))])
def test_envelopes_of_other_shapes_are_refused(left, right):
    with pytest.raises(ValueError, match="must both be"):
        calculate_itd_ild_ic(np.zeros(left), np.zeros(right), FS)


def delayed_ears(delay):
    """White noise, (8192, 2), right later than left by a fraction of samples, around the end."""
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(8192))
    later = spectrum * np.exp(-2j * np.pi * np.fft.rfftfreq(8192) * delay)
    return np.fft.irfft([spectrum, later]).T.astype(np.float32)


@pytest.mark.parametrize("delay", [-20.0, -3.5, 0.0, 11.25])
def test_the_soft_itd_is_the_delay_between_samples(delay):
    cues = get_cues_clean(delayed_ears(delay), FS, [500.0], hair_cell="none", sharpness=500.0)
    # within 0.15 of a lag, where the lag grid could be off by 0.5
    assert np.median(cues.itd) == pytest.approx(1000 * delay / FS, abs=0.15 * 1000 / FS)


def test_the_soft_itd_leaves_the_other_cues_as_they_are():
    soft, hard = (
        get_cues_clean(delayed_ears(-3.5), FS, [500.0], hair_cell="none", sharpness=sharpness)
        for sharpness in (500.0, None)
    )
    np.testing.assert_allclose(soft.ild, hard.ild, atol=10 * FLOAT32_ROUNDING)  # of 20 dB at most
    np.testing.assert_allclose(soft.ic, hard.ic, atol=FLOAT32_ROUNDING)


def test_gradients_against_finite_differences():
    """d(ITD, ILD, IC)/d(sound) through filterbank, hair cell and correlation, in float64."""
    with jax.enable_x64(new_val=True):
        rng = np.random.default_rng(0)
        x, direction = rng.standard_normal((2, 1400, 2))
        x[:, 1] = 0.6 * np.roll(x[:, 0], 9) + 0.2 * x[:, 1]  # coherent, off the clipped ILD
        weights = rng.standard_normal((3, 2, 3))

        def value(x):
            cues = get_cues_clean(x, FS, [2500.0, 500.0], hair_cell="roman", sharpness=50.0)
            itd, ild, ic = weights
            return (itd * cues.itd).sum() + (ild * cues.ild).sum() + (ic * cues.ic).sum()

        slope = (jax.grad(value)(x) * direction).sum()
        step = 1e-6
        difference = (value(x + step * direction) - value(x - step * direction)) / (2 * step)
    # the differences' own error: the root of `roman` bends sharply near 0
    assert slope == pytest.approx(float(difference), rel=1e-4)


@pytest.mark.slow
def test_gradients_at_a_short_hop_against_finite_differences():
    """d(ILD, IC)/d(sound) in float64, to where the energy of an ear serves all lags."""
    with jax.enable_x64(new_val=True):
        rng = np.random.default_rng(0)
        left, right, direction = rng.standard_normal((3, 1, 4000))
        right[:, 4:] = 0.6 * left[:, :-4] + 0.2 * right[:, 4:]

        def value(right):
            cues = calculate_itd_ild_ic(left, right, 8000, hop=16)
            return (cues.ild + 3 * cues.ic)[:, 10:].sum()

        slope = (jax.grad(value)(right) * direction).sum()
        step = 1e-7
        difference = value(right + step * direction) - value(right - step * direction)
    assert slope == pytest.approx(float(difference) / (2 * step), rel=1e-5)


@pytest.mark.parametrize("hop", [441, pytest.param(50, marks=pytest.mark.slow)])
@pytest.mark.parametrize("sound", ["silence", "click"])
def test_gradients_of_silence_are_finite(hop, sound):
    x = np.zeros((1000, 2), np.float32)
    if sound == "click":
        x[0, 0] = 1
        x[1, 1] = 1

    def total(x):
        return sum(cue.sum() for cue in get_cues_clean(x, FS, [900.0], hop=hop, sharpness=9.0))

    assert np.isfinite(np.asarray(jax.grad(total)(x))).all()


@pytest.mark.parametrize("gain", [1e-12, 1e-3, 1e12])
def test_a_soft_lag_at_any_level(gain):
    """Products of two energies leave float32 long before energies do."""
    delay = 9
    x = noise(FS // 4)
    ears = np.stack([x[delay:], x[:-delay]], axis=-1)
    cues = get_cues_clean(gain * ears, FS, [2000.0], sharpness=500.0)
    # 200 ms in, as above
    np.testing.assert_allclose(np.asarray(cues.itd)[:, 20:], 1000 * delay / FS, atol=1e-3)


def test_gradients_of_what_dies_away_are_finite():
    """Sums of 1e-20 still sound, but the square of their root is 0 in float32."""
    x = np.zeros((FS, 2), np.float32)
    x[: FS // 5] = noise(FS // 5, 2)

    def total(x):
        cues = get_cues_clean(x, FS, [2000.0], sharpness=20.0)
        return cues.itd.sum() + cues.ic.sum()

    assert np.isfinite(np.asarray(jax.grad(total)(x))).all()


def test_every_product_is_float32_proper():
    """TF32 keeps ten bits: no product of the front-end may be left to a GPU's default precision."""
    x = np.zeros((1, 2000, 2), np.float32)
    text = str(jax.make_jaxpr(lambda x: get_cues_clean(x, FS, sharpness=9.0))(x))
    products = text.count("dot_general[")
    assert products > 0
    assert text.count("precision=(Precision.HIGHEST, Precision.HIGHEST)") == products

import jax
import numpy as np
import pytest
from scipy import signal as sps

from ssl_jax.frontend.auditory_model import GF_spectrogram, haircell_model
from ssl_jax.frontend.binaural_feature import Cues, calculate_itd_ild_ic, get_cues_clean
from support.numpy_loop import cue_loop

ITD_SHARE = 0.999  # of points with the same lag: float32 may break a near tie the other way
ILD_TOLERANCE = 0.01  # dB
IC_TOLERANCE = 1e-3
POWER_TOLERANCE = 1e-4  # relative
FS = 44_100


def noise(samples, *shape):
    return np.random.default_rng(0).standard_normal((samples, *shape)).astype(np.float32)


def assert_cues(ours: Cues, loop, skip=0):
    itd, ild, ic, power = (np.asarray(c)[..., skip:] for c in ours)
    same = np.abs(itd - loop[0][..., skip:]) < 1e-3  # ms, a twentieth of a lag at 44.1 kHz
    assert same.mean() >= ITD_SHARE
    # where the lag differs the other cues are read at another lag
    assert np.abs(ild - loop[1][..., skip:])[same].max() < ILD_TOLERANCE
    assert np.abs(ic - loop[2][..., skip:]).max() < IC_TOLERANCE
    assert np.abs(power / np.maximum(loop[3][..., skip:], 1e-30) - 1)[same].max() < POWER_TOLERANCE


WAYS = [("gammatone", None, 441), ("gammatone", "roman", None), ("gammatone", "none", 7)]
WAYS += [
    ("allpole", "halfwave", None),
    pytest.param("butterworth", "halfwave", None, marks=pytest.mark.slow),
]


@pytest.mark.parametrize("filter_type, cell, hop", WAYS)
def test_speech_mixture_against_loop(mixture, filter_type, cell, hop):
    """A second of real speech in noise, 32 channels: the figures the README promises."""
    # without zeros the top channels hear mostly speech's lows, 60 dB down: near float32's rounding
    cfs = [2000.0, 600.0] if filter_type == "allpole" else None
    ears = np.asarray(GF_spectrogram(mixture.T, FS, cfs, filter_type), np.float64)
    loop = cue_loop(*np.asarray(haircell_model(ears, float(FS), cell)), FS, hop=hop or 441)
    assert_cues(
        get_cues_clean(mixture, FS, cfs, filter_type, cell, hop=hop), loop, 30 if hop == 7 else 0
    )


HOPS = {8_000: (80,), 16_000: (160, 1), 44_100: (512, 443, 1, 7, 89), 48_000: (480, 1)}


@pytest.mark.parametrize("fs, hop", [(fs, hop) for fs, hops in HOPS.items() for hop in hops])
def test_rates_and_hops_against_loop(mixture, fs, hop):
    x = sps.resample_poly(mixture[10_000:16_000], fs // 100, 441).astype(np.float32)
    y = np.maximum(np.asarray(GF_spectrogram(x.T, fs, [3000.0, 1000.0, 200.0])), 0)
    # the first samples hold one or two products only: every lag fits them alike
    skip = fs // 200 // hop
    assert_cues(calculate_itd_ild_ic(*y, fs, hop=hop), cue_loop(*y, fs, hop=hop), skip)


HARD = {"clicks": (np.s_[:, :, ::700], 1), "one ear late": (np.s_[1, :, :2000], 0)}
HARD["click at the start"] = (
    np.s_[1, :, 10],
    100,
)  # RR counts r from sample m on: no lag may share it


@pytest.mark.parametrize("kind", [*HARD, "offset", "quiet"])
def test_hard_signals_against_loop(kind):
    x = 1e-3 * np.random.default_rng(1).standard_normal((2, 4, 3000))
    if kind in HARD:
        place, x[place] = HARD[kind]
    x = (x * 1e-6 if kind == "quiet" else x + 0.5 * (kind == "offset")).astype(np.float32)
    for hop in (441, 100, 20):
        ours, loop = calculate_itd_ild_ic(*x, FS, hop=hop), cue_loop(*x, FS, hop=hop)
        if kind == "offset":  # all lags within 1e-6 of another: only the cues' values are defined
            np.testing.assert_allclose(ours.ic, loop[2], atol=1e-4)
            np.testing.assert_allclose(ours.ild, loop[1], atol=ILD_TOLERANCE)
        else:
            assert_cues(ours, loop)


@pytest.mark.parametrize("delay", [-44, -22, 0, 1, 22, 44])
def test_known_delay(delay):
    """Left leads by `delay` samples: positive ITD, coherence one."""
    x = noise(FS // 2 + 88)
    ears = np.stack([x[44:-44], x[44 - delay : len(x) - 44 - delay]], -1)
    cues = get_cues_clean(ears, FS, [6000.0, 900.0, 300.0], model_type="none")
    # 200 ms in, the window has forgotten (e^-20) that the two ears began with other samples
    np.testing.assert_allclose(np.asarray(cues.itd)[:, 20:-1], 1000 * delay / FS, atol=1e-6)
    assert np.asarray(cues.ic)[:, 20:-1].min() >= 0.999999


LEVELS = [(0.1, 1, -7), (10**-0.15, 1, -3), (1, 1, 0), (10**0.25, 1, 5), (1, 0, 7), (0, 1, -7)]


@pytest.mark.parametrize("left, right, ild", LEVELS)
def test_known_level_difference_and_one_silent_ear(left, right, ild):
    cues = get_cues_clean(
        noise(FS // 4, 1) * np.float32([left, right]), FS, [2000.0, 500.0], model_type=None
    )
    np.testing.assert_allclose(cues.ild, np.full((2, 25), ild), atol=1e-3)
    np.testing.assert_array_equal(cues.itd, 0)
    np.testing.assert_allclose(cues.ic, np.full((2, 25), float(left * right > 0)), atol=1e-6)


def test_batch_axes_are_kept_apart(mixture):
    x = np.stack([mixture[:20_000], mixture[:20_000, ::-1]])
    both = get_cues_clean(x[None], FS, [700.0, 300.0])  # 1, 2, channels, frames
    for k in range(2):
        np.testing.assert_allclose(
            both.ild[0, k], get_cues_clean(x[k], FS, [700.0, 300.0]).ild, atol=1e-4
        )


@pytest.mark.parametrize("azimuth, sign", [(30, 1), (90, 1), (300, -1), (240, -1)])
def test_left_is_positive(corpus, heads, azimuth, sign):
    """SOFA's convention through the whole chain: 90 degrees is left, and left is positive."""
    hrir = heads.hrirs[10, azimuth // 5]
    ears = np.stack([np.convolve(corpus.speech[0], h) for h in hrir], -1).astype(np.float32)
    cues = get_cues_clean(ears, FS, model_type="none")
    loud = np.asarray(cues.power) > np.quantile(cues.power, 0.5, axis=1, keepdims=True)
    assert sign * np.median(np.asarray(cues.itd)[loud]) > 0.2
    assert sign * np.median(np.asarray(cues.ild)[loud]) > 1


@pytest.mark.parametrize("hop", [1, 441])
@pytest.mark.parametrize("hair_cell", ["none", "roman", "bernstein"])
def test_silence_is_zero(hop, hair_cell):
    cues = get_cues_clean(
        np.zeros((2000, 2), np.float32), FS, [1000.0], model_type=hair_cell, hop=hop
    )
    np.testing.assert_array_equal(cues, np.zeros_like(cues))


def test_float64(mixture):
    x = mixture[:5000].astype(np.float64)
    with jax.enable_x64(True):
        y = np.asarray(GF_spectrogram(x.T, FS, [900.0, 300.0]))
        cues = get_cues_clean(x, FS, [900.0, 300.0], model_type="none", hop=441)
        assert cues.ic.dtype == np.float64
    np.testing.assert_allclose(cues, cue_loop(*y, FS, hop=441), rtol=1e-7, atol=1e-9)


def test_senseless_arguments_are_refused():
    long, other = (1000, 2), (((1000,), 9, 1), ((1000, 3), 9, 1), ((100, 2), 441, 1))
    for shape, hop, tau in (*other, (long, 0, 1), (long, 9, -1)):
        with pytest.raises(ValueError):
            get_cues_clean(np.zeros(shape), FS, hop=hop, tau=tau)
    for left, right in (((2, 1000), (3, 1000)), ((1000,), (1000,))):
        with pytest.raises(ValueError, match="must both be"):
            calculate_itd_ild_ic(np.zeros(left), np.zeros(right), FS)


@pytest.mark.parametrize("shift", [-20.0, -3.5, 0.0, 11.25])
def test_soft_itd_is_the_delay_between_samples(shift):
    """A fractional delay: the soft argmax finds it closer than the lag grid could."""
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(8192))
    delayed = spectrum * np.exp(-2j * np.pi * np.fft.rfftfreq(8192) * shift)
    x = np.fft.irfft([spectrum, delayed]).T.astype(np.float32)
    soft, hard = (
        get_cues_clean(x, FS, [500.0], model_type="none", sharpness=s) for s in (500.0, None)
    )
    assert np.median(soft.itd) == pytest.approx(1000 * shift / FS, abs=0.15 * 1000 / FS)
    np.testing.assert_allclose(soft.ild, hard.ild, atol=1e-5)
    np.testing.assert_allclose(soft.ic, hard.ic, atol=1e-6)


def test_gradients_against_finite_differences():
    """d(ITD, ILD, IC)/d(sound) through filterbank, hair cell and correlation, in float64."""
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        x, direction = rng.standard_normal((2, 1400, 2))
        x[:, 1] = 0.6 * np.roll(x[:, 0], 9) + 0.2 * x[:, 1]  # coherent, off the clipped ILD
        weights = rng.standard_normal((3, 2, 3))

        def value(x):
            cues = get_cues_clean(x, FS, [2500.0, 500.0], model_type="roman", sharpness=50.0)
            return sum((w * c).sum() for w, c in zip(weights, cues[:3], strict=True))

        slope, step = (jax.grad(value)(x) * direction).sum(), 1e-6
        difference = (value(x + step * direction) - value(x - step * direction)) / (2 * step)
    assert slope == pytest.approx(float(difference), rel=1e-4)


@pytest.mark.parametrize("hop", [441, pytest.param(50, marks=pytest.mark.slow)])
def test_gradients_of_silence_are_finite(hop):
    def total(x):
        return sum(c.sum() for c in get_cues_clean(x, FS, [900.0], hop=hop, sharpness=9.0))

    for x in (np.zeros((1000, 2), np.float32), np.eye(1000, 2, dtype=np.float32)):
        assert np.isfinite(np.asarray(jax.grad(total)(x))).all()


def test_every_product_is_float32_proper():
    """TF32 keeps ten bits: no product of the front-end may be left to a GPU's default precision."""
    x = np.zeros((1, 2000, 2), np.float32)
    text = str(jax.make_jaxpr(lambda x: get_cues_clean(x, FS, sharpness=9.0))(x))
    products = text.count("dot_general[")
    assert (
        products > 0 and text.count("precision=(Precision.HIGHEST, Precision.HIGHEST)") == products
    )

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


def assert_cues(ours: Cues, loop, skip=0):
    itd, ild, ic, power = (np.asarray(c)[..., skip:] for c in ours)
    same = np.abs(itd - loop[0][..., skip:]) < 1e-3  # ms, a twentieth of a lag at 44.1 kHz
    assert same.mean() >= ITD_SHARE
    # where the lag differs the other cues are read at another lag
    assert np.abs(ild - loop[1][..., skip:])[same].max() < ILD_TOLERANCE
    assert np.abs(ic - loop[2][..., skip:]).max() < IC_TOLERANCE
    assert np.abs(power / np.maximum(loop[3][..., skip:], 1e-30) - 1)[same].max() < POWER_TOLERANCE


@pytest.mark.parametrize("hair_cell", ["none", "roman"])
def test_speech_mixture_against_loop(mixture, hair_cell):
    """A second of real speech in noise, 32 channels, hop 441: the figures the README promises."""
    reference = np.asarray(GF_spectrogram(mixture.T, FS), np.float64)
    reference = np.asarray(haircell_model(reference, float(FS), hair_cell))
    assert_cues(get_cues_clean(mixture, FS, model_type=hair_cell, hop=441), cue_loop(*reference, FS, hop=441))


@pytest.mark.parametrize(
    "fs, hop",
    [
        (16_000, 160),
        (16_000, 1),
        (44_100, 512),
        (44_100, 443),
        (44_100, 1),
        (44_100, 7),
        (44_100, 89),
        (48_000, 480),
        (48_000, 1),
        (8_000, 80),
    ],
)
def test_rates_and_hops_against_loop(mixture, fs, hop):
    x = sps.resample_poly(mixture[10_000:16_000], fs // 100, 441).astype(np.float32)
    y = np.maximum(np.asarray(GF_spectrogram(x.T, fs, [3000.0, 1000.0, 200.0])), 0)
    # the first samples hold one or two products only: every lag fits them alike
    skip = fs // 200 // hop
    assert_cues(calculate_itd_ild_ic(*y, fs, hop=hop), cue_loop(*y, fs, hop=hop), skip)


@pytest.mark.parametrize("kind", ["click at the start", "clicks", "offset", "one ear late", "quiet"])
def test_hard_signals_against_loop(kind):
    rng = np.random.default_rng(1)
    x = 1e-3 * rng.standard_normal((2, 4, 3000))
    if kind == "click at the start":  # RR counts r from sample m on: lags must not share the click
        x[1, :, 10] = 100
    elif kind == "clicks":
        x[:, :, ::700] += 1
    elif kind == "offset":
        x += 0.5
    elif kind == "one ear late":
        x[1, :, :2000] = 0
    else:
        x *= 1e-6
    for hop in (441, 100, 20):
        loop = cue_loop(*x.astype(np.float32), FS, hop=hop)
        ours = calculate_itd_ild_ic(*x.astype(np.float32), FS, hop=hop)
        if kind == "offset":  # all lags within 1e-6 of another: only the cues' values are defined
            np.testing.assert_allclose(ours.ic, loop[2], atol=1e-4)
            np.testing.assert_allclose(ours.ild, loop[1], atol=ILD_TOLERANCE)
        else:
            assert_cues(ours, loop)


def test_every_sample_holds_every_hop(mixture):
    x = mixture[:9000]
    every = get_cues_clean(x, FS, [4000.0, 500.0], hop=1)
    hop = get_cues_clean(x, FS, [4000.0, 500.0], hop=441)
    assert every.itd.shape == (2, 9000) and hop.itd.shape == (2, 20)
    assert_cues(hop, [np.asarray(c)[:, 440::441] for c in every])


@pytest.mark.parametrize("delay", [-44, -22, 0, 1, 22, 44])
def test_known_delay(delay):
    """Left leads by `delay` samples: positive ITD, coherence one."""
    noise = np.random.default_rng(0).standard_normal(FS // 2 + 88).astype(np.float32)
    left, right = noise[44:-44], noise[44 - delay : len(noise) - 44 - delay]
    cues = get_cues_clean(np.stack([left, right], -1), FS, [6000.0, 900.0, 300.0], model_type="none")
    # 200 ms in, the window has forgotten (e^-20) that the two ears began with other samples
    itd, ic = np.asarray(cues.itd)[:, 20:-1], np.asarray(cues.ic)[:, 20:-1]
    np.testing.assert_allclose(itd, 1000 * delay / FS, atol=1e-6)
    assert ic.min() >= 0.999999


@pytest.mark.parametrize("gain", [-20, -3, 0, 5])
def test_known_level_difference(gain):
    noise = np.random.default_rng(0).standard_normal(FS // 4).astype(np.float32)
    signal = np.stack([noise * 10 ** (gain / 20), noise], -1)
    cues = get_cues_clean(signal, FS, [2000.0, 500.0], model_type="none")
    np.testing.assert_allclose(cues.ild, np.clip(gain, -7, 7), atol=1e-3)


def test_swapping_the_ears_negates(mixture):
    a = get_cues_clean(mixture[:20_000], FS, [700.0, 300.0])
    b = get_cues_clean(mixture[:20_000, ::-1], FS, [700.0, 300.0])
    # where the sound changes within a lag, the two windows, each led by its own left ear, differ
    coherent = np.minimum(a.ic, b.ic) > 0.995
    assert coherent.mean() > 0.2
    np.testing.assert_allclose(np.asarray(a.itd)[coherent], -np.asarray(b.itd)[coherent], atol=0.1)
    np.testing.assert_allclose(np.asarray(a.ild)[coherent], -np.asarray(b.ild)[coherent], atol=0.5)


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
    cues = get_cues_clean(np.zeros((2000, 2), np.float32), FS, [1000.0], model_type=hair_cell, hop=hop)
    for cue in cues:
        np.testing.assert_array_equal(cue, 0)


@pytest.mark.parametrize("ear, ild", [(0, 7), (1, -7)])
def test_one_silent_ear(ear, ild):
    x = np.zeros((3000, 2), np.float32)
    x[:, ear] = np.random.default_rng(0).standard_normal(3000)
    cues = get_cues_clean(x, FS, [1000.0], model_type="none")
    np.testing.assert_array_equal(cues.ild, ild)
    np.testing.assert_array_equal(cues.itd, 0)
    np.testing.assert_array_equal(cues.ic, 0)


def test_independent_noise_is_not_incoherent():
    """The window is short: with Faller & Merimaa's hair cell the coherence stays well above 0."""
    x = np.random.default_rng(0).standard_normal((3 * FS, 2)).astype(np.float32)
    ic = np.asarray(get_cues_clean(x, FS, [2000.0, 500.0], model_type="bernstein").ic)[:, 10:]
    assert np.median(ic, axis=1) == pytest.approx([0.96, 0.83], abs=0.03)


@pytest.mark.parametrize("batch", [(), (1,), (2, 3)])
def test_batch_axes_are_kept_apart(mixture, batch):
    x = np.random.default_rng(0).standard_normal((*batch, 2000, 2)).astype(np.float32)
    cues = get_cues_clean(x, FS, [3000.0, 600.0])
    assert cues.ild.shape == (*batch, 2, 4)
    last = x[(-1,) * len(batch)]
    np.testing.assert_allclose(
        cues.ild[(-1,) * len(batch)], get_cues_clean(last, FS, [3000.0, 600.0]).ild, atol=1e-4
    )


def test_float64(mixture):
    x = mixture[:5000].astype(np.float64)
    with jax.enable_x64(True):
        y = np.asarray(GF_spectrogram(x.T, FS, [900.0, 300.0]))
        cues = get_cues_clean(x, FS, [900.0, 300.0], model_type="none", hop=441)
        assert cues.ic.dtype == np.float64
    for ours, loop in zip(cues, cue_loop(*y, FS, hop=441), strict=True):
        np.testing.assert_allclose(ours, loop, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    "call",
    [
        lambda: get_cues_clean(np.zeros(1000), FS),
        lambda: get_cues_clean(np.zeros((1000, 3)), FS),
        lambda: get_cues_clean(np.zeros((100, 2)), FS, hop=441),
        lambda: get_cues_clean(np.zeros((1000, 2)), FS, hop=0),
        lambda: get_cues_clean(np.zeros((1000, 2)), FS, tau=-1),
        lambda: calculate_itd_ild_ic(np.zeros((2, 1000)), np.zeros((3, 1000)), FS),
        lambda: calculate_itd_ild_ic(np.zeros(1000), np.zeros(1000), FS),
    ],
)
def test_senseless_arguments_are_refused(call):
    with pytest.raises(ValueError):
        call()


@pytest.mark.parametrize("filter_type", ["allpole", pytest.param("butterworth", marks=pytest.mark.slow)])
def test_other_filterbanks(mixture, filter_type):
    """Whichever way the channels come about, the cues are those of their outputs."""
    x = mixture[:6000]
    y = np.asarray(GF_spectrogram(x.T, FS, [2000.0, 600.0], filter_type), np.float64)
    ours = get_cues_clean(x, FS, [2000.0, 600.0], filter_type, "halfwave")
    assert_cues(ours, cue_loop(*np.maximum(y, 0), FS, hop=441))


@pytest.mark.parametrize("shift", [-20.0, -3.5, 0.0, 11.25])
def test_soft_itd_is_the_delay_between_samples(shift):
    """A fractional delay: the soft argmax finds it closer than the lag grid could."""
    noise = np.fft.rfft(np.random.default_rng(0).standard_normal(8192))
    delayed = noise * np.exp(-2j * np.pi * np.fft.rfftfreq(8192) * shift)
    x = np.stack([np.fft.irfft(noise), np.fft.irfft(delayed)], -1).astype(np.float32)
    cues = get_cues_clean(x, FS, [500.0], model_type="none", sharpness=500.0)
    assert np.median(cues.itd) == pytest.approx(1000 * shift / FS, abs=0.15 * 1000 / FS)
    hard = get_cues_clean(x, FS, [500.0], model_type="none")
    np.testing.assert_allclose(cues.ild, hard.ild, atol=1e-5)
    np.testing.assert_allclose(cues.ic, hard.ic, atol=1e-6)


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

        slope = (jax.grad(value)(x) * direction).sum()
        step = 1e-6
        difference = (value(x + step * direction) - value(x - step * direction)) / (2 * step)
    assert slope == pytest.approx(float(difference), rel=1e-4)


@pytest.mark.parametrize("hop", [441, pytest.param(50, marks=pytest.mark.slow)])
def test_gradients_of_silence_are_finite(hop):
    for x in (np.zeros((1000, 2), np.float32), np.eye(1000, 2, dtype=np.float32)):
        slope = jax.grad(
            lambda x: sum(c.sum() for c in get_cues_clean(x, FS, [900.0], hop=hop, sharpness=9.0))
        )(x)
        assert np.isfinite(np.asarray(slope)).all()


def test_a_minute_long(mixture):
    """60 s: block states do not drift; the last second is that of a short sound, a loop apart."""
    long = np.concatenate([mixture] * 60)
    cues = get_cues_clean(long, FS, [5000.0, 1000.0, 100.0])
    short = get_cues_clean(np.concatenate([mixture] * 2), FS, [5000.0, 1000.0, 100.0])
    assert cues.itd.shape == (3, 6000)
    np.testing.assert_allclose(cues.ild[:, -80:], short.ild[:, -80:], atol=ILD_TOLERANCE)
    np.testing.assert_allclose(cues.ic[:, -80:], short.ic[:, -80:], atol=IC_TOLERANCE)


def test_every_product_is_float32_proper():
    """TF32 keeps ten bits: no product of the front-end may be left to a GPU's default precision."""
    x = np.zeros((1, 2000, 2), np.float32)
    text = str(jax.make_jaxpr(lambda x: get_cues_clean(x, FS, sharpness=9.0))(x))
    products = text.count("dot_general[")
    assert products > 0 and text.count("precision=(Precision.HIGHEST, Precision.HIGHEST)") == products

"""What a GPU does at once against what a CPU does piece by piece; here one machine does both."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.frontend.correlation_settings import correlation_settings
from ssl_jax.frontend.long_hops import LongHopSums, sums_at_once, sums_by_chunks
from ssl_jax.frontend.short_hops import ShortHopSums, advance_at_once, advance_short_hops

FS = 44_100
CLIPS = 2
CHANNELS = 3
STEPS = 3
DELAY = 9  # samples that the right ear is late
# of the largest value: float32 sums of up to a thousand products, in another order
ROUNDING = 2e-6
ILD_ROUNDING = 1e-4  # dB
# relative: hop by hop the rounding of a decay adds up over the window of 441 samples
POWER_ROUNDING = 2e-5
IC_ROUNDING = 1e-5
# samples, of a mean over all lags
SOFT_LAG_ROUNDING = 1e-3
# of the largest slope
SLOPE_ROUNDING = 1e-4
# share of points with the same lag: rounding may break a near tie the other way
SAME_LAG = 0.999


def assert_close(ours, wanted):
    for one, other in zip(ours, wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=ROUNDING * np.abs(other).max())


# chunks of 21, of 32 and a rest, of 25
@pytest.mark.parametrize("hop", [441, 443, 100])
def test_the_sums_of_a_long_hop(hop):
    settings = correlation_settings(FS, hop=hop)
    rng = np.random.default_rng(0)

    def noise(*shape):
        return rng.standard_normal((CLIPS, *shape, CHANNELS)).astype(np.float32)

    span = settings.span
    sums = LongHopSums(noise(span), noise(), noise(), onset=noise(span))
    heard = sums, noise(hop), noise(hop + 2 * settings.lags), noise(hop)
    at_once = jax.jit(partial(sums_at_once, settings))(*heard)
    assert_close(at_once, jax.jit(partial(sums_by_chunks, settings))(*heard))


@pytest.fixture
def cpu():
    """JAX takes a CPU: there `advance_short_hops` goes hop by hop."""
    with jax.default_device(jax.devices("cpu")[0]):
        yield


def cues_of_steps(advance, settings, left, right):
    """Cues of STEPS steps; step 0 lies before the sound."""
    span = settings.span
    none = np.zeros((CLIPS, span, CHANNELS), np.float32)
    sums = ShortHopSums(none, none[:, 0], none, none[:, 0])
    cues = []
    for number in range(STEPS):
        start = number * settings.step
        late = start + settings.lags
        l = left[:, late : late + settings.step]
        r = right[:, start : start + settings.step + 2 * settings.lags]
        sums, cues_of_step = advance(settings, sums, number, l, r)
        cues.append(cues_of_step)
    return [jnp.concatenate(cue) for cue in zip(*cues, strict=True)]


def ears(settings):
    """Left and right (clips, samples, C) of STEPS steps: noise that is late on the right."""
    rng = np.random.default_rng(1)
    samples = STEPS * settings.step + 2 * settings.lags
    left = rng.standard_normal((CLIPS, samples, CHANNELS)).astype(np.float32)
    right = np.roll(left, DELAY, axis=1) + rng.standard_normal(left.shape).astype(np.float32)
    # before the sound, and one clip that starts late
    left[:, : settings.step] = right[:, : settings.step] = 0
    right[1, : 2 * settings.step] = 0
    return left, right


@pytest.mark.usefixtures("cpu")
@pytest.mark.parametrize("hop, sharpness", [(1, None), (7, None), (60, None), (7, 30.0)])
def test_short_hops(hop, sharpness):
    settings = correlation_settings(FS, hop=hop, sharpness=sharpness)
    left, right = ears(settings)
    wanted = jax.jit(partial(cues_of_steps, advance_short_hops, settings))(left, right)
    ours = jax.jit(partial(cues_of_steps, advance_at_once, settings))(left, right)
    lag, ild, ic, power = map(np.asarray, ours)
    assert lag.shape == wanted[0].shape
    # neither silence nor noise alone
    assert (abs(lag - DELAY) < 1).mean() > 0.3
    same = abs(lag - wanted[0]) < SOFT_LAG_ROUNDING
    assert same.mean() >= SAME_LAG
    np.testing.assert_allclose(ild[same], wanted[1][same], atol=ILD_ROUNDING)
    np.testing.assert_allclose(ic[same], wanted[2][same], atol=IC_ROUNDING)
    np.testing.assert_allclose(power[same], wanted[3][same], rtol=POWER_ROUNDING)


@pytest.mark.usefixtures("cpu")
def test_gradients_at_short_hops():
    # at 8 kHz there are 17 lags instead of 89
    settings = correlation_settings(8000, hop=5, sharpness=30.0)
    left, right = ears(settings)

    def slopes(advance):
        def total(right):
            lag, ild, ic, _ = cues_of_steps(advance, settings, left, right)
            return (lag + ild + ic).sum()

        return jax.jit(jax.grad(total))(right)

    wanted = slopes(advance_short_hops)
    assert np.isfinite(wanted).all()
    difference = np.abs(slopes(advance_at_once) - wanted).max()
    assert difference < SLOPE_ROUNDING * np.abs(wanted).max()

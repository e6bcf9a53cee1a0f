"""What a GPU does at once against what a CPU does bit by bit; here one machine does both."""

from functools import partial

import jax
import numpy as np
import pytest

from ssl_jax.frontend.correlation_settings import correlation_settings
from ssl_jax.frontend.long_hops import LongHopSums, sums_at_once, sums_by_chunks
from ssl_jax.frontend.short_hops import ShortHopSums, advance_at_once, advance_hop_by_hop

FS = 44_100
CLIPS = 2
CHANNELS = 3
DELAY = 9  # samples that the right ear is late
# of the largest value: float32 sums of up to a thousand products, in another order
ROUNDING = 2e-6
ILD_ROUNDING = 1e-4  # dB
# relative: hop by hop the rounding of a decay adds up over the window of 441 samples
POWER_ROUNDING = 2e-5
IC_ROUNDING = 1e-5
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


def cues_of_steps(advance, settings, left, right):
    """All cues of a sound with five steps of silence and noise, the first one before it starts."""
    span = settings.span
    none = np.zeros((CLIPS, span, CHANNELS), np.float32)
    sums = ShortHopSums(none, none[:, 0], none, none[:, 0])
    program = jax.jit(partial(advance, settings))
    cues = []
    for number in range(5):
        start = number * settings.step
        late = start + settings.lags
        l = left[:, late : late + settings.step]
        r = right[:, start : start + settings.step + 2 * settings.lags]
        sums, cues_of_step = program(sums, number, l, r)
        cues.append(cues_of_step)
    return [np.concatenate(cue) for cue in zip(*cues, strict=True)]


@pytest.mark.parametrize("hop", [1, 7, 60])
def test_short_hops(hop):
    settings = correlation_settings(FS, hop=hop)
    rng = np.random.default_rng(1)
    samples = 5 * settings.step + 2 * settings.lags
    left = rng.standard_normal((CLIPS, samples, CHANNELS)).astype(np.float32)
    right = np.roll(left, DELAY, axis=1) + rng.standard_normal(left.shape).astype(np.float32)
    # before the sound, and one clip that starts late
    left[:, : settings.step] = right[:, : settings.step] = 0
    right[1, : 2 * settings.step] = 0
    wanted = cues_of_steps(advance_hop_by_hop, settings, left, right)
    ours = cues_of_steps(advance_at_once, settings, left, right)
    lag, ild, ic, power = ours
    assert lag.shape == wanted[0].shape
    # neither silence nor noise alone
    assert (lag == DELAY).mean() > 0.3
    same = lag == wanted[0]
    assert same.mean() >= SAME_LAG
    np.testing.assert_allclose(ild[same], wanted[1][same], atol=ILD_ROUNDING)
    np.testing.assert_allclose(ic[same], wanted[2][same], atol=IC_ROUNDING)
    np.testing.assert_allclose(power[same], wanted[3][same], rtol=POWER_ROUNDING)

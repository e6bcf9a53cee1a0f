"""The cues of a sound as one scan: filterbank, hair cell and running correlation, step by step.

A step is one hop or, where hops are shorter than the lags, several. The filterbank runs inside the
scan, so that its outputs, 64 numbers a sample, never leave the cache.

The right ear is read up to D samples ahead, so the left ear waits: step 0 begins step - D samples
before the sound, and the first sample is correlated in step 1.

In shapes: `clips` sounds at a time, C channels, time before channels.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ssl_jax.frontend.correlation_settings import CorrelationSettings
from ssl_jax.frontend.lag_cues import FrameCues
from ssl_jax.frontend.long_hops import LongHopSums, advance_long_hop
from ssl_jax.frontend.short_hops import ShortHopSums, advance_short_hops


class ScanState(NamedTuple):
    """What a step of the scan leaves for the next."""

    number: jax.Array  # of the next step; the scan begins step - D samples before the sound
    periphery: Any  # states of the filterbank, or whatever `periphery` takes
    left: jax.Array  # (clips, D, C), the last samples of the left ear
    right: jax.Array  # (clips, 2 D, C), of the right
    sums: LongHopSums | ShortHopSums


def initial_state(
    settings: CorrelationSettings, clips: int, channels: int, periphery_state, dtype
) -> ScanState:
    """Before the first step: silence."""

    def zeros(*shape):
        return jnp.zeros((clips, *shape, channels), dtype)

    span = settings.span
    lags = settings.lags
    sums: LongHopSums | ShortHopSums
    if settings.hops_per_step == 1:
        sums = LongHopSums(cross=zeros(span), left=zeros(), later=zeros(), onset=zeros(span))
    else:
        sums = ShortHopSums(cross=zeros(span), left=zeros(), right=zeros(span), uncounted=zeros())
    return ScanState(jnp.int32(0), periphery_state, zeros(lags), zeros(2 * lags), sums)


def scan_steps(
    settings: CorrelationSettings,
    state: ScanState,
    pieces: jax.Array,
    periphery: Callable,
    end: int | jax.Array,
) -> tuple[ScanState, FrameCues]:
    """The next steps of a sound.

    Parameters
    ----------
    state : ScanState
    pieces : (steps, clips, 2, step, ...)
        What `periphery` takes, of both ears.
    periphery : callable
        From its state and a piece (clips, 2, step, ...) to its next state and envelopes
        (clips, 2, step, C).
    end : int, or (clips, 1, 1)
        Samples of the whole sound, or of each.

    Returns
    -------
    state, cues : ScanState, FrameCues of (hops, clips, C)
    """
    is_long_hop = settings.hops_per_step == 1
    correlate = advance_long_hop if is_long_hop else advance_short_hops
    step = settings.step
    lags = settings.lags

    def advance(state, piece):
        periphery_state, envelopes = periphery(state.periphery, piece)
        # the filters ring on, but after its end a sound is zero by definition
        first = state.number * step - (step - lags)  # n of the first sample in the piece
        envelopes = jnp.where((first + np.arange(step) < end)[..., None], envelopes, 0)
        # the left ear waits for D samples of the right one to come
        left = jnp.concatenate([state.left, envelopes[:, 0]], axis=1)  # clips, D + step, C
        right = jnp.concatenate([state.right, envelopes[:, 1]], axis=1)  # clips, 2 D + step, C
        sums, cues = correlate(settings, state.sums, state.number, left[:, :step], right)
        state = ScanState(state.number + 1, periphery_state, left[:, step:], right[:, step:], sums)
        return state, cues

    state, cues = lax.scan(advance, state, pieces)
    if not is_long_hop:
        # each is (steps, hops of a step, clips, C)
        cues = FrameCues(*(cue.reshape(-1, *cue.shape[2:]) for cue in cues))
    return state, cues


def scan_cues(
    settings: CorrelationSettings,
    sounds: jax.Array,
    channels: int,
    periphery: Callable,
    periphery_state,
) -> FrameCues:
    """`scan_steps` over whole sounds.

    Parameters
    ----------
    sounds : (clips, 2, samples, ...)
        What `periphery` takes, of both ears.
    channels : int
        C, which `periphery` gives.
    periphery, periphery_state
        See `scan_steps`; the state is that before the first sample.

    Returns
    -------
    cues : FrameCues of (clips, C, samples // hop)

    Raises
    ------
    ValueError
        The sounds are shorter than one hop.
    """
    clips, _, samples = sounds.shape[:3]
    hop = settings.hop
    step = settings.step
    hops = samples // hop
    if hops < 1:
        raise ValueError(f"the sound has {samples} samples, fewer than one hop of {hop}")
    # the scan looks D samples ahead: it starts a step early, with silence
    steps = math.ceil(hops * hop / step) + 1
    early = step - settings.lags
    late = steps * step - early - samples  # below 0 the padding cuts off what is not needed
    padding = [(0, 0, 0)] * sounds.ndim
    padding[2] = (early, late, 0)
    padded = lax.pad(sounds, jnp.zeros((), sounds.dtype), padding)
    pieces = padded.reshape(clips, 2, steps, step, *sounds.shape[3:])
    pieces = jnp.moveaxis(pieces, 2, 0)
    state = initial_state(settings, clips, channels, periphery_state, sounds.dtype)
    _, cues = scan_steps(settings, state, pieces, periphery, samples)
    first = settings.hops_per_step  # the hops of step 0 are silence
    return FrameCues(*(jnp.moveaxis(cue[first:][:hops], 0, -1) for cue in cues))

"""Sounds of any length in bounded memory: filterbank and cues over consecutive blocks.

The state goes in and comes out, nothing is hidden; block after block gives what the whole sound
would. Blocks of one length compile once.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ssl_jax.frontend.auditory_model import MEMORYLESS, ZERO_PHASE, as_cfs, as_sound
from ssl_jax.frontend.binaural_feature import Cues, filterbank_step, to_cues
from ssl_jax.frontend.block_filter import filter_sound, start_state
from ssl_jax.frontend.filter_design import block_filters
from ssl_jax.frontend.running_correlation import (
    Carry,
    CorrelationSettings,
    initial_state,
    scan_steps,
    settings,
)

ENDLESS = 2**31 - 1  # samples, while the end of the sound is not known: 13 hours at 44.1 kHz


class FilterStream(NamedTuple):
    """A filterbank in the middle of a sound."""

    fs: float  # Hz
    cfs: tuple[float, ...]  # Hz
    filter_type: str
    state: jax.Array | None  # (rows, S, C); None before the first block


def start_filter(fs: float, cfs=None, filter_type: str = "gammatone") -> FilterStream:
    """Before the first block. Parameters as in `GF_spectrogram`.

    Raises
    ------
    ValueError
        For a zero-phase filter, which needs the whole sound.
    """
    if filter_type in ZERO_PHASE:
        raise ValueError(f"{filter_type!r} runs backwards too and needs the whole sound: use GF_spectrogram")
    return FilterStream(float(fs), as_cfs(cfs, fs), filter_type, None)


def filter_block(stream: FilterStream, block) -> tuple[FilterStream, jax.Array]:
    """Filter the next block.

    Parameters
    ----------
    stream : FilterStream
    block : (..., samples), the same leading axes in every call

    Returns
    -------
    stream : FilterStream
    audiogram : (..., channels, samples)
    """
    x = as_sound(block)
    rows = x.reshape(-1, x.shape[-1])
    fs, cfs, filter_type, state = stream
    if state is None:
        state = start_state(block_filters(fs, cfs, 1, filter_type), len(rows), x.dtype)
    state, y = filter_sound(rows, fs, cfs, filter_type, state)
    audiogram = y.reshape(*x.shape[:-1], len(cfs), x.shape[-1])
    return stream._replace(state=state), audiogram


class CueStream(NamedTuple):
    """The cues' scan in the middle of a sound."""

    fs: float  # Hz
    cfs: tuple[float, ...]  # Hz
    filter_type: str
    hair_cell: str
    settings: CorrelationSettings
    carry: Carry | None  # None before the first block
    waiting: np.ndarray  # (..., samples, 2), not yet a whole step of the scan
    samples: int  # so far
    given: int  # hops of cues given back so far


def start_cues(fs, cfs=None, filter_type="gammatone", model_type="roman", **correlation) -> CueStream:
    """Before the first block. Parameters as in `get_cues_clean`.

    Raises
    ------
    ValueError
        For a hair cell or filter that looks at the whole sound, or settings that make no sense.
    """
    model_type = model_type or "none"
    if model_type not in MEMORYLESS or filter_type in ZERO_PHASE:
        remedy = f"use the hair cells {', '.join(MEMORYLESS)} with a causal filter"
        raise ValueError(f"{filter_type!r} with {model_type!r} needs the whole sound, not a stream: {remedy}")
    w = settings(fs, **correlation)
    return CueStream(float(fs), as_cfs(cfs, fs), filter_type, model_type, w, None, np.zeros((0, 2)), 0, 0)


@partial(jax.jit, static_argnames="static")
def _next_steps(carry, rows, end, static):
    """(clips, 2, steps * step) -> Carry, tuple of (hops, clips, C); `static` is the start of a CueStream."""
    fs, cfs, filter_type, hair_cell, w = static
    pieces = jnp.moveaxis(rows.reshape(rows.shape[0], 2, -1, w.step), 2, 0)
    ears = filterbank_step(block_filters(fs, cfs, w.step, filter_type), hair_cell, w.step)
    return scan_steps(w, carry, pieces, ears, end)


def cue_block(stream: CueStream, block, last: bool = False) -> tuple[CueStream, Cues]:
    """Cues of the next block, as far as they can be known.

    Parameters
    ----------
    stream : CueStream
    block : (..., samples, 2), left ear first, the same leading axes in every call
    last : bool
        The sound ends with this block: what was waiting for more is given too.

    Returns
    -------
    stream : CueStream
    cues : Cues, each (..., channels, hops)
        Those not given before; none are lost or repeated. They come up to one step of the scan and
        the longest lag late.
    """
    block = np.asarray(as_sound(block))
    if block.ndim < 2 or block.shape[-1] != 2:
        raise ValueError(f"block must be (..., samples, 2), left ear first, not {block.shape}")
    w, shape = stream.settings, block.shape[:-2]
    clips = int(np.prod(shape))
    carry, waiting = stream.carry, stream.waiting
    if carry is None:
        banks = block_filters(stream.fs, stream.cfs, w.step, stream.filter_type)
        state = start_state(banks, 2 * clips, block.dtype)
        carry = initial_state(w, clips, len(stream.cfs), state, block.dtype)
        waiting = np.zeros((*shape, w.step - w.lags, 2), block.dtype)
    samples = stream.samples + block.shape[-2]
    waiting = np.concatenate([waiting, block], axis=-2)
    if last:  # enough silence to bring out every hop
        waiting = np.concatenate([waiting, np.zeros((*shape, 2 * w.step, 2), block.dtype)], axis=-2)
    whole = waiting.shape[-2] // w.step * w.step
    rows = waiting[..., :whole, :].reshape(clips, whole, 2).swapaxes(1, 2)
    before = (int(carry.index) - 1) * w.step // w.hop  # hops that the scan has given so far
    carry, cues = _next_steps(carry, rows, samples if last else ENDLESS, stream[:5])
    first, stop = stream.given - before, samples // w.hop - before if last else cues[0].shape[0]
    cues = tuple(jnp.moveaxis(c[max(first, 0) : max(stop, 0)], 0, -1) for c in cues)
    given = stream.given + cues[0].shape[-1]
    stream = stream._replace(carry=carry, waiting=waiting[..., whole:, :], samples=samples, given=given)
    return stream, to_cues(cues, stream.fs, shape)

"""Sounds of any length in bounded memory: filterbank and cues over consecutive blocks.

The state goes in and comes out, nothing is hidden; block after block gives what the whole sound
would. Blocks of one length compile once.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .auditory_model import MEMORYLESS, ZERO_PHASE, as_cfs, as_sound, filter_sound, start_state
from .binaural_feature import Cues, channels_of, named
from .filter_design import design
from .running_correlation import Carry, Window, scan_frames, start, window

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
        state = start_state(design(fs, cfs, 1, filter_type), len(rows), x.dtype)
    state, y = filter_sound(rows, fs, cfs, filter_type, state)
    audiogram = y.reshape(*x.shape[:-1], len(cfs), x.shape[-1])
    return stream._replace(state=state), audiogram


class CueStream(NamedTuple):
    """The cues' scan in the middle of a sound."""

    fs: float  # Hz
    cfs: tuple[float, ...]  # Hz
    filter_type: str
    hair_cell: str
    window: Window
    carry: Carry | None  # None before the first block
    waiting: np.ndarray  # (..., samples, 2), not yet a whole frame
    samples: int  # so far
    given: int  # hops of cues given back so far


def start_cues(fs: float, cfs=None, filter_type="gammatone", model_type="roman", tau=0.010, max_itd=0.001,
               max_ild=7.0, hop=None, sharpness=None) -> CueStream:
    """Before the first block. Parameters as in `get_cues_clean`.

    Raises
    ------
    ValueError
        For a hair cell or filter that looks at the whole sound, or settings that make no sense.
    """
    if model_type not in MEMORYLESS or filter_type in ZERO_PHASE:
        raise ValueError(f"{filter_type!r} with {model_type!r} looks at the whole sound and cannot be streamed: "
                         f"use the hair cells {', '.join(MEMORYLESS)} with a causal filter")
    w = window(fs, tau, max_itd, max_ild, hop, sharpness)
    return CueStream(float(fs), as_cfs(cfs, fs), filter_type, model_type, w, None, np.zeros((0, 2)), 0, 0)


@partial(jax.jit, static_argnames=("fs", "cfs", "filter_type", "hair_cell", "w"))
def _next_frames(carry, rows, end, fs, cfs, filter_type, hair_cell, w):
    """(clips, 2, steps * frame) -> Carry, tuple of (hops, clips, C)."""
    frames = jnp.moveaxis(rows.reshape(rows.shape[0], 2, -1, w.frame), 2, 0)
    ears = channels_of(design(fs, cfs, w.frame, filter_type), hair_cell, w.frame)
    return scan_frames(w, carry, frames, ears, end)


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
    cues : Cues, each (..., channels, hops), those not given before; none are lost or repeated. They
        come up to one frame and the longest lag late.
    """
    block = np.asarray(as_sound(block))
    if block.ndim < 2 or block.shape[-1] != 2:
        raise ValueError(f"block must be (..., samples, 2), left ear first, not {block.shape}")
    w, shape = stream.window, block.shape[:-2]
    carry, waiting = stream.carry, stream.waiting
    if carry is None:
        clips = int(np.prod(shape))
        state = start_state(design(stream.fs, stream.cfs, w.frame, stream.filter_type), 2 * clips, block.dtype)
        carry = start(w, clips, len(stream.cfs), state, block.dtype)
        waiting = np.zeros((*shape, w.frame - w.lags, 2), block.dtype)
    samples = stream.samples + block.shape[-2]
    waiting = np.concatenate([waiting, block], axis=-2)
    if last:  # enough silence to bring out every hop
        waiting = np.concatenate([waiting, np.zeros((*shape, 2 * w.frame, 2), block.dtype)], axis=-2)
    whole = waiting.shape[-2] // w.frame * w.frame
    rows = waiting[..., :whole, :].reshape(int(np.prod(shape)), whole, 2).swapaxes(1, 2)
    before = int(carry.index) * w.frame // w.hop - w.frame // w.hop  # hops out of the scan so far, less the first
    carry, cues = _next_frames(carry, rows, samples if last else ENDLESS, stream.fs, stream.cfs,
                               stream.filter_type, stream.hair_cell, w)
    first, stop = stream.given - before, samples // w.hop - before if last else cues[0].shape[0]
    cues = tuple(jnp.moveaxis(c[max(first, 0) : max(stop, 0)], 0, -1) for c in cues)
    given = stream.given + cues[0].shape[-1]
    stream = stream._replace(carry=carry, waiting=waiting[..., whole:, :], samples=samples, given=given)
    return stream, named(w, stream.fs, cues, shape)

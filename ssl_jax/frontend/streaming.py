"""Cues of sounds of any length in bounded memory: block after block gives what the whole sound would."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from ssl_jax.frontend.auditory_model import MEMORYLESS, ZERO_PHASE, as_sound
from ssl_jax.frontend.binaural_feature import Cues, filterbank_step, to_cues
from ssl_jax.frontend.block_filter import start_state
from ssl_jax.frontend.filter_design import as_cfs
from ssl_jax.frontend.running_correlation import (
    Carry,
    CorrelationSettings,
    initial_state,
    scan_steps,
)
from ssl_jax.frontend.running_correlation import settings as correlation_settings

ENDLESS = 2**31 - 1  # samples, while the end of the sound is not known: 13 hours at 44.1 kHz


class CueStream(NamedTuple):
    """The cues' scan in the middle of a sound; blocks of one length compile once."""

    fs: float  # Hz
    cfs: tuple[float, ...]  # Hz
    filter_type: str
    hair_cell: str
    settings: CorrelationSettings
    carry: Carry | None  # None before the first block
    waiting: np.ndarray  # (..., samples, 2), not yet a whole step of the scan
    samples: int  # so far


def start_cues(
    fs: float,
    cfs: ArrayLike | None = None,
    filter_type="gammatone",
    model_type="roman",
    **correlation,
) -> CueStream:
    """Before the first block of a sound.

    Parameters
    ----------
    fs, cfs, filter_type, model_type, **correlation
        See `get_cues_clean`.

    Raises
    ------
    ValueError
        A filter or hair cell that looks at the whole sound, or a setting that makes no sense.
    """
    model_type = model_type or "none"
    if model_type not in MEMORYLESS or filter_type in ZERO_PHASE:
        raise ValueError(
            f"{filter_type!r} with {model_type!r} needs the whole sound: use get_cues_clean"
        )
    w = correlation_settings(fs, **correlation)
    return CueStream(
        float(fs), as_cfs(cfs, fs), filter_type, model_type, w, None, np.zeros((0, 2)), 0
    )


@partial(jax.jit, static_argnames="static")
def _next_steps(carry, rows, end, static):
    """`scan_steps` over rows (clips, 2, steps * step); `static` is the start of a CueStream."""
    *bank, w = static
    pieces = jnp.moveaxis(rows.reshape(rows.shape[0], 2, -1, w.step), 2, 0)
    return scan_steps(w, carry, pieces, filterbank_step(*bank, w.step), end)


def cue_block(stream: CueStream, block: ArrayLike, last: bool = False) -> tuple[CueStream, Cues]:
    """The cues that the next block of a sound makes known.

    Parameters
    ----------
    stream : CueStream
    block : (..., samples, 2), left ear first
    last : bool, whether the sound ends with this block

    Returns
    -------
    stream, cues : CueStream for the next block, Cues of (..., channels, hops)
        None are lost or repeated; they come up to one step of the scan and the longest lag late.

    Raises
    ------
    ValueError
        The last axis is not two ears.
    """
    block = np.asarray(as_sound(block, ears=True))
    w, shape, carry, waiting = stream.settings, block.shape[:-2], stream.carry, stream.waiting
    clips = int(np.prod(shape))
    if carry is None:
        state = start_state(*stream[:3], 2 * clips, block.dtype)
        carry = initial_state(w, clips, len(stream.cfs), state, block.dtype)
        waiting = np.zeros((*shape, w.step - w.lags, 2), block.dtype)
    samples = stream.samples + block.shape[-2]
    silence = np.zeros((*shape, 2 * w.step * last, 2), block.dtype)  # enough to bring out every hop
    waiting = np.concatenate([waiting, block, silence], axis=-2)
    whole = waiting.shape[-2] // w.step * w.step
    rows = waiting[..., :whole, :].reshape(clips, whole, 2).swapaxes(1, 2)
    before = (int(carry.number) - 1) * w.step // w.hop  # hops given so far; below 0: silence
    carry, cues = _next_steps(carry, rows, samples if last else ENDLESS, stream[:5])
    stop = samples // w.hop - before if last else cues[0].shape[0]
    cues = tuple(jnp.moveaxis(c[max(-before, 0) : max(stop, 0)], 0, -1) for c in cues)
    stream = stream._replace(carry=carry, waiting=waiting[..., whole:, :], samples=samples)
    return stream, to_cues(cues, stream.fs, shape)

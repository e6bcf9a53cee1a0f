"""Cues of sounds of any length in bounded memory: blocks give what the whole sound would."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Unpack

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from ssl_jax.frontend.binaural_feature import to_cues
from ssl_jax.frontend.correlation_settings import (
    CorrelationOptions,
    CorrelationSettings,
    correlation_settings,
)
from ssl_jax.frontend.cue_scan import ScanState, initial_state, scan_steps
from ssl_jax.frontend.cues import CueGrid, Cues
from ssl_jax.frontend.lag_cues import FrameCues
from ssl_jax.frontend.periphery import (
    PeripherySettings,
    periphery_settings,
    periphery_step,
    silent_periphery,
)
from ssl_jax.frontend.programs import WIDE_VECTORS
from ssl_jax.frontend.sound_checks import checked_floats, require_two_ears

# Samples, while the end of the sound is not known: 13 hours at 44.1 kHz. The scan counts in int32.
ENDLESS = 2**31 - 1


@dataclass(frozen=True)
class CueStream:
    """The cues' scan in the middle of a sound.

    Blocks of one length compile twice at most, and once more for the last.
    """

    periphery: PeripherySettings
    settings: CorrelationSettings
    state: ScanState | None  # None before the first block
    waiting: np.ndarray  # (..., samples, 2), not yet a whole step of the scan
    samples: int  # so far
    ended: bool = False  # its last block has come


def start_cues(
    fs: float,
    cfs: ArrayLike | None = None,
    filter_type: str = "gammatone",
    hair_cell: str | None = "none",
    **correlation: Unpack[CorrelationOptions],
) -> CueStream:
    """The stream before the first block of a sound.

    Parameters
    ----------
    fs, cfs, filter_type, hair_cell, **correlation
        See `get_cues_clean`. `max_itd` is in SECONDS.

    Returns
    -------
    stream : CueStream, for `cue_block`

    Raises
    ------
    ValueError
        A filter or hair cell that looks at the whole sound, or a setting that makes no sense.
    """
    periphery = periphery_settings(fs, cfs, filter_type, hair_cell)
    if not periphery.runs_in_blocks:
        pair = f"{filter_type!r} with {periphery.hair_cell!r}"
        raise ValueError(f"{pair} needs the whole sound: use get_cues_clean")
    settings = correlation_settings(fs, **correlation)
    return CueStream(periphery, settings, state=None, waiting=np.zeros((0, 2)), samples=0)


@partial(jax.jit, static_argnames=("periphery", "settings"), compiler_options=WIDE_VECTORS)
def _next_steps(
    state: ScanState,
    sounds: jax.Array,
    end: int,
    periphery: PeripherySettings,
    settings: CorrelationSettings,
) -> tuple[ScanState, FrameCues]:
    """`scan_steps` over sounds (clips, 2, steps * step)."""
    pieces = jnp.moveaxis(sounds.reshape(sounds.shape[0], 2, -1, settings.step), 2, 0)
    return scan_steps(settings, state, pieces, periphery_step(periphery, settings.step), end)


def _begin(stream: CueStream, leading: tuple[int, ...], dtype) -> tuple[ScanState, np.ndarray]:
    """The state and the waiting samples before a sound (*leading, samples, 2) of a dtype."""
    settings = stream.settings
    clips = int(np.prod(leading))
    filters = silent_periphery(stream.periphery, clips, dtype)
    state = initial_state(settings, clips, len(stream.periphery.cfs), filters, dtype)
    # the scan begins step - D samples before the sound
    waiting = np.zeros((*leading, settings.step - settings.lags, 2), dtype)
    return state, waiting


def cue_block(stream: CueStream, block: ArrayLike, last: bool = False) -> tuple[CueStream, Cues]:
    """The cues that the next block of a sound makes known.

    Parameters
    ----------
    stream : CueStream
    block : (..., samples, 2), left ear first
        It may have no samples, so that a stream can end after its last sound.
    last : bool
        Whether the sound ends with this block.

    Returns
    -------
    stream, cues : CueStream for the next block, Cues of (..., channels, hops)
        None are lost or repeated; they come up to one step of the scan and the longest lag late.
        Their times count from the beginning of the sound.

    Raises
    ------
    ValueError
        The last axis is not two ears, NaN or infinity, no sound at all, a block of other leading
        axes than the first, or one after the last.
    """
    if stream.ended:
        raise ValueError("this stream has had its last block: start_cues begins another")
    block = np.asarray(checked_floats(require_two_ears(block)))
    *leading, length, _ = block.shape
    if 0 in leading:
        raise ValueError(f"block has shape {block.shape}, of no sound: use one or more")
    settings = stream.settings
    state = stream.state
    waiting = stream.waiting
    if state is None:
        state, waiting = _begin(stream, tuple(leading), block.dtype)
    if waiting.shape[:-2] != tuple(leading):
        raise ValueError(
            f"block has leading axes {tuple(leading)}, not {waiting.shape[:-2]} as those before"
        )
    block = block.astype(waiting.dtype, copy=False)
    samples = stream.samples + length
    arrived = [waiting, block]
    if last:
        # silence, enough to bring out every hop
        arrived.append(np.zeros((*leading, 2 * settings.step, 2), block.dtype))
    waiting = np.concatenate(arrived, axis=-2)
    whole = waiting.shape[-2] // settings.step * settings.step
    clips = int(np.prod(leading))
    sounds = waiting[..., :whole, :].reshape(clips, whole, 2).swapaxes(1, 2)  # clips, 2, samples
    end = samples if last else ENDLESS
    first_hop = (int(state.number) - 1) * settings.hops_per_step  # below 0: silence
    state, cues = _next_steps(state, sounds, end, stream.periphery, settings)
    # of the sound alone, neither silence before it nor after
    start = max(-first_hop, 0)
    stop = cues.lag.shape[0]
    if last:
        stop = max(samples // settings.hop - first_hop, 0)
    cues = FrameCues(*(jnp.moveaxis(cue[start:stop], 0, -1) for cue in cues))
    stream = replace(
        stream, state=state, waiting=waiting[..., whole:, :], samples=samples, ended=last
    )
    periphery = stream.periphery
    grid = CueGrid(
        fs=periphery.fs,
        hop=settings.hop,
        frames=cues.ild.shape[-1],
        first=max(first_hop, 0),
        cfs=periphery.cfs,
    )
    return stream, to_cues(cues, grid, tuple(leading))

"""Cues of long sounds: overlapping segments at a time, in bounded memory.

The running correlation follows a sound sample by sample, but it forgets. So a long sound is cut
into segments that are computed side by side, piece by piece. A piece is as long as the memory of
the front-end (`memory_samples`). Each segment begins a piece early and warms up over it, and what
it gives meanwhile is left out:

    segment 0   | warms up |  piece 1 |  piece 2 |
    segment 1                         | warms up |  piece 1 |  piece 2 |

One program computes any number of pieces, so it serves sounds of any length. Before the whole sound
there is silence, so there nothing needs to warm up.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, PartitionSpec
from numpy.typing import ArrayLike

from ssl_jax.frontend.binaural_feature import to_cues
from ssl_jax.frontend.correlation_settings import CorrelationOptions, CorrelationSettings
from ssl_jax.frontend.cue_scan import initial_state, scan_steps
from ssl_jax.frontend.cues import CueGrid, Cues
from ssl_jax.frontend.lag_cues import FrameCues
from ssl_jax.frontend.periphery import PeripherySettings, periphery_step, silent_periphery
from ssl_jax.frontend.programs import one_ahead, shared_program
from ssl_jax.frontend.segment_plan import Segments, plan_segments, sharing_devices
from ssl_jax.frontend.sound_checks import checked_floats, require_two_ears
from ssl_jax.frontend.streaming import ENDLESS, start_cues

# The axis of the devices, among which segments are shared.
DEVICES = "devices"
# Samples of the whole sound, while its end is not known.
NOT_ENDED = 2**62


@lru_cache(maxsize=8)
def _side_by_side(
    devices: tuple[jax.Device, ...],
    piece: int,
    periphery: PeripherySettings,
    settings: CorrelationSettings,
) -> Callable:
    """`_cues_of_some` as one program, in which every device has its share of the segments.

    On a CPU one device a core takes half of the time that one device for all cores takes: XLA
    cuts each step of the scan up among the cores, and the steps are short.
    """
    mesh = Mesh(np.array(devices), (DEVICES,))
    share = partial(_cues_of_some, piece=piece, periphery=periphery, settings=settings)
    rows = PartitionSpec(DEVICES)  # of sounds and ends
    columns = PartitionSpec(None, DEVICES)  # of cues (hops, segments, C)
    return shared_program(share, mesh, (rows, rows, PartitionSpec()), columns)


def _cues_of_some(
    sounds: jax.Array,
    ends: jax.Array,
    pieces: jax.Array,
    piece: int,
    periphery: PeripherySettings,
    settings: CorrelationSettings,
) -> FrameCues:
    """Cues (hops, segments, C) of the first `pieces` of sounds (segments, samples, 2).

    They end at `ends` (segments,). The cues of later pieces are zeros.
    """
    count, samples, _ = sounds.shape
    channels = len(periphery.cfs)
    filters = silent_periphery(periphery, count, sounds.dtype)
    state = initial_state(settings, count, channels, filters, sounds.dtype)
    zeros = jnp.zeros((samples // settings.hop, count, channels), sounds.dtype)
    step = periphery_step(periphery, settings.step)

    def next_piece(number, carry):
        state, cues = carry
        sound = lax.dynamic_slice_in_dim(sounds, number * piece, piece, axis=1)
        steps = sound.reshape(count, -1, settings.step, 2).transpose(1, 0, 3, 2)
        state, new = scan_steps(settings, state, steps, step, ends[:, None, None])
        first_hop = number * (piece // settings.hop)
        place = partial(lax.dynamic_update_slice_in_dim, start_index=first_hop, axis=0)
        return state, jax.tree.map(place, cues, new)

    _, cues = lax.fori_loop(0, pieces, next_piece, (state, FrameCues(*[zeros] * 4)))
    return cues


@dataclass(frozen=True)
class _Batch:
    """The sound of some segments that follow one another."""

    sound: np.ndarray  # ((count * length + 1) * piece, 2): what warms the first one up, too
    length: int  # pieces from one segment to the next
    first_piece: int  # of the whole sound, that it begins with
    end_sample: int  # samples of the whole sound, NOT_ENDED until they are known


@dataclass(frozen=True)
class _Started:
    """A batch that the devices compute."""

    length: int  # see `_Batch`
    first_piece: int
    end_sample: int
    cues: FrameCues  # (hops, segments, C), to come


def _batches(
    blocks: Iterable[np.ndarray], segments: Segments, settings: CorrelationSettings
) -> Iterator[_Batch]:
    """The sound of each batch, as soon as it has come; the last one may have shorter segments."""
    piece = segments.piece
    batch = segments.count * segments.length  # pieces from one batch to the next
    full = (batch + 1) * piece  # samples
    # the scan begins step - D samples before the sound
    early = settings.step - settings.lags
    waiting = [np.zeros((early, 2), np.float32)]
    size = early
    first = 0
    for block in blocks:
        rest = np.asarray(checked_floats(require_two_ears(block)))
        while len(rest):
            part = rest[: full - size]
            rest = rest[len(part) :]
            waiting.append(part)
            size += len(part)
            if size == full:
                sound = np.concatenate(waiting)
                # a copy: a view would keep the whole batch
                waiting = [sound[-piece:].copy()]
                yield _Batch(sound, segments.length, first, NOT_ENDED)
                del sound
                first += batch
                size = piece
    # nothing new: silence before the sound, or what has warmed up the next batch
    if size > (piece if first else early):
        length = max(1, math.ceil((size / piece - 1) / segments.count))
        missing = (segments.count * length + 1) * piece - size
        waiting.append(np.zeros((missing, 2), np.float32))
        yield _Batch(np.concatenate(waiting), length, first, first * piece + size - early)


def _start(batch: _Batch, segments: Segments, program: Callable) -> _Started:
    """Have the devices compute a batch by the program of `_side_by_side`; does not wait for it."""
    piece = segments.piece
    sounds = np.zeros((segments.count, (segments.length + 1) * piece, 2), batch.sound.dtype)
    starts = piece * batch.length * np.arange(segments.count)  # samples
    size = (batch.length + 1) * piece
    for row, start in zip(sounds, starts, strict=True):
        row[:size] = batch.sound[start : start + size]
    ends = batch.end_sample - batch.first_piece * piece - starts
    ends = np.minimum(ends, ENDLESS).astype(np.int32)
    cues = program(sounds, ends, np.int32(batch.length + 1))
    return _Started(batch.length, batch.first_piece, batch.end_sample, cues)


def _finish(
    started: _Started,
    segments: Segments,
    periphery: PeripherySettings,
    settings: CorrelationSettings,
) -> Cues:
    """Wait for the cues that a batch makes known, (channels, frames)."""
    hops = segments.piece // settings.hop  # of a piece
    late = settings.hops_per_step  # hops that a scan is behind its sound
    is_first = started.first_piece == 0
    joined: list = []
    for cue in map(np.asarray, started.cues):
        # (hops, segments, C) -> (segments * hops, C): one segment after the other
        warm = cue[hops : (started.length + 1) * hops].swapaxes(0, 1).reshape(-1, cue.shape[-1])
        # the whole sound's first segment has nothing to warm up for
        joined.append(np.concatenate([cue[late:hops, 0], warm]) if is_first else warm)
    first_frame = 0 if is_first else (started.first_piece + 1) * hops - late
    known = started.end_sample // settings.hop - first_frame
    frames = max(0, min(len(joined[0]), known))
    grid = CueGrid(periphery.fs, settings.hop, frames, first_frame, periphery.cfs)
    return to_cues(FrameCues(*(cue[:frames].T for cue in joined)), grid, leading=())


def cues_in_segments(
    blocks: Iterable[np.ndarray],
    fs: float,
    cfs: ArrayLike | None = None,
    filter_type: str = "gammatone",
    hair_cell: str | None = "none",
    **correlation: Unpack[CorrelationOptions],
) -> Iterator[Cues]:
    """The cues of a long sound that comes in blocks, computed in segments.

    They are those of `get_cues_clean` but for rounding, sooner. At most three batches of segments
    are in memory.

    Parameters
    ----------
    blocks : (any, 2) each, left ear first
    fs, cfs, filter_type, hair_cell, **correlation
        See `get_cues_clean`. `max_itd` is in SECONDS.

    Yields
    ------
    cues : Cues of (channels, frames), NumPy
        Their times count from the beginning of the sound.

    Raises
    ------
    ValueError
        A filter or hair cell that looks at the whole sound, a setting that makes no sense, a block
        without two ears, NaN or infinity.
    """
    stream = start_cues(fs, cfs, filter_type, hair_cell, **correlation)
    periphery = stream.periphery
    settings = stream.settings
    segments = plan_segments(periphery, settings)
    program = _side_by_side(sharing_devices(), segments.piece, periphery, settings)
    start = partial(_start, segments=segments, program=program)
    finish = partial(_finish, segments=segments, periphery=periphery, settings=settings)
    return one_ahead(start, finish, _batches(blocks, segments, settings))

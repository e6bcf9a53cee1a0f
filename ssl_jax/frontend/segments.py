"""Cues of long sounds: overlapping segments at a time, in bounded memory.

The running correlation follows a sound sample by sample, but it forgets. So a long sound is cut
into pieces as long as the memory of the front-end (`memory_samples`, and a step of the scan), and
segments of several pieces are computed side by side. Each begins a piece early. It warms up over
this piece, in brackets here, and what it gives meanwhile is left out. With two pieces from one
segment to the next:

    segment 0   | (piece 0) | piece 1 | piece 2 |
    segment 1                         |(piece 2)| piece 3 | piece 4 |

Before the whole sound there is silence, so its piece 0 counts too. One program computes any number
of pieces, so it serves sounds of any length.
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
from numpy.lib.stride_tricks import as_strided
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
class _Place:
    """Where a batch of segments lies in the whole sound."""

    first_piece: int
    length: int  # pieces from one segment to the next
    end_sample: int  # of the whole sound, or of what has come of it


def _blocks_to_the_end(blocks: Iterable[np.ndarray], lags: int) -> Iterator[tuple[np.ndarray, int]]:
    """Each block (samples, 2), and how many samples have come so far; then `lags` of silence."""
    heard = 0
    for block in blocks:
        block = np.asarray(checked_floats(require_two_ears(block)))
        heard += len(block)
        yield block, heard
    yield np.zeros((lags, 2), np.float32), heard


def _batches(
    blocks: Iterable[np.ndarray], segments: Segments, settings: CorrelationSettings
) -> Iterator[tuple[_Place, np.ndarray]]:
    """Each batch's place and sound, as soon as it has come; the last one may have fewer pieces.

    The sound (samples, 2) begins with the piece that warms up the first segment, and lasts until
    the last segment is as long as it can be.
    """
    piece = segments.piece
    batch_pieces = segments.count * segments.length  # from one batch to the next
    full = (batch_pieces + 1) * piece  # samples
    # the scan begins step - D samples before the sound, and its last hop hears D samples after it
    waiting = [np.zeros((settings.step - settings.lags, 2), np.float32)]
    waiting_samples = len(waiting[0])
    first_piece = 0
    end_sample = 0
    for rest, end_sample in _blocks_to_the_end(blocks, settings.lags):
        while len(rest):
            part = rest[: full - waiting_samples]
            rest = rest[len(part) :]
            waiting.append(part)
            waiting_samples += len(part)
            if waiting_samples == full:
                joined = [np.concatenate(waiting)]
                # a copy: a view would keep the whole batch
                waiting = [joined[0][-piece:].copy()]
                waiting_samples = piece
                # popped, so that nothing here keeps it
                yield _Place(first_piece, segments.length, end_sample), joined.pop()
                first_piece += batch_pieces
    length = max(1, math.ceil((waiting_samples / piece - 1) / segments.count))
    pieces = (segments.count - 1) * length + segments.length + 1
    missing = pieces * piece - waiting_samples
    waiting.append(np.zeros((missing, 2), np.float32))
    yield _Place(first_piece, length, end_sample), np.concatenate(waiting)


def _start(
    batch: tuple[_Place, np.ndarray], segments: Segments, program: Callable
) -> tuple[_Place, FrameCues]:
    """Have the devices compute a batch by the program of `_side_by_side`; does not wait for it.

    The cues (hops, segments, C) are to come.
    """
    place, sound = batch
    piece = segments.piece
    starts = piece * place.length * np.arange(segments.count)  # samples
    # a view, where what one segment ends with is what the next one begins with
    segment_samples = (segments.length + 1) * piece
    segment_strides = (place.length * piece * sound.strides[0], *sound.strides)
    rows = as_strided(sound, (segments.count, segment_samples, 2), segment_strides, writeable=False)
    ends = place.end_sample - place.first_piece * piece - starts
    ends = np.minimum(ends, ENDLESS).astype(np.int32)
    return place, program(rows, ends, np.int32(place.length + 1))


def _finish(
    started: tuple[_Place, FrameCues],
    segments: Segments,
    periphery: PeripherySettings,
    settings: CorrelationSettings,
) -> Cues:
    """Wait for the cues that a batch makes known, (channels, frames)."""
    place, cues = started
    hops = segments.piece // settings.hop  # of a piece
    late_hops = settings.hops_per_step  # that a scan is behind its sound
    is_first = place.first_piece == 0
    joined: list = []
    for cue in map(np.asarray, cues):
        # (hops, segments, C) -> (segments * hops, C): one segment after the other
        kept = cue[hops : (place.length + 1) * hops].swapaxes(0, 1).reshape(-1, cue.shape[-1])
        joined.append(np.concatenate([cue[late_hops:hops, 0], kept]) if is_first else kept)
    first_frame = 0 if is_first else (place.first_piece + 1) * hops - late_hops
    known = place.end_sample // settings.hop - first_frame
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
    are in memory, and the blocks that hold them.

    Parameters
    ----------
    blocks : (any, 2) each, left ear first
    fs, cfs, filter_type, hair_cell, **correlation
        See `get_cues_clean`. `max_itd` is in SECONDS.

    Yields
    ------
    cues : Cues of (channels, frames), NumPy
        Their times count from the beginning of the sound. A sound shorter than a hop gives one
        of no frames.

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

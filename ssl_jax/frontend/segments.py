"""Cues of long sounds: overlapping segments at a time, in bounded memory.

The running correlation follows a sound sample by sample, but it forgets. So a long sound is cut
into segments that are computed side by side. Each begins so early that nothing before it counts
(`memory_samples`), and what it gives while it warms up is left out:

    segment 0   |------ memory ------|------ length ------|
    segment 1                        |------ memory ------|------ length ------|
                                     (where length = memory)

Segment i begins at sample i * length. The first one has silence before it, as the sound itself, so
its cues count from the beginning.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Unpack

import jax
import numpy as np
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


@lru_cache(maxsize=8)
def _side_by_side(
    devices: tuple[jax.Device, ...], periphery: PeripherySettings, settings: CorrelationSettings
) -> Callable:
    """`_cues_of_some` as one program, in which every device has its share of the segments.

    On a CPU one device a core takes half of the time that one device for all cores takes: XLA
    cuts each step of the scan up among the cores, and the steps are short.
    """
    mesh = Mesh(np.array(devices), (DEVICES,))
    cues_of_share = partial(_cues_of_some, periphery=periphery, settings=settings)
    rows = PartitionSpec(DEVICES)  # of sounds and ends
    columns = PartitionSpec(None, DEVICES)  # of cues (hops, segments, C)
    return shared_program(cues_of_share, mesh, (rows, rows), columns)


def _cues_of_some(
    sounds: jax.Array, ends: jax.Array, periphery: PeripherySettings, settings: CorrelationSettings
) -> FrameCues:
    """Cues (hops, segments, C) of sounds (segments, samples, 2) that end at `ends` (segments,).

    The sounds begin with the silence that the scan begins with.
    """
    count = len(sounds)
    pieces = sounds.reshape(count, -1, settings.step, 2).transpose(1, 0, 3, 2)
    filters = silent_periphery(periphery, count, sounds.dtype)
    state = initial_state(settings, count, len(periphery.cfs), filters, sounds.dtype)
    step = periphery_step(periphery, settings.step)
    _, cues = scan_steps(settings, state, pieces, step, ends[:, None, None])
    # the hops of the first step are silence
    return FrameCues(*(cue[settings.hops_per_step :] for cue in cues))


@dataclass(frozen=True)
class _Batch:
    """The sound of some segments that follow one another."""

    sound: np.ndarray  # (samples, 2), from the first segment's beginning on
    first_sample: int  # of the whole sound, that it begins with
    end_sample: int  # samples of the whole sound, ENDLESS until it is known


@dataclass(frozen=True)
class _Started:
    """A batch that the devices compute."""

    first_sample: int  # of the whole sound, see `_Batch`
    end_sample: int
    cues: FrameCues  # (hops, segments, C), to come


def _batches(blocks: Iterable[np.ndarray], segments: Segments, lags: int) -> Iterator[_Batch]:
    """The sound of each batch, as soon as it has come; the last one may be shorter."""
    # the right ear is read `lags` samples ahead
    needed = segments.batch + segments.memory + lags
    waiting: list[np.ndarray] = []
    size = 0
    first = 0
    for block in blocks:
        rest = np.asarray(checked_floats(require_two_ears(block)))
        while len(rest):
            part = rest[: needed - size]
            rest = rest[len(part) :]
            waiting.append(part)
            size += len(part)
            if size == needed:
                sound = np.concatenate(waiting)
                # a copy: a view would keep the whole batch
                waiting = [sound[segments.batch :].copy()]
                yield _Batch(sound, first, ENDLESS)
                del sound
                first += segments.batch
                size -= segments.batch
    # a later batch begins with what warms it up
    warming = segments.memory if first else 0
    if size > warming:
        yield _Batch(np.concatenate(waiting), first, first + size)


def _start(
    batch: _Batch, segments: Segments, program: Callable, settings: CorrelationSettings
) -> _Started:
    """Have the devices compute a batch by the program of `_side_by_side`; does not wait for it."""
    early = settings.step - settings.lags  # samples of silence that a scan begins with
    size = settings.step + segments.memory + segments.length
    sounds = np.zeros((segments.count, size, 2), batch.sound.dtype)
    starts = segments.length * np.arange(segments.count)
    for row, start in zip(sounds, starts, strict=True):
        piece = batch.sound[start : start + size - early]
        row[early : early + len(piece)] = piece
    ends = np.minimum(batch.end_sample - batch.first_sample - starts, ENDLESS).astype(np.int32)
    return _Started(batch.first_sample, batch.end_sample, program(sounds, ends))


def _finish(
    started: _Started,
    segments: Segments,
    periphery: PeripherySettings,
    settings: CorrelationSettings,
) -> Cues:
    """Wait for the cues that a batch makes known, (channels, frames)."""
    first_sample = started.first_sample
    warming_hops = segments.memory // settings.hop
    # the whole sound's first segment has nothing to warm up for
    skipped_hops = warming_hops if first_sample else 0
    sound_hops = (started.end_sample - first_sample) // settings.hop
    known_hops = min(sound_hops, warming_hops + segments.batch // settings.hop)
    frames = max(known_hops - skipped_hops, 0)
    joined: list = []
    for cue in map(np.asarray, started.cues):
        # (hops, segments, C) -> (segments * hops, C): one segment after the other
        warm = cue[warming_hops:].swapaxes(0, 1).reshape(-1, cue.shape[-1])
        joined.append(np.concatenate([cue[skipped_hops:warming_hops, 0], warm])[:frames].T)
    first_frame = first_sample // settings.hop + skipped_hops
    grid = CueGrid(periphery.fs, settings.hop, frames, first_frame, periphery.cfs)
    return to_cues(FrameCues(*joined), grid, leading=())


def cues_in_segments(
    blocks: Iterable[np.ndarray],
    samples: int,
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
    samples : int
        Of the whole sound, about: the segments are cut for so many.
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
    segments = plan_segments(periphery, settings, samples)
    program = _side_by_side(sharing_devices(), periphery, settings)
    start = partial(_start, segments=segments, program=program, settings=settings)
    finish = partial(_finish, segments=segments, periphery=periphery, settings=settings)
    return one_ahead(start, finish, _batches(blocks, segments, settings.lags))

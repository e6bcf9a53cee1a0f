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

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Unpack

import jax
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from numpy.typing import ArrayLike
from scipy import signal as sps
from scipy.special import bdtr

from ssl_jax.frontend.binaural_feature import to_cues
from ssl_jax.frontend.correlation_settings import CorrelationOptions, CorrelationSettings
from ssl_jax.frontend.cue_scan import WIDE_VECTORS, initial_state, scan_steps
from ssl_jax.frontend.cues import CueGrid, Cues
from ssl_jax.frontend.filter_design import gammatone_pole
from ssl_jax.frontend.lag_cues import TINY, FrameCues
from ssl_jax.frontend.periphery import PeripherySettings, periphery_step, silent_periphery
from ssl_jax.frontend.sound_checks import as_floats, require_two_ears
from ssl_jax.frontend.streaming import ENDLESS, start_cues

# Cascaded one-pole filters that a gammatone is made of.
ORDER = 4

# Segments at a time of each device. Two are as fast as more on a CPU; a GPU wants many rows.
CPU_SEGMENTS = 2
GPU_SEGMENTS = 128

# Bytes of each CPU device's share of a batch. It computes while the next batch is read, so there
# are three batches.
CPU_BYTES = 2**25
# Share of each GPU's memory that a batch may take.
GPU_SHARE = 0.25
# CPU devices that segments are shared among, at most: memory grows with them.
MOST_CPU_DEVICES = 8
# Copies of a batch's sound and cues while it is computed: as it came, cut, and moved.
COPIES = 3
# Bytes in float32 of a sample of both ears, and of the four cues of a channel and hop.
SAMPLE_BYTES = 8
CUE_BYTES = 16

# The longest segment, in memories: its warming up is then 6 % of the work.
MOST_MEMORIES = 16

# The axis of the devices, among which segments are shared.
DEVICES = "devices"


@dataclass(frozen=True)
class Segments:
    """How a long sound is cut, in whole steps of the scan."""

    memory: int  # samples, after which what came before counts no more
    length: int  # samples from one segment to the next
    count: int  # segments that are computed at a time

    @property
    def batch(self) -> int:
        """Samples from one batch to the next."""
        return self.count * self.length

    def computed(self, samples: int) -> int:
        """Samples that are computed for a sound of so many: also what warms up and fills up."""
        batches = math.ceil(max(samples - self.memory, 1) / self.batch)
        return batches * self.count * (self.memory + self.length)


@lru_cache(maxsize=32)
def memory_samples(periphery: PeripherySettings, settings: CorrelationSettings) -> int:
    """Samples after which what sounded before counts no more, not even in silence.

    A sound of full scale that ends rings on in the slowest filter, and the correlation's
    exponential window remembers that. Its sums are lost once they are below TINY, which counts as
    silence. Against a sound that goes on they are lost far sooner: under float32's rounding.

    Parameters
    ----------
    periphery : of the filterbank, gammatone or allpole
    settings : of the window

    Returns
    -------
    samples : int, a whole number of the scan's steps
        0.88 s by default. Of this the window takes 0.85 s, ln(1 / TINY) of its time constants.

    Notes
    -----
    In float64. The ringing of a gammatone of order 4 is bounded by that of four one-pole filters
    with the radius p of its pole and gain 1. After a constant 1 ends, n samples on, their output is
    y[n] = sum over i = 0..3 of C(n+3, i) (1-p)^i p^(n+3-i). The sums follow
    E[n] = (1-a) E[n-1] + a y[n] from E = 1 on: y instead of its square, because a hair cell may
    take the root of it.
    """
    slowest = np.abs(gammatone_pole(periphery.fs, np.asarray(periphery.cfs))).max()
    horizon = settings.step
    sums = np.ones(1)
    while sums[-1] >= TINY:
        horizon *= 2
        ringing = bdtr(ORDER - 1, np.arange(horizon) + ORDER - 1, 1 - slowest)
        start = [settings.decay]
        sums, _ = sps.lfilter([settings.gain], [1, -settings.decay], ringing, zi=start)
    samples = int(np.argmax(sums < TINY)) + 1
    return math.ceil(samples / settings.step) * settings.step


def sharing_devices() -> tuple[jax.Device, ...]:
    """The devices that segments are shared among: the one that JAX is told to use, or all here."""
    chosen = jax.config.jax_default_device  # type: ignore[attr-defined]
    if isinstance(chosen, jax.Device):
        return (chosen,)
    devices = jax.local_devices(backend=chosen)
    return tuple(devices[:MOST_CPU_DEVICES] if devices[0].platform == "cpu" else devices)


def plan_segments(
    periphery: PeripherySettings, settings: CorrelationSettings, samples: int
) -> Segments:
    """The cut of a sound of so many samples that computes least, of lengths that the device allows.

    A length is the memory times a power of two, so that few programs are compiled. A batch takes
    some COPIES of its sound and cues.
    """
    memory = memory_samples(periphery, settings)
    devices = sharing_devices()
    segments = CPU_SEGMENTS  # of each device
    share_bytes = float(CPU_BYTES)
    if devices[0].platform != "cpu":
        segments = GPU_SEGMENTS
        statistics = devices[0].memory_stats() or {}
        share_bytes = GPU_SHARE * statistics.get("bytes_limit", CPU_BYTES / GPU_SHARE)
    bytes_a_sample = COPIES * (SAMPLE_BYTES + CUE_BYTES * len(periphery.cfs) / settings.hop)
    most_samples = share_bytes / (segments * bytes_a_sample)  # of a segment, with its memory
    count = segments * len(devices)
    cuts = [Segments(memory, memory, count)]
    memories = 2  # that a length is
    while memories <= MOST_MEMORIES and (1 + memories) * memory <= most_samples:
        cuts.append(Segments(memory, memories * memory, count))
        memories *= 2
    return min(cuts, key=lambda cut: cut.computed(samples))


@lru_cache(maxsize=8)
def _side_by_side(
    devices: tuple[jax.Device, ...], periphery: PeripherySettings, settings: CorrelationSettings
) -> Callable:
    """`_cues_of_some` as one program, in which every device has its share of the segments.

    On a CPU one device a core takes half of the time that one device for all cores takes: XLA
    cuts each step of the scan up among the cores, and the steps are short.
    """
    mesh = Mesh(np.array(devices), (DEVICES,))
    shared = jax.shard_map(
        partial(_cues_of_some, periphery=periphery, settings=settings),
        mesh=mesh,
        in_specs=(PartitionSpec(DEVICES), PartitionSpec(DEVICES)),
        out_specs=PartitionSpec(None, DEVICES),
        check_vma=False,
    )
    return jax.jit(shared, compiler_options=WIDE_VECTORS)


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


def _batches(blocks: Iterable[np.ndarray], segments: Segments, lags: int) -> Iterator[_Batch]:
    """The sound of each batch, as soon as it has come; the last one may be shorter."""
    # the right ear is read `lags` samples ahead
    needed = segments.batch + segments.memory + lags
    waiting: list[np.ndarray] = []
    size = 0
    first = 0
    for block in blocks:
        waiting.append(np.asarray(as_floats(require_two_ears(block))))
        size += len(block)
        while size >= needed:
            sound = np.concatenate(waiting)
            yield _Batch(sound[:needed], first, ENDLESS)
            first += segments.batch
            waiting = [sound[segments.batch :]]
            size -= segments.batch
    # a later batch begins with what warms it up
    warming = segments.memory if first else 0
    if size > warming:
        yield _Batch(np.concatenate(waiting), first, first + size)


def _batch_cues(
    batch: _Batch, segments: Segments, periphery: PeripherySettings, settings: CorrelationSettings
) -> Cues:
    """The cues that a batch makes known, (channels, frames)."""
    early = settings.step - settings.lags  # samples of silence that a scan begins with
    size = settings.step + segments.memory + segments.length
    sounds = np.zeros((segments.count, size, 2), batch.sound.dtype)
    starts = segments.length * np.arange(segments.count)
    for row, start in zip(sounds, starts, strict=True):
        piece = batch.sound[start : start + size - early]
        row[early : early + len(piece)] = piece
    ends = np.minimum(batch.end_sample - batch.first_sample - starts, ENDLESS).astype(np.int32)
    cues = _side_by_side(sharing_devices(), periphery, settings)(sounds, ends)
    warming_hops = segments.memory // settings.hop
    # the whole sound's first segment has nothing to warm up for
    skipped_hops = warming_hops if batch.first_sample else 0
    sound_hops = (batch.end_sample - batch.first_sample) // settings.hop
    known_hops = min(sound_hops, warming_hops + segments.batch // settings.hop)
    frames = max(known_hops - skipped_hops, 0)
    joined: list = []
    for cue in map(np.asarray, cues):
        # (hops, segments, C) -> (segments * hops, C): one segment after the other
        warm = cue[warming_hops:].swapaxes(0, 1).reshape(-1, cue.shape[-1])
        joined.append(np.concatenate([cue[skipped_hops:warming_hops, 0], warm])[:frames].T)
    first_frame = batch.first_sample // settings.hop + skipped_hops
    grid = CueGrid(periphery.fs, settings.hop, frames, first_frame, periphery.cfs)
    return to_cues(FrameCues(*joined), grid, leading=())


def _one_ahead(work: Callable, items: Iterable) -> Iterator:
    """`map(work, items)`, where the next item is made while a thread works on the one before."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        pending: deque[Future] = deque()
        for item in items:
            pending.append(thread.submit(work, item))
            if len(pending) > 1:
                yield pending.popleft().result()
        for future in pending:
            yield future.result()


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
    batches = _batches(blocks, segments, settings.lags)
    compute = partial(_batch_cues, segments=segments, periphery=periphery, settings=settings)
    return _one_ahead(compute, batches)

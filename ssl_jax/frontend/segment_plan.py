"""How a long sound is cut into segments: how long, how many at a time, on which devices."""

import math
from dataclasses import dataclass
from functools import lru_cache

import jax
import numpy as np
from scipy import signal as sps
from scipy.special import bdtr

from ssl_jax.frontend.correlation_settings import CorrelationSettings
from ssl_jax.frontend.filter_design import gammatone_pole
from ssl_jax.frontend.lag_cues import TINY
from ssl_jax.frontend.periphery import PeripherySettings

# Cascaded one-pole filters that a gammatone is made of.
ORDER = 4

# Segments at a time of each device. On a CPU one is as fast as several, and the same memory holds a
# longer one; a GPU wants many rows.
CPU_SEGMENTS = 1
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

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

# Segments at a time of each device. On a CPU one is nearly as fast as several, and the same memory
# holds a longer one; a GPU wants many rows.
CPU_SEGMENTS = 1
GPU_SEGMENTS = 128

# Bytes of a batch's sound and cues on the host, unless its shortest segments have more. It is
# computed while the next batch is read.
CPU_BYTES = 2**25
GPU_BYTES = 2**28
# CPU devices that segments are shared among, at most: memory grows with them.
MOST_CPU_DEVICES = 8
# Bytes in float32 of a sample of both ears, and of the four cues of a channel and hop.
SAMPLE_BYTES = 8
CUE_BYTES = 16

# The longest segment, in pieces: the one more that warms it up is then 3 % of the work.
MOST_PIECES = 32


@dataclass(frozen=True)
class Segments:
    """How a long sound is cut into segments of whole pieces, see `segments`."""

    piece: int  # samples, a whole number of the scan's steps, over which a segment warms up
    length: int  # pieces from one segment to the next, at most
    count: int  # segments that are computed at a time


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


def plan_segments(periphery: PeripherySettings, settings: CorrelationSettings) -> Segments:
    """The cut of long sounds into segments: as long as the batch's bytes allow."""
    # what a scan hears in its first step it takes for the beginning of a sound
    piece = memory_samples(periphery, settings) + settings.step
    devices = sharing_devices()
    is_cpu = devices[0].platform == "cpu"
    bytes_a_sample = SAMPLE_BYTES + CUE_BYTES * len(periphery.cfs) / settings.hop
    device_pieces = (CPU_BYTES if is_cpu else GPU_BYTES) / (piece * bytes_a_sample) / len(devices)
    # a segment has a piece at least, and the one that warms it up
    device_segments = min(CPU_SEGMENTS if is_cpu else GPU_SEGMENTS, int(device_pieces / 2))
    device_segments = max(1, device_segments)
    length = min(MOST_PIECES, int(device_pieces / device_segments) - 1)
    return Segments(piece, max(1, length), len(devices) * device_segments)

"""The floor of the benchmark: what the equations need, and what the machine can do at best."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from ssl_jax.common.devices import split_rows
from ssl_jax.config import FrontEnd
from ssl_jax.frontend.programs import shared_program

FRONT = FrontEnd()
BIQUADS = 4  # of a channel; one with one zero takes 4 multiply-adds a sample
LAG_AT_HOP = 2  # operations a lag and sample: a multiply-add
LAG_AT_SAMPLE = 10  # with both sums (6) and the comparison (4)
FFT_POINTS = 45_056  # a fast size for a second and its response
FFTS = 3 + 6 + 6  # of three sources, of their responses at both ears, and back
EACH = jax.P("data")
REPEATS = 15
LONGEST_S = 4  # of all repeats of one job
# stages that are timed
FILTERBANK = "filterbank"
CUES = "cues, hop 441"
ALL_CUES = "cues, hop 1"
RENDERING = "rendering"
WHOLE = "rendering and cues, hop 441"
STEP = "training step, per mixture"


@dataclass(frozen=True)
class Need:
    """What a second of sound, or a mixture in training, needs by the equations alone."""

    operations: float
    traffic: float  # bytes to or from memory


def seconds_of(*works: Callable) -> list[float]:
    """Median wall time of each of some works; fewer repeats where they take long.

    They take turns, so that a machine that is slow for a while is slow for all of them. A work is
    done twice in its turn, and timed the second time: the first finds the caches of another.
    """
    for work in works:
        jax.block_until_ready(work())
    rounds: list[list[float]] = []
    while len(rounds) < REPEATS and np.sum(rounds) < LONGEST_S * len(works):
        times = []
        for work in works:
            jax.block_until_ready(work())
            began = time.perf_counter()
            jax.block_until_ready(work())
            times.append(time.perf_counter() - began)
        rounds.append(times)
    return np.median(rounds, axis=0).tolist()


def on_all_devices(function: Callable, mesh: Mesh, specs=EACH) -> Callable:
    """`function` of a batch (clips, ...), the clips shared among all devices."""
    return shared_program(function, mesh, specs, EACH)


def machine_rates(mesh: Mesh) -> dict[str, float]:
    """Float32 matrix products (FLOP/s) and memory traffic (bytes/s), measured on all devices."""
    n = 2048
    rng = np.random.default_rng(0)
    matrices = rng.standard_normal((mesh.size, n, n), np.float32)
    ones = np.ones((mesh.size, 2**26 // mesh.size), np.float32)
    a, big = jax.device_put((matrices, ones), split_rows(mesh))
    product = on_all_devices(lambda x: jnp.matmul(x[0], x[0], precision="highest")[None], mesh)
    copy = on_all_devices(lambda x: x + 1, mesh)
    operations = mesh.size * 2 * n**3
    traffic = 2 * big.nbytes
    product_seconds, copy_seconds = seconds_of(lambda: product(a), lambda: copy(big))
    return {
        "matrix_flops": operations / product_seconds,
        "memory_bytes": traffic / copy_seconds,
    }


def needs() -> dict[str, Need]:
    """What each stage needs of a second of sound."""
    samples = FRONT.fs
    channels = FRONT.channels
    lags = 2 * round(samples * FRONT.max_itd) + 1
    sound = 2 * samples * 4  # bytes of both ears
    sources = 3 * samples * 4
    maps = 3 * channels * (samples // FRONT.hop) * 2
    filters = 2 * samples * channels * BIQUADS * 4 * 2  # operations: two ears
    correlation = samples * channels * lags
    # a real FFT of n points takes 2.5 n log2(n)
    rendering = FFTS * 2.5 * FFT_POINTS * np.log2(FFT_POINTS)
    # multiply-adds of both convolutions of a branch, over 100 frames with kernels of 5
    branch = 100 * 5 * (32 * 64 + 64 * 64)
    # three branches; backwards takes twice what forwards takes
    network = 3 * branch * 2 * 3
    return {
        FILTERBANK: Need(filters, sound + 2 * samples * channels * 4),
        CUES: Need(filters + correlation * LAG_AT_HOP, sound + maps),
        ALL_CUES: Need(filters + correlation * LAG_AT_SAMPLE, sound + 4 * channels * samples * 4),
        RENDERING: Need(rendering, sources + sound),
        WHOLE: Need(filters + correlation * LAG_AT_HOP + rendering, sources + maps),
        STEP: Need(network, maps),
    }

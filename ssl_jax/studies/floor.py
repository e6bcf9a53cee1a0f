"""The floor of the benchmark: what the equations need, and what the machine can do at best."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from ssl_jax.common.devices import shared_out
from ssl_jax.config import FrontEnd

FRONT = FrontEnd()
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


def seconds_of(work: Callable) -> float:
    """Median wall time of `work()` after a warm-up; fewer repeats where it takes long."""
    jax.block_until_ready(work())
    times: list[float] = []
    while len(times) < REPEATS and sum(times) < LONGEST_S:
        began = time.perf_counter()
        jax.block_until_ready(work())
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def on_all_devices(function: Callable, mesh: Mesh, specs=EACH) -> Callable:
    """`function` of a batch (clips, ...), the clips shared among all devices."""
    return jax.jit(
        jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=EACH, check_vma=False)
    )


def machine_rates(mesh: Mesh) -> dict[str, float]:
    """Float32 matrix products (FLOP/s) and memory traffic (bytes/s), measured on all devices."""
    n = 2048
    rng = np.random.default_rng(0)
    matrices = rng.standard_normal((mesh.size, n, n), np.float32)
    ones = np.ones((mesh.size, 2**26 // mesh.size), np.float32)
    a, big = jax.device_put((matrices, ones), shared_out(mesh))
    product = on_all_devices(lambda x: jnp.matmul(x[0], x[0], precision="highest")[None], mesh)
    copy = on_all_devices(lambda x: x + 1, mesh)
    operations = mesh.size * 2 * n**3
    traffic = 2 * big.nbytes
    return {
        "matrix_flops": operations / seconds_of(lambda: product(a)),
        "memory_bytes": traffic / seconds_of(lambda: copy(big)),
    }


def needs() -> dict[str, Need]:
    """What each stage needs of a second of sound.

    A biquad with one zero takes 4 multiply-adds, a lag of the correlation one. At every sample
    each lag's two sums take 6 operations and its comparison 4.
    """
    samples = FRONT.fs
    channels = FRONT.channels
    lags = 2 * round(samples * FRONT.max_itd) + 1
    sound = 2 * samples * 4  # bytes of both ears
    sources = 3 * samples * 4
    maps = 3 * channels * (samples // FRONT.hop) * 2
    filters = 2 * samples * channels * 32  # operations
    correlation = samples * channels * lags
    rendering = 15 * 2.5 * 45_056 * np.log2(45_056)  # FFTs of a size near one second
    # one mixture forwards and backwards: 3 branches, 100 frames, kernels of 5
    network = 3 * 2 * (100 * 5 * (32 * 64 + 64 * 64) * 3)
    return {
        FILTERBANK: Need(filters, sound + 2 * samples * channels * 4),
        CUES: Need(filters + correlation * 2, sound + maps),
        ALL_CUES: Need(filters + correlation * 10, sound + 4 * channels * samples * 4),
        RENDERING: Need(rendering, sources + sound),
        WHOLE: Need(filters + correlation * 2 + rendering, sources + maps),
        STEP: Need(network, maps),
    }

"""The running interaural cross-correlation hop by hop: what long and short hops share.

`reference.running_cues` has the equations as a plain loop, in the same symbols: left l[n], right
r[n], lags m = -D..D, the running sums LR[n,m], LL[n] and RR[n,m], and a = 1 / (tau fs). Only
their values at the end of each hop are needed, so a whole hop of H samples is taken at a time.
The recursion

    LR[n,m] = (1-a) LR[n-1,m] + a l[n] r[n+m]

applied H times gives, with the weights w[k] = a (1-a)^(H-1-k) of the hop's samples k = 0..H-1,

    LR[n,m] = (1-a)^H LR[n-H,m] + sum_k w[k] l[n-H+1+k] r[n-H+1+k+m]

a decay and a short correlation of the weighted left ear with the right one. The same holds for LL.

RR is the running energy of the right ear,

    E[j] = (1-a) E[j-1] + a r[j]^2

read at j = n + m, but for the start: the equations begin at n = 0 for every lag, so RR[n,m] counts
r from sample max(m, 0) on, while E counts all. `long_hops` and `short_hops` say how each allows for
it.

In shapes: `clips` sounds at a time, C channels, time before channels.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ssl_jax.frontend.correlation_settings import CorrelationSettings

# Samples of the correlation summed at a time, at most; on a CPU 21 to 49 are equally fast.
CHUNK = 32


def chunk_size(hop: int) -> int:
    """Samples of a hop summed at a time: a divisor of the hop where there is one of fair size."""
    divisors = [size for size in range(CHUNK // 2, CHUNK + 1) if hop % size == 0]
    return max(divisors, default=min(hop, CHUNK))


def hop_weights(settings: CorrelationSettings, count: int, dtype) -> jax.Array:
    """w[k] = a (1-a)^(count-1-k) for k = 0..count-1, as a column (count, 1)."""
    weights = settings.gain * settings.decay ** np.arange(count - 1, -1, -1.0)
    return jnp.asarray(weights, dtype)[:, None]


def _add_by_chunks(add_samples: Callable, total, count: int):
    """`total` and `count` samples, where `add_samples(total, start, size)` adds some of them.

    The samples of a chunk are added in one pass over `total`: their sum stays in registers.
    """
    chunk = chunk_size(count)

    def add_chunk(number, total):
        return add_samples(total, number * chunk, chunk)

    total = lax.fori_loop(0, count // chunk, add_chunk, total)
    rest = count % chunk
    return add_samples(total, count - rest, rest) if rest else total


def advance_correlation(settings: CorrelationSettings, total, left, right):
    """LR one hop later, (clips, 2 D + 1, C).

    From LR before it (`total`), left (clips, H, C) and right (clips, D + H + D, C).
    """
    hop = settings.hop
    span = settings.span
    # weighted once for the whole hop: a decay per chunk would add up its rounding
    left = hop_weights(settings, hop, left.dtype) * left

    def add_samples(total, start, count):
        l = lax.dynamic_slice_in_dim(left, start, count, 1)
        r = lax.dynamic_slice_in_dim(right, start, count + span - 1, 1)
        return total + sum(l[:, k, None] * r[:, k : k + span] for k in range(count))

    return _add_by_chunks(add_samples, total * settings.decay**hop, hop)


def running_sum(decay: float, before, added):
    """S[j] = decay S[j-1] + added[j] along axis 1, S[-1] = before.

    By doubling: before each pass S[j] holds the last `step` terms up to j, weighted; after it twice
    as many.
    """
    count = added.shape[1]
    total = added.at[:, 0].add(decay * before)
    step = 1
    while step < count:
        # padded, not updated in place: so a pass is one loop
        padding = [(0, 0)] * total.ndim
        padding[1] = (step, 0)
        earlier = jnp.pad(total, padding)[:, :count]
        total = total + decay**step * earlier
        step *= 2
    return total


def running_energy(settings: CorrelationSettings, before, squares):
    """E[j] = (1-a) E[j-1] + a squares[j] along axis 1, E[-1] = before."""
    return running_sum(settings.decay, before, settings.gain * squares)


def advance_energy(settings: CorrelationSettings, before, squares):
    """The last value of `running_energy` alone: a decay and a weighted sum over axis 1."""
    count = squares.shape[1]
    weights = hop_weights(settings, count, squares.dtype)

    def add_samples(total, start, size):
        w = lax.dynamic_slice_in_dim(weights, start, size, 0)
        square = lax.dynamic_slice_in_dim(squares, start, size, 1)
        return total + sum(w[k] * square[:, k] for k in range(size))

    return _add_by_chunks(add_samples, before * settings.decay**count, count)

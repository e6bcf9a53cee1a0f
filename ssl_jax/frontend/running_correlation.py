"""The running interaural cross-correlation hop by hop.

`reference.running_cues` has the equations as a plain loop, in the same symbols: left l[n], right
r[n], lags m = -D..D, the running sums LR[n,m], LL[n] and RR[n,m], and a = 1 / (tau fs). Only
their values at the end of each hop are needed, so a whole hop of H samples is taken at a time.
The recursion

    LR[n,m] = (1-a) LR[n-1,m] + a l[n] r[n+m]

applied H times gives, with the weights w[k] = a (1-a)^(H-1-k) of the hop's samples k = 0..H-1,

    LR[n,m] = (1-a)^H LR[n-H,m] + sum_k w[k] l[n-H+1+k] r[n-H+1+k+m]

a decay and a short correlation of the weighted left ear with the right one. The same holds for LL.

RR needs no sum per lag. It is the running energy of the right ear,

    E[j] = (1-a) E[j-1] + a r[j]^2

read at j = n + m, but for the start: the equations begin at n = 0 for every lag, so RR[n,m] counts
r from sample max(m, 0) on, while E counts all. So the first samples r[0..D], the onset, stand
apart:

    RR[n,m] = later[n+m] + onset[n,m]
    later[j] = (1-a) later[j-1] + a r[j]^2 (j > D)
    onset[n,m] = sum over i = max(m, 0)..D of a (1-a)^(n+m-i) r[i]^2

later is the same for all lags, onset only decays after the first hop.

In shapes: `clips` sounds at a time, C channels, time before channels.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ssl_jax.frontend.correlation_settings import CorrelationSettings
from ssl_jax.frontend.lag_cues import cues_of_sums

# Samples of the correlation summed in registers at a time, at most; 21 to 49 are equally fast.
CHUNK = 32


class LongHopSums(NamedTuple):
    """Running sums at the end of a hop longer than all lags."""

    cross: jax.Array  # (clips, 2 D + 1, C), LR[n,m]
    left: jax.Array  # (clips, C), LL[n]
    later: jax.Array  # (clips, C), later[n-D]
    onset: jax.Array  # (clips, 2 D + 1, C), onset[n,m]


class ShortHopSums(NamedTuple):
    """Running sums at the end of a hop shorter than the lags, as the equations have them."""

    cross: jax.Array  # (clips, 2 D + 1, C), LR[n,m]
    left: jax.Array  # (clips, C), LL[n]
    right: jax.Array  # (clips, 2 D + 1, C), RR[n,m]


def _chunk_size(hop: int) -> int:
    """Samples of a hop summed at a time: a divisor of the hop where there is one of fair size."""
    divisors = [size for size in range(CHUNK // 2, CHUNK + 1) if hop % size == 0]
    return max(divisors, default=min(hop, CHUNK))


def _hop_weights(settings: CorrelationSettings, count: int, dtype) -> jax.Array:
    """w[k] = a (1-a)^(count-1-k) for k = 0..count-1, as a column (count, 1)."""
    weights = settings.gain * settings.decay ** np.arange(count - 1, -1, -1.0)
    return jnp.asarray(weights, dtype)[:, None]


def _add_by_chunks(add_samples: Callable, total, count: int):
    """`total` and `count` samples, where `add_samples(total, start, size)` adds some of them.

    The samples of a chunk are added in one pass over `total`: their sum stays in registers.
    """
    chunk = _chunk_size(count)

    def add_chunk(number, total):
        return add_samples(total, number * chunk, chunk)

    total = lax.fori_loop(0, count // chunk, add_chunk, total)
    rest = count % chunk
    return add_samples(total, count - rest, rest) if rest else total


def _advance_correlation(settings: CorrelationSettings, total, left, right):
    """LR one hop later, (clips, 2 D + 1, C).

    From LR before it (`total`), left (clips, H, C) and right (clips, D + H + D, C).
    """
    hop = settings.hop
    span = settings.span
    # weighted once for the whole hop: a decay per chunk would add up its rounding
    left = _hop_weights(settings, hop, left.dtype) * left

    def add_samples(total, start, count):
        l = lax.dynamic_slice_in_dim(left, start, count, 1)
        r = lax.dynamic_slice_in_dim(right, start, count + span - 1, 1)
        return total + sum(l[:, k, None] * r[:, k : k + span] for k in range(count))

    return _add_by_chunks(add_samples, total * settings.decay**hop, hop)


def _running_energy(settings: CorrelationSettings, before, squares):
    """E[j] = (1-a) E[j-1] + a squares[j] along axis 1, E[-1] = before.

    By doubling: before each pass E[j] holds the last `step` squares up to j, weighted; after it
    twice as many.
    """
    count = squares.shape[1]
    energy = (settings.gain * squares).at[:, 0].add(settings.decay * before)
    step = 1
    while step < count:
        # padded, not updated in place: so a pass is one loop
        earlier = jnp.pad(energy, ((0, 0), (step, 0), (0, 0)))[:, :count]
        energy = energy + settings.decay**step * earlier
        step *= 2
    return energy


def _advance_energy(settings: CorrelationSettings, before, squares):
    """The last value of `_running_energy` alone: a decay and a weighted sum over axis 1."""
    count = squares.shape[1]
    weights = _hop_weights(settings, count, squares.dtype)

    def add_samples(total, start, size):
        w = lax.dynamic_slice_in_dim(weights, start, size, 0)
        square = lax.dynamic_slice_in_dim(squares, start, size, 1)
        return total + sum(w[k] * square[:, k] for k in range(size))

    return _add_by_chunks(add_samples, before * settings.decay**count, count)


def _start_onset(settings: CorrelationSettings, first_samples):
    """onset[H-1,m] (clips, 2 D + 1, C) from r[0..D], the beginning of the first hop."""
    lags = settings.lags
    hop = settings.hop
    i = np.arange(lags + 1.0)
    m = np.arange(-lags, lags + 1)[:, None]
    weights = np.where(i >= m, settings.gain * settings.decay ** (hop - 1 + m - i), 0)
    return jnp.einsum(
        "mi,bic->bmc",
        jnp.asarray(weights, first_samples.dtype),
        first_samples * first_samples,
        precision=lax.Precision.HIGHEST,
    )


def advance_long_hop(settings: CorrelationSettings, sums: LongHopSums, number, left, right):
    """Advance by one hop, longer than all lags: step `number` of the scan.

    Parameters
    ----------
    number : int
        The first hop of the sound is step 1; step 0 is silence before it.
    left : (clips, H, C), the hop's samples
    right : (clips, D + H + D, C), those and D on either side

    Returns
    -------
    sums, cues : LongHopSums, FrameCues of (clips, C)
    """
    hop = settings.hop
    lags = settings.lags
    sample = (number - 1) * hop - lags + np.arange(right.shape[1])  # n of each row of `right`
    squares = right * right
    after_onset = squares * (sample > lags)[None, :, None].astype(right.dtype)
    onset = lax.cond(
        number == 1,
        lambda first_samples: _start_onset(settings, first_samples),
        lambda _: sums.onset * settings.decay**hop,
        right[:, lags : 2 * lags + 1],
    )
    cross = _advance_correlation(settings, sums.cross, left, right)
    left_energy = _advance_energy(settings, sums.left, left * left)
    # the first H rows end D samples before the hop does, the other 2 D are those around its end
    later = _advance_energy(settings, sums.later, after_onset[:, :hop])
    following = _running_energy(settings, later, after_onset[:, hop:])
    later_at_lags = jnp.concatenate([later[:, None], following], axis=1)  # later[n-D..n+D]
    cues = cues_of_sums(settings, cross, left_energy, later_at_lags + onset)
    return LongHopSums(cross, left_energy, later, onset), cues


def advance_short_hops(settings: CorrelationSettings, sums: ShortHopSums, number, left, right):
    """Advance by a step of several hops, RR with its lag axis as the equations have it.

    Parameters
    ----------
    number : int
        The sound starts with step 1; step 0 is silence before it.
    left : (clips, step, C)
    right : (clips, D + step + D, C)

    Returns
    -------
    sums, cues : ShortHopSums, FrameCues of (hops, clips, C)
    """
    hop = settings.hop
    lags = settings.lags
    ones = jnp.ones_like(left[:, :hop])

    def advance(sums, start):
        l = lax.dynamic_slice_in_dim(left, start, hop, 1)
        r = lax.dynamic_slice_in_dim(right, start, hop + 2 * lags, 1)
        # before the sound starts r[n + m] is not counted, whatever the lag
        begun = ((number - 1) * settings.step + start >= 0).astype(left.dtype)
        cross = _advance_correlation(settings, sums.cross, l, r)
        # RR is a correlation too, of ones with r^2
        right_energy = _advance_correlation(settings, sums.right, ones, begun * r * r)
        left_energy = _advance_energy(settings, sums.left, l * l)
        cues = cues_of_sums(settings, cross, left_energy, right_energy)
        return ShortHopSums(cross, left_energy, right_energy), cues

    return lax.scan(advance, sums, jnp.arange(0, settings.step, hop))

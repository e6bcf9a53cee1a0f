"""The running correlation for hops of more than 2 D samples: a whole hop at a time.

See `running_correlation` for the equations. RR needs no sum per lag if the first samples r[0..D],
the onset, stand apart:

    RR[n,m] = later[n+m] + onset[n,m]
    later[j] = (1-a) later[j-1] + a r[j]^2 (j > D)
    onset[n,m] = sum over i = max(m, 0)..D of a (1-a)^(n+m-i) r[i]^2

later is the same for all lags, onset only decays after the first hop.

In shapes: `clips` sounds at a time, C channels, time before channels.
"""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ssl_jax.frontend.correlation_settings import CorrelationSettings
from ssl_jax.frontend.lag_cues import cues_of_sums
from ssl_jax.frontend.running_correlation import (
    advance_correlation,
    advance_energy,
    chunk_size,
    hop_weights,
    running_energy,
)


class LongHopSums(NamedTuple):
    """Running sums at the end of a hop longer than all lags."""

    cross: jax.Array  # (clips, 2 D + 1, C), LR[n,m]
    left: jax.Array  # (clips, C), LL[n]
    later: jax.Array  # (clips, C), later[n-D]
    onset: jax.Array  # (clips, 2 D + 1, C), onset[n,m]


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


def sums_by_chunks(settings: CorrelationSettings, sums: LongHopSums, left, right, after_onset):
    """LR, LL and later one hop on, chunk by chunk: a chunk's sums stay in a core's registers."""
    cross = advance_correlation(settings, sums.cross, left, right)
    left_energy = advance_energy(settings, sums.left, left * left)
    later = advance_energy(settings, sums.later, after_onset)
    return cross, left_energy, later


def sums_at_once(settings: CorrelationSettings, sums: LongHopSums, left, right, after_onset):
    """LR, LL and later one hop on, all chunks at the same time, which fills a GPU.

    Of a chunk's samples l[i], from its first on, and r[j], from D before that on, all products are
    made, and added up over the chunks:

        P[i,j] = sum over chunks of w l[i] r[j]

    So the products of a lag lie on a diagonal: LR[m] = sum over i of P[i,i+D+m].
    """
    hop = settings.hop
    span = settings.span
    decay = settings.decay**hop
    weights = hop_weights(settings, hop, left.dtype)
    size = chunk_size(hop)
    chunks = math.ceil(hop / size)
    added = ((0, 0), (0, chunks * size - hop), (0, 0))  # silence that completes the last chunk
    clips, _, channels = left.shape
    l = jnp.pad(weights * left, added).reshape(clips, chunks, size, channels)
    samples_of_chunk = size * np.arange(chunks)[:, None] + np.arange(size + span - 1)
    r = jnp.pad(right, added)[:, samples_of_chunk]
    products = jnp.einsum("bkic,bkjc->bcij", l, r, precision=lax.Precision.HIGHEST)
    i = np.arange(size)[:, None]
    cross = products[:, :, i, i + np.arange(span)].sum(2).swapaxes(1, 2)
    left_energy = (weights * left * left).sum(1)
    later = (weights * after_onset).sum(1)
    return decay * sums.cross + cross, decay * sums.left + left_energy, decay * sums.later + later


def advance_long_hop(settings: CorrelationSettings, sums: LongHopSums, number, left, right):
    """Advance by one hop, longer than all lags: step `number` of the scan.

    Parameters
    ----------
    number : int, or a scalar array
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
    cross, left_energy, later = lax.platform_dependent(
        sums,
        left,
        right,
        # these end D samples before the hop does, the other 2 D are those around its end
        after_onset[:, :hop],
        cpu=partial(sums_by_chunks, settings),
        # elsewhere each chunk would take longer to start than to compute
        default=partial(sums_at_once, settings),
    )
    following = running_energy(settings, later, after_onset[:, hop:])
    later_at_lags = jnp.concatenate([later[:, None], following], axis=1)  # later[n-D..n+D]
    cues = cues_of_sums(settings, cross, left_energy, later_at_lags + onset)
    return LongHopSums(cross, left_energy, later, onset), cues

"""From running sums to cues: the lag of the maximum, and what is read there."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from ssl_jax.frontend.correlation_settings import CorrelationSettings

# Energies below this (-370 dB) count as silence; about float32's smallest normal number.
TINY = 1e-37

# Energies below this (-180 dB) give quotients no slope: it divides by their product, which float32
# holds only so far down.
LEAST_WITH_SLOPE = 1e-18


class FrameCues(NamedTuple):
    """Cues at the ends of hops; the axes are said where they are made."""

    lag: jax.Array  # samples, positive = source on the left
    ild: jax.Array  # dB
    ic: jax.Array  # 0..1
    power: jax.Array  # LL + RR[m*]


def best_lag(settings: CorrelationSettings, score) -> jax.Array:
    """m*, the lag of the highest score (clips, 2 D + 1, C): whole samples as floats (clips, C).

    The score is LR |LR| / RR, which orders lags as gamma does: LL is the same for all, and no root
    is needed. Unrolled, the comparison is one pass over the lags; XLA's own argmax is several times
    slower.
    """
    score = lax.stop_gradient(score)
    best = score[:, 0]
    lag = jnp.full_like(best, -settings.lags)
    for m in range(1, settings.span):
        higher = score[:, m] > best
        best = jnp.where(higher, score[:, m], best)
        lag = jnp.where(higher, m - settings.lags, lag)
    return lag


def at_lag(settings: CorrelationSettings, sums, lag) -> jax.Array:
    """The value (clips, C) that sums (clips, 2 D + 1, C) have at a lag (clips, C)."""
    place = lag.astype(int)[:, None] + settings.lags
    return jnp.take_along_axis(sums, place, axis=1)[:, 0]


def _coherence(cross, left, right):
    """LR / sqrt(LL RR), which is 0 where an ear is silent; no gradient where one is quiet."""
    quieter = jnp.minimum(left, right)
    # silence is kept out of quotients and roots: 0 / 0 is no number, and slopes there are infinite
    heard = quieter > TINY
    # two roots: the product of the energies may be beyond float32
    root = jnp.sqrt(jnp.where(heard, left, 1)) * jnp.sqrt(jnp.where(heard, right, 1))
    has_slope = quieter > LEAST_WITH_SLOPE
    cross = jnp.where(has_slope, cross, lax.stop_gradient(cross))
    root = jnp.where(has_slope, root, lax.stop_gradient(root))
    return jnp.where(heard, cross / root, 0)


def _soft_lag(settings: CorrelationSettings, cross, left, right):
    """The mean lag weighted by softmax(sharpness gamma), (clips, C)."""
    lags = jnp.arange(-settings.lags, settings.lags + 1, dtype=cross.dtype)
    gamma = _coherence(cross, left[:, None], right)
    share = jax.nn.softmax(settings.sharpness * gamma, axis=1)
    return jnp.einsum("bmc,m->bc", share, lags, precision=lax.Precision.HIGHEST)


def cues_of_sums(settings: CorrelationSettings, cross, left, right) -> FrameCues:
    """Cues (clips, C) from LR (clips, 2 D + 1, C), LL (clips, C) and RR (clips, 2 D + 1, C)."""
    # silence is kept out of quotients: 0 / 0 is no number
    safe = jnp.where(right > TINY, right, 1)
    score = jnp.where(right > TINY, cross * (jnp.abs(cross) / safe), 0)
    lag = best_lag(settings, score)
    cross_at_best = at_lag(settings, cross, lag)
    right_at_best = at_lag(settings, right, lag)
    if settings.sharpness is not None:
        lag = _soft_lag(settings, cross, left, right)
    return cues_at_best(settings, lag, cross_at_best, left, right_at_best)


def cues_at_best(
    settings: CorrelationSettings, lag, cross_at_best, left, right_at_best
) -> FrameCues:
    """Cues from a lag (m*, or the soft one), LR[m*], LL and RR[m*]; all have one shape."""
    both_heard = (left > TINY) & (right_at_best > TINY)
    one_heard = (left > TINY) | (right_at_best > TINY)
    ic = jnp.clip(_coherence(cross_at_best, left, right_at_best), 0, 1)
    level = jnp.log10(jnp.maximum(left, TINY)) - jnp.log10(jnp.maximum(right_at_best, TINY))
    ild = jnp.clip(10 * level, -settings.max_ild, settings.max_ild)
    return FrameCues(
        lag=jnp.where(both_heard, lag, 0),
        ild=jnp.where(one_heard, ild, 0),
        ic=ic,
        power=left + right_at_best,
    )

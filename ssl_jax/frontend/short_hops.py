"""The running correlation for hops shorter than the lags: several hops a step.

See `running_correlation` for the equations. A maximum over all lags is due at every hop, so what is
done per lag counts most, a division above all. RR[n,m] has its lag axis in the equations, but

    E[n+m] - RR[n,m] = (1-a)^(n+1) E[m-1]  (m > 0; else 0)

is what E counts of r before the sound's first sample meets it, and it fades. Once it is negligible
beside RR[n,m] at all lags, E[n+m] stands for RR[n,m]: 1 / E is then computed once a sample instead
of once a sample and lag. The difference fades as fast as RR can, so it stays negligible.

In shapes: `clips` sounds at a time, C channels, time before channels.
"""

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ssl_jax.frontend.correlation_settings import CorrelationSettings
from ssl_jax.frontend.lag_cues import (
    TINY,
    FrameCues,
    at_lag,
    best_lag,
    cues_at_best,
    cues_of_sums,
)
from ssl_jax.frontend.running_correlation import (
    advance_correlation,
    advance_energy,
    running_energy,
)


class ShortHopSums(NamedTuple):
    """Running sums at the end of a hop shorter than the lags, as the equations have them."""

    cross: jax.Array  # (clips, 2 D + 1, C), LR[n,m]
    left: jax.Array  # (clips, C), LL[n]
    right: jax.Array  # (clips, 2 D + 1, C), RR[n,m]
    uncounted: jax.Array  # (clips, C), at least E[n+m] - RR[n,m] at every lag


def advance_short_hops(
    settings: CorrelationSettings, sums: ShortHopSums, number, left, right
) -> tuple[ShortHopSums, FrameCues]:
    """Advance by a step of several hops.

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
    lags = settings.lags
    # at least E[m-1] for m = 1..D, from r[0..D-1]: step 1 begins at n = 0
    before_sound = settings.gain * (right[:, lags : 2 * lags] ** 2).sum(1)
    uncounted = jnp.where(number == 1, before_sound, sums.uncounted)
    sums = sums._replace(uncounted=uncounted)

    def by_lags(sums):
        return _advance_by_lags(settings, sums, number, left, right)

    def by_energy(sums):
        return _advance_by_energy(settings, sums, left, right)

    if settings.sharpness is not None:
        # a soft argmax weighs all lags
        sums, cues = by_lags(sums)
    else:
        least = jnp.finfo(left.dtype).eps * sums.right.min(1)
        is_negligible = (uncounted <= jnp.maximum(least, TINY)).all() & (number > 1)
        sums, cues = lax.cond(is_negligible, by_energy, by_lags, sums)
    return sums._replace(uncounted=uncounted * settings.decay**settings.step), cues


def _advance_by_lags(settings: CorrelationSettings, sums: ShortHopSums, number, left, right):
    """A step with RR as the equations have it; see `advance_short_hops`."""
    hop = settings.hop
    ones = jnp.ones_like(left[:, :hop])

    def advance(sums, start):
        l, r = _samples_of_hop(settings, left, right, start)
        # before the sound starts r[n + m] is not counted, whatever the lag
        begun = ((number - 1) * settings.step + start >= 0).astype(left.dtype)
        cross = advance_correlation(settings, sums.cross, l, r)
        # RR is a correlation too, of ones with r^2
        right_energy = advance_correlation(settings, sums.right, ones, begun * r * r)
        left_energy = advance_energy(settings, sums.left, l * l)
        cues = cues_of_sums(settings, cross, left_energy, right_energy)
        return ShortHopSums(cross, left_energy, right_energy, sums.uncounted), cues

    return lax.scan(advance, sums, jnp.arange(0, settings.step, hop))


def _advance_by_energy(settings: CorrelationSettings, sums: ShortHopSums, left, right):
    """A step with E in the place of RR; see `advance_short_hops`."""
    hop = settings.hop
    lags = settings.lags
    span = settings.span
    # RR[n0-1,m] of the step's first sample n0 is E[n0-1-D..n0-1+D], and the step reads D further on
    alike = _with_decay_of_hops(settings, left.dtype)
    ahead = right[:, 2 * lags :]
    energy = running_energy(alike, sums.right[:, -1], ahead * ahead)
    energy = jnp.concatenate([sums.right, energy], axis=1)  # E[n0-1-D..], (clips, span + step, C)
    # silence is kept out of quotients: their slopes are infinite
    is_heard = energy > TINY
    inverse = lax.stop_gradient(jnp.where(is_heard, 1 / jnp.where(is_heard, energy, 1), 0))

    def advance(cross, start):
        l, r = _samples_of_hop(settings, left, right, start)
        cross = advance_correlation(settings, cross, l, r)
        inverse_at_lags = lax.dynamic_slice_in_dim(inverse, start + hop, span, 1)
        lag = best_lag(settings, cross * (jnp.abs(cross) * inverse_at_lags))
        return cross, (lag, at_lag(settings, cross, lag))

    starts = np.arange(0, settings.step, hop)
    cross, (lag, cross_at_best) = lax.scan(advance, sums.cross, jnp.asarray(starts))
    ends = starts + hop - 1
    left_energy = running_energy(alike, sums.left, left * left)
    # of each hop (clips, hops, C): E[n+m*]
    place = ends[:, None] + 1 + lags + jnp.moveaxis(lag, 0, 1).astype(int)
    right_at_best = jnp.take_along_axis(energy, place, axis=1)
    cues = cues_at_best(
        settings,
        lag,
        cross_at_best,
        jnp.moveaxis(left_energy[:, ends], 1, 0),
        jnp.moveaxis(right_at_best, 1, 0),
    )
    sums = ShortHopSums(cross, left_energy[:, -1], energy[:, -span:], sums.uncounted)
    return sums, cues


def _with_decay_of_hops(settings: CorrelationSettings, dtype) -> CorrelationSettings:
    """The settings with the decay that LR has, whose decay of a hop is rounded to `dtype`.

    Over a window of 441 samples the rounding adds up to 1e-5, unless all sums share it.
    """
    decay_of_hop = float(np.asarray(settings.decay**settings.hop, dtype))
    return replace(settings, decay=decay_of_hop ** (1 / settings.hop))


def _samples_of_hop(settings: CorrelationSettings, left, right, start):
    """Left (clips, H, C) and right (clips, D + H + D, C) of the hop that begins at `start`."""
    hop = settings.hop
    l = lax.dynamic_slice_in_dim(left, start, hop, 1)
    r = lax.dynamic_slice_in_dim(right, start, hop + 2 * settings.lags, 1)
    return l, r

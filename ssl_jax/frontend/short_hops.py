"""The running correlation for hops of at most 2 D samples: several hops a step.

See `running_correlation` for the equations. Cues are due at every hop, so most of the time goes
into work per lag, above all into divisions. RR[n,m] has its lag axis for one reason: at lag m the
equations begin with l[0] r[m], while E counts r[0..m-1] too,

    E[n+m] - RR[n,m] = (1-a)^(n+1) E[m-1]  (m > 0; else 0)

This part fades. Once it is negligible beside RR[n,m] at all lags, a running energy of the right ear
serves all of them: 1 / E takes one division a sample, where 1 / RR takes one a hop and lag, and RR
needs no sum per lag.

That energy goes on from RR[n,D], which lacks r[0..D-1] altogether. So it is at most RR[n,m], where
E is at least that; both differ from it by a negligible share, and this share never grows, for no
sum fades faster than (1-a)^n.

That is the way of a CPU, `advance_hop_by_hop`. A GPU divides fast and starts slowly, so elsewhere
`advance_at_once` sums RR at every lag, all hops of a step at the same time.

In shapes: `clips` sounds at a time, C channels, time before channels.
"""

from dataclasses import replace
from functools import partial
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
    running_sum,
)


class ShortHopSums(NamedTuple):
    """Running sums at the end of a hop of at most 2 D samples."""

    cross: jax.Array  # (clips, 2 D + 1, C), LR[n,m]
    left: jax.Array  # (clips, C), LL[n]
    right: jax.Array  # (clips, 2 D + 1, C), RR[n,m], or the energy that serves for it
    uncounted: jax.Array  # (clips, C), at least E[n+m] - RR[n,m] at every lag


def advance_short_hops(
    settings: CorrelationSettings, sums: ShortHopSums, number, left, right
) -> tuple[ShortHopSums, FrameCues]:
    """Advance by a step of several hops: step `number` of the scan.

    Parameters
    ----------
    number : int, or a scalar array
        The sound starts with step 1; step 0 is silence before it.
    left : (clips, step, C), the step's samples
    right : (clips, D + step + D, C), those and D on either side

    Returns
    -------
    sums, cues : ShortHopSums, FrameCues of (hops, clips, C)
    """
    lags = settings.lags
    # step 1 begins at n = 0; a times the sum of r[0..D-1]^2 is at least E[m-1] for m = 1..D
    before_sound = settings.gain * (right[:, lags : 2 * lags] ** 2).sum(1)
    uncounted = jnp.where(number == 1, before_sound, sums.uncounted)
    sums, cues = lax.platform_dependent(
        sums._replace(uncounted=uncounted),
        number,
        left,
        right,
        cpu=partial(advance_hop_by_hop, settings),
        # elsewhere a hop takes longer to start than to compute
        default=partial(advance_at_once, settings),
    )
    return sums._replace(uncounted=uncounted * settings.decay**settings.step), cues


def advance_hop_by_hop(
    settings: CorrelationSettings, sums: ShortHopSums, number, left, right
) -> tuple[ShortHopSums, FrameCues]:
    """A step with one hop after the other: what a hop needs stays in a core's cache.

    `sums.uncounted` is that of this step; see `advance_short_hops`.
    """

    def by_lags(sums):
        return _advance_by_lags(settings, sums, number, left, right)

    def by_energy(sums):
        return _advance_by_energy(settings, sums, left, right)

    if settings.sharpness is not None:
        # a soft argmax weighs all lags
        return by_lags(sums)
    negligible = jnp.finfo(left.dtype).eps * sums.right.min(1)
    # below TINY it is silence; lags that have heard nothing yet would wait for it for ever
    is_negligible = sums.uncounted <= jnp.maximum(negligible, TINY)
    # one way for all clips and channels: a branch for each would compute both
    serves = is_negligible.all() & (number > 1)
    return lax.cond(serves, by_energy, by_lags, sums)


def advance_at_once(
    settings: CorrelationSettings, sums: ShortHopSums, number, left, right
) -> tuple[ShortHopSums, FrameCues]:
    """A step with all of its hops at the same time, which fills a GPU; see `advance_short_hops`.

    The sums of each hop by itself, then their running sums. Takes memory for all hops and lags.
    """
    clips, _, channels = left.shape
    hop = settings.hop
    hops = settings.hops_per_step
    starts = np.arange(0, settings.step, hop)
    samples_of_hop = starts[:, None] + np.arange(hop + 2 * settings.lags)
    # before the sound starts r[n + m] is not counted, whatever the lag
    begun = ((number - 1) * settings.step + starts >= 0).astype(left.dtype)
    # a row each: clips * hops, samples, C
    l = left.reshape(-1, hop, channels)
    r = right[:, samples_of_hop]
    squares = (begun[:, None, None] * r * r).reshape(-1, *r.shape[2:])
    r = r.reshape(squares.shape)

    def running(before, of_hop):
        """The sums at the end of each hop, (clips * hops, ...), from those of the hops alone."""
        of_hop = of_hop.reshape(clips, hops, *of_hop.shape[1:])
        return running_sum(settings.decay**hop, before, of_hop)

    none = jnp.zeros((clips * hops, settings.span, channels), left.dtype)
    cross = running(sums.cross, advance_correlation(settings, none, l, r))
    # RR is a correlation too, of ones with r^2
    right_energy = running(
        sums.right, advance_correlation(settings, none, jnp.ones_like(l), squares)
    )
    left_energy = running(sums.left, advance_energy(settings, none[:, 0], l * l))
    after = ShortHopSums(cross[:, -1], left_energy[:, -1], right_energy[:, -1], sums.uncounted)
    rows = [x.reshape(-1, *x.shape[2:]) for x in (cross, left_energy, right_energy)]
    cues = cues_of_sums(settings, *rows)
    by_hop = (cue.reshape(clips, hops, channels).swapaxes(0, 1) for cue in cues)
    return after, FrameCues(*by_hop)


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
        return sums._replace(cross=cross, left=left_energy, right=right_energy), cues

    return lax.scan(advance, sums, jnp.arange(0, settings.step, hop))


def _advance_by_energy(settings: CorrelationSettings, sums: ShortHopSums, left, right):
    """A step with one running energy for RR at all lags; see `advance_short_hops`."""
    hop = settings.hop
    lags = settings.lags
    span = settings.span
    rounded = _as_rounded(settings, left.dtype)
    # of the step's first sample n0, RR[n0-1,m] is E[n0-1-D..n0-1+D]; the step reads D further on
    ahead = right[:, 2 * lags :]
    following = running_energy(rounded, sums.right[:, -1], ahead * ahead)
    energy = jnp.concatenate([sums.right, following], axis=1)  # E[n0-1-D..], clips, span + step, C
    # silence is kept out of quotients: 0 / 0 is no number, and slopes there are infinite
    is_heard = energy > TINY
    inverse = jnp.where(is_heard, 1 / jnp.where(is_heard, energy, 1), 0)
    # lags have no slope, so the scan need not carry one
    inverse = lax.stop_gradient(inverse)

    def place_of(sample, lag):
        """Where E[n0+sample+lag] stands in `energy`."""
        return sample + lag + 1 + lags

    def advance(cross, start):
        l, r = _samples_of_hop(settings, left, right, start)
        cross = advance_correlation(settings, cross, l, r)
        # from the lag -D on, at the hop's last sample
        first = place_of(start + hop - 1, -lags)
        inverse_at_lags = lax.dynamic_slice_in_dim(inverse, first, span, 1)
        lag = best_lag(settings, cross * (jnp.abs(cross) * inverse_at_lags))
        return cross, (lag, at_lag(settings, cross, lag))

    starts = jnp.arange(0, settings.step, hop)
    cross, (lag, cross_at_best) = lax.scan(advance, sums.cross, starts)
    ends = np.arange(hop - 1, settings.step, hop)
    left_energy = running_energy(rounded, sums.left, left * left)
    # (clips, hops, C)
    place = place_of(ends[:, None], jnp.moveaxis(lag, 0, 1).astype(int))
    right_at_best = jnp.take_along_axis(energy, place, axis=1)
    cues = cues_at_best(
        settings,
        lag,
        cross_at_best,
        jnp.moveaxis(left_energy[:, ends], 1, 0),
        jnp.moveaxis(right_at_best, 1, 0),
    )
    return sums._replace(cross=cross, left=left_energy[:, -1], right=energy[:, -span:]), cues


def _as_rounded(settings: CorrelationSettings, dtype) -> CorrelationSettings:
    """The settings with the decay that LR really has: its decay of a hop is rounded to `dtype`.

    With another decay, energies differ from LR by up to 1e-5 at a hop of 1 and a window of 441
    samples, and IC with them.
    """
    decay_of_hop = float(np.asarray(settings.decay**settings.hop, dtype))
    if decay_of_hop < np.finfo(dtype).tiny:
        # a hop forgets all before it, so no rounding adds up
        return settings
    return replace(settings, decay=decay_of_hop ** (1 / settings.hop))


def _samples_of_hop(settings: CorrelationSettings, left, right, start):
    """Left (clips, H, C) and right (clips, D + H + D, C) of the hop that begins at `start`."""
    hop = settings.hop
    l = lax.dynamic_slice_in_dim(left, start, hop, 1)
    r = lax.dynamic_slice_in_dim(right, start, hop + 2 * settings.lags, 1)
    return l, r

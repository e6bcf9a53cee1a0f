"""The running interaural cross-correlation (equations: binaural_feature.py) as one scan over steps of hops.

Only the values at the end of each hop are kept: inside a hop the lagged correlation is an exponentially
weighted sum, across hops a decay. The filterbank runs inside the same scan, so that its outputs, 64
numbers a sample, never leave the cache.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

TINY = 1e-37  # energies below this (-370 dB) count as silence; about float32's smallest normal
CHUNK = 32  # samples of the correlation summed in registers at a time, at most; 21 to 49 alike


class CorrelationSettings(NamedTuple):
    """The running correlation's constants."""

    lags: int  # D
    decay: float  # 1 - a, per sample
    gain: float  # a
    hop: int  # samples between kept values
    step: int  # samples of one step of the scan, a multiple of hop, over 2 D
    max_ild: float  # dB
    sharpness: float | None  # of the soft argmax, None for the hard one


def settings(
    fs, tau=0.010, max_itd=0.001, max_ild=7.0, hop=None, sharpness=None
) -> CorrelationSettings:
    """The constants for settings as `calculate_itd_ild_ic` takes them; raises ValueError for bad ones."""
    hop = max(1, round(fs * 0.010)) if hop is None else hop  # 10 ms, the window's own time constant
    if not (fs > 0 and tau * fs >= 1 and max_itd > 0 and max_ild > 0 and int(hop) == hop >= 1):
        given = fs, tau, max_itd, max_ild, hop
        raise ValueError(
            f"fs, tau, max_itd, max_ild, hop: over 0, tau * fs >= 1, hop whole, not {given}"
        )
    lags, gain, hop = max(1, round(fs * max_itd)), 1.0 / (tau * fs), int(hop)
    step = hop if hop > 2 * lags else hop * (math.ceil(96 / hop) + 2 * lags // hop)
    return CorrelationSettings(lags, 1.0 - gain, gain, hop, step, float(max_ild), sharpness)


def _correlate(w: CorrelationSettings, total, left, right):
    """Add one hop, left (clips, hop, C) and right (clips, D + hop + D, C), to LR (clips, 2 D + 1, C)."""
    span, fair = 2 * w.lags + 1, range(CHUNK // 2, CHUNK + 1)
    size = max(
        (k for k in fair if w.hop % k == 0), default=min(w.hop, CHUNK)
    )  # samples summed at a time
    # weighted once for the whole hop: a decay per chunk would add up its rounding
    left = _hop_weights(w, w.hop, left.dtype) * left

    def add(size, total, start):
        l = lax.dynamic_slice_in_dim(left, start, size, 1)
        r = lax.dynamic_slice_in_dim(right, start, size + span - 1, 1)
        # unrolled: one pass over `total`, the sum stays in registers
        return total + sum(l[:, k, None] * r[:, k : k + span] for k in range(size))

    total = total * w.decay**w.hop
    total = lax.fori_loop(0, w.hop // size, lambda j, total: add(size, total, j * size), total)
    rest = w.hop % size
    return add(rest, total, w.hop - rest) if rest else total


def _hop_weights(w: CorrelationSettings, count: int, dtype):
    """a (1-a)^(count-1-k) for k = 0..count-1, as a column."""
    return jnp.asarray(w.gain * w.decay ** np.arange(count - 1, -1, -1.0), dtype)[:, None]


def _running_energy(w: CorrelationSettings, before, squares):
    """E[j] = d E[j-1] + a squares[j] along axis 1, E[-1] = before, by doubling steps."""
    energy = (w.gain * squares).at[:, 0].add(w.decay * before)
    step = 1
    while step < squares.shape[1]:
        energy = energy.at[:, step:].add(w.decay**step * energy[:, :-step])
        step *= 2
    return energy


def _decayed_sum(w: CorrelationSettings, before, squares):
    """The last value of `_running_energy` alone: a weighted sum over axis 1."""
    count = squares.shape[1]
    return before * w.decay**count + (_hop_weights(w, count, squares.dtype) * squares).sum(1)


def _best_lag(w: CorrelationSettings, cross, left, right):
    """Cues from LR (clips, 2 D + 1, C), LL (clips, C) and RR (clips, 2 D + 1, C)."""
    # Lags are compared by LR |LR| / RR, which orders them as gamma does and needs no root. Unrolled,
    # the comparison is one pass over LR and RR; XLA's own argmax and gather are several times slower.
    safe = jnp.where(
        right > TINY, right, 1
    )  # silence is kept out of quotients: their slopes are infinite
    score = lax.stop_gradient(jnp.where(right > TINY, cross * (jnp.abs(cross) / safe), 0))
    best, lag = score[:, 0], jnp.full_like(left, -w.lags)
    for m in range(1, 2 * w.lags + 1):
        higher = score[:, m] > best
        best = jnp.where(higher, score[:, m], best)
        lag = jnp.where(higher, m - w.lags, lag)
    lags = jnp.arange(-w.lags, w.lags + 1, dtype=cross.dtype)
    chosen = lags[:, None] == lag[:, None]  # clips, 2 D + 1, C: true once
    at_best = jnp.where(chosen, right, 0).sum(1)
    heard = (left > TINY) & (at_best > TINY)
    root = jnp.sqrt(jnp.where(heard, left, 1)) * jnp.sqrt(jnp.where(heard, at_best, 1))
    ic = jnp.where(heard, jnp.clip(jnp.where(chosen, cross, 0).sum(1) / root, 0, 1), 0)
    if w.sharpness is not None:
        gamma = cross / jnp.sqrt(safe * jnp.where(heard, left, 1)[:, None])
        share = jax.nn.softmax(w.sharpness * gamma, axis=1)
        lag = jnp.einsum("bmc,m->bc", share, lags, precision=lax.Precision.HIGHEST)
    level = jnp.log10(jnp.maximum(left, TINY)) - jnp.log10(jnp.maximum(at_best, TINY))
    ild = jnp.where(
        (left > TINY) | (at_best > TINY), jnp.clip(10 * level, -w.max_ild, w.max_ild), 0
    )
    return jnp.where(heard, lag, 0), ild, ic, left + at_best  # lag in samples


def _long_hop(w: CorrelationSettings, state, index, left, right):
    """One hop, longer than all lags: RR is the running energy of r read at n + m. RR[n, m] counts r from
    sample max(m, 0) on: the first D + 1 samples, where that differs between lags, are kept apart (`head`);
    `energy` counts what comes after them, at D samples before now."""
    cross, left_energy, energy, head = state
    # sample number of each row of `right`; the scan starts one hop before the sound
    number = (index - 1) * w.hop - w.lags + np.arange(right.shape[1])
    squares = right * right
    later = squares * (number > w.lags)[None, :, None].astype(right.dtype)

    def start_head(squares):
        i, m = np.arange(w.lags + 1.0), np.arange(-w.lags, w.lags + 1)[:, None]
        weights = np.where(i >= m, w.gain * w.decay ** (w.hop - 1 + m - i), 0)
        weights, early = (
            jnp.asarray(weights, right.dtype),
            squares[:, w.lags : 2 * w.lags + 1],
        )  # r[0..D]^2
        return jnp.einsum("mi,bic->bmc", weights, early, precision=lax.Precision.HIGHEST)

    head = lax.cond(index == 1, start_head, lambda _: head * w.decay**w.hop, squares)
    cross = _correlate(w, cross, left, right)
    left_energy = _decayed_sum(w, left_energy, left * left)
    energy = _decayed_sum(w, energy, later[:, : w.hop])
    around = jnp.concatenate(
        [energy[:, None], _running_energy(w, energy, later[:, w.hop :])], axis=1
    )
    return (cross, left_energy, energy, head), _best_lag(w, cross, left_energy, around + head)


def _short_hops(w: CorrelationSettings, state, index, left, right):
    """A step of several hops, RR carried with its lag axis as the equations have it."""
    ones = jnp.ones_like(left[:, : w.hop])

    def one(state, start):
        cross, left_energy, right_energy = state
        l = lax.dynamic_slice_in_dim(left, start, w.hop, 1)
        r = lax.dynamic_slice_in_dim(right, start, w.hop + 2 * w.lags, 1)
        # before the sound starts r[n + m] is not counted, whatever the lag
        begun = ((index - 1) * w.step + start >= 0).astype(left.dtype)
        cross = _correlate(w, cross, l, r)
        right_energy = _correlate(w, right_energy, ones, begun * r * r)
        left_energy = _decayed_sum(w, left_energy, l * l)
        return (cross, left_energy, right_energy), _best_lag(w, cross, left_energy, right_energy)

    return lax.scan(one, state, jnp.arange(0, w.step, w.hop))


class Carry(NamedTuple):
    """What a step of the scan leaves for the next; `clips` sounds, C channels."""

    number: jnp.ndarray  # number of the next step; step 0 begins step - D samples early
    source: tuple  # whatever `ears` needs, the filterbank's states
    left: jnp.ndarray  # (clips, D, C), the last samples of the left ear
    right: jnp.ndarray  # (clips, 2 D, C), of the right
    energies: tuple  # running sums


def initial_state(w: CorrelationSettings, clips: int, channels: int, source, dtype) -> Carry:
    """Before the first step: silence."""

    def zeros(*shape):
        return jnp.zeros((clips, *shape, channels), dtype)

    span = 2 * w.lags + 1
    extra = (zeros(), zeros(span)) if w.hop == w.step else (zeros(span),)
    return Carry(
        jnp.int32(0), source, zeros(w.lags), zeros(2 * w.lags), (zeros(span), zeros(), *extra)
    )


def scan_steps(w: CorrelationSettings, carry: Carry, pieces, ears, end):
    """The next steps of a sound of `end` samples, `pieces` (steps, clips, 2, step, ...) of both ears.

    `ears` turns (source, (clips, 2, step, ...)) into (source, (.., C)). Gives Carry, cues (hops, clips, C).
    """
    advance = _long_hop if w.hop == w.step else _short_hops

    def one(carry, piece):
        source, y = ears(carry.source, piece)
        # the filters ring on, but after its end a sound is zero by definition
        ahead = carry.number * w.step - (w.step - w.lags)  # number of the first sample in y
        y = jnp.where((ahead + np.arange(w.step) < end)[:, None], y, 0)
        left = jnp.concatenate([carry.left, y[:, 0]], axis=1)  # clips, step + D, C
        right = jnp.concatenate([carry.right, y[:, 1]], axis=1)  # clips, step + 2 D, C
        energies, cues = advance(w, carry.energies, carry.number, left[:, : w.step], right)
        return Carry(
            carry.number + 1, source, left[:, w.step :], right[:, w.step :], energies
        ), cues

    carry, cues = lax.scan(one, carry, pieces)
    # of short hops each is (steps, hops, clips, C)
    return carry, cues if advance is _long_hop else tuple(c.reshape(-1, *c.shape[2:]) for c in cues)


def scan_cues(w: CorrelationSettings, samples: int, channels: int, rows, source, ears, dtype):
    """`scan_steps` over whole sounds or envelopes, `rows` (clips, 2, samples, ...): cues (clips, C, hops)."""
    clips, hops = len(rows), samples // w.hop
    if hops < 1:
        raise ValueError(f"the sound has {samples} samples, fewer than one hop of {w.hop}")
    # the scan looks D samples ahead: it starts a step early, with silence
    steps = math.ceil(hops * w.hop / w.step) + 1
    pad, early = [(0, 0, 0)] * rows.ndim, w.step - w.lags
    pad[2] = (early, steps * w.step - early - samples, 0)  # below 0 it cuts off what is not needed
    rows = lax.pad(rows, jnp.zeros((), rows.dtype), pad)
    pieces = jnp.moveaxis(rows.reshape(clips, 2, steps, w.step, *rows.shape[3:]), 2, 0)
    _, cues = scan_steps(w, initial_state(w, clips, channels, source, dtype), pieces, ears, samples)
    return tuple(jnp.moveaxis(c[w.step // w.hop :][:hops], 0, -1) for c in cues)

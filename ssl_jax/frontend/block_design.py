"""Filterbanks as sums of modes and as matrices over blocks, designed on the host in float64.

Every filter here is a sum of complex modes. A pole p of order M (four for a gammatone) stands for M
cascaded one-pole filters,

    q_0[n] = x[n]        q_m[n] = p q_m[n-1] + q_(m-1)[n],  m = 1..M

and the output is a weighted sum of their real parts,

    y[n] = constant x[n] + 2 Re sum_m weight_m q_m[n]

So a block of samples is filtered exactly by two matrix products: one with the block's own
samples, one with the modes' states, which hold all samples before.

In shapes: C channels, K poles of the upper half plane a channel, M orders a pole, S = 2 K M real
states a channel, B samples a block.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import signal as sps
from scipy.special import comb

from ssl_jax.frontend.filter_design import (
    FILTERS,
    allpole_sos,
    as_cfs,
    erb,
    gammatone_pole,
    gammatone_sos,
)

# A band-pass edge has to stay below fs / 2: `scipy.signal.butter` takes no less.
HIGHEST_EDGE = 0.499  # of fs

# Longer blocks are faster on CPU up to here (16 to 64 measured).
BLOCK = 64  # samples


@dataclass(frozen=True)
class Modes:
    """A filterbank as a sum of modes, of poles p_k in the upper half plane and orders m.

    H(z) = constant + sum over k, m of weight[k, m-1] / (1 - p_k / z)^m, and the same with each
    pole's and weight's conjugate.
    """

    pole: np.ndarray  # (K, C) complex
    weight: np.ndarray  # (K, M, C) complex
    constant: np.ndarray  # (C,)


def _modes(fs: float, cfs: tuple[float, ...], filter_type: str) -> Modes:
    """The modes of one of FILTERS."""
    if filter_type == "butterworth":
        return _butterworth_modes(fs, cfs)
    if filter_type == "allpole":
        return _four_fold_modes(gammatone_pole(fs, np.asarray(cfs)), allpole_sos(fs, cfs))
    return _four_fold_modes(gammatone_pole(fs, np.asarray(cfs)), gammatone_sos(fs, cfs))


def _four_fold_modes(pole: np.ndarray, sos: np.ndarray) -> Modes:
    """Modes of four sections (C, 4, 6) that share the poles p and p*, by a Taylor series.

    With v = 1 - p / z and r = p* / p a section is

              b0 + b1 / z                   (b0 + b1 / p) - (b1 / p) v
        --------------------------    =    ----------------------------
        (1 - p / z) (1 - p* / z)               v ((1 - r) + r v)

    The product of the four is F(v) / v^4. The first four Taylor coefficients of F are the weights
    of 1 / v^4 .. 1 / v; the rest of F belongs to the conjugate pole. No constant is left, because
    the numerator has the lower degree.
    """
    ratio = pole.conj() / pole
    series = np.zeros((4, len(pole)), complex)  # Taylor coefficients of F, v^0 first
    series[0] = 1.0
    for section in range(4):
        b0 = sos[:, section, 0]
        b1 = sos[:, section, 1]
        product = (b0 + b1 / pole) * series
        product[1:] -= b1 / pole * series[:-1]
        # division by (1 - r) + r v, from the lowest power up
        series[0] = product[0] / (1 - ratio)
        for power in range(1, 4):
            series[power] = (product[power] - ratio * series[power - 1]) / (1 - ratio)
    # the coefficient of v^i belongs to the order m = 4 - i
    weight = series[::-1]
    return Modes(pole[None], weight[None], np.zeros(len(pole)))


def _butterworth_modes(fs: float, cfs: tuple[float, ...]) -> Modes:
    """Modes of 6th-order Butterworth band-passes, one ERB wide, whose poles are all simple."""
    poles = []
    weights = []
    constants = []
    highest = HIGHEST_EDGE * fs
    for f in cfs:
        low = f - erb(f) / 2
        high = min(f + erb(f) / 2, highest)
        if not 0 < low < f < highest:
            raise ValueError(
                f"centre frequencies must be above half their ERB and below {highest} Hz"
            )
        zeros, p, gain = sps.butter(3, (low, high), "bandpass", fs=fs, output="zpk")
        # residues: the other factors at each pole; eye stands for the pole's own
        numerator = np.prod(1 - zeros[None] / p[:, None], axis=1)
        denominator = np.prod(1 - p[None] / p[:, None] + np.eye(len(p)), axis=1)
        weight = gain * numerator / denominator
        upper = p.imag > 0
        poles.append(p[upper])
        weights.append(weight[upper])
        # the impulse response starts with the gain
        constants.append(gain - 2 * weight[upper].real.sum())
    weight = np.array(weights).T  # (K, C)
    return Modes(np.array(poles).T, weight[:, None], np.array(constants))


@dataclass(frozen=True)
class BlockFilter:
    """A filterbank over blocks of B samples.

    From samples x and states q at the start: the output is x `direct` + q `observe`, the states
    at the end are x `inject` + `advance` q.
    """

    direct: np.ndarray  # (B, B, C): input sample, output sample
    inject: np.ndarray  # (B, S, C): input sample, state at the end
    observe: np.ndarray  # (S, B, C): state at the start, output sample
    advance: np.ndarray  # (S, S, C): state at the end, state at the start
    steady: np.ndarray  # (S, C): states under a constant input of 1

    @property
    def block(self) -> int:
        """Samples a block, B."""
        return len(self.direct)


def _mode_responses(modes: Modes, block: int) -> tuple[np.ndarray, np.ndarray]:
    """What the modes do by themselves.

    Returns
    -------
    impulse : (B + 1, K, M, C)
        [n, k, m-1]: q_m[n] for x[0] = 1, which is C(n + m - 1, m - 1) p^n.
    free : (B, K, M, M, C)
        [n-1, k, m-1, i-1]: q_m[n], n = 1..B, for q_i[0] = 1: C(n - 1 + m - i, m - i) p^n.
    """
    count, order, channels = modes.weight.shape  # K, M, C
    n = np.arange(block + 1)
    power = modes.pole ** n[:, None, None]  # (B + 1, K, C)
    # binomials[j, n] = C(n + j, j), whole numbers that `comb` gives with rounding errors
    binomials = np.round([comb(n + j, j) for j in range(order)])
    binomials = binomials[:, :, None, None]  # (M, B + 1, 1, 1)
    impulse = np.stack([binomial * power for binomial in binomials], axis=2)
    free = np.zeros((block, count, order, order, channels), complex)
    for m in range(order):
        for i in range(m + 1):
            free[:, :, m, i] = binomials[m - i, :-1] * power[1:]
    return impulse, free


def _real_states(states: np.ndarray) -> np.ndarray:
    """(..., K, M, C) complex as (..., S, C): the real parts, then the imaginary ones."""
    *leading, count, order, channels = states.shape
    flat = states.reshape(*leading, count * order, channels)
    return np.concatenate([flat.real, flat.imag], axis=-2)


def _advance_matrix(transition: np.ndarray) -> np.ndarray:
    """`BlockFilter.advance` from each pole's own, (K, M at the end, M at the start, C)."""
    count, order, _, channels = transition.shape
    # a pole's states depend on no other pole's
    between = np.zeros((count, order, count, order, channels), complex)
    for k in range(count):
        between[k, :, k] = transition[k]
    matrix = between.reshape(count * order, count * order, channels)
    # a complex product as a real one
    to_real = np.concatenate([matrix.real, -matrix.imag], axis=1)
    to_imaginary = np.concatenate([matrix.imag, matrix.real], axis=1)
    return np.concatenate([to_real, to_imaginary])


@lru_cache(maxsize=32)
def block_filter(
    fs: float, cfs: tuple[float, ...], block: int, filter_type: str = "gammatone"
) -> BlockFilter:
    """Design a filterbank (`fs` and `cfs` in Hz) for blocks of `block` samples, in float64."""
    modes = _modes(fs, cfs, filter_type)
    impulse, free = _mode_responses(modes, block)
    orders = np.arange(1, modes.weight.shape[1] + 1)  # m = 1..M
    # q_m grows like (1 / (1 - |p|))^m. Scaled by this, all states are about as large as the output.
    scale = (1 - np.abs(modes.pole))[:, None] ** orders[:, None]  # (K, M, C)

    # the filterbank's impulse response, (B, C)
    response = 2 * np.einsum("kmc,nkmc->nc", modes.weight, impulse[:block]).real
    response[0] += modes.constant
    samples = np.arange(block)
    delay = samples - samples[:, None]  # (B, B): output sample minus input sample
    direct = np.where((delay >= 0)[..., None], response[delay], 0)

    # a block's first sample acts for B - 1 samples until its end, the last for none
    inject = _real_states(impulse[block - 1 :: -1] * scale)

    # y[n] = 2 Re sum_i seen[n, i] (scaled q_i); Re(u q) = Re u* Re q + Im u* Im q
    seen = 2 * np.einsum("kmc,nkmic->nkic", modes.weight, free) / scale  # (B, K, M, C)
    observe = _real_states(seen.conj()).transpose(1, 0, 2)

    # from the scaled states i at the start to the scaled states m at the end
    transition = free[-1] * scale[:, :, None] / scale[:, None]  # (K, M, M, C)
    advance = _advance_matrix(transition)

    # under x = 1 each one-pole filter multiplies by 1 / (1 - p)
    steady = _real_states(scale / (1 - modes.pole)[:, None] ** orders[:, None])
    return BlockFilter(direct, inject, observe, advance, steady)


def block_filters(
    fs: float, cfs: ArrayLike | None, samples: int, filter_type: str = "gammatone"
) -> tuple[BlockFilter, ...]:
    """One or two banks for `samples` samples: blocks of the first repeated, then one of the second.

    Raises ValueError for a filter type or a centre frequency that cannot be.
    """
    if filter_type not in FILTERS:
        raise ValueError(
            f"filter_type {filter_type!r} is not known: use one of {', '.join(FILTERS)}"
        )
    sizes = _block_sizes(samples)
    return tuple(block_filter(float(fs), as_cfs(cfs, fs), size, filter_type) for size in sizes)


def steady_states(fs: float, cfs: ArrayLike | None, filter_type: str) -> np.ndarray:
    """States (S, C) under a constant input of 1; blocks of any length have the same."""
    (bank,) = block_filters(fs, cfs, 1, filter_type)
    return bank.steady


def _block_sizes(samples: int) -> list[int]:
    """One size from BLOCK / 2 that divides `samples`; if there is none, BLOCK and the rest."""
    shortest = min(samples, BLOCK // 2)
    divisors = [size for size in range(shortest, BLOCK + 1) if samples % size == 0]
    if divisors:
        return [divisors[-1]]
    return [BLOCK, samples % BLOCK]

"""Filterbanks designed on the host in float64: frequencies, sections, block matrices.

Every filter here is a sum of complex modes: a pole p of order m is m cascaded one-pole filters,
q_m[n] = p q_m[n-1] + q_(m-1)[n] with q_0 = x, and the output a weighted sum of the real parts. (A
gammatone has one pole of order four.) A block of samples is therefore filtered exactly by one matrix
product with the block's own samples plus the free response of the modes' states, a handful of real
numbers per channel, left by all samples before.
"""

from functools import lru_cache
from math import comb
from typing import NamedTuple

import numpy as np
from scipy import signal as sps

EAR_Q = 9.26449  # Glasberg & Moore (1990)
MIN_BANDWIDTH = 24.7  # Hz, Glasberg & Moore (1990)
FILTERS = ("gammatone", "allpole", "butterworth")
BLOCK = 64  # samples per matrix product at most; 16 to 64 measured, larger is faster on CPU


def erb(f):
    """Equivalent rectangular bandwidth in Hz at `f` Hz (Glasberg & Moore 1990)."""
    return MIN_BANDWIDTH + np.asarray(f, np.float64) / EAR_Q


def centre_frequencies(fs: float, channels: int = 32, low_freq: float = 80.0, high_freq=None):
    """Centre frequencies evenly spaced on the ERB scale, highest first.

    Parameters
    ----------
    fs : float, Hz
    channels : int
    low_freq : float, Hz
        The last centre frequency.
    high_freq : float, Hz, optional
        The scale ends one step above the first centre frequency; fs / 2 unless given.

    Returns
    -------
    cfs : (channels,) float64, Hz, descending

    Notes
    -----
    Slaney (1993), Apple TR 35, `ERBSpace`.
    """
    high_freq = fs / 2 if high_freq is None else high_freq
    if not 0 < low_freq < high_freq <= fs / 2 or channels < 1:
        needs = "need 0 < low_freq < high_freq <= fs / 2 and channels >= 1"
        raise ValueError(f"{needs}, not {low_freq}, {high_freq}, {fs / 2}, {channels}")
    offset = EAR_Q * MIN_BANDWIDTH
    step = np.log((low_freq + offset) / (high_freq + offset)) / channels
    return (high_freq + offset) * np.exp(step * np.arange(1, channels + 1)) - offset


def gammatone_sos(fs: float, cfs) -> np.ndarray:
    """Slaney's gammatone as second-order sections, as `scipy.signal.sosfilt` takes them.

    Parameters
    ----------
    fs : float, Hz
    cfs : (channels,), Hz, below fs / 2

    Returns
    -------
    sos : (channels, 4, 6) float64, unit gain at the centre frequency

    Notes
    -----
    Slaney (1993), Apple TR 35, equations 8 to 14 (`MakeERBFilters`).
    """
    cfs = np.asarray(cfs, np.float64)
    if cfs.ndim != 1 or not ((cfs > 0) & (cfs < fs / 2)).all():
        raise ValueError(f"centre frequencies must be a list between 0 and fs / 2 = {fs / 2} Hz")
    t = 1.0 / fs
    pole = _pole(fs, cfs)
    roots = [s * np.sqrt(3 + r * 2**1.5) for r in (1, -1) for s in (1, -1)]
    a1 = [-t * (pole.real + root * pole.imag) for root in roots]
    z = np.exp(2j * np.pi * cfs * t)
    response = np.prod([t + a / z for a in a1], axis=0)
    response /= (1 - 2 * pole.real / z + np.abs(pole) ** 2 / z**2) ** 4
    gain = np.abs(response) ** 0.25
    one, zero = np.ones_like(cfs), np.zeros_like(cfs)
    sections = [
        np.stack([t / gain, a / gain, zero, one, -2 * pole.real, np.abs(pole) ** 2], axis=-1) for a in a1
    ]
    return np.stack(sections, axis=1)


def _pole(fs: float, cfs: np.ndarray) -> np.ndarray:
    """The pole in the upper half plane; 1.019 ERB makes the four-fold pole's bandwidth."""
    return np.exp((2j * np.pi * cfs - 1.019 * 2 * np.pi * erb(cfs)) / fs)


def allpole_sos(fs: float, cfs) -> np.ndarray:
    """All-pole gammatone: Slaney's poles, no zeros, unit gain at the centre frequency.

    Parameters and result as in `gammatone_sos`; Lyon (1996), "The all-pole gammatone filter and
    auditory models".
    """
    sos = gammatone_sos(fs, cfs)
    z = np.exp(2j * np.pi * np.asarray(cfs) / fs)[:, None]
    gain = np.abs(1 + sos[..., 4] / z + sos[..., 5] / z**2)
    sos[..., :3] = np.stack([gain, 0 * gain, 0 * gain], axis=-1)
    return sos


def butterworth_sos(fs: float, cfs) -> np.ndarray:
    """6th-order Butterworth band-pass filters, one ERB wide: (channels, 3, 6) sections.

    An upper edge beyond 0.499 fs is held there.
    """
    return np.stack([sps.butter(3, edges, "bandpass", fs=fs, output="sos") for edges in _edges(fs, cfs)])


def _edges(fs: float, cfs) -> list[tuple[float, float]]:
    """Lower and upper edge of each band, Hz."""
    cfs = np.asarray(cfs, np.float64)
    if not ((cfs - erb(cfs) / 2 > 0) & (cfs < 0.499 * fs)).all():
        raise ValueError(f"centre frequencies must be above half their ERB and below {0.499 * fs} Hz")
    return [(f - erb(f) / 2, min(f + erb(f) / 2, 0.499 * fs)) for f in cfs]


class Modes(NamedTuple):
    """H(z) = constant + 2 Re sum over k, m of weight[k, m-1] / (1 - pole[k] / z)^m, C channels."""

    pole: np.ndarray  # (K, C) complex, of the upper half plane
    weight: np.ndarray  # (K, order, C) complex
    constant: np.ndarray  # (C,)


def _partial_fractions_repeated(sos: np.ndarray, pole: np.ndarray) -> Modes:
    """Partial fractions of four sections that share one pole pair.

    Taylor expansion in v = 1 - p/z of numerator * (1 - p*/z)^-4 about v = 0.
    """
    series = np.zeros((4, len(pole)), complex)
    series[0] = 1.0
    ratio = pole.conj() / pole
    for k in range(4):
        b0, b1 = sos[:, k, 0], sos[:, k, 1]
        product = (b0 + b1 / pole) * series
        product[1:] -= b1 / pole * series[:-1]
        # divide by (1 - ratio) + ratio v
        series = np.zeros_like(product)
        for i in range(4):
            before = series[i - 1] if i else 0.0
            series[i] = (product[i] - ratio * before) / (1 - ratio)
    # the coefficient of v^k belongs to order m = 4 - k
    return Modes(pole[None], series[::-1][None], np.zeros(len(pole)))


def _partial_fractions_simple(fs: float, cfs) -> Modes:
    """Partial fractions of the Butterworth filters, whose poles are all simple."""
    poles, weights, constants = [], [], []
    for edges in _edges(fs, cfs):
        zeros, p, gain = sps.butter(3, edges, "bandpass", fs=fs, output="zpk")
        others = 1 - p[None] / p[:, None] + np.eye(len(p))
        weight = gain * np.prod(1 - zeros[None] / p[:, None], axis=1) / np.prod(others, axis=1)
        upper = p.imag > 0
        poles.append(p[upper])
        weights.append(weight[upper])
        constants.append(gain - 2 * weight[upper].real.sum())
    return Modes(np.array(poles).T, np.array(weights).T[:, None], np.array(constants))


def _modes(fs: float, cfs: tuple, filter_type: str) -> Modes:
    """Any of FILTERS as a sum of modes."""
    if filter_type == "butterworth":
        return _partial_fractions_simple(fs, cfs)
    sections = {"gammatone": gammatone_sos, "allpole": allpole_sos}[filter_type]
    return _partial_fractions_repeated(sections(fs, cfs), _pole(fs, np.asarray(cfs)))


class BlockFilter(NamedTuple):
    """A filterbank as a state space over blocks of `block` samples; `channels` channels, S states each.

    With x the samples of a block and q the states at its start, of one channel:
    y = x D + q C are its outputs, and x B + A q the states at its end.
    """

    D: np.ndarray  # (block, block, channels): input sample i -> output sample t
    B: np.ndarray  # (block, S, channels): input sample i -> states at the end
    C: np.ndarray  # (S, block, channels): states at the start -> output sample t
    A: np.ndarray  # (S, S, channels): states at the start -> states at the end
    steady: np.ndarray  # (S, channels): state reached under a constant input of 1


@lru_cache(maxsize=32)
def block_filter(fs: float, cfs: tuple, block: int, filter_type: str = "gammatone") -> BlockFilter:
    """Design a filterbank (fs and cfs in Hz) for blocks of `block` samples, in float64."""
    pole, weight, constant = _modes(fs, cfs, filter_type)
    count, order, channels = weight.shape
    n, m = np.arange(block + 1), range(1, order + 1)
    power = pole ** n[:, None, None]  # (n, k, C)
    # states are kept near the size of the output: q_m grows like (1 / (1 - |p|))^m
    scale = (1 - np.abs(pole))[:, None] ** np.arange(1, order + 1)[:, None]  # (k, m, C)

    def choose(lower):  # n over lower, as the powers of a cascade have it
        return np.array([comb(int(i) + lower, lower) for i in n], float)[:, None, None]

    # q_m at n for a unit impulse at 0, and q_m at n for q_i = 1 at 0
    impulse = np.stack([choose(k - 1) * power for k in m], axis=2)  # (n, k, m, C)
    free = np.zeros((block, count, order, order, channels), complex)  # (n - 1, k, m, i, C)
    for a in m:
        for i in range(1, a + 1):
            ways = [comb(int(t) + a - i - 1, a - i) for t in n[1:]]
            free[:, :, a - 1, i - 1] = np.array(ways, float)[:, None, None] * power[1:]

    h = 2 * np.einsum("kmc,nkmc->nc", weight, impulse[:block]).real
    h[0] += constant
    direct = np.zeros((block, block, channels))
    for i in range(block):
        direct[i, i:] = h[: block - i]

    def parts(states, axis):  # (.., k, m, C) complex -> (.., S, C): real parts, then imaginary
        flat = states.reshape(*states.shape[:-3], count * order, channels)
        return np.concatenate([flat.real, flat.imag], axis=axis)

    inject = parts(impulse[block - 1 :: -1] * scale, -2)
    seen = 2 * np.einsum("kmc,nkmic->nkic", weight, free) / scale
    observe = parts(seen.conj(), -2).transpose(1, 0, 2)
    last = np.zeros((count, order, count, order, channels), complex)
    for k in range(count):
        last[k, :, k] = free[-1, k] * scale[k][:, None] / scale[k][None]
    last = last.reshape(count * order, count * order, channels)
    steady = parts(scale / (1 - pole)[:, None] ** np.arange(1, order + 1)[:, None], -2)
    return BlockFilter(direct, inject, observe, _as_real(last), steady)


def _as_real(last: np.ndarray) -> np.ndarray:
    """A complex (S/2, S/2, C) product as a real (S, S, C) one."""
    top = np.concatenate([last.real, -last.imag], axis=1)
    return np.concatenate([top, np.concatenate([last.imag, last.real], axis=1)], axis=0)


def block_filters(fs: float, cfs, samples: int, filter_type: str = "gammatone") -> tuple[BlockFilter, ...]:
    """One or two banks for `samples` samples: blocks of the first repeated, then the second for the rest.

    Raises
    ------
    ValueError
        Unknown filter type, or a centre frequency outside 0 to fs / 2.
    """
    if filter_type not in FILTERS:
        raise ValueError(f"filter_type {filter_type!r} is not known: use one of {', '.join(FILTERS)}")
    cfs = tuple(float(f) for f in np.asarray(cfs).ravel())
    whole = [b for b in range(min(samples, BLOCK // 2), BLOCK + 1) if samples % b == 0]
    sizes = [whole[-1]] if whole else [BLOCK] * (samples >= BLOCK) + [samples % BLOCK]
    return tuple(block_filter(float(fs), cfs, size, filter_type) for size in sizes)

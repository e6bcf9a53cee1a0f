"""Gammatone filterbanks designed on the host in float64: frequencies, sections, block matrices.

A Slaney gammatone is an exact recursion with one complex pole p of order four: its output is a
weighted sum of four cascaded one-pole filters, q_m[n] = p q_m[n-1] + q_(m-1)[n] with q_0 = x.
A block of samples is therefore filtered by one matrix product with the block's own samples plus
the free response of the four states, eight real numbers per channel, left by all samples before.
"""

from functools import lru_cache
from math import comb
from typing import NamedTuple

import numpy as np

EAR_Q = 9.26449  # Glasberg & Moore (1990)
MIN_BANDWIDTH = 24.7  # Hz, Glasberg & Moore (1990)
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
        raise ValueError(
            f"need 0 < low_freq < high_freq <= fs / 2 and channels >= 1, "
            f"not {low_freq}, {high_freq}, {fs / 2}, {channels}"
        )
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
        np.stack([t / gain, a / gain, zero, one, -2 * pole.real, np.abs(pole) ** 2], axis=-1)
        for a in a1
    ]
    return np.stack(sections, axis=1)


def _pole(fs: float, cfs: np.ndarray) -> np.ndarray:
    """The pole in the upper half plane; 1.019 ERB makes the four-fold pole's bandwidth."""
    return np.exp((2j * np.pi * cfs - 1.019 * 2 * np.pi * erb(cfs)) / fs)


class BlockFilter(NamedTuple):
    """A filterbank ready for blocks of B samples; C channels, 8 state numbers each."""

    direct: np.ndarray  # (B, B, C): input sample i of the block -> output sample t
    inject: np.ndarray  # (B, 8, C): input sample i -> states at the end of the block
    observe: np.ndarray  # (8, B, C): states at the start -> output sample t
    advance: np.ndarray  # (8, 8, C): states at the start -> states at the end


def _partial_fractions(sos: np.ndarray, pole: np.ndarray) -> np.ndarray:
    """g (4, C) with H = 2 Re sum_m g_m / (1 - p/z)^m, m = 1..4, of a 4-fold pole pair.

    Taylor expansion in v = 1 - p/z of numerator * (1 - p*/z)^-4 about v = 0.
    """
    series = np.zeros((4, len(pole)), complex)
    series[0] = 1.0

    def times(series, constant, linear):
        out = constant * series
        out[1:] += linear * series[:-1]
        return out

    ratio = pole.conj() / pole
    for k in range(4):
        b0, b1 = sos[:, k, 0], sos[:, k, 1]
        series = times(series, b0 + b1 / pole, -b1 / pole)
        # divide by (1 - ratio) + ratio v
        quotient = np.zeros_like(series)
        for i in range(4):
            before = quotient[i - 1] if i else 0.0
            quotient[i] = (series[i] - ratio * before) / (1 - ratio)
        series = quotient
    return series[::-1]  # coefficient of v^k belongs to order m = 4 - k


@lru_cache(maxsize=32)
def block_filter(fs: float, cfs: tuple, block: int) -> BlockFilter:
    """Design the gammatone filterbank for blocks of `block` samples.

    Parameters
    ----------
    fs : float, Hz
    cfs : tuple of float, Hz
    block : int
        Samples per block.

    Returns
    -------
    BlockFilter of float64 arrays, C = len(cfs) channels.
    """
    pole = _pole(fs, np.asarray(cfs))
    g = _partial_fractions(gammatone_sos(fs, cfs), pole)
    # states are kept near the size of the output: q_m grows like (1 / (1 - |p|))^m
    scale = (1 - np.abs(pole)) ** np.arange(1, 5)[:, None]

    def free(n, m, i):  # q_i at time 0 -> q_m at time n >= 1 (or input -> q_m when i = 1, n + 1)
        return comb(n + m - i - 1, m - i) * pole**n if m >= i else np.zeros_like(pole)

    def real(matrix):  # (.., out re/im, in re/im): a complex product as a real one
        return np.array([[matrix.real, -matrix.imag], [matrix.imag, matrix.real]])

    channels = len(pole)
    impulse = np.array(  # q_m at n for a unit impulse at 0
        [[comb(n + m - 1, m - 1) * pole**n for m in range(1, 5)] for n in range(block)]
    )  # (n, m, C)
    h = 2 * np.einsum("mc,nmc->nc", g, impulse).real
    direct = np.zeros((block, block, channels))
    for i in range(block):
        direct[i, i:] = h[: block - i]
    ends = impulse[::-1] * scale  # (i, m, C)
    inject = np.concatenate([ends.real, ends.imag], axis=1)
    decay = np.array([[[free(n, m, i) for i in range(1, 5)] for m in range(1, 5)]
                      for n in range(1, block + 1)])  # (n, m, i, C)
    seen = 2 * np.einsum("mc,nmic->nic", g, decay) / scale
    observe = np.concatenate([seen.real, -seen.imag], axis=1).transpose(1, 0, 2)
    last = real(decay[-1] * scale[:, None] / scale[None])  # (2, 2, m, i, C)
    advance = last.transpose(0, 2, 1, 3, 4).reshape(8, 8, channels)
    return BlockFilter(direct, inject, observe, advance)


def design(fs: float, cfs, samples: int, filter_type: str = "gammatone") -> tuple[BlockFilter, ...]:
    """Banks whose blocks, one after the other and each repeated, make up `samples` samples.

    Raises
    ------
    ValueError
        Unknown filter type, or a centre frequency outside 0 to fs / 2.
    """
    if filter_type != "gammatone":
        raise ValueError(f"filter_type {filter_type!r} is not known: use 'gammatone'")
    cfs = tuple(float(f) for f in np.asarray(cfs).ravel())
    whole = [b for b in range(min(samples, BLOCK // 2), BLOCK + 1) if samples % b == 0]
    sizes = [whole[-1]] if whole else [BLOCK] * (samples >= BLOCK) + [samples % BLOCK]
    return tuple(block_filter(float(fs), cfs, size) for size in sizes)

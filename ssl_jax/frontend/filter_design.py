"""Filterbanks designed on the host in float64: frequencies, sections, block matrices.

Every filter here is a sum of complex modes: a pole p of order m (four for a gammatone) is m cascaded
one-pole filters, q_m[n] = p q_m[n-1] + q_(m-1)[n] with q_0 = x, and the output a weighted sum of the
real parts. A block of samples is therefore filtered exactly by one matrix product with the block's own
samples plus the free response of the modes' states, left by all samples before.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import signal as sps
from scipy.special import comb

EAR_Q, MIN_BANDWIDTH = 9.26449, 24.7  # Glasberg & Moore (1990); Hz
FILTERS = ("gammatone", "allpole", "butterworth")
BLOCK = 64  # samples per matrix product at most; 16 to 64 measured, larger is faster on CPU


def erb(f: ArrayLike) -> np.ndarray:
    """Equivalent rectangular bandwidth in Hz at `f` Hz (Glasberg & Moore 1990)."""
    return MIN_BANDWIDTH + np.asarray(f, np.float64) / EAR_Q


def centre_frequencies(
    fs: float, channels=32, low_freq=80.0, high_freq: float | None = None
) -> np.ndarray:
    """Centre frequencies (channels,) in Hz, evenly spaced on the ERB scale, highest first.

    The last is `low_freq`; the scale ends one step above the first, at `high_freq` (fs / 2 unless given).
    Slaney (1993), Apple TR 35, `ERBSpace`. Raises ValueError for limits that make no sense.
    """
    high_freq = fs / 2 if high_freq is None else high_freq
    if not 0 < low_freq < high_freq <= fs / 2 or channels < 1:
        given = f"{low_freq}, {high_freq}, {fs / 2}, {channels}"
        raise ValueError(f"need 0 < low_freq < high_freq <= fs / 2 and channels >= 1, not {given}")
    offset = EAR_Q * MIN_BANDWIDTH
    step = np.log((low_freq + offset) / (high_freq + offset)) / channels
    return (high_freq + offset) * np.exp(step * np.arange(1, channels + 1)) - offset


def as_cfs(cfs: ArrayLike | None, fs: float) -> tuple[float, ...]:
    """Centre frequencies as a hashable tuple; the default 32 where none are given."""
    return tuple(
        np.asarray(centre_frequencies(fs) if cfs is None else cfs, np.float64).ravel().tolist()
    )


def gammatone_sos(fs: float, cfs: ArrayLike) -> np.ndarray:
    """Slaney's gammatone (1993), equations 8 to 14: sections (channels, 4, 6), of unit gain at `cfs` (Hz)."""
    cfs = np.asarray(cfs, np.float64)
    if cfs.ndim != 1 or not ((cfs > 0) & (cfs < fs / 2)).all():
        raise ValueError(f"centre frequencies must be a list between 0 and fs / 2 = {fs / 2} Hz")
    t, pole = 1.0 / fs, _pole(fs, cfs)
    roots = [s * np.sqrt(3 + r * 2**1.5) for r in (1, -1) for s in (1, -1)]
    a1 = [-t * (pole.real + root * pole.imag) for root in roots]
    z = np.exp(2j * np.pi * cfs * t)
    response = np.prod([t + a / z for a in a1], axis=0)
    response /= (1 - 2 * pole.real / z + np.abs(pole) ** 2 / z**2) ** 4
    gain = np.abs(response) ** 0.25
    shared = (np.zeros_like(cfs), np.ones_like(cfs), -2 * pole.real, np.abs(pole) ** 2)
    return np.stack([np.stack([t / gain, a / gain, *shared], axis=-1) for a in a1], axis=1)


def _pole(fs: float, cfs: np.ndarray) -> np.ndarray:
    """The pole in the upper half plane; 1.019 ERB makes the four-fold pole's bandwidth."""
    return np.exp((2j * np.pi * cfs - 1.019 * 2 * np.pi * erb(cfs)) / fs)


def allpole_sos(fs: float, cfs: ArrayLike) -> np.ndarray:
    """All-pole gammatone (Lyon 1996): Slaney's poles, no zeros, unit gain at the centre frequency."""
    sos = gammatone_sos(fs, cfs)
    z = np.exp(2j * np.pi * np.asarray(cfs) / fs)[:, None]
    gain = np.abs(1 + sos[..., 4] / z + sos[..., 5] / z**2)
    sos[..., :3] = np.stack([gain, 0 * gain, 0 * gain], axis=-1)
    return sos


def _modes(fs: float, cfs: tuple, filter_type: str) -> tuple[np.ndarray, ...]:
    """Any of FILTERS as pole (K, C), of the upper half plane, weight (K, order, C) and constant (C,):
    H(z) = constant + 2 Re sum over k, m of weight[k, m-1] / (1 - pole[k] / z)^m. For four sections that
    share a pole pair: Taylor expansion in v = 1 - p/z of numerator * (1 - p*/z)^-4 about v = 0."""
    if filter_type == "butterworth":
        return _butterworth_modes(fs, cfs)
    sos = (gammatone_sos if filter_type == "gammatone" else allpole_sos)(fs, cfs)
    pole = _pole(fs, np.asarray(cfs))
    series = np.zeros((4, len(pole)), complex)
    series[0], ratio = 1.0, pole.conj() / pole
    for k in range(4):
        b0, b1 = sos[:, k, 0], sos[:, k, 1]
        product = (b0 + b1 / pole) * series
        product[1:] -= b1 / pole * series[:-1]
        series[0] = product[0] / (1 - ratio)  # divided by (1 - ratio) + ratio v
        for i in range(1, 4):
            series[i] = (product[i] - ratio * series[i - 1]) / (1 - ratio)
    return (
        pole[None],
        series[::-1][None],
        np.zeros(len(pole)),
    )  # that of v^k belongs to order m = 4 - k


def _butterworth_modes(fs: float, cfs) -> tuple[np.ndarray, ...]:
    """`_modes` of 6th-order Butterworth band-passes, one ERB wide, whose poles are all simple."""
    modes = []
    for f in cfs:
        low, high = f - erb(f) / 2, min(f + erb(f) / 2, 0.499 * fs)  # Hz
        if not 0 < low < f < 0.499 * fs:
            raise ValueError(
                f"centre frequencies must be above half their ERB and below {0.499 * fs} Hz"
            )
        zeros, p, gain = sps.butter(3, (low, high), "bandpass", fs=fs, output="zpk")
        others = 1 - p[None] / p[:, None] + np.eye(len(p))
        weight = gain * np.prod(1 - zeros[None] / p[:, None], axis=1) / np.prod(others, axis=1)
        upper = p.imag > 0
        modes.append((p[upper], weight[upper], gain - 2 * weight[upper].real.sum()))
    poles, weights, constants = map(np.array, zip(*modes))
    return poles.T, weights.T[:, None], constants


class BlockFilter(NamedTuple):
    """A filterbank over blocks: samples x and S states a channel, q, give x D + q C and states x B + A q."""

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
    n, m = np.arange(block + 1), np.arange(1, order + 1)
    power = pole ** n[:, None, None]  # (n, k, C)
    # (k, m, C); states are kept near the size of the output: q_m grows like (1 / (1 - |p|))^m
    scale = (1 - np.abs(pole))[:, None] ** m[:, None]
    cascade = np.round([comb(n + lower, lower) for lower in range(order)])[
        ..., None, None
    ]  # (m, n, 1, 1)

    # q_m at n for a unit impulse at 0, and q_m at n for q_i = 1 at 0
    impulse = np.stack([*(cascade * power)], axis=2)  # (n, k, m, C)
    free = np.zeros((block, count, order, order, channels), complex)  # (n - 1, k, m, i, C)
    for a in range(order):
        for i in range(a + 1):
            free[:, :, a, i] = cascade[a - i, :-1] * power[1:]
    h = 2 * np.einsum("kmc,nkmc->nc", weight, impulse[:block]).real
    h[0] += constant
    delay = n[:block] - n[:block, None]
    direct = np.where((delay >= 0)[..., None], h[delay], 0)

    def parts(states):  # (.., k, m, C) complex -> (.., S, C): real parts, then imaginary
        flat = states.reshape(*states.shape[:-3], count * order, channels)
        return np.concatenate([flat.real, flat.imag], axis=-2)

    inject = parts(impulse[block - 1 :: -1] * scale)
    seen = 2 * np.einsum("kmc,nkmic->nkic", weight, free) / scale
    observe = parts(seen.conj()).transpose(1, 0, 2)
    last = np.einsum("kl,kmic->kmlic", np.eye(count), free[-1] * scale[:, :, None] / scale[:, None])
    last = last.reshape(count * order, count * order, channels)
    rows = ([last.real, -last.imag], [last.imag, last.real])  # a complex product as a real one
    advance = np.concatenate([np.concatenate(row, axis=1) for row in rows])
    steady = parts(scale / (1 - pole)[:, None] ** m[:, None])
    return BlockFilter(direct, inject, observe, advance, steady)


def block_filters(
    fs: float, cfs, samples: int, filter_type: str = "gammatone"
) -> tuple[BlockFilter, ...]:
    """One or two banks for `samples` samples: blocks of the first repeated, then one of the second."""
    if filter_type not in FILTERS:
        raise ValueError(
            f"filter_type {filter_type!r} is not known: use one of {', '.join(FILTERS)}"
        )
    whole = [b for b in range(min(samples, BLOCK // 2), BLOCK + 1) if samples % b == 0]
    sizes = [whole[-1]] if whole else [BLOCK] * (samples >= BLOCK) + [samples % BLOCK]
    return tuple(block_filter(float(fs), as_cfs(cfs, fs), size, filter_type) for size in sizes)

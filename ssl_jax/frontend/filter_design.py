"""Filters designed on the host in float64: centre frequencies and second-order sections."""

import numpy as np
from numpy.typing import ArrayLike

# Glasberg & Moore (1990)
EAR_Q = 9.26449
MIN_BANDWIDTH = 24.7  # Hz

# Four cascaded one-pole filters of bandwidth 1.019 ERB are together one ERB wide (Slaney 1993).
POLE_BANDWIDTH = 1.019  # ERB

FILTERS = ("gammatone", "allpole", "butterworth")


def checked_rate(fs: float) -> float:
    """A sampling rate, Hz, as a float; ValueError for anything else."""
    try:
        rate = float(fs)
    except (TypeError, ValueError):
        rate = np.nan
    if not 0 < rate < np.inf:
        raise ValueError(f"fs {fs!r}: not a sampling rate in Hz")
    return rate


def erb(f: ArrayLike) -> np.ndarray:
    """Equivalent rectangular bandwidth in Hz at `f` Hz (Glasberg & Moore 1990)."""
    return MIN_BANDWIDTH + np.asarray(f, np.float64) / EAR_Q


def centre_frequencies(
    fs: float,
    channels: int = 32,
    low_freq: float = 80.0,
    high_freq: float | None = None,
) -> np.ndarray:
    """Centre frequencies evenly spaced on the ERB scale, highest first.

    `centre_frequencies(fs)[::-1]` has the lowest first, as librosa has it.

    Parameters
    ----------
    fs : float, Hz
    channels : int
    low_freq : float, Hz
        The last centre frequency.
    high_freq : float, Hz, optional
        The end of the scale, one step above the first centre frequency; fs / 2 unless given.

    Returns
    -------
    cfs : (channels,) float64, Hz

    Raises
    ------
    ValueError
        Limits that make no sense, channels that are no whole number, or no rate.

    Notes
    -----
    Slaney (1993), Apple TR 35, `ERBSpace`.
    """
    fs = checked_rate(fs)
    high_freq = fs / 2 if high_freq is None else high_freq
    if not 0 < low_freq < high_freq <= fs / 2 or channels < 1 or channels != int(channels):
        values = f"{low_freq}, {high_freq}, {fs / 2}, {channels}"
        raise ValueError(f"need 0 < low_freq < high_freq <= fs / 2, whole channels, not {values}")
    offset = EAR_Q * MIN_BANDWIDTH
    step = np.log((low_freq + offset) / (high_freq + offset)) / channels
    return (high_freq + offset) * np.exp(step * np.arange(1, channels + 1)) - offset


def as_cfs(cfs: ArrayLike | None, fs: float) -> tuple[float, ...]:
    """Centre frequencies as a hashable tuple; the default 32 for None.

    Raises ValueError for a rate that is none, and for a table of frequencies, or none at all.
    """
    fs = checked_rate(fs)
    if cfs is None:
        cfs = centre_frequencies(fs)
    cfs = np.asarray(cfs, np.float64)
    if cfs.ndim > 1 or cfs.size == 0:
        raise ValueError(f"centre frequencies must be a list, not of shape {cfs.shape}")
    return tuple(cfs.ravel().tolist())


def gammatone_sos(fs: float, cfs: ArrayLike) -> np.ndarray:
    """Slaney's gammatone filters as four second-order sections each.

    Parameters
    ----------
    fs : float, Hz
    cfs : (channels,), Hz

    Returns
    -------
    sos : (channels, 4, 6)
        Rows b0, b1, b2, a0, a1, a2 as SciPy has them; gain 1 at the centre frequency.

    Raises
    ------
    ValueError
        A centre frequency outside 0 to fs / 2.

    Notes
    -----
    Slaney (1993), Apple TR 35, equations 8 to 14. All sections share a pair of poles; each has a
    zero of its own.
    """
    cfs = np.asarray(cfs, np.float64)
    if cfs.ndim != 1 or not cfs.size or not ((cfs > 0) & (cfs < fs / 2)).all():
        raise ValueError(f"centre frequencies must be a list between 0 and fs / 2 = {fs / 2} Hz")
    t = 1.0 / fs
    pole = gammatone_pole(fs, cfs)
    roots = [
        np.sqrt(3 + 2**1.5),
        -np.sqrt(3 + 2**1.5),
        np.sqrt(3 - 2**1.5),
        -np.sqrt(3 - 2**1.5),
    ]
    b1 = [-t * (pole.real + root * pole.imag) for root in roots]
    a1 = -2 * pole.real
    a2 = np.abs(pole) ** 2
    z = np.exp(2j * np.pi * cfs * t)
    response = np.prod([t + b / z for b in b1], axis=0)
    response /= (1 + a1 / z + a2 / z**2) ** 4
    # the gain at the centre frequency, shared by the four sections
    gain = np.abs(response) ** 0.25
    zero, one = np.zeros_like(cfs), np.ones_like(cfs)
    sections = [np.stack([t / gain, b / gain, zero, one, a1, a2], axis=-1) for b in b1]
    return np.stack(sections, axis=1)


def gammatone_pole(fs: float, cfs: np.ndarray) -> np.ndarray:
    """A gammatone's pole in the upper half plane, (C,)."""
    return np.exp((2j * np.pi * cfs - POLE_BANDWIDTH * 2 * np.pi * erb(cfs)) / fs)


def allpole_sos(fs: float, cfs: ArrayLike) -> np.ndarray:
    """All-pole gammatone filters (Lyon 1996): `gammatone_sos` without zeros, gain 1 at `cfs`."""
    sos = gammatone_sos(fs, cfs)
    z = np.exp(2j * np.pi * np.asarray(cfs) / fs)[:, None]
    gain = np.abs(1 + sos[..., 4] / z + sos[..., 5] / z**2)  # (C, 4)
    sos[..., 0] = gain
    sos[..., 1:3] = 0
    return sos

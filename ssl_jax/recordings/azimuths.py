"""Azimuths of a recording over time, and how one or several are made of posteriors."""

from collections import namedtuple
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ssl_jax.config import AZIMUTH_STEP, AZIMUTHS
from ssl_jax.frontend.binaural_feature import Cues

PEAK_REACH = 10  # degrees on either side of the posterior's peak that count as the peak
REACH = PEAK_REACH // AZIMUTH_STEP  # the same in classes
SURE = 0.9  # confidence below this is flagged
AGREE = 0.7  # length of the windows' mean unit vector from which one azimuth stands for all
LEAST = 0.1  # share of a posterior that a second direction has at least
MOST = 4  # directions at a time


class Azimuths(NamedTuple):
    """Where a sound came from, in n windows."""

    times: np.ndarray  # (n,) s, middles of the windows
    azimuth: np.ndarray  # (n,) degrees, 0 <= azimuth < 360, 90 = left; NaN where nothing sounds
    confidence: np.ndarray  # (n,) share of the posterior within 10 degrees of its peak, 0..1
    mirrored: (
        np.ndarray
    )  # (n,) degrees: the same behind or in front, where it may be that; else NaN
    posterior: np.ndarray  # (n, 72), class = azimuth / 5 degrees
    flags: tuple[
        tuple[str, ...], ...
    ]  # of each window: why not to rely on it; empty if nothing is wrong
    notes: tuple[str, ...]  # of the whole recording
    model: str
    window: float  # s
    step: float  # s
    seconds: float  # of the recording
    fs: int  # Hz, of the recording
    cues: Cues | None  # (channels, columns) each, if asked for: averages over `seconds` / columns
    cfs: np.ndarray  # (channels,) Hz


Windows = namedtuple("Windows", "times azimuth confidence mirrored posterior flags")  # as they come


def _mean_about(posterior: np.ndarray, middle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Circular mean (degrees) and share of posteriors (..., 72) within 10 degrees of class `middle` (...)."""
    around = (middle[..., None] + np.arange(-REACH, REACH + 1)) % AZIMUTHS
    share = np.take_along_axis(posterior, around, -1)
    azimuth = np.degrees(np.angle((share * np.exp(2j * np.pi * around / AZIMUTHS)).sum(-1))) % 360
    return np.where(azimuth == 360, 0.0, azimuth), share.sum(-1)  # -1e-20 % 360 is 360


def peak_azimuth(posterior: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Azimuth (degrees) and confidence (...) of posteriors (..., 72): mean and share about the peak."""
    return _mean_about(np.asarray(posterior, float), np.argmax(posterior, -1))


def mirror_azimuth(posterior: ArrayLike) -> np.ndarray:
    """The peak's mirror image about the interaural axis, degrees (...), where it may be that; else NaN."""
    posterior = np.asarray(posterior, float)
    peak = posterior.argmax(-1)
    image = (AZIMUTHS // 2 - peak) % AZIMUTHS
    (_, share), (azimuth, other) = _mean_about(posterior, peak), _mean_about(posterior, image)
    apart = (
        np.abs((peak - image + AZIMUTHS // 2) % AZIMUTHS - AZIMUTHS // 2) * AZIMUTH_STEP
        > 2 * PEAK_REACH
    )
    either = apart & (share < SURE) & (other >= LEAST) & (share + other >= SURE)
    return np.where(either, azimuth, np.nan)


def directions(posterior: np.ndarray) -> list[tuple[float, float]]:
    """The peaks of a posterior (72,), highest first: azimuth (degrees) and share within 10 degrees of it."""
    rest, found = np.array(posterior, float), list[tuple[float, float]]()
    while len(found) < MOST:
        peak = np.asarray(rest.argmax())
        azimuth, share = _mean_about(rest, peak)
        if share < LEAST:
            break
        found.append((float(azimuth), float(share)))
        rest[(peak + np.arange(-2 * REACH, 2 * REACH + 1)) % AZIMUTHS] = 0
    return found


class Overall:
    """What all windows of a recording say together, in a few sums."""

    def __init__(self):
        self.vectors, self.weights = (
            np.zeros(2, complex),
            np.zeros(2),
        )  # of all that sounds; of flawless ones
        self.posterior, self.heard, self.windows, self.flagged = np.zeros(AZIMUTHS), 0, 0, 0

    def add(self, found) -> "Overall":
        """Count the windows of `found`, Windows or Azimuths."""
        heard, clean = (
            np.isfinite(found.azimuth),
            np.array([not flags for flags in found.flags], bool),
        )
        turn = np.exp(1j * np.radians(np.where(heard, found.azimuth, 0)))
        weights = np.stack([heard, heard & clean]) * found.confidence
        self.vectors += (weights * turn).sum(1)
        self.weights += weights.sum(1)
        self.posterior += found.posterior[heard].sum(0)
        self.heard, self.windows = self.heard + int(heard.sum()), self.windows + len(heard)
        self.flagged += int((~clean).sum())
        return self

    @property
    def azimuth(self) -> float:
        """Circular mean of the windows, degrees, weighed by confidence, of those without flags if there are
        any. NaN where they do not agree: it moves, or there are several."""
        k = int(self.weights[1] > 0)
        mean = self.vectors[k] / (self.weights[k] or 1)
        return float(np.degrees(np.angle(mean)) % 360) if abs(mean) > AGREE else float("nan")

    @property
    def directions(self) -> list[tuple[float, float]]:
        """Of the mean posterior of all windows that something sounds in: see `directions`."""
        return directions(self.posterior / max(self.heard, 1))


def mean_azimuth(found: Azimuths) -> float:
    """One azimuth for a whole recording, degrees: see `Overall.azimuth`."""
    return Overall().add(found).azimuth

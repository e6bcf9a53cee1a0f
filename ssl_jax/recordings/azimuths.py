"""Azimuths of a recording over time, and how one is made of a posterior or of many windows."""

from typing import NamedTuple

import numpy as np

from ssl_jax.config import AZIMUTH_STEP, AZIMUTHS
from ssl_jax.frontend.binaural_feature import Cues

PEAK_REACH = 10  # degrees on either side of the posterior's peak that count as the peak
AGREE = 0.7  # length of the windows' mean unit vector from which one azimuth stands for all


class Azimuths(NamedTuple):
    """Where a sound came from, in n windows."""

    times: np.ndarray  # (n,) s, middles of the windows
    azimuth: np.ndarray  # (n,) degrees, 0 <= azimuth < 360, 90 = left; NaN where nothing sounds
    confidence: np.ndarray  # (n,) share of the posterior within 10 degrees of its peak, 0..1
    posterior: np.ndarray  # (n, 72), class = azimuth / 5 degrees
    flags: tuple[tuple[str, ...], ...]  # of each window: why not to rely on it; empty if nothing is wrong
    notes: tuple[str, ...]  # of the whole recording
    model: str
    window: float  # s
    step: float  # s
    seconds: float  # of the recording
    fs: int  # Hz, of the recording
    cues: Cues | None  # (channels, columns) each, if asked for: averages over `seconds` / columns
    cfs: np.ndarray  # (channels,) Hz


def peak_azimuth(posterior) -> tuple[np.ndarray, np.ndarray]:
    """Azimuth (degrees) and confidence (...) of posteriors (..., 72): the circular mean of the classes within
    10 degrees of the highest, and what they hold of the posterior."""
    posterior = np.asarray(posterior, float)
    classes = PEAK_REACH // AZIMUTH_STEP
    reach = np.arange(-classes, classes + 1)
    around = (posterior.argmax(-1)[..., None] + reach) % AZIMUTHS
    share = np.take_along_axis(posterior, around, -1)
    mean = (share * np.exp(2j * np.pi * around / AZIMUTHS)).sum(-1)
    azimuth = np.degrees(np.angle(mean)) % 360
    return np.where(azimuth == 360, 0.0, azimuth), share.sum(-1)  # -1e-20 % 360 is 360


def mean_azimuth(found: Azimuths) -> float:
    """One azimuth for a whole recording, degrees: circular mean of its windows, weighed by confidence, of
    those without flags if there are any. NaN where they do not agree: it moves, or there are several."""
    heard = np.isfinite(found.azimuth)
    clean = heard & np.array([not flags for flags in found.flags])
    use = clean if clean.any() else heard
    weight = found.confidence[use]
    mean = (weight * np.exp(1j * np.radians(found.azimuth[use]))).sum() / weight.sum()
    return float(np.degrees(np.angle(mean)) % 360) if abs(mean) > AGREE else float("nan")

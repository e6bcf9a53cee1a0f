"""What a posterior over the 72 classes says: its peak, its mirror image, its directions."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ssl_jax.common.angles import circle_degrees
from ssl_jax.config import AZIMUTH_STEP, AZIMUTHS
from ssl_jax.metrics import degrees_apart

PEAK_REACH = 10  # degrees on either side of the posterior's peak that count as the peak
REACH_CLASSES = PEAK_REACH // AZIMUTH_STEP
SURE = 0.9  # confidence below this is flagged
LEAST_SHARE = 0.1  # of a posterior that a second direction has at least
# of a posterior: with so much at the mirror image of its peak, front and back stay open. Under the
# prior "frontal" a window that tells nothing of front and back has 0.2 behind, less what lies
# elsewhere
OPEN_SHARE = 0.15
MOST_DIRECTIONS = 4  # at a time
# within half a class of an axis, a direction is called by that axis alone
ON_AXIS = np.sin(np.radians(AZIMUTH_STEP / 2))


class Direction(NamedTuple):
    """A peak of a posterior, or of all windows."""

    azimuth: float  # degrees
    share: float  # of the posterior, within 10 degrees of it, or of the windows it explains


def rounded_degrees(azimuth: float, decimals: int) -> float:
    """An azimuth as it is shown: rounded, and below 360 after that too."""
    return float(circle_degrees(round(float(azimuth), decimals)))


def in_words(azimuth: float) -> str:
    """An azimuth in degrees, and the side it is on: 60.2 degrees (left, front)."""
    sides = []
    turn = np.radians(azimuth)
    if abs(np.sin(turn)) > ON_AXIS:
        sides.append("left" if np.sin(turn) > 0 else "right")
    if abs(np.cos(turn)) > ON_AXIS:
        sides.append("front" if np.cos(turn) > 0 else "back")
    return f"{rounded_degrees(azimuth, 1):.1f} degrees ({', '.join(sides)})"


def mean_about(posterior: np.ndarray, middle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Circular mean (...), degrees, and share (...) of posteriors (..., 72) near a class.

    Near is within 10 degrees of the class `middle` (...).
    """
    near = (middle[..., None] + np.arange(-REACH_CLASSES, REACH_CLASSES + 1)) % AZIMUTHS
    share = np.take_along_axis(posterior, near, -1)
    vector = (share * np.exp(2j * np.pi * near / AZIMUTHS)).sum(-1)
    return circle_degrees(np.degrees(np.angle(vector))), share.sum(-1)


def peak_azimuth(posterior: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Azimuth (degrees) and confidence (...) of posteriors (..., 72).

    The mean and the share of the posterior within 10 degrees of its peak.
    """
    return mean_about(np.asarray(posterior, float), np.argmax(posterior, -1))


def mirrored_class(label: ArrayLike) -> np.ndarray:
    """The class (...) of the mirror image about the interaural axis: 0 and 180 degrees."""
    return (AZIMUTHS // 2 - np.asarray(label)) % AZIMUTHS


def mirror_azimuth(posterior: ArrayLike) -> np.ndarray:
    """The peak's mirror image about the interaural axis where front and back stay open; else NaN.

    They do where the image holds OPEN_SHARE of the posterior.

    Parameters
    ----------
    posterior : (..., 72)

    Returns
    -------
    (...) degrees
    """
    posterior = np.asarray(posterior, float)
    peak = posterior.argmax(-1)
    image = mirrored_class(peak)
    azimuth, share = mean_about(posterior, image)
    # nearer ones are one peak about the axis
    is_apart = degrees_apart(AZIMUTH_STEP * peak, AZIMUTH_STEP * image) > 2 * PEAK_REACH
    return np.where(is_apart & (share >= OPEN_SHARE), azimuth, np.nan)


def directions(posterior: np.ndarray) -> list[Direction]:
    """The peaks of a posterior (72,), highest first."""
    rest = np.array(posterior, float)
    peaks: list[Direction] = []
    while len(peaks) < MOST_DIRECTIONS:
        peak = np.asarray(rest.argmax())
        azimuth, share = mean_about(rest, peak)
        if share < LEAST_SHARE:
            break
        peaks.append(Direction(float(azimuth), float(share)))
        # so that the next peak shares no class with this one
        rest[(peak + np.arange(-2 * REACH_CLASSES, 2 * REACH_CLASSES + 1)) % AZIMUTHS] = 0
    return peaks

"""The way of a moving source: azimuths that it passes."""

import numpy as np

from ssl_jax.common.angles import circle_degrees
from ssl_jax.common.errors import InputError

# degrees between the responses of a trajectory: crossfading them shifts no notch into hearing
STEP_DEGREES = 1.0
DIGITS = 1  # of the azimuths that are passed, degrees: fewer of them differ


def parse_trajectory(text: str) -> list[float]:
    """Azimuths with colons between, such as 0:360 or 0:90:45; InputError for anything else."""
    try:
        azimuths = [float(part) for part in text.split(":")]
    except ValueError:
        azimuths = []
    if len(azimuths) < 2 or not np.isfinite(azimuths).all():
        raise InputError(
            f"trajectory {text!r}: not azimuths: use degrees with colons between, such as 0:360"
        )
    return azimuths


def trajectory_azimuths(corners: np.ndarray) -> np.ndarray:
    """Azimuths (n,) along a trajectory past `corners`, degrees in [0, 360), at equal times.

    They are at most STEP_DEGREES apart, but for the rounding to DIGITS.
    """
    last = len(corners) - 1
    steps = max(1, int(np.ceil(np.abs(np.diff(corners)).max() / STEP_DEGREES)))
    passed = np.interp(np.arange(last * steps + 1) / steps, np.arange(last + 1), corners)
    return circle_degrees(np.round(passed, DIGITS))

"""Angles on the circle, in degrees: two ways to wrap them, each written once."""

import numpy as np
from numpy.typing import ArrayLike


def circle_degrees(angle: ArrayLike) -> np.ndarray:
    """Angles (...) wrapped to 0 <= angle < 360."""
    return np.asarray(angle, float) % 360 % 360  # -1e-20 % 360 is 360


def signed_degrees(angle: ArrayLike) -> np.ndarray:
    """Angles (...) wrapped to -180 <= angle < 180."""
    return (np.asarray(angle, float) + 180) % 360 % 360 - 180

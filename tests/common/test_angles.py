"""Angles: both ways to wrap them, at their edges."""

import numpy as np

from ssl_jax.common.angles import circle_degrees, signed_degrees


def test_circle_degrees_are_from_0_to_below_360():
    angles = [-1e-20, -5, 0, 359.5, 360, 725]
    np.testing.assert_array_equal(circle_degrees(angles), [0, 355, 0, 359.5, 0, 5])


def test_signed_degrees_are_from_minus_180_to_below_180():
    angles = [-180, -90, 0, 179.5, 180, 359, -1e-20]
    np.testing.assert_array_equal(signed_degrees(angles), [-180, -90, 0, 179.5, -180, -1, 0])

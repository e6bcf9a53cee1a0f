"""Which measured directions stand for the horizontal plane, where none lies exactly on it."""

import numpy as np

from ssl_jax.common.angles import signed_degrees
from ssl_jax.sounds.hrtf import TRACKED, horizontal_ring, select_directions
from ssl_jax.sounds.sofa import Sofa
from support.made_sofa import AZIMUTH, FS
from support.runs import refuses


def numbered_head(azimuth, elevation):
    """A head whose response of direction k is an impulse of height k + 1."""
    hrirs = np.zeros((len(azimuth), 2, 16))
    hrirs[:, :, 4] = 1 + np.arange(len(azimuth))[:, None]
    return Sofa("head", hrirs, np.asarray(azimuth, float), np.asarray(elevation, float), FS)


def chosen_of(sofa, rule, azimuths):
    """Numbers of the directions that stand for the azimuths."""
    hrirs, _ = select_directions(sofa, rule, azimuths)
    return (hrirs[:, 0, 4] - 1).tolist()


def tracked_head():
    """A ring and one 71 degrees above it, measured while the head moved by up to 2 degrees."""
    rng = np.random.default_rng(5)
    moved = rng.uniform(-2, 2, (2, 144))
    azimuth = np.tile(AZIMUTH, 2) + moved[0]
    elevation = np.repeat([0.0, 71.0], 72) + moved[1]
    return numbered_head(azimuth % 360, elevation)


def test_a_ring_that_scatters_is_still_the_horizontal_one():
    sofa = tracked_head()
    assert horizontal_ring(sofa, AZIMUTH).tolist() == list(range(72))
    _, elevations = select_directions(sofa, "horizontal")
    assert np.abs(elevations).max() <= 2
    # between two neighbours: impulses of height 54 to 56 are at 265 to 275 degrees
    (left,) = select_directions(sofa, "horizontal", [270.0])[0][:, 0, 4]
    assert 54 <= left <= 56


def test_a_ring_at_elevation_0_is_used_alone_if_it_has_no_gaps():
    azimuth = np.r_[AZIMUTH[::3], AZIMUTH]
    elevation = np.r_[np.zeros(24), np.full(72, 4.0)]
    sofa = numbered_head(azimuth, elevation)
    assert horizontal_ring(sofa, AZIMUTH).tolist() == list(range(24))


def test_a_ring_farther_off_is_none():
    sofa = numbered_head(AZIMUTH, np.full(72, TRACKED + 1))
    refuses("head.*elevation 0.*rule nearest$", select_directions, sofa, "horizontal")


def test_nearest_is_meant_on_the_sphere():
    """Azimuth 300: 71 degrees above it one is measured, 10 degrees beside it another."""
    sofa = numbered_head([300, 290, 0, 0], [71, 0, 3, -2])
    assert chosen_of(sofa, "nearest", [300.0, 0.0]) == [1, 3]
    assert chosen_of(sofa, "nearest_azimuth", [300.0, 0.0]) == [0, 2]


def test_nearest_of_a_scattering_ring_is_within_its_scatter():
    sofa = tracked_head()
    chosen = np.array(chosen_of(sofa, "nearest", AZIMUTH), int)
    assert np.abs(signed_degrees(sofa.azimuth[chosen] - AZIMUTH)).max() <= 4
    assert np.abs(sofa.elevation[chosen]).max() <= 2

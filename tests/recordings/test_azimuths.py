"""One azimuth, or several, of posteriors and of all windows of a recording."""

import numpy as np
import pytest

from ssl_jax.common.angles import signed_degrees
from ssl_jax.config import AZIMUTHS
from ssl_jax.recordings.azimuths import Overall, Windows, mean_azimuth
from ssl_jax.recordings.posteriors import directions, mirror_azimuth, peak_azimuth, rounded_degrees
from ssl_jax.recordings.tables import summary, table_line


def windows(azimuth, confidence, flags=None, posterior=None):
    count = len(azimuth)
    if posterior is None:
        posterior = np.zeros((count, AZIMUTHS))
    return Windows(
        times=np.arange(count, dtype=float),
        azimuth=np.array(azimuth, float),
        confidence=np.array(confidence, float),
        mirrored=np.full(count, np.nan),
        posterior=posterior,
        flags=flags or ((),) * count,
    )


def test_the_peak_around_the_circle():
    wanted = [357.5, 0, 60, 358, 2]
    shares = [  # by class
        {71: 0.5, 0: 0.5},
        {71: 0.25, 0: 0.5, 1: 0.25},
        {12: 0.6, 40: 0.4},
        {0: 0.6, 71: 0.4},
        {1: 0.4, 0: 0.6},
    ]
    rest = 1e-9
    posterior = np.full((5, AZIMUTHS), rest)
    for row, share in zip(posterior, shares, strict=True):
        row[list(share)] = list(share.values())
    azimuth, confidence = peak_azimuth(posterior)
    assert np.abs(signed_degrees(azimuth - wanted)).max() < 0.01
    assert (azimuth >= 0).all() and (azimuth < 360).all()
    np.testing.assert_allclose(confidence, [1, 1, 0.6, 1, 1], atol=100 * rest)


def test_the_mean_of_a_recording():
    mean = mean_azimuth(windows([350, 10], [0.9, 0.9]))
    assert abs(signed_degrees(mean)) < 1e-9
    assert mean_azimuth(windows([20, 90], [1, 1], ((), ("clipped",)))) == pytest.approx(20)
    silent = windows([20, np.nan], [0.3, 0], (("unsure",), ("silent",)))
    assert mean_azimuth(silent) == pytest.approx(20)


def test_a_source_that_moves_has_no_mean():
    assert np.isnan(mean_azimuth(windows([0, 120, 240], [1, 1, 1])))
    assert np.isnan(mean_azimuth(windows(np.linspace(0, 60, 20), np.ones(20))))


def test_a_second_talker_is_named_and_not_averaged():
    """At 40 and 290 degrees, the second one with 30 %: their mean, 23 degrees, is nobody."""
    posterior = np.zeros((10, AZIMUTHS))
    posterior[:, 8] = 0.7
    posterior[:, 58] = 0.3
    overall = Overall().add(windows([40] * 10, [0.7] * 10, posterior=posterior))
    assert np.isnan(overall.azimuth)
    assert summary(overall) == "no one azimuth: 40.0° (70%), 290.0° (30%)"
    posterior[:, 8] = 0.85
    posterior[:, 58] = 0.15
    one = Overall().add(windows([40] * 10, [0.85] * 10, posterior=posterior))
    assert summary(one) == "overall 40.0°"


def test_front_and_back_and_several_directions():
    """60 and 120 degrees as likely; a peak alone; two talkers; nothing."""
    posterior = np.zeros((3, AZIMUTHS))
    posterior[0, [12, 24]] = 0.5
    posterior[1, 12] = 1.0
    posterior[2, [12, 40]] = 0.7, 0.3
    mirrored = mirror_azimuth(posterior)
    assert mirrored[0] == pytest.approx(120)
    assert np.isnan(mirrored[1:]).all()
    near = np.zeros(AZIMUTHS)
    # one peak about the axis is no doubt
    near[[17, 19]] = 0.5
    assert np.isnan(mirror_azimuth(near))
    first, second = directions(posterior[2])
    assert first == pytest.approx((60, 0.7))
    assert second == pytest.approx((200, 0.3))
    assert directions(np.full(AZIMUTHS, 1 / AZIMUTHS)) == []


def test_shown_azimuths_are_below_360():
    assert rounded_degrees(359.97, 1) == 0
    assert rounded_degrees(359.94, 1) == 359.9
    assert table_line(windows([359.97], [1]), 0).split() == ["0.00", "0.0°", "1.00"]
    overall = Overall().add(windows([359.97] * 3, [1] * 3))
    assert summary(overall) == "overall 0.0°"

"""One azimuth, or several, of posteriors and of all windows of a recording."""

import numpy as np
import pytest

from ssl_jax.common.angles import signed_degrees
from ssl_jax.config import AZIMUTHS
from ssl_jax.recordings.azimuths import Windows, mean_azimuth
from ssl_jax.recordings.overall import Overall
from ssl_jax.recordings.posteriors import directions, mirror_azimuth, peak_azimuth, rounded_degrees
from ssl_jax.recordings.priors import DEFAULT_PRIOR, apply_prior
from ssl_jax.recordings.tables import csv_rows, json_windows, summary, table_line
from support.estimates import windows_of


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


def test_windows_that_do_not_agree_have_no_mean():
    assert np.isnan(mean_azimuth(windows([0, 120, 240], [1, 1, 1])))


def heard_at(azimuth):
    """Windows that are sure of one azimuth each."""
    posterior = np.zeros((len(azimuth), AZIMUTHS))
    labels = np.round(np.asarray(azimuth) / 5).astype(int) % AZIMUTHS
    posterior[np.arange(len(azimuth)), labels] = 1
    return windows_of(posterior)


# the last ones: through the front; one that nearly all windows are within 10 degrees of the middle
PATHS = [(20, 80), (80, 20), (330, 390), (45, 72)]


@pytest.mark.parametrize("count", [20, 1000])
@pytest.mark.parametrize("start, end", PATHS)
def test_a_source_that_moves_has_no_azimuth(start, end, count):
    overall = Overall.of(heard_at(np.linspace(start, end, count)))
    assert overall.moves
    assert np.isnan(overall.azimuth) and np.isnan(overall.mirrored)
    assert overall.shown == []
    assert summary(overall) == "no one azimuth: the source moves"


def test_a_path_does_not_hang_on_how_windows_come():
    azimuth = np.linspace(20, 80, 333)
    whole = Overall.of(heard_at(azimuth))
    parts = Overall()
    for part in np.split(azimuth, [1, 40, 41, 200]):
        parts.add(heard_at(part))
    np.testing.assert_array_equal(parts._path.votes, whole._path.votes)


@pytest.mark.parametrize("spread", [0, 4])
@pytest.mark.parametrize("count", [1, 2, 11, 1000])
def test_a_source_at_rest_does_not_move(count, spread):
    rng = np.random.default_rng(9)
    overall = Overall.of(heard_at(355 + rng.normal(0, spread, count)))
    assert not overall.moves
    assert abs(signed_degrees(overall.azimuth + 5)) < 10  # one window may be two spreads off


def test_a_stray_window_is_no_movement():
    azimuth = np.full(20, 30.0)
    azimuth[7] = 50
    assert not Overall.of(heard_at(azimuth)).moves


def test_talkers_in_turn_do_not_move():
    """However often: a jump is no movement."""
    rng = np.random.default_rng(10)
    azimuth = np.where(np.arange(400) // 20 % 2, 40, 290) + rng.normal(0, 3, 400)
    overall = Overall.of(heard_at(azimuth))
    assert not overall.moves
    first, second = sorted(overall.shown)
    assert (first, second) == (pytest.approx(40, abs=2.5), pytest.approx(290, abs=2.5))


def both(front, back, count=11):
    """Windows that leave open whether it is 0 or 180 degrees."""
    posterior = np.full((count, AZIMUTHS), (1 - front - back) / 70)
    posterior[:, [0, 36]] = front, back
    return posterior


def test_where_front_and_back_stay_open_both_are_the_answer():
    overall = Overall.of(windows_of(both(0.7, 0.25)))
    assert (overall.azimuth, overall.mirrored) == (pytest.approx(0), pytest.approx(180))
    assert overall.shown == [overall.azimuth, overall.mirrored]
    assert [peak.azimuth for peak in overall.sources] == pytest.approx([0])
    assert [peak.azimuth for peak in overall.directions] == pytest.approx([0, 180])
    assert summary(overall) == "overall 0.0° or 180.0°"
    assert table_line(windows_of(both(0.7, 0.25)), 0).split()[1:4] == ["0.0°", "or", "180.0°"]


def test_the_likelier_one_is_first_and_windows_may_differ():
    posterior = np.concatenate([both(0.4, 0.5, 6), both(0.5, 0.4, 5)])
    assert summary(Overall.of(windows_of(posterior))) == "overall 180.0° or 0.0°"


def test_little_behind_is_not_open():
    assert summary(Overall.of(windows_of(both(0.85, 0.1)))) == "overall 0.0°"


def test_a_window_that_knows_nothing_of_front_and_back_is_open_under_the_default_prior():
    doubt = apply_prior(both(0.49, 0.49), DEFAULT_PRIOR)
    assert summary(Overall.of(windows_of(doubt))) == "overall 0.0° or 180.0°"


def test_a_mirror_image_that_is_heard_by_itself_is_a_direction():
    """Two talkers in turn, at 0 and 180 degrees: each window knows where it is."""
    overall = Overall.of(heard_at([0] * 12 + [180] * 8))
    assert np.isnan(overall.azimuth) and np.isnan(overall.mirrored)
    assert summary(overall) == "no one azimuth: 0.0° (59%), 180.0° (41%)"


def test_a_second_talker_is_named_and_not_averaged():
    """At 40 and 290 degrees, the second one with 30 %: their mean, 23 degrees, is nobody."""
    posterior = np.zeros((10, AZIMUTHS))
    posterior[:, 8] = 0.7
    posterior[:, 58] = 0.3
    overall = Overall.of(windows([40] * 10, [0.7] * 10, posterior=posterior))
    assert np.isnan(overall.azimuth)
    assert summary(overall) == "no one azimuth: 40.0° (69%), 290.0° (31%)"
    posterior[:, 8] = 0.85
    posterior[:, 58] = 0.15
    one = Overall.of(windows([40] * 10, [0.85] * 10, posterior=posterior))
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
    # two decimals in files
    (row,) = csv_rows("a.wav", windows([359.996], [1]))
    assert row[2] == "0.00"
    (window,) = json_windows(windows([359.996], [1]))
    assert window["azimuth_deg"] == 0
    overall = Overall.of(windows([359.97] * 3, [1] * 3))
    assert summary(overall) == "overall 0.0°"

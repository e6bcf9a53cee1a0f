"""HRTFs: acoustic facts of KEMAR, direction rules, interpolation, scaled heads, folders."""

from dataclasses import replace

import numpy as np
import pytest

from ssl_jax.sounds import hrtf
from ssl_jax.sounds.sofa import Sofa, read_sofa
from support.made_sofa import FS, KEMAR, write_sofa
from support.runs import refuses

MEASURED = read_sofa(KEMAR)
PLANE = hrtf.select_directions(MEASURED, "horizontal")[0]


def itd(hrirs, low=0, high=np.inf, fs=FS, upsampling=16):
    """Interaural time difference of (..., 2, taps), us, positive = left leads."""
    n = 8 * hrirs.shape[-1]  # fine enough bins for the edges of the band
    f, size = np.fft.rfftfreq(n, 1 / fs), upsampling * n
    spectrum = np.fft.rfft(hrirs, n) * ((f >= low) & (f <= high))
    lag = np.fft.irfft(spectrum[..., 1, :] * spectrum[..., 0, :].conj(), size).argmax(-1)
    return ((lag + size // 2) % size - size // 2) / upsampling / fs * 1e6


def response(hrirs, f, fs=FS):
    """Magnitude of (..., taps) at frequencies f, Hz."""
    return np.abs(hrirs @ np.exp(-2j * np.pi * np.outer(np.arange(hrirs.shape[-1]), f) / fs))


def level_error(hrirs, truth):
    """RMS difference of the levels of two magnitudes, dB."""
    return np.sqrt(np.mean((20 * np.log10(hrirs / truth)) ** 2))


def unit_head(azimuth, elevation=0.0):
    """A head whose response of direction k is an impulse of height k + 1."""
    hrirs = np.zeros((len(azimuth), 2, 16))
    hrirs[:, :, 4] = 1 + np.arange(len(azimuth))[:, None]
    return Sofa("unit", hrirs, np.asarray(azimuth), np.zeros(len(azimuth)) + elevation, FS)


def test_kemar_has_its_itds_and_mirrored_ears_at_every_rate():
    for azimuth, broadband, low in [(30, 255, 357), (45, 391, 516), (60, 513, 638), (90, 723, 740)]:
        pair = PLANE[azimuth // 5]
        assert itd(pair) == pytest.approx(broadband, abs=2)
        # the tolerance leaves room for the filter's shape
        assert itd(pair, 100, 700) == pytest.approx(low, abs=20)
        # us, Kuhn (1977), head radius 8.75 cm
        kuhn = 3 * 0.0875 / 343e-6 * np.sin(np.radians(azimuth))
        assert itd(pair, 100, 700) == pytest.approx(kuhn, rel=0.08)
    left, right = PLANE[90 // 5]
    assert (left**2).sum() > 4 * (right**2).sum()  # 6 dB
    assert np.abs(left).argmax() < np.abs(right).argmax()
    assert itd(PLANE[270 // 5]) < -600
    mirror = -np.arange(72) % 72  # class of the azimuth on the other side
    np.testing.assert_allclose(PLANE[mirror][:, ::-1], PLANE, atol=1e-12)
    np.testing.assert_allclose(itd(PLANE)[mirror], -itd(PLANE), atol=1e-6)
    for fs in (16_000, 48_000):
        other = hrtf.select_directions(read_sofa(KEMAR, fs), "horizontal")[0]
        np.testing.assert_allclose(itd(other, 100, 1500, fs), itd(PLANE, 100, 1500), atol=3)
        np.testing.assert_allclose(response(other, [1000], fs), response(PLANE, [1000]), rtol=0.01)


@pytest.mark.parametrize("gap, itd_us, magnitude_db", [(5, 2, 3), (10, 8, 5)])
def test_interpolated_direction_is_near_the_measured_one(gap, itd_us, magnitude_db):
    f = np.arange(200, 12_000, FS / 1024)
    errors = []
    for azimuth in range(10, 360, 20):
        kept = (np.abs((MEASURED.azimuth - azimuth + 180) % 360 - 180) >= gap) | (
            MEASURED.elevation != 0
        )
        rest = Sofa(
            "rest", MEASURED.hrirs[kept], MEASURED.azimuth[kept], MEASURED.elevation[kept], FS
        )
        found, elevation = hrtf.select_directions(rest, "horizontal", [azimuth])
        assert elevation == [0]
        truth = PLANE[azimuth // 5]
        error = abs(itd(found[0], 100, 1500) - itd(truth, 100, 1500))
        errors.append((error, level_error(response(found[0], f), response(truth, f))))
    np.testing.assert_array_less(np.median(errors, axis=0), (itd_us, magnitude_db))
    np.testing.assert_array_less(np.max(errors, axis=0), (45, 8))


def test_interpolating_gives_the_delay_between_and_ends_at_its_neighbours():
    n = np.arange(128)
    first, second, between = (
        np.sinc(n - at) * np.exp(-(((n - at) / 12) ** 2)) for at in (40, 50, 43)
    )
    np.testing.assert_allclose(hrtf.interpolate(first, second, np.array(0.3)), between, atol=2e-3)
    for weight in (0, 1):
        found = hrtf.interpolate(PLANE[4], PLANE[5], np.full(2, float(weight)))
        np.testing.assert_allclose(found, PLANE[4 + weight], atol=1e-9)


def test_direction_rules():
    """The first of equally near azimuths at any elevation; measured or interpolated level."""
    sofa = unit_head([10, 0, 0, 355, 180.0], [0, 74, 0, 0, -45])
    hrirs, elevations = hrtf.select_directions(sofa, "nearest_azimuth", [0, 356, 100, 95])
    assert hrirs[:, 0, 4].tolist() == [2, 4, 5, 1]  # 95 is 85 from both: the first
    assert elevations.tolist() == [74, 0, -45, 0]
    sofa = unit_head(np.r_[0, np.arange(0, 360, 15) + 0.3], np.r_[60.0, np.zeros(24)])
    hrirs, elevations = hrtf.select_directions(sofa, "horizontal", np.arange(0, 360, 15))
    assert hrirs[:, 1, 4].tolist() == list(range(2, 26)) and not elevations.any()
    across = hrtf.select_directions(unit_head(np.arange(5, 360, 10)), "horizontal", [0])[0]
    assert across[0, 0, 4] == pytest.approx(np.sqrt(1 * 36))  # the mean of log magnitudes
    between = hrtf.select_directions(unit_head([40, 55]), "horizontal", [45, 50])[0][:, 0, 4]
    assert between == pytest.approx(2 ** np.array([1 / 3, 2 / 3]))  # the nearer one weighs more
    refuses(
        r"unit.*azimuth 65\b",
        hrtf.select_directions,
        unit_head(np.r_[0:61:5, 120:360:5]),
        "horizontal",
    )
    refuses("direction rule", hrtf.select_directions, unit_head([0]), "upwards")


@pytest.mark.parametrize("factor", [0.87, 0.95, 1.0, 1.15])
def test_scaled_head_scales_itd_and_spectrum(factor):
    plane, f = PLANE[::5], np.linspace(300, 15_000, 200)
    scaled = hrtf.scale_head(replace(MEASURED, hrirs=plane), factor).hrirs
    assert scaled.shape == plane.shape
    # the band moves with the head, so that both sides look at the same part of the response
    found = itd(scaled, 100 * factor, 1500 * factor) * factor
    np.testing.assert_allclose(found, itd(plane, 100, 1500), atol=8)
    assert level_error(response(scaled, f * factor), response(plane, f)) < 0.5
    comb = np.zeros((1, 2, 256))
    comb[..., [20, 23]] = 1  # notch at fs / 6 = 7350 Hz
    scaled = hrtf.scale_head(Sofa("comb", comb, np.zeros(1), np.zeros(1), FS), factor).hrirs[0, 0]
    f = np.arange(6000, 9000, 5.0)
    assert f[response(scaled, f).argmin()] == pytest.approx(7350 * factor, abs=15)


def test_a_head_that_looked_aside_is_turned_to_its_midline():
    turned = hrtf.turn_to_midline(replace(MEASURED, azimuth=(MEASURED.azimuth + 8) % 360)).azimuth
    # KEMAR is symmetric: its midline is where the measurement says
    np.testing.assert_allclose((turned - MEASURED.azimuth + 180) % 360, 180, atol=0.5)


def test_kemar_is_measured_in_all_72_azimuths():
    assert MEASURED.hrirs.shape == (710, 2, 512) and MEASURED.fs == FS
    assert sorted(MEASURED.azimuth[MEASURED.elevation == 0]) == [5.0 * c for c in range(72)]


def test_the_package_has_the_20_people_of_the_published_run():
    heads = hrtf.load_heads(None, "nearest_azimuth", FS)
    assert heads.hrirs.shape == (20, 72, 2, 200) and heads.hrirs.dtype == np.float32
    assert heads.names[0] == "cipic_003" and heads.names[-1] == "cipic_051"


def test_the_published_rule_takes_24_azimuths_off_the_plane():
    elevations = hrtf.load_heads(None, "nearest_azimuth", FS).elevations
    assert (elevations == elevations[0]).all()
    off_plane = {5 * k: e for k, e in enumerate(elevations[0].round().tolist()) if e}
    assert len(off_plane) == 24
    # as on the whole set of 1,250 directions
    assert [off_plane[azimuth] for azimuth in (0, 50, 70, 180, 270, 310)] == [
        -45,
        -33,
        74,
        84,
        80,
        -33,
    ]


def test_heads_of_the_plane_are_all_at_elevation_0():
    elevations = hrtf.load_heads(None, "horizontal", FS).elevations
    assert np.abs(elevations).max() < 1e-6  # degrees: positions are computed from interaural angles


def test_heads_of_a_folder_come_by_name_and_are_padded_to_one_length(tmp_path):
    write_sofa(tmp_path / "b.sofa")
    write_sofa(tmp_path / "a.sofa", Data__IR=np.ones((72, 2, 48)))
    heads = hrtf.load_heads(tmp_path, "horizontal", FS)
    assert heads.names == ("a", "b") and heads.hrirs.shape == (2, 72, 2, 48)
    assert heads.hrirs[0, ..., 32:].any() and not heads.hrirs[1, ..., 32:].any()


def test_a_folder_of_one_head_or_none_is_refused(tmp_path):
    refuses("nowhere: no such folder", hrtf.load_heads, tmp_path / "nowhere", "horizontal", FS)
    write_sofa(tmp_path / "a.sofa")
    refuses("has 1 SOFA files: .*at least 2", hrtf.load_heads, tmp_path, "horizontal", FS)

"""HRTFs: acoustic facts of the embedded KEMAR, direction rules, interpolation, virtual heads."""

import numpy as np
import pytest

from ssl_jax import hrtf
from ssl_jax.common.errors import InputError
from ssl_jax.sounds.sofa import Sofa, read_sofa
from support.made_sofa import KEMAR, write_sofa

FS = 44_100
MIRROR = -np.arange(72) % 72  # class of the azimuth on the other side


@pytest.fixture(scope="module")
def kemar():
    return read_sofa(KEMAR)


@pytest.fixture(scope="module")
def plane(kemar):
    return hrtf.select_directions(kemar, "horizontal")[0]


def itd(hrirs, fs=FS, low=0.0, high=None, upsampling=16):
    """Interaural time difference of (..., 2, taps) by cross-correlation, us, positive = left leads."""
    n = 8 * hrirs.shape[-1]  # fine enough bins for the edges of the band
    spectrum, f = np.fft.rfft(hrirs, n), np.fft.rfftfreq(n, 1 / fs)
    if high:
        spectrum = spectrum * ((f >= low) & (f <= high))
    correlation = np.fft.irfft(spectrum[..., 1, :] * spectrum[..., 0, :].conj(), upsampling * n)
    lag = correlation.argmax(-1)
    return np.where(lag > upsampling * n // 2, lag - upsampling * n, lag) / upsampling / fs * 1e6


def level(hrirs):
    return 10 * np.log10((hrirs**2).sum(-1))


def unit_head(azimuth, elevation=None, taps=16):
    """A head whose response of direction k is an impulse of height k + 1."""
    azimuth = np.asarray(azimuth, float)
    hrirs = np.zeros((len(azimuth), 2, taps))
    hrirs[:, :, 4] = 1 + np.arange(len(azimuth))[:, None]
    elevation = np.zeros_like(azimuth) if elevation is None else np.asarray(elevation, float)
    return Sofa("unit", hrirs, azimuth, elevation, FS)


@pytest.mark.parametrize(
    "azimuth, broadband, low", [(30, 255, 357), (45, 391, 516), (60, 513, 638), (90, 723, 740)]
)
def test_itd_of_kemar(plane, azimuth, broadband, low):
    pair = plane[azimuth // 5]
    assert itd(pair) == pytest.approx(broadband, abs=2)
    assert itd(pair, low=100, high=700) == pytest.approx(low, abs=20)  # leaves room for the filter's shape
    kuhn = 3 * 0.0875 / 343e-6 * np.sin(np.radians(azimuth))  # us, Kuhn (1977), head radius 8.75 cm
    assert itd(pair, low=100, high=700) == pytest.approx(kuhn, rel=0.08)


def test_azimuth_90_is_the_left_ear(plane):
    left, right = plane[90 // 5]
    assert level(left) > level(right) + 6
    assert np.abs(left).argmax() < np.abs(right).argmax()
    assert itd(plane[270 // 5]) < -600


def test_left_and_right_of_kemar_are_mirrored(plane):
    np.testing.assert_allclose(plane[MIRROR][:, ::-1], plane, atol=1e-12)
    np.testing.assert_allclose(itd(plane)[MIRROR], -itd(plane), atol=1e-6)


@pytest.mark.parametrize("fs", [16_000, 48_000])
def test_resampling_keeps_response_and_itd(plane, fs):
    other = hrtf.select_directions(read_sofa(KEMAR, fs), "horizontal")[0]
    np.testing.assert_allclose(itd(other, fs, 100, 1500), itd(plane, FS, 100, 1500), atol=3)
    tone = 2 * np.pi * 1000 / np.array([FS, fs])
    gains = [np.abs(h @ np.exp(-1j * w * np.arange(h.shape[-1]))) for h, w in zip((plane, other), tone)]
    np.testing.assert_allclose(gains[1], gains[0], rtol=0.01)


@pytest.mark.parametrize("gap, itd_us, magnitude_db", [(5, 2, 3), (10, 8, 5)])
def test_interpolated_direction_is_near_the_measured_one(kemar, plane, gap, itd_us, magnitude_db):
    f = np.fft.rfftfreq(1024, 1 / FS)
    band = (f > 200) & (f < 12_000)
    azimuths = np.arange(10, 360, 20)
    errors_itd, errors_db = [], []
    for azimuth in azimuths:
        away = np.abs((kemar.azimuth - azimuth + 180) % 360 - 180)
        kept = (away >= gap) | (kemar.elevation != 0)
        rest = Sofa("rest", kemar.hrirs[kept], kemar.azimuth[kept], kemar.elevation[kept], FS)
        found, elevation = hrtf.select_directions(rest, "horizontal", [azimuth])
        truth = plane[azimuth // 5]
        assert elevation == [0]
        errors_itd.append(abs(itd(found[0], low=100, high=1500) - itd(truth, low=100, high=1500)))
        ratio = np.abs(np.fft.rfft(found[0], 1024)) / np.abs(np.fft.rfft(truth, 1024))
        errors_db.append(np.sqrt(np.mean((20 * np.log10(ratio[:, band])) ** 2)))
    assert np.median(errors_itd) < itd_us and max(errors_itd) < 45
    assert np.median(errors_db) < magnitude_db and max(errors_db) < 8


def test_interpolating_pure_delays_gives_the_delay_between():
    n = np.arange(128)
    pulse = lambda delay: np.sinc(n - delay) * np.exp(-(((n - delay) / 12) ** 2))
    found = hrtf.interpolate(pulse(40.0), pulse(50.0), np.array(0.3))
    np.testing.assert_allclose(found, pulse(43.0), atol=2e-3)


@pytest.mark.parametrize("weight, which", [(0.0, 0), (1.0, 1)])
def test_interpolation_ends_at_its_neighbours(plane, weight, which):
    ends = plane[4], plane[5]
    np.testing.assert_allclose(hrtf.interpolate(*ends, np.full(2, weight)), ends[which], atol=1e-9)


def test_nearest_azimuth_takes_the_first_of_equals_whatever_its_elevation():
    sofa = unit_head([10, 0, 0, 355, 180.0], [0, 74, 0, 0, -45])
    hrirs, elevations = hrtf.select_directions(sofa, "nearest_azimuth", [0, 356, 100])
    assert hrirs[:, 0, 4].tolist() == [2, 4, 5] and elevations.tolist() == [74, 0, -45]
    assert hrtf.select_directions(sofa, "nearest_azimuth", [95])[0][0, 0, 4] == 1  # 85 from both: the first


def test_horizontal_takes_what_was_measured():
    sofa = unit_head(np.r_[0, np.arange(0, 360, 15) + 0.3], np.r_[60.0, np.zeros(24)])
    hrirs, elevations = hrtf.select_directions(sofa, "horizontal", np.arange(0, 360, 15))
    assert hrirs[:, 1, 4].tolist() == list(range(2, 26)) and not elevations.any()


def test_horizontal_interpolates_across_azimuth_zero():
    sofa = unit_head(np.arange(5, 360, 10))
    middle = hrtf.select_directions(sofa, "horizontal", [0])[0][0, 0, 4]
    assert middle == pytest.approx(np.sqrt(1 * 36))  # the mean of log magnitudes


@pytest.mark.parametrize("azimuth, share", [(45, 1 / 3), (50, 2 / 3)])
def test_the_nearer_neighbour_weighs_more(azimuth, share):
    between = hrtf.select_directions(unit_head([40, 55]), "horizontal", [azimuth])[0][0, 0, 4]
    assert between == pytest.approx(2**share)  # of heights 1 at 40 and 2 at 55 degrees


def test_horizontal_refuses_a_wide_gap_and_names_it():
    with pytest.raises(InputError, match=r"unit.*azimuth 65\b"):
        hrtf.select_directions(unit_head(np.r_[0:61:5, 120:360:5]), "horizontal")
    with pytest.raises(InputError, match="direction rule"):
        hrtf.select_directions(unit_head([0]), "upwards")


@pytest.mark.parametrize("factor", [0.87, 0.95, 1.0, 1.15])
def test_scaled_head_scales_itd_and_spectrum(kemar, plane, factor):
    plane = plane[::5]
    scaled = hrtf.scale_head(kemar._replace(hrirs=plane), factor).hrirs
    assert scaled.shape == plane.shape
    # the band moves with the head, so that both sides look at the same part of the response
    before, after = itd(plane, low=100, high=1500), itd(scaled, low=100 * factor, high=1500 * factor)
    np.testing.assert_allclose(after * factor, before, atol=8)
    f = np.linspace(300, 15_000, 200)
    wave = lambda f: np.exp(-2j * np.pi * np.outer(np.arange(512), f) / FS)
    difference = np.abs(scaled @ wave(f * factor)) / np.abs(plane @ wave(f))
    assert np.sqrt(np.mean((20 * np.log10(difference)) ** 2)) < 0.5


def test_a_spectral_notch_moves_by_the_factor():
    n = np.arange(256)
    h = np.zeros((1, 2, 256))
    h[..., 20], h[..., 23] = 1, 1  # notch at fs / 6 = 7350 Hz
    scaled = hrtf.scale_head(Sofa("comb", h, np.zeros(1), np.zeros(1), FS), 1.1).hrirs[0, 0]
    f = np.arange(6000, 9000, 5.0)
    notch = f[np.abs(scaled @ np.exp(-2j * np.pi * np.outer(n, f) / FS)).argmin()]
    assert notch == pytest.approx(7350 * 1.1, abs=15)


def test_virtual_heads_of_the_embedded_kemar():
    heads = hrtf.load_heads(None, "horizontal", FS)
    assert heads.hrirs.shape == (20, 72, 2, 512) and heads.hrirs.dtype == np.float32
    assert len(set(heads.names)) == 20 and heads.names[::19] == ("virtual-0.870", "virtual-1.150")
    assert heads.elevations.shape == (20, 72) and not heads.elevations.any()
    itds = itd(heads.hrirs[:, 18].astype(float), low=100, high=1000)
    assert (np.diff(itds) < 0).all() and itds[0] > 800 and itds[-1] < 680
    assert np.ptp(np.diff(np.log(hrtf.virtual_factors()))) < 1e-12


def test_publishers_heads_and_the_missing_one(tmp_path):
    (tmp_path / "cipic").mkdir()
    for subject in hrtf.CIPIC_SUBJECTS:
        write_sofa(tmp_path / f"cipic/subject_{subject}.sofa")
    heads = hrtf.load_heads(tmp_path, "horizontal", FS)
    assert heads.names[0] == "subject_003" and heads.hrirs.shape == (20, 72, 2, 32)
    (tmp_path / "cipic/subject_021.sofa").unlink()
    with pytest.raises(InputError, match=r"subject_021.sofa: .*python -m ssl_jax download --to"):
        hrtf.load_heads(tmp_path, "horizontal", FS)


def test_heads_of_unequal_length_are_padded(tmp_path):
    paths = [write_sofa(tmp_path / "a.sofa"), write_sofa(tmp_path / "b.sofa", Data__IR=np.ones((72, 2, 48)))]
    heads = hrtf.load_heads_from(paths, "nearest_azimuth", FS)
    assert heads.hrirs.shape == (2, 72, 2, 48) and not heads.hrirs[0, :, :, 32:].any()

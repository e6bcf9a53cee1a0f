"""HRTFs: acoustic facts of the embedded KEMAR, direction rules, virtual heads, hostile SOFA files."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from ssl_jax import hrtf
from ssl_jax.files import InputError

KEMAR = Path(hrtf.__file__).parent / "data/hrtf/MIT_KEMAR_normal_pinna.sofa"
FS = 44_100
MIRROR = -np.arange(72) % 72  # class of the azimuth on the other side


@pytest.fixture(scope="module")
def kemar():
    return hrtf.read_sofa(KEMAR)


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
    return hrtf.Sofa("unit", hrirs, azimuth, elevation, FS)


def write_sofa(path, **changes):
    """A small sound SOFA file; `changes` replace its datasets and attributes, None leaves one out."""
    rng = np.random.default_rng(7)
    content = {
        "SOFAConventions": "SimpleFreeFieldHRIR", "DataType": "FIR", "kind": "spherical",
        "Data.IR": rng.normal(size=(72, 2, 32)), "Data.SamplingRate": np.array([44_100.0]),
        "Data.Delay": np.zeros((1, 2)),
        "SourcePosition": np.stack([np.arange(72) * 5.0, np.zeros(72), np.ones(72)], axis=1),
        "ReceiverPosition": np.array([[0, 0.09, 0], [0, -0.09, 0]])[:, :, None],
        "ListenerView": np.array([[1.0, 0, 0]]),
    } | {name.replace("__", "."): value for name, value in changes.items()}
    with h5py.File(path, "w") as file:
        for name, value in content.items():
            if value is None or name == "kind":
                continue
            if isinstance(value, (str, h5py.Empty, np.bytes_)):
                file.attrs[name] = value
            elif isinstance(value, (h5py.SoftLink, h5py.ExternalLink)):
                file[name] = value
            elif isinstance(value, h5py.VirtualLayout):
                file.create_virtual_dataset(name, value)
            elif isinstance(value, dict):
                file.create_dataset(name, **value)
            else:
                file[name] = value
        if content["kind"] and isinstance(file.get("SourcePosition"), h5py.Dataset):
            file["SourcePosition"].attrs["Type"] = np.bytes_(content["kind"])
    return path


def test_embedded_kemar_is_what_the_notice_says(kemar):
    assert kemar.hrirs.shape == (710, 2, 512) and kemar.fs == FS
    assert sorted(kemar.azimuth[kemar.elevation == 0]) == [5.0 * c for c in range(72)]


@pytest.mark.parametrize("azimuth, broadband, low", [
    (30, 255, 357), (45, 391, 516), (60, 513, 638), (90, 723, 740)])
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
    other = hrtf.select_directions(hrtf.read_sofa(KEMAR, fs), "horizontal")[0]
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
        rest = hrtf.Sofa("rest", kemar.hrirs[kept], kemar.azimuth[kept], kemar.elevation[kept], FS)
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
    scaled = hrtf.scale_head(hrtf.Sofa("comb", h, np.zeros(1), np.zeros(1), FS), 1.1).hrirs[0, 0]
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


def test_cartesian_positions(tmp_path):
    angle = np.radians(np.arange(72) * 5.0)
    positions = 1.4 * np.stack([np.cos(angle), np.sin(angle), np.full(72, np.tan(np.radians(30)))], axis=1)
    sofa = hrtf.read_sofa(write_sofa(tmp_path / "c.sofa", kind="cartesian", SourcePosition=positions))
    np.testing.assert_allclose((sofa.azimuth - np.arange(72) * 5 + 1) % 360, 1, atol=1e-9)
    np.testing.assert_allclose(sofa.elevation, 30)


def test_negative_azimuths_and_per_file_rates(tmp_path):
    positions = np.stack([np.arange(-180, 180, 5.0), np.zeros(72), np.ones(72)], axis=1)
    path = write_sofa(tmp_path / "n.sofa", SourcePosition=positions, Data__SamplingRate=np.full(72, 48_000.0))
    sofa = hrtf.read_sofa(path)
    assert sofa.fs == 48_000 and sofa.azimuth.tolist() == [*range(180, 360, 5), *range(0, 180, 5)]


def test_receivers_the_other_way_round_are_swapped(tmp_path):
    delay = np.array([[0.0, 3.0]])
    straight = hrtf.read_sofa(write_sofa(tmp_path / "a.sofa", Data__Delay=delay))
    ears = np.array([[0, -0.09, 0], [0, 0.09, 0]])
    swapped = hrtf.read_sofa(write_sofa(tmp_path / "b.sofa", Data__Delay=delay, ReceiverPosition=ears))
    np.testing.assert_allclose(swapped.hrirs, straight.hrirs[:, ::-1], atol=1e-12)


@pytest.mark.parametrize("rows", [1, 72])
def test_delay_is_applied_in_samples(tmp_path, rows):
    plain = hrtf.read_sofa(write_sofa(tmp_path / "a.sofa")).hrirs
    delays = np.tile([2.0, 5.0], (rows, 1))
    delayed = hrtf.read_sofa(write_sofa(tmp_path / "b.sofa", Data__Delay=delays)).hrirs
    assert delayed.shape[-1] == 37
    np.testing.assert_allclose(delayed[:, 0, 2:34], plain[:, 0], atol=1e-12)
    np.testing.assert_allclose(delayed[:, 1, 5:37], plain[:, 1], atol=1e-12)


def declared(*shape):
    """A dataset of this shape of which nothing is stored."""
    return dict(shape=shape, chunks=tuple(min(n, 64) for n in shape), dtype="f8")


VIRTUAL = h5py.VirtualLayout(shape=(72, 2, 32), dtype="f8")
VIRTUAL[:] = h5py.VirtualSource("elsewhere.h5", "x", shape=(72, 2, 32))
ELSEWHERE = dict(chunks=None, external=[("x.raw", 0, 72 * 512)])
BAD = {
    "convention": (dict(SOFAConventions="GeneralTF"), "GeneralTF"),
    "empty convention": (dict(SOFAConventions=h5py.Empty("S1")), "SOFAConventions"),
    "data type": (dict(DataType="SOS"), "DataType"),
    "no responses": (dict(Data__IR=None), "Data.IR"),
    "no rate": (dict(Data__SamplingRate=None), "Data.SamplingRate"),
    "no positions": (dict(SourcePosition=None), "SourcePosition"),
    "one ear": (dict(Data__IR=np.ones((72, 1, 32))), "receivers"),
    "four ears": (dict(Data__IR=np.ones((72, 4, 32))), "receivers"),
    "flat": (dict(Data__IR=np.ones((72, 64))), "Data.IR"),
    "NaN": (dict(Data__IR=np.full((72, 2, 32), np.nan)), "NaN"),
    "NaN positions": (dict(SourcePosition=np.full((72, 3), np.nan)), "NaN"),
    "silent": (dict(Data__IR=np.zeros((72, 2, 32))), "silent"),
    "no directions": (dict(Data__IR=np.ones((0, 2, 32))), "empty"),
    "huge taps": (dict(Data__IR=declared(72, 2, 2**40)), "too large"),
    "huge rows": (dict(Data__IR=declared(2**40, 2, 32)), "too large"),
    "huge total": (dict(Data__IR=declared(20_000, 2, 16_384)), "too large"),
    "huge positions": (dict(SourcePosition=declared(2**40, 3)), "shape"),
    "positions do not fit": (dict(SourcePosition=np.ones((71, 3))), "SourcePosition"),
    "text": (dict(Data__IR=np.full((72, 2, 32), b"x")), "Data.IR"),
    "rate 0": (dict(Data__SamplingRate=np.zeros(1)), "Data.SamplingRate"),
    "rate 1 THz": (dict(Data__SamplingRate=np.full(1, 1e12)), "Data.SamplingRate"),
    "two rates": (dict(Data__SamplingRate=np.r_[np.full(71, 44_100.0), 48_000]), "Data.SamplingRate"),
    "negative delay": (dict(Data__Delay=np.array([[-3.0, 0]])), "Data.Delay"),
    "endless delay": (dict(Data__Delay=np.array([[1e9, 0]])), "Data.Delay"),
    "three delays": (dict(Data__Delay=np.zeros((1, 3))), "Data.Delay"),
    "ears on one side": (dict(ReceiverPosition=np.full((2, 3), 0.1)), "ReceiverPosition"),
    "coordinates": (dict(kind="polar"), "polar"),
    "no coordinates": (dict(kind=None), "SourcePosition"),
    "radius as angle": (dict(SourcePosition=np.full((72, 3), 1e4)), "angles"),
    "looks elsewhere": (dict(ListenerView=np.array([[0.0, 1, 0]])), "face"),
    "soft link": (dict(Data__IR=h5py.SoftLink("/SourcePosition")), "Data.IR"),
    "external link": (dict(Data__IR=h5py.ExternalLink("/etc/hostname", "x")), "Data.IR"),
    "virtual": (dict(Data__IR=VIRTUAL), "plain array"),
    "external data": (dict(Data__IR=declared(72, 2, 32) | ELSEWHERE), "plain array"),
}


@pytest.mark.parametrize("case", BAD)
def test_malformed_sofa_is_one_line(tmp_path, case):
    changes, hint = BAD[case]
    path = write_sofa(tmp_path / "bad.sofa", **changes)
    with pytest.raises(InputError) as error:
        hrtf.read_sofa(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ") and hint in message and "\n" not in message


WHOLE = KEMAR.read_bytes()


@pytest.mark.parametrize("content", [None, b"", b"not HDF5 at all", WHOLE[:50], WHOLE[:200_000]],
                         ids=["missing", "empty", "text", "50 bytes", "cut"])
def test_broken_bytes_are_one_line(tmp_path, content):
    path = tmp_path / "broken.sofa"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as error:
        hrtf.read_sofa(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)

"""SOFA files: positions, units, fields as people store them; damage refused in one line."""

import h5py
import numpy as np
import pytest

from ssl_jax.common.errors import InputError
from ssl_jax.sounds.sofa import read_sofa
from support.made_sofa import (
    AZIMUTH,
    EXACT,
    FS,
    KEMAR,
    assert_azimuths,
    cartesian,
    declared,
    head_responses,
    ring,
    write_sofa,
)
from support.runs import refused_call, refuses

OFFSET = np.array([0.5, 0.3, 0.0])  # m, where a listener stands
RESPONSES = head_responses()


# ---- positions


def test_cartesian_positions_are_turned_into_angles(tmp_path):
    positions = cartesian(ring(elevation=30.0, distance=1.4))
    path = write_sofa(tmp_path / "a.sofa", kind="cartesian", SourcePosition=positions)
    sofa = read_sofa(path)
    assert_azimuths(sofa)
    np.testing.assert_allclose(sofa.elevation, 30)


def test_azimuths_below_0_are_wrapped(tmp_path):
    positions = ring(AZIMUTH - 180)
    sofa = read_sofa(write_sofa(tmp_path / "a.sofa", SourcePosition=positions), azimuths="stated")
    assert sofa.azimuth.tolist() == [*range(180, 360, 5), *range(0, 180, 5)]


@pytest.mark.parametrize("kind", ["cartesian", "spherical"])
def test_sources_are_seen_from_where_the_listener_is(tmp_path, kind):
    """Spherical positions too are points of the room, about its origin (AES69)."""
    points = cartesian(ring(elevation=20.0, distance=1.4)) + OFFSET
    if kind == "spherical":
        x, y, z = points.T
        distance = np.linalg.norm(points, axis=1)
        azimuth = np.degrees(np.arctan2(y, x))
        points = ring(azimuth, np.degrees(np.arcsin(z / distance)), distance)
    fields = {"SourcePosition": points, "ListenerPosition": OFFSET[None]}
    sofa = read_sofa(write_sofa(tmp_path / "a.sofa", kind=kind, **fields))
    assert_azimuths(sofa)
    np.testing.assert_allclose(sofa.elevation, 20)


def test_a_listener_at_the_origin_needs_no_distances(tmp_path):
    positions = ring(distance=0.0)
    path = write_sofa(
        tmp_path / "a.sofa", SourcePosition=positions, ListenerPosition=np.zeros((1, 3))
    )
    assert_azimuths(read_sofa(path))


def test_angles_may_be_in_radian(tmp_path):
    positions = ring(np.radians(AZIMUTH), np.radians(20.0))
    units = {"SourcePosition": "radian, radian, metre"}
    sofa = read_sofa(write_sofa(tmp_path / "a.sofa", SourcePosition=positions, units=units))
    assert_azimuths(sofa)
    np.testing.assert_allclose(sofa.elevation, 20)


def test_the_pole_may_be_passed_by_rounding(tmp_path):
    positions = ring(elevation=np.linspace(-90.0000076, 90.0009, 72))
    sofa = read_sofa(write_sofa(tmp_path / "p.sofa", SourcePosition=positions), azimuths="stated")
    assert (sofa.elevation[0], sofa.elevation[-1]) == (-90, 90)


# ---- delays and rates


@pytest.mark.parametrize("rows", [1, 72])
def test_delays_in_samples_are_applied(tmp_path, rows):
    plain = read_sofa(write_sofa(tmp_path / "a.sofa")).hrirs
    delays = np.tile([2.0, 5.0], (rows, 1))
    path = write_sofa(tmp_path / "b.sofa", Data__Delay=delays)
    # the same delay from everywhere is no head's
    delayed = read_sofa(path, ears="stated").hrirs
    assert delayed.shape[-1] == 37
    np.testing.assert_allclose(delayed[:, 0, 2:34], plain[:, 0], atol=EXACT)
    np.testing.assert_allclose(delayed[:, 1, 5:37], plain[:, 1], atol=EXACT)


def test_delays_in_seconds_are_applied(tmp_path):
    delays = np.array([[2.0, 5.0]])
    samples = write_sofa(tmp_path / "a.sofa", Data__Delay=delays, units={"Data.Delay": "samples"})
    seconds = write_sofa(
        tmp_path / "b.sofa", Data__Delay=delays / FS, units={"Data.Delay": "second"}
    )
    wanted = read_sofa(samples, ears="stated").hrirs
    np.testing.assert_allclose(read_sofa(seconds, ears="stated").hrirs, wanted, atol=EXACT)


def test_delays_in_another_unit_are_refused(tmp_path):
    path = write_sofa(tmp_path / "a.sofa", units={"Data.Delay": "fortnight"})
    refused_call(read_sofa, path, says="Data.Delay is in 'fortnight'")


def test_receivers_may_come_right_ear_first(tmp_path):
    delays = np.array([[2.0, 5.0]])
    right_first = np.array([[0, -0.09, 0], [0, 0.09, 0]])
    left = write_sofa(tmp_path / "a.sofa", Data__Delay=delays)
    right = write_sofa(tmp_path / "b.sofa", Data__Delay=delays, ReceiverPosition=right_first)
    wanted = read_sofa(left, ears="stated").hrirs[:, ::-1]
    np.testing.assert_array_equal(read_sofa(right, ears="stated").hrirs, wanted)


def test_every_measurement_may_state_the_rate(tmp_path):
    rates = np.full(72, 48_000.0)
    assert read_sofa(write_sofa(tmp_path / "a.sofa", Data__SamplingRate=rates)).fs == 48_000


def test_a_response_has_up_to_two_seconds(tmp_path):
    room = np.zeros((2, 2, 2 * FS))
    room[:, 0, 10] = 1
    room[:, 1, 40] = 0.5
    room[..., -1] = 0.01
    sides = ring(np.array([90.0, 80.0]))
    path = write_sofa(tmp_path / "r.sofa", Data__IR=room, SourcePosition=sides)
    assert read_sofa(path).hrirs.shape == room.shape
    longer = np.pad(room, ((0, 0), (0, 0), (0, 1)))
    path = write_sofa(tmp_path / "l.sofa", Data__IR=longer, SourcePosition=sides)
    refused_call(read_sofa, path, says="responses of 2.0 s, over 2")


# ---- fields that hold nothing


@pytest.mark.parametrize("name", ["ListenerView", "ListenerPosition"])
def test_a_field_of_nan_that_no_response_needs_takes_its_default(tmp_path, capsys, name):
    path = write_sofa(tmp_path / "a.sofa", **{name: np.full((72, 3), np.nan)})
    sofa = read_sofa(path)
    assert_azimuths(sofa)
    np.testing.assert_array_equal(sofa.hrirs, RESPONSES)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"{name} holds NaN" in said


def test_a_view_of_nan_in_a_room_is_refused(tmp_path):
    fields = {"SOFAConventions": "SingleRoomDRIR", "ListenerView": np.full((1, 3), np.nan)}
    path = write_sofa(tmp_path / "a.sofa", SourcePosition=ring(distance=2.0), **fields)
    refused_call(read_sofa, path, says="ListenerView holds NaN")


@pytest.mark.parametrize("ears", ["", "stated"])
def test_receivers_at_the_origin_are_taken_in_their_order(tmp_path, capsys, ears):
    path = write_sofa(tmp_path / "a.sofa", ReceiverPosition=np.zeros((2, 3)))
    np.testing.assert_array_equal(read_sofa(path, ears=ears).hrirs, RESPONSES)
    assert "ReceiverPosition tells no left ear" in capsys.readouterr().err


@pytest.mark.parametrize("way", [{"ears": "swapped"}, {"azimuths": "anticlockwise"}])
def test_another_way_to_read_a_file_is_refused(tmp_path, way):
    path = write_sofa(tmp_path / "a.sofa")
    refuses("use one of .*'swap'.* and of .*'clockwise'", read_sofa, path, **way)


@pytest.mark.parametrize("value", [0.0, 9.96920997e36])  # the second: NetCDF's fill value
def test_a_direction_that_is_silent_or_unwritten_is_left_out_and_said(tmp_path, capsys, value):
    responses = RESPONSES.copy()
    responses[18] = value
    delays = np.stack([np.arange(72.0), np.arange(72.0)], axis=1)
    path = write_sofa(tmp_path / "a.sofa", Data__IR=responses, Data__Delay=delays)
    sofa = read_sofa(path)
    assert_azimuths(sofa, np.delete(AZIMUTH, 18))
    # the delays of the others stay theirs
    np.testing.assert_allclose(sofa.hrirs[18, :, 19 : 19 + 32], RESPONSES[19], atol=EXACT)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "1 of 72 directions" in said and "azimuth 90" in said


# ---- sizes


def test_a_dense_grid_of_41000_directions_is_read(tmp_path):
    azimuth = np.linspace(0, 360, 41_000, endpoint=False)
    click = np.zeros((len(azimuth), 2, 4), np.float32)
    click[..., 0] = 1
    path = write_sofa(tmp_path / "a.sofa", Data__IR=click, SourcePosition=ring(azimuth))
    assert len(read_sofa(path, ears="stated").azimuth) == 41_000


@pytest.mark.parametrize("fs", [0, -44_100, 44_100.5, float("nan")])
def test_a_rate_that_is_none_is_refused(tmp_path, fs):
    path = write_sofa(tmp_path / "head.sofa")
    refuses("cannot be read at .* Hz", read_sofa, path, fs)


def test_resampling_keeps_the_gain(tmp_path):
    path = write_sofa(tmp_path / "a.sofa")
    half = read_sofa(path, FS // 2)
    assert half.fs == FS // 2 and half.hrirs.shape[-1] == 16
    low = np.fft.rfft(half.hrirs, 64)[..., 2] / np.fft.rfft(RESPONSES, 128)[..., 2]
    # within a dB and a half: short responses are cut by the filter
    assert np.median(np.abs(low)) == pytest.approx(1, abs=0.15)


# ---- what is damaged or something else

FULL = (72, 2, 32)
WHOLE = KEMAR.read_bytes()
BAD = [  # field, what the message says, what makes it say that
    ("SOFAConventions", "GeneralTF", ["GeneralTF"]),
    ("SOFAConventions", "SOFAConv", [h5py.Empty("S1")]),
    ("SOFAConventions", "SOFAConventions is not a short text", [np.bytes_("x" * 5000)]),
    ("DataType", "DataType", ["SOS"]),
    ("kind", "polar", ["polar"]),
    ("kind", "SourcePosition", [None]),
    ("Data__IR", "Data.IR", [None, np.ones((72, 64)), np.full(FULL, b"x")]),
    ("Data__IR", "NaN", [np.full(FULL, np.nan)]),
    ("Data__IR", "silent", [np.zeros(FULL)]),
    ("Data__IR", "receivers", [np.ones((72, 1, 32)), np.ones((72, 4, 32))]),
    ("Data__IR", "empty", [np.ones((0, 2, 32))]),
    ("Data__IR", "too large", [declared(72, 2, 2**40), declared(20_000, 2, 16_384)]),
    ("Data__IR", "directions, over 100000", [declared(2**40, 2, 32)]),
    (
        "Data__IR",
        "too large pieces",
        [{"shape": FULL, "maxshape": (None, 2, None), "chunks": (2**20, 2, 64), "dtype": "f8"}],
    ),
    (
        "Data__SamplingRate",
        "Data.SamplingRate",
        [None, np.zeros(1), np.full(1, 1e12), np.r_[np.full(71, 44_100.0), 48_000]],
    ),
    ("Data__Delay", "Data.Delay", [np.array([[-3.0, 0]]), np.array([[1e9, 0]]), np.zeros((1, 3))]),
    ("SourcePosition", "SourcePosition", [None, np.ones((71, 3))]),
    ("SourcePosition", "NaN", [np.full((72, 3), np.nan)]),
    ("SourcePosition", "shape", [declared(2**40, 3)]),
    ("SourcePosition", "angles", [np.full((72, 3), 1e4)]),
    ("ListenerView", "face", [np.eye(3)[1:2]]),
    ("ReceiverPosition", "ReceiverPosition", [np.full((2, 3), 0.1)]),
    ("file", "no such file", [None]),
    ("file", "the file is empty", [b""]),
    ("file", "not a readable SOFA", [b"not HDF5 at all", WHOLE[:50], WHOLE[:200_000]]),
]


@pytest.mark.parametrize("field, says, values", BAD)
def test_malformed_sofa_is_one_line(tmp_path, field, says, values):
    for number, value in enumerate(values):
        path = tmp_path / f"bad{number}.sofa"
        if field != "file":
            write_sofa(path, **{field: value})
        elif value is not None:
            path.write_bytes(value)
        refused_call(read_sofa, path, says=says)


def test_a_refusal_of_the_contents_is_no_damaged_file(tmp_path):
    write_sofa(tmp_path / "a.sofa", SourcePosition=None)
    with pytest.raises(InputError) as refusal:
        read_sofa(tmp_path / "a.sofa")
    assert "not a readable SOFA" not in str(refusal.value)
    assert str(refusal.value).count("a.sofa") == 1


@pytest.mark.parametrize("gain", [1e20, 1e-20])
def test_responses_out_of_the_range_of_powers_are_refused(tmp_path, gain):
    write_sofa(tmp_path / "a.sofa", Data__IR=gain * np.ones(FULL))
    refused_call(read_sofa, tmp_path / "a.sofa", says="silent or senseless")

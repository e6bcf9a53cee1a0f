"""SOFA files: what a sound one may look like, and hostile ones refused in one line."""

import h5py
import numpy as np
import pytest

from ssl_jax.sounds.sofa import read_sofa
from support.made_sofa import KEMAR, declared, write_sofa
from support.runs import refused_call


def test_positions_rates_delays_and_receivers_of_every_kind(tmp_path):
    angle = np.radians(np.arange(72) * 5.0)
    positions = 1.4 * np.stack(
        [np.cos(angle), np.sin(angle), np.full(72, np.tan(np.radians(30)))], axis=1
    )
    sofa = read_sofa(write_sofa(tmp_path / "c.sofa", kind="cartesian", SourcePosition=positions))
    np.testing.assert_allclose((sofa.azimuth - np.arange(72) * 5 + 1) % 360, 1, atol=1e-9)
    np.testing.assert_allclose(sofa.elevation, 30)
    positions = np.stack([np.arange(-180, 180, 5.0), np.zeros(72), np.ones(72)], axis=1)
    fields = {"SourcePosition": positions, "Data__SamplingRate": np.full(72, 48_000.0)}
    sofa = read_sofa(write_sofa(tmp_path / "n.sofa", **fields), azimuths="stated")
    assert sofa.fs == 48_000 and sofa.azimuth.tolist() == [*range(180, 360, 5), *range(0, 180, 5)]
    plain = read_sofa(write_sofa(tmp_path / "a.sofa")).hrirs
    stated = {"ears": "stated"}  # the same delay from everywhere is no head's
    for rows in (1, 72):
        delays = np.tile([2.0, 5.0], (rows, 1))
        delayed = read_sofa(write_sofa(tmp_path / "b.sofa", Data__Delay=delays), **stated).hrirs
        assert delayed.shape[-1] == 37
        np.testing.assert_allclose(delayed[:, 0, 2:34], plain[:, 0], atol=1e-12)
        np.testing.assert_allclose(delayed[:, 1, 5:37], plain[:, 1], atol=1e-12)
    ears = np.array([[0, -0.09, 0], [0, 0.09, 0]])
    path = write_sofa(tmp_path / "c.sofa", Data__Delay=delays, ReceiverPosition=ears)
    np.testing.assert_allclose(read_sofa(path, **stated).hrirs, delayed[:, ::-1], atol=1e-12)


def test_rooms_of_every_convention_hold_the_same_directions(tmp_path):
    """A listener who turns, sources that stand around, loudspeakers: each is azimuth 0, 5, ... 355."""
    plain, azimuth = read_sofa(write_sofa(tmp_path / "a.sofa")), 5.0 * np.arange(72)
    around = np.stack([azimuth, np.zeros(72), np.full(72, 2.0)], axis=1)
    here, ahead = np.array([[1.0, 2.0, 1.5]]), np.array([[3.0, 2.0, 1.5]])
    turned = np.stack([-azimuth % 360, np.zeros(72), np.ones(72)], axis=1)
    angle, responses = np.radians(azimuth), plain.hrirs
    speakers = 2 * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    each = {
        "GeneralFIR": dict(SourcePosition=around),
        "SingleRoomSRIR": dict(SourcePosition=ahead, ListenerPosition=here, kind="cartesian",
                               ListenerView=turned, Data__IR=responses),
        "SingleRoomMIMOSRIR": dict(SourcePosition=here, ListenerPosition=here, kind="cartesian",
                                   EmitterPosition=speakers[..., None], DataType="FIR-E",
                                   Data__IR=np.moveaxis(responses, 0, -1)[None]),
        "MultiSpeakerBRIR": dict(SourcePosition=np.zeros((1, 3)), EmitterPosition=around[..., None],
                                 DataType="FIRE", Data__IR=np.moveaxis(responses, 0, 1)[None]),
    }  # fmt: skip
    for convention, fields in each.items():
        fields |= {"Data__IR": fields.get("Data__IR", responses), "SOFAConventions": convention}
        path = write_sofa(tmp_path / f"{convention}.sofa", **fields)
        with h5py.File(path, "a") as file:
            for name, kind in (("ListenerView", "spherical"), ("EmitterPosition", "spherical")):
                if name in file and convention in ("SingleRoomSRIR", "MultiSpeakerBRIR"):
                    file[name].attrs["Type"] = np.bytes_(
                        kind if len(file[name]) == 72 else "cartesian"
                    )
        found = read_sofa(path)
        np.testing.assert_allclose(
            (found.azimuth - azimuth + 1) % 360, 1, atol=1e-9, err_msg=convention
        )
        np.testing.assert_allclose(found.elevation, 0, atol=1e-9)
        np.testing.assert_array_equal(found.hrirs, responses)
    path = write_sofa(
        tmp_path / "z.sofa", SOFAConventions="GeneralFIR", SourcePosition=np.zeros((72, 3))
    )
    refused_call(read_sofa, path, says="stands where the listener is")


FULL, WHOLE = (72, 2, 32), KEMAR.read_bytes()
VIRTUAL = h5py.VirtualLayout(shape=FULL, dtype="f8")
VIRTUAL[:] = h5py.VirtualSource("elsewhere.h5", "x", shape=FULL)
ELSEWHERE = declared(*FULL) | dict(chunks=None, external=[("x.raw", 0, 72 * 512)])
LINKS = [h5py.SoftLink("/SourcePosition"), h5py.ExternalLink("/etc/hostname", "x")]
BAD = [  # field, what the message says, what makes it say that
    ("SOFAConventions", "GeneralTF", ["GeneralTF"]),
    ("SOFAConventions", "SOFAConv", [h5py.Empty("S1")]),
    ("SOFAConventions", "SOFAConventions is not a short text", [np.bytes_("x" * 5000)]),
    ("DataType", "DataType", ["SOS"]),
    ("kind", "polar", ["polar"]),
    ("kind", "SourcePosition", [None]),
    ("Data__IR", "Data.IR", [None, np.ones((72, 64)), np.full(FULL, b"x"), *LINKS]),
    ("Data__IR", "NaN", [np.full(FULL, np.nan)]),
    ("Data__IR", "silent", [np.zeros(FULL)]),
    ("Data__IR", "receivers", [np.ones((72, 1, 32)), np.ones((72, 4, 32))]),
    ("Data__IR", "empty", [np.ones((0, 2, 32))]),
    ("Data__IR", "plain array", [VIRTUAL, ELSEWHERE]),
    (
        "Data__IR",
        "too large",
        [declared(72, 2, 2**40), declared(2**40, 2, 32), declared(20_000, 2, 16_384)],
    ),
    ("Data__IR", "not packed as netCDF does", [dict(data=np.ones(FULL), compression="lzf")]),
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

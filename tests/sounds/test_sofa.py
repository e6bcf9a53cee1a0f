"""SOFA files: what a sound one may look like, and hostile ones refused in one line."""

import h5py
import numpy as np
import pytest

from ssl_jax.common.errors import InputError
from ssl_jax.sounds.sofa import read_sofa
from support.made_sofa import FS, KEMAR, declared, write_sofa


def test_embedded_kemar_is_what_the_notice_says():
    kemar = read_sofa(KEMAR)
    assert kemar.hrirs.shape == (710, 2, 512) and kemar.fs == FS
    assert sorted(kemar.azimuth[kemar.elevation == 0]) == [5.0 * c for c in range(72)]


def test_cartesian_positions(tmp_path):
    angle = np.radians(np.arange(72) * 5.0)
    positions = 1.4 * np.stack([np.cos(angle), np.sin(angle), np.full(72, np.tan(np.radians(30)))], axis=1)
    sofa = read_sofa(write_sofa(tmp_path / "c.sofa", kind="cartesian", SourcePosition=positions))
    np.testing.assert_allclose((sofa.azimuth - np.arange(72) * 5 + 1) % 360, 1, atol=1e-9)
    np.testing.assert_allclose(sofa.elevation, 30)


def test_negative_azimuths_and_per_file_rates(tmp_path):
    positions = np.stack([np.arange(-180, 180, 5.0), np.zeros(72), np.ones(72)], axis=1)
    path = write_sofa(tmp_path / "n.sofa", SourcePosition=positions, Data__SamplingRate=np.full(72, 48_000.0))
    sofa = read_sofa(path)
    assert sofa.fs == 48_000 and sofa.azimuth.tolist() == [*range(180, 360, 5), *range(0, 180, 5)]


def test_receivers_the_other_way_round_are_swapped(tmp_path):
    delay = np.array([[0.0, 3.0]])
    straight = read_sofa(write_sofa(tmp_path / "a.sofa", Data__Delay=delay))
    ears = np.array([[0, -0.09, 0], [0, 0.09, 0]])
    swapped = read_sofa(write_sofa(tmp_path / "b.sofa", Data__Delay=delay, ReceiverPosition=ears))
    np.testing.assert_allclose(swapped.hrirs, straight.hrirs[:, ::-1], atol=1e-12)


@pytest.mark.parametrize("rows", [1, 72])
def test_delay_is_applied_in_samples(tmp_path, rows):
    plain = read_sofa(write_sofa(tmp_path / "a.sofa")).hrirs
    delays = np.tile([2.0, 5.0], (rows, 1))
    delayed = read_sofa(write_sofa(tmp_path / "b.sofa", Data__Delay=delays)).hrirs
    assert delayed.shape[-1] == 37
    np.testing.assert_allclose(delayed[:, 0, 2:34], plain[:, 0], atol=1e-12)
    np.testing.assert_allclose(delayed[:, 1, 5:37], plain[:, 1], atol=1e-12)


VIRTUAL = h5py.VirtualLayout(shape=(72, 2, 32), dtype="f8")
VIRTUAL[:] = h5py.VirtualSource("elsewhere.h5", "x", shape=(72, 2, 32))
ELSEWHERE = dict(chunks=None, external=[("x.raw", 0, 72 * 512)])
BAD = {
    "convention": (dict(SOFAConventions="GeneralTF"), "GeneralTF"),
    "empty convention": (dict(SOFAConventions=h5py.Empty("S1")), "SOFAConventions"),
    "long convention": (dict(SOFAConventions=np.bytes_("x" * 5000)), "SOFAConventions is not a short text"),
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
    "other packing": (
        dict(Data__IR=dict(data=np.ones((72, 2, 32)), compression="lzf")),
        "not packed as netCDF does",
    ),
    "external data": (dict(Data__IR=declared(72, 2, 32) | ELSEWHERE), "plain array"),
}


@pytest.mark.parametrize("case", BAD)
def test_malformed_sofa_is_one_line(tmp_path, case):
    changes, hint = BAD[case]
    path = write_sofa(tmp_path / "bad.sofa", **changes)
    with pytest.raises(InputError) as error:
        read_sofa(path)
    message = str(error.value)
    assert message.startswith(f"{path}: ") and hint in message and "\n" not in message


WHOLE = KEMAR.read_bytes()


@pytest.mark.parametrize(
    "content",
    [None, b"", b"not HDF5 at all", WHOLE[:50], WHOLE[:200_000]],
    ids=["missing", "empty", "text", "50 bytes", "cut"],
)
def test_broken_bytes_are_one_line(tmp_path, content):
    path = tmp_path / "broken.sofa"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_sofa(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)

"""Small files that unpack to much, declare much, or lead a library round in circles; see test_hostile.py."""

import gzip
import io
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from test_hostile import FEW, SOFA, SOUNDS, STORE_NOTES, sofa

from support.guarded import COLUMNS
from support.made_archives import make_tar, make_zip
from support.made_sofa import declared, write_sofa

MUCH = 90  # times 16 MiB
ZEROS = bytes(2**24)


def packed_zeros():
    """A zlib stream of far more than there may be memory for, made of one part many times over."""
    packer = zlib.compressobj(9)
    start = packer.compress(b"x") + packer.flush(zlib.Z_FULL_FLUSH)
    part = packer.compress(ZEROS) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + MUCH * part


def sofa_of_one_chunk():
    with tempfile.TemporaryDirectory() as folder:
        delay = dict(shape=(1, 2), dtype="f8", chunks=(1, 2), compression="gzip")
        path = write_sofa(Path(folder) / "a.sofa", **FEW, Data__Delay=delay)
        with h5py.File(path, "a") as file:
            file["Data.Delay"].id.write_direct_chunk((0, 0), packed_zeros())
        return path.read_bytes()


def sofa_of_a_loop():
    """The free space of the store of texts has no length, so that the next entry is itself."""
    content = bytearray(SOFA[0])
    at = content.index(b"GCOL") + 16
    while number := int.from_bytes(content[at : at + 2], "little"):
        at += 16 + -(-int.from_bytes(content[at + 8 : at + 16], "little") // 8) * 8
    content[at + 8 : at + 16] = bytes(8)
    assert number == 0
    return bytes(content)


def tar_of_a_long_header():
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, MUCH * len(ZEROS)
    return gzip.compress(info.tobuf()) + MUCH * gzip.compress(ZEROS)


def packed_with(method):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as pack:
        pack.writestr("a", b"text")
    return stream.getvalue()


def npy(shape):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"shape": shape, "fortran_order": False, "descr": "<f4"})
    return stream.getvalue()


def flac_of(samples):
    content = bytearray(SOUNDS[3])
    # 20 bits of the rate, 3 of the channels less 1, 5 of a sample's bits less 1, 36 of the length
    content[18:26] = (44_100 << 44 | 1 << 41 | 15 << 36 | samples).to_bytes(8, "big")
    return bytes(content)


WORST = {
    "a chunk that unpacks to much": ("sofa", "a.sofa", sofa_of_one_chunk),
    "a store of texts without end": ("sofa", "a.sofa", sofa_of_a_loop),
    "responses that are not there": (
        "sofa",
        "a.sofa",
        lambda: sofa(Data__IR=declared(20_000, 2, 3_000), SourcePosition=np.ones((20_000, 3)) * [0, 0, 1]),
    ),
    "a sound of hours": ("sound", "a.flac", lambda: flac_of(2 * 3600 * 44_100)),
    "columns without end": (
        "table",
        "a.csv",
        lambda: b",".join([*map(str.encode, COLUMNS), *[b"x"] * 200_000]) + b"\n" + b"1,a\n" * 2_000,
    ),
    "long notes": ("document", "a.json", lambda: b"[" + b"{}," * 2**23 + b"{}]"),
    "a deep checkpoint": ("checkpoint", "a.msgpack", lambda: b"\x81\xa1a" * 1_000 + b"\x80"),
    "a large checkpoint": (
        "checkpoint",
        "a.msgpack",
        lambda: b"\xdd" + (2**26).to_bytes(4, "big") + b"\x80" * 2**26,
    ),
    "weights that are not there": ("published", "a.npz", lambda: make_zip([("fc.bias.npy", npy((2**30,)))])),
    "a long header of weights": (
        "published",
        "a.npz",
        lambda: make_zip(
            [("fc.bias.npy", b"\x93NUMPY\2\0" + (16 * len(ZEROS)).to_bytes(4, "little") + 16 * ZEROS)]
        ),
    ),
    "a shard that is not there": ("shard", "cues-00000.npy", lambda: npy((2**40,))),
    "a long header of a member": ("archive", "a.tar.gz", tar_of_a_long_header),
    "members of many zeros": (
        "archive",
        "a.tar.gz",
        lambda: make_tar([("a", bytes(99_999)), ("b", bytes(999_999))]),
    ),
    "a member without a name": ("archive", "a.zip", lambda: make_zip([("a", b"")]).replace(b"a", b"\0")),
    "bzip2, which unpacks to any size": ("archive", "a.zip", lambda: packed_with(zipfile.ZIP_BZIP2)),
    "LZMA, which unpacks to any size": ("archive", "a.zip", lambda: packed_with(zipfile.ZIP_LZMA)),
}


@pytest.mark.parametrize("case", WORST)
def test_little_that_makes_much_is_refused(judge, case):
    reader, name, make = WORST[case]
    assert judge(reader, make(), name, store__json=STORE_NOTES) == "refused"

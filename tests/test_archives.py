"""Archives that try to write elsewhere, lie about their size, or arrive damaged."""

import hashlib
import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from ssl_jax import archives
from ssl_jax.archives import extract
from ssl_jax.files import InputError


def make_tar(members, mode="w:gz"):
    """members: (name, content) or (name, type, linkname)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as pack:
        for name, content, *link in members:
            info = tarfile.TarInfo(name)
            if link:
                info.type, info.linkname = content, link[0]
                pack.addfile(info)
            else:
                info.size = len(content)
                pack.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def make_zip(members):
    """members: (name, content[, unix mode])."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as pack:
        for name, content, *mode in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (mode[0] if mode else 0) << 16
            pack.writestr(info, content)
    return stream.getvalue()


def lying_zip():
    """A zip whose directory declares 10 bytes for a file of four million."""
    pack = bytearray(make_zip([("top/a", bytes(4_000_000))]))
    directory = pack.rfind(b"PK\x01\x02")
    pack[directory + 24 : directory + 28] = (10).to_bytes(4, "little")  # the size declared
    return bytes(pack)


KINDS = [("x.tar.gz", make_tar), ("x.zip", make_zip)]
GOOD = [("top/a.txt", b"alpha"), ("top/deep/er/b.txt", b"beta"), ("README", b"outside")]
NINE = [(f"top/{k}", hashlib.sha512(bytes([k])).digest() * 40) for k in range(9)]
MAX_BYTES = 3_000_000
EVIL = Path("/tmp/ssl_jax_evil")  # what an absolute name would make
LINK = stat.S_IFLNK | 0o777
TAR, ZIP = "x.tar.gz", "x.zip"

# case: file name, content, what the message says; test_download.py sends all of them too
BAD = {
    "up": (TAR, make_tar([("top/../../evil", b"x")]), "unsafe name"),
    "absolute": (TAR, make_tar([(str(EVIL), b"x")]), "unsafe name"),
    "symlink": (TAR, make_tar([("top", tarfile.SYMTYPE, "/etc")]), "link or a device"),
    "hard link": (TAR, make_tar([("top/a", tarfile.LNKTYPE, "../../etc/passwd")]), "link or a device"),
    "device": (TAR, make_tar([("top/a", tarfile.CHRTYPE, "")]), "link or a device"),
    "fifo": (TAR, make_tar([("top/a", tarfile.FIFOTYPE, "")]), "link or a device"),
    "through a link": (TAR, make_tar([("top", tarfile.SYMTYPE, ".."), ("top/evil", b"x")]), "link or a device"),
    "twice": (TAR, make_tar([("top/a", b"1"), ("top/a", b"2")]), "twice"),
    "file as folder": (TAR, make_tar([("top", b"1"), ("top/a", b"2")]), "as a folder"),
    "bomb": (TAR, make_tar([("top/a", bytes(4_000_000))]), "3000000 bytes"),
    "zip up": (ZIP, make_zip([("top/../../evil", b"x")]), "unsafe name"),
    "zip absolute": (ZIP, make_zip([(str(EVIL), b"x")]), "unsafe name"),
    "zip other system": (ZIP, make_zip([("top\\..\\evil", b"x")]), "unsafe name"),
    "zip drive": (ZIP, make_zip([("C:evil", b"x")]), "unsafe name"),
    "zip symlink": (ZIP, make_zip([("top/a", b"/etc/passwd", LINK)]), "link or a device"),
    "zip twice": (ZIP, make_zip([("top/a", b"1"), ("top//a", b"2")]), "twice"),
    "zip bomb": (ZIP, make_zip([("top/a", bytes(4_000_000))]), "3000000 bytes"),
    "many small bombs": (ZIP, make_zip([(f"top/{k}", bytes(400_000)) for k in range(10)]), "3000000 bytes"),
    "zip that lies": (ZIP, lying_zip(), "not a sound archive"),
    "text": (TAR, b"<html>sorry", "not a sound archive"),
    "zip text": (ZIP, b"<html>sorry", "not a sound archive"),
    "cut": (TAR, (whole := make_tar(NINE))[: len(whole) // 2], "not a sound archive"),
    "zip cut": (ZIP, (whole := make_zip(NINE))[: len(whole) // 2], "not a sound archive"),
}


def names(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


def unpack(content, file, tmp_path):
    """Unpack bytes into a folder of its own, two levels down, as `extract` is used."""
    (tmp_path / "data").mkdir()
    archive = tmp_path / "data" / f"{file}.part"
    archive.write_bytes(content)
    extract(archive, tmp_path / "data/goal", MAX_BYTES)


@pytest.mark.parametrize("file, make", KINDS)
def test_a_sound_archive_is_unpacked_whole(tmp_path, file, make):
    unpack(make(GOOD), file, tmp_path)
    assert {name: (tmp_path / "data/goal" / name).read_bytes() for name, _ in GOOD} == dict(GOOD)


@pytest.mark.parametrize("case", BAD)
def test_bad_archives_are_refused_and_reach_nothing_outside(tmp_path, case):
    file, content, hint = BAD[case]
    with pytest.raises(InputError, match=hint) as error:
        unpack(content, file, tmp_path)
    assert "\n" not in str(error.value)
    outside = [name for name in names(tmp_path) if not name.startswith("data/goal")]
    assert outside == ["data", f"data/{file}.part"] and not EVIL.exists()
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))


@pytest.mark.parametrize("file, make", KINDS)
@pytest.mark.parametrize("most, fits", [(9, True), (8, False)])
def test_members_are_counted(tmp_path, monkeypatch, file, make, most, fits):
    monkeypatch.setattr(archives, "MAX_MEMBERS", most)
    if fits:
        unpack(make(NINE), file, tmp_path)
        assert len(names(tmp_path / "data/goal/top")) == 9
    else:
        with pytest.raises(InputError, match="over 8 files"):
            unpack(make(NINE), file, tmp_path)


def test_an_existing_folder_is_not_written_into(tmp_path):
    (tmp_path / "data/goal").mkdir(parents=True)
    (tmp_path / "x.zip").write_bytes(make_zip(GOOD))
    with pytest.raises(InputError):
        extract(tmp_path / "x.zip", tmp_path / "data/goal", MAX_BYTES)
    assert names(tmp_path / "data/goal") == []


@pytest.mark.parametrize("file, make", KINDS)
def test_a_large_archive_shows_progress(tmp_path, monkeypatch, file, make):
    shown = []

    def track(items, label, total):
        shown.append([label, total, 0])
        for item in items:
            yield item
            shown[-1][2] += 1

    monkeypatch.setattr(archives, "track", track)
    unpack(make(GOOD), file, tmp_path)
    assert not shown  # a small one is done at once
    monkeypatch.setattr(archives, "SHOW_FROM", 0)
    noise = [(str(k), hashlib.shake_256(bytes([k])).digest(2**19)) for k in range(5)]
    unpack(make(noise), file, tmp_path / "data")
    (label, total, done), = shown
    assert label == f"unpacking {file} (MiB)" and total == 3 and 2 <= done <= 3

"""Archives: sound ones, and those that try to write elsewhere, lie about their size, or arrive damaged."""

import hashlib
import io
import stat
import tarfile
import zipfile
from pathlib import Path


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
    "through a link": (
        TAR,
        make_tar([("top", tarfile.SYMTYPE, ".."), ("top/evil", b"x")]),
        "link or a device",
    ),
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

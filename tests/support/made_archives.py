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
                info.type, info.linkname, content = content, link[0], b""
            info.size = len(content)
            pack.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def make_zip(members, method=zipfile.ZIP_DEFLATED):
    """members: (name, content[, unix mode])."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as pack:
        for name, content, *mode in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = (mode[0] if mode else 0) << 16
            pack.writestr(info, content, method)
    return stream.getvalue()


KINDS = [("x.tar.gz", make_tar), ("x.zip", make_zip)]
GOOD = [("top/a.txt", b"alpha"), ("top/deep/er/b.txt", b"beta"), ("README", b"outside")]
NOISE = hashlib.shake_256(b"").digest(10_000)  # does not compress
MAX_BYTES = 3_000_000
EVIL = Path("/tmp/ssl_jax_evil")  # what an absolute name would make
LINK = stat.S_IFLNK | 0o777

UNSAFE = {
    "up": "top/../../evil",
    "absolute": str(EVIL),
    "other system": "top\\..\\evil",
    "drive": "C:evil",
}
CONTENTS = {  # of archives of either kind, and what the message says
    **{case: ([(name, b"x")], "unsafe name") for case, name in UNSAFE.items()},
    "twice": ([("top/a", b"1"), ("top//a", b"2")], "twice"),
    "file as folder": ([("top", b"1"), ("top/a", b"2")], "as a folder"),
    "bomb": ([("top/a", bytes(4_000_000))], "3000000 bytes"),
    "many small bombs": ([(f"top/{k}", bytes(400_000)) for k in range(10)], "3000000 bytes"),
}
LINKS = {
    tarfile.SYMTYPE: "/etc",
    tarfile.LNKTYPE: "../etc/passwd",
    tarfile.CHRTYPE: "",
    tarfile.FIFOTYPE: "",
}

BAD = {}  # case: file name, content, what the message says
for file, make in KINDS:
    BAD |= {
        f"{case} {file}": (file, make(members), says) for case, (members, says) in CONTENTS.items()
    }
    BAD[f"text {file}"] = (file, b"<html>sorry", "not a sound archive")
    BAD[f"cut {file}"] = (file, make([("top/a", NOISE)])[:5_000], "not a sound archive")
for kind, to in LINKS.items():  # also where something is unpacked through it
    BAD[f"link {kind}"] = (
        "x.tar.gz",
        make_tar([("top", kind, to), ("top/evil", b"x")]),
        "link or a device",
    )
BAD["zip symlink"] = ("x.zip", make_zip([("top/a", b"/etc/passwd", LINK)]), "link or a device")
lying = bytearray(make_zip([("top/a", bytes(4_000_000))]))
at = lying.rfind(b"PK\x01\x02") + 24  # where its directory declares the size
lying[at : at + 4] = (10).to_bytes(4, "little")
BAD["zip that lies"] = ("x.zip", bytes(lying), "not a sound archive")


def names(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))

"""Unpack archives that may come from anywhere: only plain files, only below the folder given."""

import contextlib
import gzip
import math
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from .files import InputError, error_reason
from .progress import track

PIECE = 2**20  # bytes worked on at a time
SHOW_FROM = 16 * PIECE  # bytes; smaller files come without a progress bar
MAX_MEMBERS = 200_000  # of an archive; LibriSpeech has 29,000


def extract(archive: Path, folder: Path, max_bytes: int) -> None:
    """Unpack a .tar.gz or .zip into a new folder.

    Only plain files and folders, by relative names, no name twice, at most MAX_MEMBERS and
    `max_bytes` in all by what the archive declares and delivers; InputError otherwise.
    """
    size = archive.stat().st_size
    steps = _unpack(archive, folder, max_bytes)
    if size >= SHOW_FROM:
        steps = track(steps, f"unpacking {archive.name.removesuffix('.part')} (MiB)", math.ceil(size / PIECE))
    try:
        folder.mkdir(parents=True)
        for _ in steps:
            pass
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise InputError("it names one file twice, or a file as a folder") from None
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, gzip.BadGzipFile, EOFError,
            NotImplementedError, RuntimeError, ValueError, UnicodeError) as error:
        raise InputError(f"not a sound archive: {error_reason(error)[:120]}") from None


def _unpack(archive: Path, folder: Path, max_bytes: int) -> Iterator[None]:
    """Unpack, giving a sign of life for every PIECE of the archive done."""
    total = steps = 0
    with contextlib.ExitStack() as stack:
        for number, (name, is_folder, size, done, open_member) in enumerate(_members(archive, stack)):
            total += size
            if number >= MAX_MEMBERS or total > max_bytes:
                raise InputError(f"it unpacks to over {MAX_MEMBERS} files or {max_bytes} bytes")
            # no "..", no "/" first, nothing that is a path on another system
            parts = PurePosixPath(name).parts
            strange = not name.isprintable() or "\\" in name or ":" in name
            if not parts or name.startswith("/") or ".." in parts or strange:
                raise InputError(f"it holds the unsafe name {name[:60]!r}")
            target = folder.joinpath(*parts)
            if is_folder:
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with open_member() as content, open(target, "xb") as stream:
                shutil.copyfileobj(content, stream, PIECE)  # raises if it is not of its size
            while steps < done // PIECE:
                steps += 1
                yield


def _members(archive: Path, stack: contextlib.ExitStack) -> Iterator[tuple]:
    """(name, is it a folder, bytes, bytes of the archive before its end, function to open it) of each."""
    if ".zip" in archive.suffixes:
        done = 0
        pack = stack.enter_context(zipfile.ZipFile(archive))
        for info in pack.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise InputError(f"{info.filename[:60]!r} in it is a link or a device")
            done += info.compress_size
            yield info.filename, info.is_dir(), info.file_size, done, lambda info=info: pack.open(info)
        return
    raw = stack.enter_context(open(archive, "rb"))
    pack = stack.enter_context(tarfile.open(fileobj=raw, mode="r:gz"))
    for member in pack:
        if not (member.isreg() or member.isdir()) or member.issparse():
            raise InputError(f"{member.name[:60]!r} in it is a link or a device")
        opened = lambda member=member: pack.extractfile(member)
        yield member.name, member.isdir(), member.size, raw.tell(), opened

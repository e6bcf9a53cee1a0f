"""Unpack archives that may come from anywhere: only plain files, only below the folder given."""

import contextlib
import errno
import gzip
import math
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath

from ssl_jax.common.errors import InputError, error_reason
from ssl_jax.common.progress import track

PIECE = 2**20  # bytes worked on at a time
SHOW_FROM = 16 * PIECE  # bytes; smaller files come without a progress bar
MAX_MEMBERS = 200_000  # of an archive; LibriSpeech has 29,000
MAX_HEADER = 2**14  # bytes of a .tar.gz read at a time; the longest path has 2**12
NAME_ERRORS = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)


def extract(archive: Path, folder: Path, max_bytes: int) -> None:
    """Unpack a .tar.gz or .zip into a new folder; raises InputError unless it is sound, at most `max_bytes`
    unpacked, and holds at most MAX_MEMBERS plain files and folders by relative names, none of them twice."""
    size, steps = archive.stat().st_size, _unpack(archive, folder, max_bytes)
    if size >= SHOW_FROM:
        steps = track(
            steps, f"unpacking {archive.name.removesuffix('.part')} (MiB)", math.ceil(size / PIECE)
        )
    try:
        folder.mkdir(parents=True)
        for _ in steps:
            pass
    except (
        Exception
    ) as error:  # a damaged archive can raise almost any exception in zipfile and tarfile
        number = getattr(error, "errno", None)
        if isinstance(error, InputError) or number not in (None, errno.EINVAL, *NAME_ERRORS):
            raise  # also for a full disk, which is not the archive's fault
        reason = f"not a sound archive: {error_reason(error)[:120]}"
        if number in NAME_ERRORS:
            reason = "it names a file twice, a file as a folder, or one at too great length"
        raise InputError(reason) from None


def _unpack(archive: Path, folder: Path, max_bytes: int) -> Iterator[None]:
    """Unpack; yields once for every PIECE of the archive done."""
    total = steps = 0
    with contextlib.ExitStack() as stack:
        for number, (name, is_folder, size, done, open_member) in enumerate(
            _members(archive, stack)
        ):
            total += size
            if number >= MAX_MEMBERS or total > max_bytes or size < 0:
                raise InputError(f"it unpacks to over {MAX_MEMBERS} files or {max_bytes} bytes")
            parts = PurePosixPath(name).parts
            strange = (
                not name.isprintable() or "\\" in name or ":" in name
            )  # a path on another system
            if not parts or name.startswith("/") or ".." in parts or strange:
                raise InputError(f"it holds the unsafe name {name[:60]!r}")
            target = folder.joinpath(*parts)
            if is_folder:
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with open_member() as content, open(target, "xb") as stream:
                shutil.copyfileobj(content, stream, MAX_HEADER)  # raises if it is not of its size
            yield from [None] * (done // PIECE - steps)
            steps = done // PIECE


class _Inflated(gzip.GzipFile):
    """A .tar.gz for tarfile, which would read a header of any declared length into memory."""

    def read(self, size=-1):
        if not 0 <= size <= MAX_HEADER:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return super().read(size)


def _members(archive: Path, stack: contextlib.ExitStack) -> Iterator[tuple]:
    """(name, is it a folder, bytes, bytes of the archive before its end, function to open it) of each."""
    if ".zip" in archive.suffixes:
        done, pack = 0, stack.enter_context(zipfile.ZipFile(archive))
        for info in pack.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise InputError(f"{info.filename[:60]!r} in it is a link or a device")
            # zipfile unpacks a piece of another method whole, however much that makes
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise InputError(
                    f"{info.filename[:60]!r} in it is packed otherwise than ZIP's usual way"
                )
            done += info.compress_size
            yield (
                info.filename,
                info.filename.endswith("/"),
                info.file_size,
                done,
                partial(pack.open, info),
            )
        return
    raw = stack.enter_context(open(archive, "rb"))
    stream = stack.enter_context(_Inflated(fileobj=raw))
    for member in (pack := stack.enter_context(tarfile.open(fileobj=stream, mode="r:"))):
        if not (member.isreg() or member.isdir()) or member.issparse():
            raise InputError(f"{member.name[:60]!r} in it is a link or a device")
        yield (
            member.name,
            member.isdir(),
            member.size,
            raw.tell(),
            partial(pack.extractfile, member),
        )

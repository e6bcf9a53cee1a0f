"""Files, safely: one-line errors, whole-or-nothing writing, sounds and tables checked on reading."""

import contextlib
import csv
import errno
import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

# What is read into memory at once may be no larger: a file of a few kilobytes may declare any length.
MAX_SOUND_SECONDS = 4 * 3600
MAX_SAMPLES = 2**27  # of all channels together; 512 MiB
MAX_TEXT_BYTES = 2**24  # of a table or notes, which take up to fifty times that in memory


class InputError(Exception):
    """Something outside the program is wrong; the message names it and the remedy in one line."""


def os_error_message(error: OSError) -> str:
    """One line for an operating system error: the file, what is wrong, what to do."""
    remedies = {
        errno.ENOSPC: "the disk is full: free some space and run the same command again",
        errno.EDQUOT: "the disk quota is used up: free some space and run the same command again",
        errno.EACCES: "permission denied: choose a folder you may write to, or change its rights",
        errno.EPERM: "operation not permitted: choose a folder you may write to",
        errno.EROFS: "the file system is read-only: choose another folder",
        errno.ENOENT: "no such file or folder: check the path",
        errno.EISDIR: "is a folder where a file is needed: check the path",
        errno.ENOTDIR: "a file stands where a folder is needed: check the path",
        errno.EEXIST: "a file stands where a folder is needed: move it away",
    }
    name = error.filename if error.filename is not None else "input/output"
    # a library's own error may have a text but no number
    reason = error.strerror or " ".join(map(str, error.args)) or type(error).__name__
    return f"{name}: {remedies.get(error.errno, reason)}"


def error_reason(error: Exception | str) -> str:
    """The first line of what an error says, or its kind where it says nothing (as MemoryError may)."""
    return (str(error).splitlines() or [type(error).__name__])[0]


@contextlib.contextmanager
def atomic_write(path: Path, mode: str = "wb"):
    """Open a neighbour of `path` for writing and move it there only when all went well.

    A reader, or a later run, sees the old file or the whole new one, never a part. A device or a pipe, such as
    /dev/stdout, is written to and not replaced.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    straight = path.exists() and not path.is_file() and not path.is_dir()
    if path.is_symlink() and not straight:
        path = path.resolve()  # the link stays, what it leads to is replaced
    part = path if straight else path.with_name(f".{path.name}.{os.getpid()}.part")
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        with open(part, mode, **text) as stream:
            yield stream
            stream.flush()
            if not straight:
                os.fsync(stream.fileno())
        if not straight:
            os.replace(part, path)
    except OSError as error:
        # name the file the user knows, not its hidden neighbour; another file keeps its own name
        if error.filename is None or str(error.filename) == str(part):
            error.filename = str(path)
        raise
    finally:
        if not straight:
            with contextlib.suppress(OSError):
                part.unlink()


def require_writable(folder: Path) -> None:
    """Make a folder; OSError, before any work, where no file can be written into it."""
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        number = errno.EROFS if os.statvfs(folder).f_flag & os.ST_RDONLY else errno.EACCES
        raise OSError(number, os.strerror(number), str(folder))


@contextlib.contextmanager
def locked(folder: Path):
    """Keep a folder to this process: InputError where another one has it.

    The system gives the lock back however a process ends; the file stays and means nothing by itself.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lock"
    with open(path, "ab+", buffering=0) as stream:  # nothing is left to write on closing where the disk is full
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            process = stream.read().decode(errors="replace").strip() or "unknown"
            raise InputError(f"{folder}: is in use by another run (process {process}): "
                             "wait for it or use another --name") from None
        try:
            stream.truncate(0)
            stream.write(b"%d\n" % os.getpid())
        except OSError as error:
            error.filename = str(path)
            raise
        yield


def sweep(folder: Path) -> None:
    """Delete what `atomic_write` had begun in processes that were killed."""
    for part in folder.rglob(".*.part"):
        process = part.name.split(".")[-2]
        if process.isdecimal() and not Path(f"/proc/{process}").exists():
            part.unlink(missing_ok=True)


def write_json(path: Path, content) -> None:
    """Write `content` as indented JSON, whole or not at all."""
    with atomic_write(path, "w") as stream:
        stream.write(json.dumps(content, indent=1) + "\n")


def _require_short(path: Path, limit: int = MAX_TEXT_BYTES) -> None:
    """InputError for a text longer than expected."""
    if Path(path).stat().st_size > limit:
        raise InputError(f"{path}: over {limit >> 20} MiB: not the file expected, check the path")


def read_json(path: Path):
    """Read a JSON file; InputError if it is not JSON, or over MAX_TEXT_BYTES."""
    _require_short(path)
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error}): delete it and run again") from None


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file, read in pieces."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_checksum(path: Path) -> None:
    """Note a file's checksum beside it: written last, it says that the file is whole."""
    with atomic_write(path.with_suffix(".sha256"), "w") as stream:
        stream.write(sha256_of(path) + "\n")


def is_whole(path: Path) -> bool:
    """Is the file there, its checksum beside it, and does it agree?"""
    note = path.with_suffix(".sha256")
    if not (path.is_file() and note.is_file()):
        return False
    with open(note, "rb") as stream:
        return stream.read(100).strip() == sha256_of(path).encode()


def require_file(path: Path) -> None:
    """InputError unless there is a file with something in it."""
    if not path.is_file():
        raise InputError(f"{path}: no such file: check the path")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty: fetch it again")


def csv_rows(path: Path, columns: tuple[str, ...], max_rows: int = 1_000_000,
             max_bytes: int = MAX_TEXT_BYTES) -> Iterator[dict]:
    """Rows of a CSV file as dicts, one at a time.

    Raises
    ------
    InputError
        The file is missing, not text, lacks one of `columns`, has a row cut short, over `max_rows` rows or
        `max_bytes`.
    """
    try:
        _require_short(path, max_bytes)
        with open(path, newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            missing = [c for c in columns if c not in (reader.fieldnames or ())]
            if missing:
                raise InputError(f"{path}: no column {missing[0]!r}: the file is not what its name says")
            for number, row in enumerate(reader, 1):
                if None in row.values():  # no column may go without, or each of many rows would fill it in
                    raise InputError(f"{path}: line {reader.line_num} is cut short: fetch the file again")
                if number > max_rows:
                    raise InputError(f"{path}: more than {max_rows} rows: not the file expected")
                yield row
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a readable CSV file ({error}): fetch it again") from None
    except OSError as error:
        raise InputError(os_error_message(error)) from None


def read_csv(path: Path, columns: tuple[str, ...], max_rows: int = 1_000_000) -> list[dict]:
    """All rows of a CSV file; see `csv_rows`."""
    return list(csv_rows(path, columns, max_rows))


def _cut_short(log: str) -> bool:
    """Does libsndfile's log of opening a WAV, AIFF or Ogg say that the end is missing?

    It takes such a file as a shorter sound, and does not notice an Ogg cut within its last page.
    Programs that write to a pipe leave the length at its highest value, which means nothing.
    """
    sizes = re.search(r"^ ?(?:data|SSND) : (\d+) \(should be (\d+)\)", log, re.MULTILINE)
    return "lacks an end-of-stream" in log or bool(sizes and int(sizes[2]) < int(sizes[1]) < 0x7FFF0000)


@contextlib.contextmanager
def open_sound(path: Path):
    """A sound file open for reading, as soundfile.SoundFile; InputError for what is none."""
    path = Path(path)
    require_file(path)
    try:
        with soundfile.SoundFile(path) as sound:
            if sound.samplerate < 1 or sound.frames < 1:
                raise InputError(f"{path}: holds no sound: fetch it again")
            if _cut_short(sound.extra_info):
                raise InputError(f"{path}: ends before its stated length: it is truncated, fetch it again")
            yield sound
    except (soundfile.SoundFileError, RuntimeError, TypeError, ValueError, MemoryError) as error:
        require_file(path)  # it may be gone by now
        reason = error_reason(error).replace(f"{str(path)!r}", "it")
        raise InputError(f"{path}: not a readable sound file ({reason}): use WAV, FLAC or OGG") from None


def read_sound(path: Path, start: int = 0, frames: int = -1) -> tuple[np.ndarray, int]:
    """Read a sound file of any format libsndfile knows.

    Parameters
    ----------
    path : Path
    start, frames : int
        First frame, and how many (-1: all that follow).

    Returns
    -------
    signal : (frames, ears) float32, full scale is 1
    fs : int, Hz

    Raises
    ------
    InputError
        The file is missing, empty, truncated, no sound, too long, or holds NaN or infinity.
    """
    path = Path(path)
    with open_sound(path) as sound:
        fs = sound.samplerate
        start = min(start, sound.frames)
        promised = sound.frames - start if frames < 0 else min(frames, sound.frames - start)
        if promised > MAX_SOUND_SECONDS * fs or promised * sound.channels > MAX_SAMPLES:
            raise InputError(f"{path}: longer than {MAX_SOUND_SECONDS} s or {MAX_SAMPLES} samples: cut it into pieces")
        sound.seek(start)
        signal = sound.read(promised, dtype="float32", always_2d=True)
        if len(signal) < promised:
            raise InputError(f"{path}: ends before its stated length: it is truncated, fetch it again")
    if not np.isfinite(signal).all():
        raise InputError(f"{path}: holds NaN or infinite samples: export it again")
    return signal, fs


def sound_blocks(path: Path, size: int) -> Iterator[np.ndarray]:
    """A sound file in consecutive blocks (size, ears) float32; the last may be shorter.

    Raises
    ------
    InputError
        As `read_sound`, but of any length, and samples are not looked at.
    """
    with open_sound(path) as sound:
        left = sound.frames
        while left:
            block = sound.read(min(size, left), dtype="float32", always_2d=True)
            if len(block) < min(size, left):
                raise InputError(f"{path}: ends before its stated length: it is truncated, fetch it again")
            left -= len(block)
            yield block

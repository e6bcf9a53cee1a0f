"""Files, safely: written whole or not at all, locked, checked on reading."""

import contextlib
import csv
import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import filelock

from ssl_jax.common.errors import InputError, os_error_message

MAX_TEXT_BYTES = 2**24  # of a table or notes, which take up to fifty times that in memory
MAX_ROWS = 1_000_000  # of a table: far more than any of ours has
MOST_CHECKSUM_BYTES = 100  # a SHA-256 in hexadecimal has 64
OTHER_FOLDER = "use another --name or --work, or delete that folder"


def package_data(name: str) -> Path:
    """A file or folder that comes with the package, under ssl_jax/data."""
    return Path(__file__).parents[1] / "data" / name


def is_device(path: Path) -> bool:
    """Is it a device, such as /dev/stdout, or a pipe? Neither can be replaced."""
    return path.exists() and not path.is_file() and not path.is_dir()


def require_file_name(path: Path) -> None:
    """Raise OSError for a folder, which an empty name is too."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))


@contextlib.contextmanager
def atomic_write(path: Path, mode: str = "wb"):
    """Open a neighbour of `path` for writing and move it there only when all went well."""
    path = Path(path)
    require_file_name(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    straight = is_device(path)
    if path.is_symlink() and not straight:
        path = path.resolve()  # keep the link and replace the file that it points to
    part = path if straight else path.with_name(f".{path.name}.{os.getpid()}.part")
    text: dict = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        with open(part, mode, **text) as stream:
            yield stream
            stream.flush()
            if not straight:
                os.fsync(stream.fileno())
        if not straight:
            os.replace(part, path)
    except OSError as error:
        if error.filename is None or str(error.filename) == str(part):
            error.filename = str(path)  # the file that the user knows, not its hidden neighbour
        raise
    finally:
        if not straight:
            with contextlib.suppress(OSError):
                part.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8, whole or not at all."""
    with atomic_write(path, "w") as stream:
        stream.write(text)


def write_json(path: Path, content) -> None:
    """Write `content` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(content, indent=1) + "\n")


def require_writable(folder: Path) -> None:
    """Make a folder; raises OSError, before any work, where no file can be written into it."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        error.filename = str(folder)
        raise


def check_outputs(outputs: Iterable[Path], inputs: Iterable[Path] = ()) -> None:
    """Look at the files that a stage is to write, before any work.

    Raises
    ------
    InputError
        One of them is an input, or the same file as another.
    OSError
        One of them is a folder, or in a folder where no file can be written.
    """
    taken = {os.path.realpath(path) for path in inputs}
    for path in outputs:
        if is_device(path):
            continue
        require_file_name(path)
        real_path = os.path.realpath(path)
        if real_path in taken:
            raise InputError(
                f"{path}: would replace a file that is read or another output: "
                "choose another name for it"
            )
        taken.add(real_path)
        # a link is kept, and the file that it leads to is written
        require_writable(Path(real_path).parent if path.is_symlink() else path.parent)


@contextlib.contextmanager
def lock_folder(folder: Path):
    """Keep a folder to this process; InputError where another has it.

    The file that is left behind means nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(folder / "lock", timeout=0):
            yield
    except filelock.Timeout:
        raise InputError(
            f"{folder}: is in use by another run: wait for it or use another --work"
        ) from None


def _is_running(process: int) -> bool:
    """Is there a process of this number? Windows cannot be asked in this way: there, no."""
    if os.name == "nt":
        return False
    try:
        os.kill(process, 0)
    except (OSError, OverflowError) as error:
        return isinstance(error, PermissionError)  # it is another user's
    return True


def remove_stale_parts(folder: Path) -> None:
    """Delete unfinished files that `atomic_write` left in processes that were killed."""
    for part in folder.rglob(".*.part"):
        process = part.name.split(".")[-2]
        if process.isdecimal() and not _is_running(int(process)):
            part.unlink(missing_ok=True)


def check_size(path: Path, limit: int) -> None:
    """Raise InputError for a file of more than `limit` bytes."""
    if Path(path).stat().st_size > limit:
        raise InputError(
            f"{path}: over {limit / 2**20:.1f} MiB: not the file expected, check the path"
        )


def read_json(path: Path):
    """Read a JSON file; raises InputError if it is not JSON or is over MAX_TEXT_BYTES."""
    check_size(path, MAX_TEXT_BYTES)
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON ({error}): delete it and run again") from None


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file, read in pieces."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_checksum(path: Path) -> None:
    """Write a file's checksum beside it, last: its presence says that the file is whole."""
    write_text(path.with_suffix(".sha256"), sha256_of(path) + "\n")


def checksum_agrees(path: Path) -> bool:
    """Are the file and its checksum there, and do they agree?"""
    note = path.with_suffix(".sha256")
    if not (path.is_file() and note.is_file()):
        return False
    # anything longer is no checksum, and is not read
    if note.stat().st_size > MOST_CHECKSUM_BYTES:
        return False
    return note.read_bytes().strip() == sha256_of(path).encode()


def require_file(path: Path) -> None:
    """Raise InputError unless there is a file with something in it."""
    if path.is_dir():
        raise InputError(f"{path}: is a folder, not a file: name a file in it")
    if not path.is_file():
        raise InputError(f"{path}: no such file: check the path")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty: fetch it again")


def picture_kind(path: Path) -> str:
    """The format that a picture's name asks for; InputError unless it is PNG, PDF or SVG."""
    kind = Path(path).suffix.lower().lstrip(".")
    if kind not in ("png", "pdf", "svg"):
        raise InputError(
            f"{path}: not a name for a picture: use one that ends in .png, .pdf or .svg"
        )
    return kind


def csv_rows(
    path: Path,
    columns: tuple[str, ...],
    max_rows: int = MAX_ROWS,
    max_bytes: int = MAX_TEXT_BYTES,
) -> Iterator[dict]:
    """Rows of a CSV file as dicts, one at a time.

    Raises
    ------
    InputError
        Unless the file is whole, has `columns` and is no larger than it may be.
    """
    try:
        check_size(path, max_bytes)
        with open(path, newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            if missing:
                raise InputError(
                    f"{path}: no column {missing[0]!r}: the file is not what its name says"
                )
            for number, row in enumerate(reader, 1):
                # DictReader fills the columns that a short row lacks
                if None in row.values():
                    raise InputError(
                        f"{path}: line {reader.line_num} is cut short: fetch the file again"
                    )
                if number > max_rows:
                    raise InputError(f"{path}: more than {max_rows} rows: not the file expected")
                yield row
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a readable CSV file ({error}): fetch it again") from None
    except OSError as error:
        raise InputError(os_error_message(error)) from None


def read_csv(path: Path, columns: tuple[str, ...], max_rows: int = MAX_ROWS) -> list[dict]:
    """All rows of a CSV file; see `csv_rows`."""
    return list(csv_rows(path, columns, max_rows))


def settle_settings(path: Path, settings: dict, outputs: str = "*.sha256") -> None:
    """Write the settings that a folder's files are made with, or compare them with those there.

    Parameters
    ----------
    path : of the settings, beside the files
    settings : by part and field, ready for JSON
    outputs : pattern of the files that are made with them

    Raises
    ------
    InputError
        Where a setting differs, or outputs are there and no settings.
    """
    if path.exists():
        compare_settings(path, settings)
    elif any(path.parent.glob(outputs)):
        raise InputError(
            f"{path}: is missing, so nobody knows how the files beside it were made: {OTHER_FOLDER}"
        )
    else:
        write_json(path, settings)


def compare_settings(path: Path, settings: dict, defaults: dict | None = None) -> None:
    """Raise InputError, which names the setting, where a file has others.

    A file of an older version lacks fields that came later: `defaults`, by part and field as
    `settings`, says what that version did.
    """
    defaults = json.loads(json.dumps(defaults or {}))
    before = read_json(path)
    for part, fields in json.loads(json.dumps(settings)).items():  # tuples are lists in the file
        old_fields = before.get(part) if isinstance(before, dict) else None
        if not isinstance(old_fields, dict):
            old_fields = {}
        for field, value in fields.items():
            usual = defaults.get(part, {}).get(field) if old_fields else None
            old = old_fields.get(field, usual)
            if old != value:
                raise InputError(
                    f"{path}: was made with {part}.{field} = {old!r}, now {value!r}: {OTHER_FOLDER}"
                )

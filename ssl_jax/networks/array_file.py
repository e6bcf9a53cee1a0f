"""The one kind of file for arrays: safetensors with notes in JSON and a checksum of both.

Checkpoints, the last weights of a run and the networks of the package are such files. Reading one
runs no code of it.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import numpy as safetensors

from ssl_jax.common.errors import InputError, error_reason
from ssl_jax.common.files import atomic_write, check_size

# of the notes; a file of a higher one was made by a newer version
FORMAT = 1
# the entry of safetensors' metadata that holds the notes
ENTRY = "ssl_jax"
# read into memory; the largest network's checkpoints have 20 million
MAX_BYTES = 2**25
# the notes of a checkpoint take some 600 bytes an epoch; read, JSON takes up to fifty times that
MAX_HEADER_BYTES = 2**20
# int32 are counts of the optimiser, uint32 the keys and counts of dropout
DTYPES = {"float16", "float32", "int32", "uint32"}
# characters of an error from a library: it may quote the file
MAX_REASON = 100


@dataclass(frozen=True)
class ArrayFile:
    """What a file holds."""

    notes: dict  # ready for JSON
    arrays: dict[str, np.ndarray]  # by name


def _digest(content: ArrayFile) -> str:
    """SHA-256 of the notes and of the arrays' bytes in the order of their names."""
    digest = hashlib.sha256(json.dumps(content.notes, sort_keys=True).encode())
    for _, array in sorted(content.arrays.items()):
        digest.update(array.tobytes())
    return digest.hexdigest()


def to_bytes(content: ArrayFile) -> bytes:
    """The content as the bytes of a file; equal contents give equal bytes."""
    notes = {"format": FORMAT, "sha256": _digest(content), **content.notes}
    # all notes are one string of the metadata: safetensors would vary the order of several
    return safetensors.save(content.arrays, {ENTRY: json.dumps(notes)})


def _header_end(file: bytes) -> int:
    """Where the header ends: a file begins with its length in eight bytes, then the header."""
    return 8 + int.from_bytes(file[:8], "little")


def _notes_of(file: bytes) -> dict:
    """The notes in the header of a file; raises almost any exception where they are damaged."""
    end = _header_end(file)
    if end > MAX_HEADER_BYTES:
        raise ValueError("its header is too long")
    header = json.loads(file[8:end])
    notes = json.loads(header["__metadata__"][ENTRY])
    if not isinstance(notes, dict):
        raise ValueError("its notes have no names")
    return notes


def from_bytes(file: bytes, source: str | Path, remedy: str) -> ArrayFile:
    """The content of a file's bytes.

    Parameters
    ----------
    file : bytes
    source, remedy : str
        What the message of an error begins and ends with: the file, and what to do.

    Raises
    ------
    InputError
        If the bytes are damaged, cut short, of another kind of file, or of a newer version.
    """
    try:
        notes = _notes_of(file)
        if notes.pop("format") > FORMAT:
            remedy = "upgrade ssl_jax"
            raise ValueError("made by a newer version")
        digest = notes.pop("sha256")
        content = ArrayFile(notes, safetensors.load(file))
        kinds = {array.dtype.name for array in content.arrays.values()}
        if digest != _digest(content) or kinds - DTYPES:
            raise ValueError("arrays of another checksum or kind")
    except Exception as error:
        # corrupt bytes can raise almost any exception in JSON, safetensors or NumPy
        reason = error_reason(error)[:MAX_REASON]
        raise InputError(f"{source}: cannot be used ({reason}): {remedy}") from None
    return content


def read_arrays(path: Path, remedy: str, max_bytes: int = MAX_BYTES) -> ArrayFile:
    """Read a file; raises InputError, as `from_bytes` does, and where it is over `max_bytes`."""
    check_size(path, max_bytes)
    return from_bytes(Path(path).read_bytes(), path, remedy)


def write_arrays(path: Path, content: ArrayFile, max_bytes: int = MAX_BYTES) -> None:
    """Write a file, whole or not at all.

    Raises
    ------
    InputError
        If it would be too large to be read again.
    """
    file = to_bytes(content)
    if len(file) > max_bytes:
        over = f"{len(file):,} bytes, over the {max_bytes:,} that are read again"
        raise InputError(f"{path}: {over}: use a smaller network")
    if _header_end(file) > MAX_HEADER_BYTES:
        over = f"notes over the {MAX_HEADER_BYTES:,} bytes that are read again"
        raise InputError(f"{path}: {over}: train for fewer epochs")
    with atomic_write(path) as stream:
        stream.write(file)

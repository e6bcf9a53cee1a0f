"""Fields of HDF5 files, checked before they are read: a download may be cut short or damaged."""

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import check_size

# that HDF5 unpacks at once, whatever is read of it; a sound file has chunks of a few MiB
MAX_CHUNK_BYTES = 2**27
# a unit or the name of a convention takes far less
MAX_ATTRIBUTE_BYTES = 1000
MAX_FILE_BYTES = 2**29  # of a file that is searched for HEAP
HEAP = b"GCOL\1\0\0\0"  # what HDF5's stores of texts of variable length begin with
HEADER = 16  # bytes before each entry of a store, and before the first one


def numeric_field(path: Path, file: h5py.File, name: str, dims: tuple[int, ...]) -> h5py.Dataset:
    """A dataset of numbers with one of `dims` dimensions.

    Raises
    ------
    InputError
        Where it is missing, holds something else, or is stored in too large pieces.
    """
    field: Any = file.get(name)
    if not isinstance(field, h5py.Dataset) or field.dtype.kind not in "fiu":
        raise InputError(f"{path}: {name} is missing or no numbers: fetch the file again")
    if field.shape is None or field.ndim not in dims:
        raise InputError(
            f"{path}: {name} of shape {field.shape} has not {dims[-1]} dimensions: fetch it again"
        )
    if field.chunks and math.prod(field.chunks) * field.dtype.itemsize > MAX_CHUNK_BYTES:
        raise InputError(f"{path}: {name} is stored in too large pieces: fetch the file again")
    return field


def text_attribute(
    path: Path, holder: h5py.File | h5py.Dataset, name: str, default: str = ""
) -> str:
    """A short text attribute; netCDF writers leave bytes, NumPy bytes, arrays of one, or Empty."""
    if name not in holder.attrs:
        return default
    attribute = holder.attrs.get_id(name)
    if attribute.shape is None or 0 in attribute.shape:
        return default
    kind = attribute.get_type()
    size = math.prod(attribute.shape) * kind.get_size()
    if not isinstance(kind, h5py.h5t.TypeStringID) or size > MAX_ATTRIBUTE_BYTES:
        raise InputError(f"{path}: {name} is not a short text: fetch the file again")
    if kind.is_variable_str():
        check_heaps(path)
    value = np.asarray(holder.attrs[name]).reshape(-1)[0]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def check_heaps(path: Path) -> None:
    """Raise InputError where zeros overwrote a store of texts: HDF5 would loop in it for ever.

    An interrupted download may leave parts of zeros. Entry 0 of a store is its free space, with
    its length; where that is 0, the next entry is the same one (HDF5 file format, III.E).
    """
    check_size(path, MAX_FILE_BYTES)
    content = path.read_bytes()

    def number(at: int, size: int) -> int:
        return int.from_bytes(content[at : at + size], "little")

    start = content.find(HEAP)
    while start >= 0:
        end = min(start + number(start + 8, 8), len(content))
        entry = start + HEADER
        while entry + HEADER <= end:
            length = number(entry + 8, 8)
            if number(entry, 2) == 0 and length < HEADER:
                raise InputError(f"{path}: its texts are damaged: fetch the file again")
            if number(entry, 2) != 0:
                length = HEADER + math.ceil(length / 8) * 8
            entry += length
        start = content.find(HEAP, start + 1)

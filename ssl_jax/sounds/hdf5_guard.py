"""Fields of HDF5 files, checked before they are read: a download may be cut short or damaged."""

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ssl_jax.common.errors import InputError

# that HDF5 unpacks at once, whatever is read of it; a sound file has chunks of a few MiB
MAX_CHUNK_BYTES = 2**27
# a unit or the name of a convention takes far less
MAX_ATTRIBUTE_BYTES = 1000


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
    value = np.asarray(holder.attrs[name]).reshape(-1)[0]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)

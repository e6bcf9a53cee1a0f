"""What HDF5 itself does not check: datasets that refer elsewhere, unpack to much, or lead it in circles."""

import math
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import check_size

MAX_CHUNK_BYTES, MAX_ATTRIBUTE_BYTES = 2**27, 1000  # as they are unpacked
MAX_TEXTS, MAX_FILE_BYTES = 100_000, 2**29  # texts of variable length in one file; of that file
FILTERS = (
    h5py.h5z.FILTER_DEFLATE,
    h5py.h5z.FILTER_SHUFFLE,
    h5py.h5z.FILTER_FLETCHER32,
)  # netCDF's own
HEAP = b"GCOL\1\0\0\0"  # what HDF5's stores of texts begin with


def plain_dataset(path: Path, file: h5py.File, name: str, dims: tuple) -> h5py.Dataset:
    """A numeric dataset of one of `dims` dimensions, stored inside the file itself."""
    # links and external storage would read other files of this machine
    field: Any = file[name] if isinstance(file.get(name, getlink=True), h5py.HardLink) else None
    plain = (
        isinstance(field, h5py.Dataset) and field.dtype.kind in "fiu" and field.shape is not None
    )
    if not plain or field.is_virtual or field.external or field.ndim not in dims:
        raise InputError(
            f"{path}: {name} is no plain array of {dims[-1]} dimensions: fetch it again"
        )
    return field


def text_attribute(
    path: Path, holder: h5py.File | h5py.Dataset, name: str, default: str = ""
) -> str:
    """A short text attribute; netCDF writers leave bytes, NumPy bytes, arrays of one, or Empty."""
    attribute = holder.attrs.get_id(name) if name in holder.attrs else None
    if attribute is None or attribute.shape is None or 0 in attribute.shape:
        return default
    kind = attribute.get_type()
    size = math.prod(attribute.shape) * kind.get_size()
    if not isinstance(kind, h5py.h5t.TypeStringID) or size > MAX_ATTRIBUTE_BYTES:
        raise InputError(f"{path}: {name} is not a short text: fetch the file again")
    if kind.is_variable_str():
        _check_heaps(path, holder.file)
    value = np.asarray(holder.attrs[name]).reshape(-1)[0]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _check_heaps(path: Path, file: h5py.File) -> None:
    """Raise InputError where a text has no length: HDF5 would loop for ever."""
    entries, sound = (
        0,
        file.id.get_create_plist().get_sizes() == (8, 8),
    )  # bytes of addresses and of lengths
    check_size(
        path, MAX_FILE_BYTES
    )  # a mapped file, instead of a read one, crashed Python at times
    content = path.read_bytes()
    heap = content.find(HEAP)
    while sound and heap >= 0:
        at = heap + 16
        end = min(heap + int.from_bytes(content[heap + 8 : heap + 16], "little"), len(content))
        # an entry is a number, uses and a length, which counts the entry's own header if the number is 0
        while sound and at + 16 <= end:
            free = content[at : at + 2] == b"\0\0"
            length = int.from_bytes(content[at + 8 : at + 16], "little")
            entries += 1
            sound = 16 * free <= length <= end - at and entries < MAX_TEXTS
            at += length if free else 16 + (length + 7) // 8 * 8
        heap = content.find(HEAP, heap + 1)
    if not sound:
        raise InputError(f"{path}: its texts are damaged: fetch the file again")


def chunks_fit(dataset: h5py.Dataset) -> bool:
    """Is every stored chunk of the size it should have? HDF5 would unpack it whole, whatever that makes."""
    size = math.prod(dataset.chunks) * dataset.dtype.itemsize
    settings = dataset.id.get_create_plist()
    filters = [settings.get_filter(k)[0] for k in range(settings.get_nfilters())]
    if size > MAX_CHUNK_BYTES or not set(filters) <= set(FILTERS):
        return False
    chunks: list = []
    dataset.id.chunk_iter(chunks.append)
    for chunk in chunks:
        if chunk.size > size + size // 1000 + 1000:  # what does not compress grows a little
            return False
        _, content = dataset.id.read_direct_chunk(chunk.chunk_offset)
        for code in reversed(
            [code for k, code in enumerate(filters) if not chunk.filter_mask >> k & 1]
        ):
            if code == h5py.h5z.FILTER_FLETCHER32:
                content = content[:-4]
            elif code == h5py.h5z.FILTER_DEFLATE:
                content = zlib.decompressobj().decompress(content, size + 5)
        if len(content) != size:
            return False
    return True

"""SOFA files (AES69), checked before anything large is read: one head's responses and directions.

Azimuth follows SOFA: counter-clockwise seen from above, 0 = front, 90 = left.
"""

import math
import mmap
import zlib
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from scipy import signal

from .files import InputError, error_reason, require_file

# What a file may declare before anything of it is read: it may come from anywhere.
MAX_DIRECTIONS = 20_000
MAX_TAPS = 16_384
MAX_BYTES = 2**27  # of all responses as float64, before resampling and after; a step may take four times that
MAX_TEXT = 1000  # bytes of an attribute
MAX_TEXTS = 100_000  # of variable length
FILTERS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32)  # netCDF's own
HEAP = b"GCOL\1\0\0\0"  # what HDF5's stores of texts begin with
RATES = (4_000, 384_000)  # Hz

ON_GRID = 0.5  # degrees: a direction this near counts as measured there


class Sofa(NamedTuple):
    """One head: `name`, `hrirs` (M, 2, taps), `azimuth` (M,) and `elevation` (M,) in degrees, `fs` in Hz.

    Ear 0 is the left one.
    """

    name: str
    hrirs: np.ndarray
    azimuth: np.ndarray
    elevation: np.ndarray
    fs: int


def read_sofa(path: Path, fs: int | None = None) -> Sofa:
    """Read a SOFA file of the SimpleFreeFieldHRIR convention (AES69-2022).

    Parameters
    ----------
    path : Path
    fs : int, optional
        Rate wanted, Hz; HRIRs are resampled to it so that their frequency response keeps its level.

    Returns
    -------
    Sofa
        With Data.Delay applied, and the left ear first whatever the order in the file.

    Raises
    ------
    InputError
        Missing, empty, truncated, no HDF5, another convention, missing or malformed fields, NaN,
        silent responses, more data than MAX_DIRECTIONS, MAX_TAPS and MAX_BYTES allow.
    """
    path = Path(path)
    require_file(path)
    try:
        with h5py.File(path, "r") as file:
            sofa = _parse(path, file)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, MemoryError,
            zlib.error) as error:
        raise InputError(f"{path}: not a readable SOFA (HDF5) file ({error_reason(error)}): "
                         "fetch it again") from None
    if fs is None or fs == sofa.fs:
        return sofa
    if sofa.hrirs.nbytes * fs > MAX_BYTES * sofa.fs:
        raise InputError(f"{path}: at {fs} Hz its responses take over {MAX_BYTES >> 20} MiB: use a smaller set")
    # A filter's gain is its sum over samples, so fewer samples need larger ones.
    hrirs = signal.resample_poly(sofa.hrirs, fs, sofa.fs, axis=-1) * (sofa.fs / fs)
    return sofa._replace(hrirs=hrirs, fs=fs)


def _parse(path: Path, file: h5py.File) -> Sofa:
    for attribute, wanted in (("SOFAConventions", "SimpleFreeFieldHRIR"), ("DataType", "FIR")):
        found = _text(path, file, attribute)
        if found != wanted:
            raise InputError(f"{path}: {attribute} is {found[:40]!r}, not {wanted!r}: use a file that has it")

    shape = _field(path, file, "Data.IR", (3,)).shape
    directions, ears, taps = shape
    if ears != 2:
        raise InputError(f"{path}: has {ears} receivers, not two ears: use a binaural file")
    fits = 0 < directions <= MAX_DIRECTIONS and 0 < taps <= MAX_TAPS
    if not fits or 16 * directions * taps > MAX_BYTES:
        raise InputError(f"{path}: Data.IR of shape {shape} is empty or too large: use a set of at most "
                         f"{MAX_DIRECTIONS} directions, {MAX_TAPS} taps and {MAX_BYTES >> 20} MiB")

    def read(name: str, dims: tuple, rows: tuple, columns: int | None = None) -> np.ndarray:
        dataset = _field(path, file, name, dims)
        if (dataset.ndim and dataset.shape[0] not in rows) or (columns and dataset.shape[1] != columns) \
                or (dataset.ndim == 3 and name != "Data.IR" and dataset.shape[2] not in (1, directions)):
            raise InputError(f"{path}: {name} has shape {dataset.shape}, which does not fit Data.IR "
                             f"of shape {shape}: fetch the file again")
        if not _chunks_fit(dataset):
            raise InputError(f"{path}: {name} is not packed as netCDF does: fetch the file again, or pack it with deflate")
        values = np.asarray(dataset[()], dtype=np.float64)
        if not np.isfinite(values).all():
            raise InputError(f"{path}: {name} holds NaN or infinite values: fetch the file again")
        return values

    rates = np.unique(read("Data.SamplingRate", (0, 1), (1, directions)))
    if len(rates) != 1 or not RATES[0] <= rates[0] <= RATES[1] or rates[0] != round(rates[0]):
        raise InputError(f"{path}: Data.SamplingRate is {rates[:3]}, not one whole number of Hz in "
                         f"{RATES[0]}..{RATES[1]}: use a file with one rate")

    kind = _text(path, _field(path, file, "SourcePosition", (2,)), "Type")
    azimuth, elevation = _angles(path, "SourcePosition", kind, read("SourcePosition", (2,), (directions,), 3))
    if "ListenerView" in file:
        kind = _text(path, _field(path, file, "ListenerView", (2,)), "Type", "cartesian")
        view = _angles(path, "ListenerView", kind, read("ListenerView", (2,), (1, directions), 3))
        if max(np.abs((view[0] + 180) % 360 - 180).max(), np.abs(view[1]).max()) > ON_GRID:
            raise InputError(f"{path}: the listener does not face azimuth 0: turn its coordinates")

    # read before the responses, so that nothing large is read of a file that is refused
    ear_azimuth = np.array([90.0, 270.0])  # of a file that does not say: left, right
    if "ReceiverPosition" in file:
        kind = _text(path, _field(path, file, "ReceiverPosition", (2, 3)), "Type", "cartesian")
        positions = read("ReceiverPosition", (2, 3), (2,), 3).reshape(2, 3, -1)[:, :, 0]
        ear_azimuth = _angles(path, "ReceiverPosition", kind, positions)[0]
    side = np.round(np.sin(np.radians(ear_azimuth)), 9)
    if side[0] * side[1] >= 0:
        raise InputError(f"{path}: ReceiverPosition does not put one ear on each side: use a binaural file")
    order = [0, 1] if side[0] > 0 else [1, 0]

    delay = np.zeros((1, 2))
    if "Data.Delay" in file:
        delay = read("Data.Delay", (2,), (1, directions), 2)
    longest = int(np.ceil(delay.max()))
    if delay.min() < 0 or taps + longest > MAX_TAPS or 16 * directions * (taps + longest) > MAX_BYTES:
        raise InputError(f"{path}: Data.Delay is outside 0..{MAX_TAPS - taps} samples: fetch the file again")

    hrirs = read("Data.IR", (3,), (directions,), 2)[:, order]
    if not np.abs(hrirs).max(axis=-1).all():
        raise InputError(f"{path}: Data.IR has silent responses: fetch the file again")
    if longest:
        hrirs = np.pad(hrirs, ((0, 0), (0, 0), (0, longest)))
        for k in range(directions):  # one at a time: their spectra take eight times as much memory
            hrirs[k] = fractional_delay(hrirs[k], delay[k % len(delay), order])
    return Sofa(path.stem, hrirs, azimuth, elevation, int(rates[0]))


def _text(path: Path, holder: h5py.File | h5py.Dataset, name: str, default: str = "") -> str:
    """A string attribute; netCDF writers leave bytes, numpy bytes, arrays of one, or Empty."""
    attribute = holder.attrs.get_id(name) if name in holder.attrs else None
    if attribute is None or attribute.shape is None or 0 in attribute.shape:
        return default
    kind = attribute.get_type()
    if not isinstance(kind, h5py.h5t.TypeStringID) or math.prod(attribute.shape) * kind.get_size() > MAX_TEXT:
        raise InputError(f"{path}: {name} is not a short text: fetch the file again")
    if kind.is_variable_str():
        _check_heaps(path, holder.file)
    value = np.asarray(holder.attrs[name]).reshape(-1)[0]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _check_heaps(path: Path, file: h5py.File) -> None:
    """InputError where the store of variable-length texts has an entry of no length: HDF5 would loop for ever."""
    entries, sound = 0, file.id.get_create_plist().get_sizes() == (8, 8)  # bytes of addresses and of lengths
    with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        heap = content.find(HEAP)
        while sound and heap >= 0:
            at, end = heap + 16, min(heap + int.from_bytes(content[heap + 8 : heap + 16], "little"), len(content))
            while sound and at + 16 <= end:  # number, uses, length: the header's own is in it where the number is 0
                free = content[at : at + 2] == b"\0\0"
                length = int.from_bytes(content[at + 8 : at + 16], "little")
                entries += 1
                sound = 16 * free <= length <= end - at and entries < MAX_TEXTS
                at += length if free else 16 + (length + 7) // 8 * 8
            heap = content.find(HEAP, heap + 1)
    if not sound:
        raise InputError(f"{path}: its texts are damaged: fetch the file again")


def _chunks_fit(dataset: h5py.Dataset) -> bool:
    """Is every chunk stored of the size it should have? HDF5 would unpack it whole, whatever that makes."""
    if dataset.chunks is None:
        return True
    size = math.prod(dataset.chunks) * dataset.dtype.itemsize
    settings = dataset.id.get_create_plist()
    filters = [settings.get_filter(k)[0] for k in range(settings.get_nfilters())]
    if size > MAX_BYTES or not set(filters) <= set(FILTERS):
        return False
    chunks = []
    dataset.id.chunk_iter(chunks.append)
    for chunk in chunks:
        if chunk.size > size + size // 1000 + 1000:  # what does not compress grows a little
            return False
        _, content = dataset.id.read_direct_chunk(chunk.chunk_offset)
        for k, code in reversed(list(enumerate(filters))):
            if chunk.filter_mask >> k & 1:  # left out for this chunk
                continue
            if code == h5py.h5z.FILTER_FLETCHER32:
                content = content[:-4]
            elif code == h5py.h5z.FILTER_DEFLATE:
                content = zlib.decompressobj().decompress(content, size + 5)
        if len(content) != size:
            return False
    return True


def _field(path: Path, file: h5py.File, name: str, dims: tuple) -> h5py.Dataset:
    """A numeric dataset of `dims` dimensions stored inside the file itself."""
    # links and external storage would read other files of this machine
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise InputError(f"{path}: no field {name}: it is incomplete, fetch it again")
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "fiu" or dataset.is_virtual \
            or dataset.external or dataset.shape is None or dataset.ndim not in dims:
        raise InputError(f"{path}: {name} is not a plain array of {dims[-1]} dimensions: fetch it again")
    return dataset


def _angles(path: Path, name: str, kind: str, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Azimuth in [0, 360) and elevation of (..., 3) positions, degrees."""
    if kind == "cartesian":
        x, y, z = positions.T
        azimuth, elevation = np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))
    elif kind == "spherical":
        azimuth, elevation = positions[:, 0], positions[:, 1]
    else:
        raise InputError(f"{path}: {name} is {kind[:40]!r}, not cartesian or spherical: fetch it again")
    if np.abs(azimuth).max() > 360 or np.abs(elevation).max() > 90:
        raise InputError(f"{path}: {name} has angles off the sphere: they must be degrees, fetch it again")
    azimuth = azimuth % 360
    return np.where(azimuth == 360, 0.0, azimuth), elevation  # -1e-20 % 360 is 360


def fractional_delay(hrirs: np.ndarray, delay: np.ndarray) -> np.ndarray:
    """Delay (..., taps) responses by (...) samples, whole or not, by a linear phase."""
    taps = hrirs.shape[-1]
    nfft = 2 * taps  # what is pushed past either end falls in the half that is cut off
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(nfft) * delay[..., None])
    return np.fft.irfft(np.fft.rfft(hrirs, nfft) * turn, nfft)[..., :taps]

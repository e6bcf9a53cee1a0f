"""SOFA files (AES69): one head's responses and directions, checked before anything large is read.

HDF5 itself does not notice datasets that refer elsewhere, unpack to much, or lead it in circles.
"""

import math
import mmap
import zlib
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from scipy import signal

from ssl_jax.common.errors import InputError, error_reason
from ssl_jax.common.files import require_file
from ssl_jax.sounds.laterality import settle_sides
from ssl_jax.sounds.reading import RATES

MAX_DIRECTIONS, MAX_TAPS = 20_000, 2 * RATES[1]  # that a file may declare: it may come from anywhere
MAX_SECONDS = 2  # of a response
ROUNDED = 1e-3  # degrees past the pole that are taken for the pole
MAX_BYTES = 2**27  # of all responses as float64; a step may take four times that
ON_GRID = 0.5  # degrees: a direction this near counts as measured there
MAX_CHUNK_BYTES, MAX_ATTRIBUTE_BYTES = 2**27, 1000  # as they are unpacked
MAX_TEXTS = 100_000  # of variable length, in one file
FILTERS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32)  # netCDF's own
HEAP = b"GCOL\1\0\0\0"  # what HDF5's stores of texts begin with


class Sofa(NamedTuple):
    name: str
    hrirs: np.ndarray  # (M, 2, taps), left ear first
    azimuth: np.ndarray  # (M,) degrees, counter-clockwise seen from above: 0 = front, 90 = left
    elevation: np.ndarray  # (M,) degrees
    fs: int  # Hz


def read_sofa(path: Path, fs: int | None = None, ears: str = "", azimuths: str = "") -> Sofa:
    """The head of a SimpleFreeFieldHRIR file (AES69-2022), delays applied, resampled to `fs` (Hz) if given
    with the same frequency response. Which ear and which side is left is read off the responses (see
    `settle_sides`), unless `ears` is "stated" or "swap", or `azimuths` "stated" or "clockwise". Raises
    InputError for all else, and over the limits above."""
    path = Path(path)
    require_file(path)
    broken = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, MemoryError, zlib.error)
    try:
        with h5py.File(path, "r") as file:
            sofa, right_first = _parse(path, file)
    except broken as error:
        raise InputError(f"{path}: not a readable SOFA ({error_reason(error)}): fetch it again") from None
    if ears == "swap":
        sofa = sofa._replace(hrirs=sofa.hrirs[:, ::-1])
    if azimuths == "clockwise":
        sofa = sofa._replace(azimuth=-sofa.azimuth % 360)
    if not ears and not azimuths:
        sofa = Sofa(sofa.name, *settle_sides(path, *sofa[1:4], right_first), *sofa[3:])
    if fs is None or fs == sofa.fs:
        return sofa
    if sofa.hrirs.nbytes * fs > MAX_BYTES * sofa.fs:
        raise InputError(f"{path}: takes over {MAX_BYTES >> 20} MiB at {fs} Hz: use a smaller set")
    # a filter's gain is its sum over samples, so fewer samples need larger ones
    hrirs = signal.resample_poly(sofa.hrirs, fs, sofa.fs, axis=-1) * (sofa.fs / fs)
    return sofa._replace(hrirs=hrirs, fs=fs)


def _parse(path: Path, file: h5py.File) -> tuple[Sofa, bool]:
    """Everything of a file that is used, and whether its right ear is stated first; the responses are read
    last, when the rest is known to be right."""
    for attribute, wanted in (("SOFAConventions", "SimpleFreeFieldHRIR"), ("DataType", "FIR")):
        found = _text_attribute(path, file, attribute)
        if found != wanted:
            raise InputError(f"{path}: {attribute} is {found[:40]!r}, not {wanted!r}: use a file that has it")
    directions, ears, taps = shape = _plain_dataset(path, file, "Data.IR", (3,)).shape
    if ears != 2:
        raise InputError(f"{path}: has {ears} receivers, not two ears: use a binaural file")
    fits = 0 < directions <= MAX_DIRECTIONS and 0 < taps <= MAX_TAPS
    if not fits or 16 * directions * taps > MAX_BYTES:
        raise InputError(f"{path}: Data.IR of shape {shape} is empty or too large: use a smaller set")
    rates = np.unique(_read(path, file, "Data.SamplingRate", (0, 1), (1, directions)))
    if len(rates) != 1 or not RATES[0] <= rates[0] <= RATES[1] or rates[0] != round(rates[0]):
        raise InputError(f"{path}: Data.SamplingRate is {rates[:3]}: use one whole number in {RATES}")
    azimuth, elevation = _angles(path, file, "SourcePosition", (2,), (directions,), "")
    if "ListenerView" in file:
        view = _angles(path, file, "ListenerView", (2,), (1, directions))
        if max(np.abs((view[0] + 180) % 360 - 180).max(), np.abs(view[1]).max()) > ON_GRID:
            raise InputError(f"{path}: the listener does not face azimuth 0: turn its coordinates")
    order = [0, 1]  # left, right
    if "ReceiverPosition" in file:
        side = np.round(np.sin(np.radians(_angles(path, file, "ReceiverPosition", (2, 3), (2,))[0])), 9)
        if side[0] * side[1] >= 0:
            raise InputError(f"{path}: ReceiverPosition puts no ear on each side: use a binaural file")
        order = [0, 1] if side[0] > 0 else [1, 0]
    delay = np.zeros((1, 2))  # samples
    if "Data.Delay" in file:
        delay = _read(path, file, "Data.Delay", (2,), (1, directions), 2)
    longest, most = int(np.ceil(delay.max())), int(MAX_SECONDS * rates[0])
    if taps > most:
        raise InputError(f"{path}: responses of {taps / rates[0]:.1f} s, over {MAX_SECONDS}: cut them")
    if delay.min() < 0 or taps + longest > most or 16 * directions * (taps + longest) > MAX_BYTES:
        raise InputError(f"{path}: Data.Delay is outside 0..{most - taps} samples: fetch the file again")
    hrirs = _read(path, file, "Data.IR", (3,), (directions,), 2)[:, order]
    if not np.abs(hrirs).max(axis=-1).all():
        raise InputError(f"{path}: Data.IR has silent responses: fetch the file again")
    if longest:
        hrirs = np.pad(hrirs, ((0, 0), (0, 0), (0, longest)))
        nfft = 2 * hrirs.shape[-1]  # what is pushed past either end falls in the half that is cut off
        angles = -2j * np.pi * np.fft.rfftfreq(nfft)  # of a delay of one sample
        for k in range(directions):  # one at a time: their spectra take eight times as much memory
            turn = np.exp(angles * delay[k % len(delay), order][:, None])
            hrirs[k] = np.fft.irfft(np.fft.rfft(hrirs[k], nfft) * turn, nfft)[:, : taps + longest]
    return Sofa(path.stem, hrirs, azimuth, elevation, int(rates[0])), order == [1, 0]


def _read(path: Path, file: h5py.File, name: str, dims: tuple, rows: tuple, columns: int = 0) -> np.ndarray:
    """A field as float64; raises InputError unless it has one of `dims` and one of `rows`, and `columns`."""
    field, directions = _plain_dataset(path, file, name, dims), file["Data.IR"].shape[0]
    wrong = field.ndim > 0 and field.shape[0] not in rows or columns and field.shape[1] != columns
    if wrong or field.ndim == 3 and name != "Data.IR" and field.shape[2] not in (1, directions):
        raise InputError(f"{path}: {name} of shape {field.shape} does not fit Data.IR: fetch it again")
    if field.chunks and not _chunks_fit(field):
        raise InputError(f"{path}: {name} is not packed as netCDF does: pack it with deflate")
    values = np.asarray(field[()], dtype=np.float64)
    if not np.isfinite(values).all():
        raise InputError(f"{path}: {name} holds NaN or infinite values: fetch the file again")
    return values


def _angles(path, file, name: str, dims: tuple, rows: tuple, default: str = "cartesian"):
    """Azimuth in [0, 360) and elevation (n,), degrees; `default` coordinates where the field does not say."""
    kind = _text_attribute(path, _plain_dataset(path, file, name, dims), "Type", default)
    positions = _read(path, file, name, dims, rows, 3)
    x, y, z = positions.reshape(len(positions), 3, -1)[:, :, 0].T
    azimuth, elevation = x, y  # if spherical
    if kind == "cartesian":
        azimuth, elevation = np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))
    elif kind != "spherical":
        raise InputError(f"{path}: {name} is {kind[:40]!r}, not cartesian or spherical: fetch it again")
    if np.abs(azimuth).max() > 360 or np.abs(elevation).max() > 90 + ROUNDED:
        raise InputError(f"{path}: {name} has angles off the sphere: they must be degrees, fetch it again")
    azimuth = azimuth % 360
    return np.where(azimuth == 360, 0.0, azimuth), np.clip(elevation, -90, 90)  # -1e-20 % 360 is 360


def _plain_dataset(path: Path, file: h5py.File, name: str, dims: tuple) -> h5py.Dataset:
    """A numeric dataset of one of `dims` dimensions, stored inside the file itself."""
    # links and external storage would read other files of this machine
    field = file[name] if isinstance(file.get(name, getlink=True), h5py.HardLink) else None
    plain = isinstance(field, h5py.Dataset) and field.dtype.kind in "fiu" and field.shape is not None
    if not plain or field.is_virtual or field.external or field.ndim not in dims:
        raise InputError(f"{path}: {name} is no plain array of {dims[-1]} dimensions: fetch it again")
    return field


def _text_attribute(path: Path, holder: h5py.File | h5py.Dataset, name: str, default: str = "") -> str:
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
    entries, sound = 0, file.id.get_create_plist().get_sizes() == (8, 8)  # bytes of addresses and of lengths
    with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
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


def _chunks_fit(dataset: h5py.Dataset) -> bool:
    """Is every stored chunk of the size it should have? HDF5 would unpack it whole, whatever that makes."""
    size = math.prod(dataset.chunks) * dataset.dtype.itemsize
    settings = dataset.id.get_create_plist()
    filters = [settings.get_filter(k)[0] for k in range(settings.get_nfilters())]
    if size > MAX_CHUNK_BYTES or not set(filters) <= set(FILTERS):
        return False
    chunks = []
    dataset.id.chunk_iter(chunks.append)
    for chunk in chunks:
        if chunk.size > size + size // 1000 + 1000:  # what does not compress grows a little
            return False
        _, content = dataset.id.read_direct_chunk(chunk.chunk_offset)
        used = [code for k, code in enumerate(filters) if not chunk.filter_mask >> k & 1]
        for code in reversed(used):
            if code == h5py.h5z.FILTER_FLETCHER32:
                content = content[:-4]
            elif code == h5py.h5z.FILTER_DEFLATE:
                content = zlib.decompressobj().decompress(content, size + 5)
        if len(content) != size:
            return False
    return True

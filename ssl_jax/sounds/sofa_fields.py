"""Fields of an open SOFA file (AES69-2022): its layout, numbers that fit it, positions, units."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from ssl_jax.common.angles import circle_degrees
from ssl_jax.common.errors import InputError
from ssl_jax.common.progress import say
from ssl_jax.sounds.hdf5_guard import numeric_field, text_attribute

MAX_DIRECTIONS = 100_000  # a grid of 1 degree has 65,000; each takes memory for every azimuth asked
MAX_BYTES = 2**27  # of all responses as float64; a step may take four times that
ROUNDED = 1e-3  # degrees past the pole that are taken for the pole
FREE_FIELD = ("SimpleFreeFieldHRIR", "SimpleFreeFieldHRTF")
# Conventions that may hold two ears, by name and DataType, and the axes of their data:
# m measurements, r receivers, n samples or frequencies, e emitters
CONVENTIONS = {
    ("SimpleFreeFieldHRIR", "FIR"): "mrn",
    ("GeneralFIR", "FIR"): "mrn",
    ("SingleRoomSRIR", "FIR"): "mrn",
    ("SingleRoomDRIR", "FIR"): "mrn",
    ("SimpleFreeFieldHRTF", "TF"): "mrn",
    ("GeneralTF", "TF"): "mrn",
    ("GeneralFIR-E", "FIR-E"): "mrne",
    ("SingleRoomMIMOSRIR", "FIR-E"): "mrne",
    ("MultiSpeakerBRIR", "FIR-E"): "mrne",
    ("MultiSpeakerBRIR", "FIRE"): "mren",
}


@dataclass(frozen=True)
class SofaFile:
    """An open file and the sizes of its data. Each emitter of each measurement is a direction."""

    path: Path
    file: h5py.File
    convention: str
    data: str  # the field with the responses: Data.IR, or Data.Real of a transfer function
    axes: str  # of that field, see CONVENTIONS
    shape: tuple[int, ...]  # of that field

    @property
    def sizes(self) -> dict[str, int]:
        """The size of each axis by its letter; 1 where the field has no such axis."""
        return dict.fromkeys("mrne", 1) | dict(zip(self.axes, self.shape, strict=True))

    @property
    def rows(self) -> int:
        """Measurements."""
        return self.sizes["m"]

    @property
    def emitters(self) -> int:
        """Emitters of each measurement."""
        return self.sizes["e"]

    @property
    def directions(self) -> int:
        """Measurements times emitters."""
        return self.rows * self.emitters

    @property
    def samples(self) -> int:
        """Samples of a response, or frequencies of a transfer function."""
        return self.sizes["n"]

    @property
    def free_field(self) -> bool:
        """Does its convention have one listener who looks ahead?"""
        return self.convention in FREE_FIELD


@dataclass(frozen=True)
class Positions:
    """Points of a field (n,), as seen from the origin of its coordinates."""

    azimuth: np.ndarray  # degrees in [0, 360), counter-clockwise
    elevation: np.ndarray  # degrees
    distance: np.ndarray  # m

    def metres(self) -> np.ndarray:
        """Cartesian coordinates (n, 3), m: front, left, up."""
        azimuth = np.radians(self.azimuth)
        elevation = np.radians(self.elevation)
        flat = self.distance * np.cos(elevation)
        up = self.distance * np.sin(elevation)
        return np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), up], axis=-1)


def read_layout(path: Path, file: h5py.File) -> SofaFile:
    """The layout of a file; raises InputError unless it holds two ears and fits into memory."""
    convention = text_attribute(path, file, "SOFAConventions")
    data_type = text_attribute(path, file, "DataType")
    axes = CONVENTIONS.get((convention, data_type))
    if axes is None:
        known = ", ".join(sorted({f"{name} ({kind})" for name, kind in CONVENTIONS}))
        stated = f"SOFAConventions is {convention[:40]!r} and DataType {data_type[:40]!r}"
        raise InputError(f"{path}: {stated}: use a file of {known}")
    data = "Data.Real" if data_type == "TF" else "Data.IR"
    shape = numeric_field(path, file, data, (len(axes),)).shape
    sofa = SofaFile(path, file, convention, data, axes, shape)
    ears = sofa.sizes["r"]
    if ears != 2:
        raise InputError(f"{path}: has {ears} receivers, not two ears: use a binaural file")
    if min(shape) == 0:
        raise InputError(f"{path}: {data} of shape {shape} is empty: fetch the file again")
    if sofa.directions > MAX_DIRECTIONS:
        raise InputError(
            f"{path}: has {sofa.directions} directions, over {MAX_DIRECTIONS}: use a smaller set"
        )
    # a transfer function of n frequencies gives up to 2n samples
    samples = 2 * sofa.samples if data == "Data.Real" else sofa.samples
    check_memory(sofa, samples)
    return sofa


def check_memory(sofa: SofaFile, samples: int) -> None:
    """Raise InputError where responses of so many samples take more than MAX_BYTES."""
    size = 16 * sofa.directions * samples  # two ears of 8 bytes
    if size > MAX_BYTES:
        raise InputError(
            f"{sofa.path}: {sofa.directions} directions of {samples} samples are too large,"
            f" {size >> 20} MiB, over {MAX_BYTES >> 20}: use a smaller set"
        )


def read_numbers(
    sofa: SofaFile, name: str, dims: tuple[int, ...], rows: tuple[int, ...], columns: int = 0
) -> np.ndarray:
    """A field as float64, which may hold NaN.

    Parameters
    ----------
    dims : numbers of dimensions that it may have
    rows : sizes that its first axis may have
    columns : size that its second axis must have; 0 for any

    Raises
    ------
    InputError
        Where it has another shape.
    """
    field = numeric_field(sofa.path, sofa.file, name, dims)
    shape = field.shape
    fits = field.ndim == 0 or shape[0] in rows
    if columns and fits:
        fits = shape[1] == columns
    if field.ndim == 3 and name not in ("Data.IR", "Data.Real", "Data.Imag"):
        fits = fits and shape[2] in (1, *sofa.shape)
    if not fits:
        raise InputError(
            f"{sofa.path}: {name} of shape {shape} does not fit {sofa.data}: fetch it again"
        )
    return np.asarray(field[()], dtype=np.float64)


def read_field(
    sofa: SofaFile, name: str, dims: tuple[int, ...], rows: tuple[int, ...], columns: int = 0
) -> np.ndarray:
    """`read_numbers` of a field that must be finite; raises InputError where it is not."""
    values = read_numbers(sofa, name, dims, rows, columns)
    if not np.isfinite(values).all():
        raise InputError(f"{sofa.path}: {name} holds NaN or infinite values: fetch the file again")
    return values


def read_positions(
    sofa: SofaFile,
    name: str,
    dims: tuple[int, ...],
    rows: tuple[int, ...],
    default_type: str = "cartesian",
) -> Positions:
    """A field of positions; `default_type` where the file does not state its Type."""
    field = numeric_field(sofa.path, sofa.file, name, dims)
    kind = text_attribute(sofa.path, field, "Type", default_type)
    numbers = read_field(sofa, name, dims, rows, 3)
    first, second, third = numbers.reshape(len(numbers), 3, -1)[:, :, 0].T
    if kind == "cartesian":
        flat = np.hypot(first, second)
        azimuth = np.degrees(np.arctan2(second, first))
        elevation = np.degrees(np.arctan2(third, flat))
        distance = np.hypot(flat, third)
    elif kind == "spherical":
        azimuth, elevation, distance = first, second, third
        if text_attribute(sofa.path, field, "Units").strip().lower().startswith("rad"):
            azimuth = np.degrees(azimuth)
            elevation = np.degrees(elevation)
    else:
        raise InputError(
            f"{sofa.path}: {name} is {kind[:40]!r}, not cartesian or spherical: fetch it again"
        )
    if np.abs(azimuth).max() > 360 + ROUNDED or np.abs(elevation).max() > 90 + ROUNDED:
        raise InputError(
            f"{sofa.path}: {name} has angles off the sphere: state their Units, degree or radian"
        )
    return Positions(circle_degrees(azimuth), np.clip(elevation, -90, 90), distance)


def spare_positions(
    sofa: SofaFile, name: str, dims: tuple[int, ...], rows: tuple[int, ...]
) -> Positions | None:
    """Positions that responses can do without; None, for their default, where missing or NaN."""
    if name not in sofa.file:
        return None
    if np.isfinite(read_numbers(sofa, name, dims, rows, 3)).all():
        return read_positions(sofa, name, dims, rows)
    say(f"{sofa.path}: {name} holds NaN: its default is used, and what the responses say")
    return None


def needed_positions(
    sofa: SofaFile, name: str, dims: tuple[int, ...], rows: tuple[int, ...]
) -> Positions | None:
    """Positions that directions depend on; None, for their default, where the file has none."""
    if name not in sofa.file:
        return None
    return read_positions(sofa, name, dims, rows)

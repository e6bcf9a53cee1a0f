"""SOFA files (AES69), checked before anything large is read: one head's responses and directions.

Azimuth follows SOFA: counter-clockwise seen from above, 0 = front, 90 = left.
"""

import zlib
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from scipy import signal

from ssl_jax.common.errors import InputError, error_reason
from ssl_jax.common.files import require_file
from ssl_jax.sounds.hdf5_guard import chunks_fit, plain_dataset, text_attribute
from ssl_jax.sounds.reading import RATES

# What a file may declare before anything of it is read: it may come from anywhere.
MAX_DIRECTIONS = 20_000
MAX_TAPS = 16_384
MAX_BYTES = 2**27  # of all responses as float64, before and after resampling; a step may take four times that
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
    broken = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, MemoryError, zlib.error)
    try:
        with h5py.File(path, "r") as file:
            sofa = _parse(path, file)
    except broken as error:
        reason = error_reason(error)
        raise InputError(f"{path}: not a readable SOFA (HDF5) file ({reason}): fetch it again") from None
    if fs is None or fs == sofa.fs:
        return sofa
    if sofa.hrirs.nbytes * fs > MAX_BYTES * sofa.fs:
        limit = f"{MAX_BYTES >> 20} MiB"
        raise InputError(f"{path}: at {fs} Hz its responses take over {limit}: use a smaller set")
    # A filter's gain is its sum over samples, so fewer samples need larger ones.
    hrirs = signal.resample_poly(sofa.hrirs, fs, sofa.fs, axis=-1) * (sofa.fs / fs)
    return sofa._replace(hrirs=hrirs, fs=fs)


def _parse(path: Path, file: h5py.File) -> Sofa:
    """Everything of a file that is used; the responses are read last, when the rest is known to be right."""
    for attribute, wanted in (("SOFAConventions", "SimpleFreeFieldHRIR"), ("DataType", "FIR")):
        found = text_attribute(path, file, attribute)
        if found != wanted:
            raise InputError(f"{path}: {attribute} is {found[:40]!r}, not {wanted!r}: use a file that has it")
    directions, ears, taps = shape = plain_dataset(path, file, "Data.IR", (3,)).shape
    if ears != 2:
        raise InputError(f"{path}: has {ears} receivers, not two ears: use a binaural file")
    fits = 0 < directions <= MAX_DIRECTIONS and 0 < taps <= MAX_TAPS
    if not fits or 16 * directions * taps > MAX_BYTES:
        limits = f"{MAX_DIRECTIONS} directions, {MAX_TAPS} taps and {MAX_BYTES >> 20} MiB"
        raise InputError(
            f"{path}: Data.IR of shape {shape} is empty or too large: use a set of at most {limits}"
        )

    rates = np.unique(_read(path, file, "Data.SamplingRate", (0, 1), (1, directions)))
    if len(rates) != 1 or not RATES[0] <= rates[0] <= RATES[1] or rates[0] != round(rates[0]):
        wanted = f"one whole number of Hz in {RATES[0]}..{RATES[1]}"
        raise InputError(f"{path}: Data.SamplingRate is {rates[:3]}, not {wanted}: use a file with one rate")
    azimuth, elevation = _angles(path, file, "SourcePosition", (2,), (directions,), "")
    if "ListenerView" in file:
        view = _angles(path, file, "ListenerView", (2,), (1, directions))
        if max(np.abs((view[0] + 180) % 360 - 180).max(), np.abs(view[1]).max()) > ON_GRID:
            raise InputError(f"{path}: the listener does not face azimuth 0: turn its coordinates")
    ear_azimuth = np.array([90.0, 270.0])  # of a file that does not say: left, right
    if "ReceiverPosition" in file:
        ear_azimuth = _angles(path, file, "ReceiverPosition", (2, 3), (2,))[0]
    side = np.round(np.sin(np.radians(ear_azimuth)), 9)
    if side[0] * side[1] >= 0:
        raise InputError(f"{path}: ReceiverPosition does not put one ear on each side: use a binaural file")
    order = [0, 1] if side[0] > 0 else [1, 0]
    hrirs = _responses(path, file, directions, taps, order)
    return Sofa(path.stem, hrirs, azimuth, elevation, int(rates[0]))


def _responses(path: Path, file: h5py.File, directions: int, taps: int, order: list[int]) -> np.ndarray:
    """Responses (directions, 2, taps) with their delays applied, ears in the given order."""
    delay = np.zeros((1, 2))
    if "Data.Delay" in file:
        delay = _read(path, file, "Data.Delay", (2,), (1, directions), 2)
    longest = int(np.ceil(delay.max()))
    if delay.min() < 0 or taps + longest > MAX_TAPS or 16 * directions * (taps + longest) > MAX_BYTES:
        raise InputError(f"{path}: Data.Delay is outside 0..{MAX_TAPS - taps} samples: fetch the file again")
    hrirs = _read(path, file, "Data.IR", (3,), (directions,), 2)[:, order]
    if not np.abs(hrirs).max(axis=-1).all():
        raise InputError(f"{path}: Data.IR has silent responses: fetch the file again")
    if longest:
        hrirs = np.pad(hrirs, ((0, 0), (0, 0), (0, longest)))
        for k in range(directions):  # one at a time: their spectra take eight times as much memory
            hrirs[k] = fractional_delay(hrirs[k], delay[k % len(delay), order])
    return hrirs


def _read(path: Path, file: h5py.File, name: str, dims: tuple, rows: tuple, columns: int = 0) -> np.ndarray:
    """A field as float64; raises InputError unless it has one of `dims` and one of `rows`, and `columns`."""
    field, directions = plain_dataset(path, file, name, dims), file["Data.IR"].shape[0]
    wrong = field.ndim > 0 and field.shape[0] not in rows or columns and field.shape[1] != columns
    if wrong or field.ndim == 3 and name != "Data.IR" and field.shape[2] not in (1, directions):
        misfit = f"has shape {field.shape}, which does not fit Data.IR of shape {file['Data.IR'].shape}"
        raise InputError(f"{path}: {name} {misfit}: fetch the file again")
    if not chunks_fit(field):
        raise InputError(
            f"{path}: {name} is not packed as netCDF does: fetch the file again, or pack it with deflate"
        )
    values = np.asarray(field[()], dtype=np.float64)
    if not np.isfinite(values).all():
        raise InputError(f"{path}: {name} holds NaN or infinite values: fetch the file again")
    return values


def _angles(path, file, name: str, dims: tuple, rows: tuple, default: str = "cartesian"):
    """Azimuth in [0, 360) and elevation of a field of positions (n, 3), degrees.

    `default` is the type of coordinates of a field that does not say.
    """
    kind = text_attribute(path, plain_dataset(path, file, name, dims), "Type", default)
    positions = _read(path, file, name, dims, rows, 3)
    positions = positions.reshape(len(positions), 3, -1)[:, :, 0]
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

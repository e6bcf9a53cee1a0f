"""SOFA files (AES69), checked before anything large is read: one head's responses and directions."""

import zlib
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from scipy import signal

from ssl_jax.common.errors import InputError, error_reason
from ssl_jax.common.files import require_file
from ssl_jax.sounds.hdf5_guard import chunks_fit, plain_dataset, text_attribute
from ssl_jax.sounds.laterality import settle_sides
from ssl_jax.sounds.reading import RATES

MAX_DIRECTIONS, MAX_TAPS = (
    20_000,
    2 * RATES[1],
)  # that a file may declare: it may come from anywhere
MAX_SECONDS = 2  # of a response
ROUNDED = 1e-3  # degrees past the pole that are taken for the pole
MAX_BYTES = 2**27  # of all responses as float64; a step may take four times that
ON_GRID = 0.5  # degrees: a direction this near counts as measured there
FREE_FIELD = "SimpleFreeFieldHRIR"
# conventions that may hold two ears, and the axes of Data.IR: measurements, receivers, samples, emitters
CONVENTIONS = {(name, "FIR"): "mrn" for name in (FREE_FIELD, "GeneralFIR", "SingleRoomSRIR")}
CONVENTIONS |= {(name, "FIR-E"): "mrne" for name in ("SingleRoomMIMOSRIR", "MultiSpeakerBRIR")}
CONVENTIONS |= {("GeneralFIR-E", "FIR-E"): "mrne", ("MultiSpeakerBRIR", "FIRE"): "mren"}


class Sofa(NamedTuple):
    name: str
    hrirs: np.ndarray  # (M, 2, taps), left ear first
    azimuth: np.ndarray  # (M,) degrees, counter-clockwise seen from above: 0 = front, 90 = left
    elevation: np.ndarray  # (M,) degrees
    fs: int  # Hz


def read_sofa(path: Path, fs: int | None = None, ears: str = "", azimuths: str = "") -> Sofa:
    """The head of a SOFA file (AES69-2022) of one of CONVENTIONS, in the free field or in a room, delays
    applied, resampled to `fs` (Hz) if given. Where emitters or the listener's view vary, each is a direction.
    Which ear and which side is left is read off the responses (see `settle_sides`), unless `ears` is "stated"
    or "swap", or `azimuths` "stated" or "clockwise". Raises InputError for all else, or over the limits."""
    path = Path(path)
    require_file(path)
    broken = (
        OSError,
        RuntimeError,
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
        MemoryError,
        zlib.error,
    )
    try:
        with h5py.File(path, "r") as file:
            sofa, right_first = _parse(path, file)
    except broken as error:
        raise InputError(
            f"{path}: not a readable SOFA ({error_reason(error)}): fetch it again"
        ) from None
    if ears == "swap":
        sofa = sofa._replace(hrirs=sofa.hrirs[:, ::-1])
    if azimuths == "clockwise":
        sofa = sofa._replace(azimuth=-sofa.azimuth % 360)
    if not ears and not azimuths:
        hrirs, azimuth = settle_sides(path, *sofa[1:], right_first)
        sofa = sofa._replace(hrirs=hrirs, azimuth=azimuth)
    if fs is None or fs == sofa.fs:
        return sofa
    if sofa.hrirs.nbytes * fs > MAX_BYTES * sofa.fs:
        raise InputError(f"{path}: takes over {MAX_BYTES >> 20} MiB at {fs} Hz: use a smaller set")
    # a filter's gain is its sum over samples, so fewer samples need larger ones
    hrirs = signal.resample_poly(sofa.hrirs, fs, sofa.fs, axis=-1) * (sofa.fs / fs)
    return sofa._replace(hrirs=hrirs, fs=fs)


def _parse(path: Path, file: h5py.File) -> tuple[Sofa, bool]:
    """All that is used of a file, the responses last, and whether its right ear is stated first."""
    convention, kind = (
        text_attribute(path, file, name) for name in ("SOFAConventions", "DataType")
    )
    if (axes := CONVENTIONS.get((convention, kind))) is None:
        known = ", ".join(sorted({name for name, _ in CONVENTIONS}))
        which = f"SOFAConventions is {convention[:40]!r} and DataType {kind[:40]!r}"
        raise InputError(f"{path}: {which}: use responses in time of {known}")
    sizes = dict(zip(axes, plain_dataset(path, file, "Data.IR", (len(axes),)).shape))
    rows, ears, taps, emitters = (sizes.get(axis, 1) for axis in "mrne")
    directions = rows * emitters
    if ears != 2:
        raise InputError(f"{path}: has {ears} receivers, not two ears: use a binaural file")
    if (
        not 0 < directions <= MAX_DIRECTIONS
        or not 0 < taps <= MAX_TAPS
        or 16 * directions * taps > MAX_BYTES
    ):
        shape = tuple(sizes.values())
        raise InputError(
            f"{path}: Data.IR of shape {shape} is empty or too large: use a smaller set"
        )
    rates = np.unique(_read(path, file, "Data.SamplingRate", (0, 1), (1, rows)))
    if len(rates) != 1 or not RATES[0] <= rates[0] <= RATES[1] or rates[0] != round(rates[0]):
        raise InputError(
            f"{path}: Data.SamplingRate is {rates[:3]}: use one whole number in {RATES}"
        )
    facing = np.zeros(1)
    if "ListenerView" in file:
        facing, tilt, _ = _positions(path, file, "ListenerView", (2,), (1, rows))
        turned = convention == FREE_FIELD and np.abs((facing + 180) % 360 - 180).max() > ON_GRID
        if turned or np.abs(tilt).max() > ON_GRID:
            raise InputError(
                f"{path}: the listener does not face azimuth 0, level: turn its coordinates"
            )
    if convention == FREE_FIELD:
        azimuth, elevation, _ = _positions(path, file, "SourcePosition", (2,), (rows,), "")
    else:
        azimuth, elevation = _seen_from_listener(path, file, rows, emitters, facing)
    order = [0, 1]  # left, right
    if "ReceiverPosition" in file:
        side = np.round(
            np.sin(np.radians(_positions(path, file, "ReceiverPosition", (2, 3), (2,))[0])), 9
        )
        if side[0] * side[1] >= 0:
            raise InputError(
                f"{path}: ReceiverPosition puts no ear on each side: use a binaural file"
            )
        order = [0, 1] if side[0] > 0 else [1, 0]
    delay = np.zeros((1, 2))  # samples
    if "Data.Delay" in file:
        delay = _read(path, file, "Data.Delay", (2, 3), (1, rows), 2)
        each = np.broadcast_to(delay.reshape(*delay.shape[:2], -1), (len(delay), 2, emitters))
        delay = np.moveaxis(each, 2, 1).reshape(-1, 2)
    longest, most = int(np.ceil(delay.max())), int(MAX_SECONDS * rates[0])
    if taps > most:
        raise InputError(
            f"{path}: responses of {taps / rates[0]:.1f} s, over {MAX_SECONDS}: cut them"
        )
    if delay.min() < 0 or taps + longest > most or 16 * directions * (taps + longest) > MAX_BYTES:
        raise InputError(
            f"{path}: Data.Delay is outside 0..{most - taps} samples: fetch the file again"
        )
    hrirs = _read(path, file, "Data.IR", (len(axes),), (rows,), 2)
    hrirs = hrirs.transpose([axes.index(axis) for axis in "mern" if axis in axes])
    hrirs = hrirs.reshape(directions, 2, taps)[:, order]
    if not np.abs(hrirs).max(axis=-1).all():
        raise InputError(f"{path}: Data.IR has silent responses: fetch the file again")
    if longest:
        hrirs = np.pad(hrirs, ((0, 0), (0, 0), (0, longest)))
        nfft = (
            2 * hrirs.shape[-1]
        )  # what is pushed past either end falls in the half that is cut off
        angles = -2j * np.pi * np.fft.rfftfreq(nfft)  # of a delay of one sample
        for k in range(directions):  # one at a time: their spectra take eight times as much memory
            turn = np.exp(angles * delay[k % len(delay), order][:, None])
            hrirs[k] = np.fft.irfft(np.fft.rfft(hrirs[k], nfft) * turn, nfft)[:, : taps + longest]
    return Sofa(path.stem, hrirs, azimuth, elevation, int(rates[0])), order == [1, 0]


def _read(
    path: Path, file: h5py.File, name: str, dims: tuple, rows: tuple, columns: int = 0
) -> np.ndarray:
    """A field as float64; raises InputError unless it has one of `dims` and one of `rows`, and `columns`."""
    field, sizes = plain_dataset(path, file, name, dims), file["Data.IR"].shape
    wrong = field.ndim > 0 and field.shape[0] not in rows or columns and field.shape[1] != columns
    if wrong or field.ndim == 3 and name != "Data.IR" and field.shape[2] not in (1, *sizes):
        raise InputError(
            f"{path}: {name} of shape {field.shape} does not fit Data.IR: fetch it again"
        )
    if field.chunks and not chunks_fit(field):
        raise InputError(f"{path}: {name} is not packed as netCDF does: pack it with deflate")
    values = np.asarray(field[()], dtype=np.float64)
    if not np.isfinite(values).all():
        raise InputError(f"{path}: {name} holds NaN or infinite values: fetch the file again")
    return values


def _seen_from_listener(path: Path, file: h5py.File, rows: int, emitters: int, facing) -> tuple:
    """Azimuth and elevation (rows * emitters,), degrees, of sources and their emitters about the nose, which
    points to azimuth `facing` (1 or rows,)."""

    def place(name, count):  # metres, (count or 1, 3)
        if name not in file:
            return np.zeros((1, 3))
        azimuth, elevation, distance = _positions(path, file, name, (2, 3), (1, count))
        flat = distance * np.cos(np.radians(elevation))
        x, y = flat * np.cos(np.radians(azimuth)), flat * np.sin(np.radians(azimuth))
        return np.stack([x, y, distance * np.sin(np.radians(elevation))], axis=-1)

    emitter = place("EmitterPosition", emitters)
    source = place("SourcePosition", rows) - place("ListenerPosition", rows)
    x, y, z = np.moveaxis(np.broadcast_to(source[:, None] + emitter, (rows, emitters, 3)), -1, 0)
    if not np.hypot(np.hypot(x, y), z).all():
        raise InputError(f"{path}: a source stands where the listener is: it has no direction")
    azimuth = np.degrees(np.arctan2(y, x)) - facing[:, None]
    return (azimuth % 360 % 360).ravel(), np.degrees(np.arctan2(z, np.hypot(x, y))).ravel()


def _positions(path, file, name: str, dims: tuple, rows: tuple, default: str = "cartesian"):
    """Azimuth in [0, 360), elevation, degrees, and distance, m, (n,); `default` where no kind is stated."""
    kind = text_attribute(path, plain_dataset(path, file, name, dims), "Type", default)
    positions = _read(path, file, name, dims, rows, 3)
    x, y, z = positions.reshape(len(positions), 3, -1)[:, :, 0].T
    azimuth, elevation, distance = x, y, z  # if spherical
    if kind == "cartesian":
        azimuth, elevation = np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))
        distance = np.hypot(np.hypot(x, y), z)
    elif kind != "spherical":
        raise InputError(
            f"{path}: {name} is {kind[:40]!r}, not cartesian or spherical: fetch it again"
        )
    if np.abs(azimuth).max() > 360 or np.abs(elevation).max() > 90 + ROUNDED:
        raise InputError(
            f"{path}: {name} has angles off the sphere: they must be degrees, fetch it again"
        )
    return azimuth % 360 % 360, np.clip(elevation, -90, 90), distance  # -1e-20 % 360 is 360

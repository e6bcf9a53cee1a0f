"""Head-related impulse responses: SOFA files in, one HRIR pair for each of 72 azimuths out.

Azimuth follows SOFA (AES69): counter-clockwise seen from above, 0 = front, 90 = left.
"""

from importlib import resources
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from scipy import signal

from .config import AZIMUTH_STEP, AZIMUTHS, DIRECTION_RULES
from .files import InputError

# The subjects of the published experiment, in its order.
CIPIC_SUBJECTS = ("003", "008", "009", "010", "011", "012", "015", "017", "018", "019",
                  "020", "021", "027", "028", "033", "040", "044", "048", "050", "051")

# What a file may declare before anything of it is read: it may come from anywhere.
MAX_DIRECTIONS = 20_000
MAX_TAPS = 16_384
MAX_BYTES = 2**30
RATES = (4_000, 384_000)  # Hz

ON_GRID = 0.5  # degrees: a direction this near counts as measured there
MAX_NEIGHBOUR = 20.0  # degrees: an interpolated azimuth needs a measured one this near on both sides


class Sofa(NamedTuple):
    """One head: `name`, `hrirs` (M, 2, taps), `azimuth` (M,) and `elevation` (M,) in degrees, `fs` in Hz.

    Ear 0 is the left one.
    """

    name: str
    hrirs: np.ndarray
    azimuth: np.ndarray
    elevation: np.ndarray
    fs: int


class Heads(NamedTuple):
    """Heads of a run: `names`, `hrirs` (heads, 72, 2, taps) float32, `elevations` (heads, 72), `fs` in Hz.

    Entry c of the second axis is the direction of class c, azimuth 5c degrees.
    """

    names: tuple[str, ...]
    hrirs: np.ndarray
    elevations: np.ndarray
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
    if not path.is_file():
        raise InputError(f"{path}: no such file: check the path")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty: fetch it again")
    try:
        with h5py.File(path, "r") as file:
            sofa = _parse(path, file)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, MemoryError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: not a readable SOFA (HDF5) file ({reason}): fetch it again") from None
    if fs is None or fs == sofa.fs:
        return sofa
    # A filter's gain is its sum over samples, so fewer samples need larger ones.
    hrirs = signal.resample_poly(sofa.hrirs, fs, sofa.fs, axis=-1) * (sofa.fs / fs)
    return sofa._replace(hrirs=hrirs, fs=fs)


def _parse(path: Path, file: h5py.File) -> Sofa:
    for attribute, wanted in (("SOFAConventions", "SimpleFreeFieldHRIR"), ("DataType", "FIR")):
        found = _text(file.attrs.get(attribute))
        if found != wanted:
            raise InputError(f"{path}: {attribute} is {found[:40]!r}, not {wanted!r}: use a file that has it")

    shape = _field(path, file, "Data.IR", (3,)).shape
    directions, ears, taps = shape
    if ears != 2:
        raise InputError(f"{path}: has {ears} receivers, not two ears: use a binaural file")
    fits = 0 < directions <= MAX_DIRECTIONS and 0 < taps <= MAX_TAPS
    if not fits or 16 * directions * taps > MAX_BYTES:
        raise InputError(f"{path}: Data.IR of shape {shape} is empty or too large: use a set of at most "
                         f"{MAX_DIRECTIONS} directions, {MAX_TAPS} taps and {MAX_BYTES >> 30} GiB")

    def read(name: str, dims: tuple, rows: tuple, columns: int | None = None) -> np.ndarray:
        dataset = _field(path, file, name, dims)
        if (dataset.ndim and dataset.shape[0] not in rows) or (columns and dataset.shape[1] != columns) \
                or (dataset.ndim == 3 and name != "Data.IR" and dataset.shape[2] not in (1, directions)):
            raise InputError(f"{path}: {name} has shape {dataset.shape}, which does not fit Data.IR "
                             f"of shape {shape}: fetch the file again")
        values = np.asarray(dataset[()], dtype=np.float64)
        if not np.isfinite(values).all():
            raise InputError(f"{path}: {name} holds NaN or infinite values: fetch the file again")
        return values

    rates = np.unique(read("Data.SamplingRate", (0, 1), (1, directions)))
    if len(rates) != 1 or not RATES[0] <= rates[0] <= RATES[1] or rates[0] != round(rates[0]):
        raise InputError(f"{path}: Data.SamplingRate is {rates[:3]}, not one whole number of Hz in "
                         f"{RATES[0]}..{RATES[1]}: use a file with one rate")

    kind = _text(file["SourcePosition"].attrs.get("Type")) if "SourcePosition" in file else ""
    azimuth, elevation = _angles(path, "SourcePosition", kind, read("SourcePosition", (2,), (directions,), 3))
    if "ListenerView" in file:
        kind = _text(file["ListenerView"].attrs.get("Type"), "cartesian")
        view = _angles(path, "ListenerView", kind, read("ListenerView", (2,), (1, directions), 3))
        if max(np.abs((view[0] + 180) % 360 - 180).max(), np.abs(view[1]).max()) > ON_GRID:
            raise InputError(f"{path}: the listener does not face azimuth 0: turn its coordinates")

    # read before the responses, so that nothing large is read of a file that is refused
    ear_azimuth = np.array([90.0, 270.0])  # of a file that does not say: left, right
    if "ReceiverPosition" in file:
        kind = _text(file["ReceiverPosition"].attrs.get("Type"), "cartesian")
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
        hrirs = fractional_delay(hrirs, np.broadcast_to(delay[:, order], (directions, 2)))
    return Sofa(path.stem, hrirs, azimuth, elevation, int(rates[0]))


def _text(value, default: str = "") -> str:
    """A string attribute; netCDF writers leave bytes, numpy bytes, arrays of one, or Empty."""
    if value is None or isinstance(value, h5py.Empty):
        return default
    value = np.asarray(value).reshape(-1)[:1].tolist()
    if not value:
        return default
    return value[0].decode("utf-8", "replace") if isinstance(value[0], bytes) else str(value[0])


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


def interpolate(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Responses between two sets (..., taps) of neighbouring directions, `weight` (...) of the second.

    Responses of one ear are brought in line by cross-correlation, averaged, given the interpolated
    log magnitude and then the interpolated delay: magnitude-corrected, time-aligned interpolation
    (Arend, Poerschmann, Weinzierl & Brinkmann 2023). Averaging them as they are would comb-filter.
    Minimum phase plus a delay (Kistler & Wightman 1992) needs no partner but drops the rest of the
    phase: on KEMAR it moves the ITD by 23 us where this moves it by 1 (median, 5 degrees either side).
    """
    taps = first.shape[-1]
    nfft = 2 ** int(np.ceil(np.log2(4 * taps)))
    weight = np.asarray(weight)[..., None]
    spectra = np.fft.rfft(first, nfft), np.fft.rfft(second, nfft)
    shift = delay_between(*spectra, nfft)[..., None]  # samples
    angle = 2j * np.pi * np.fft.rfftfreq(nfft) * shift
    mean = (1 - weight) * spectra[0] + weight * spectra[1] * np.exp(angle)
    tiny = np.finfo(float).tiny
    log_first, log_second = (np.log(np.abs(spectrum) + tiny) for spectrum in spectra)
    magnitude = np.exp((1 - weight) * log_first + weight * log_second)
    spectrum = magnitude * mean / (np.abs(mean) + tiny) * np.exp(-weight * angle)
    return np.fft.irfft(spectrum, nfft)[..., :taps]


def delay_between(first: np.ndarray, second: np.ndarray, nfft: int, upsampling: int = 8) -> np.ndarray:
    """Samples by which the second of two spectra (..., nfft/2+1) lags: the peak of their correlation.

    Sought on an `upsampling` times finer grid, then between its points by a parabola.
    """
    correlation = np.fft.irfft(second * first.conj(), upsampling * nfft)
    points = correlation.shape[-1]
    peak = correlation.argmax(axis=-1)
    before, at, after = (np.take_along_axis(correlation, ((peak + step) % points)[..., None], -1)[..., 0]
                         for step in (-1, 0, 1))
    peak = peak + 0.5 * (before - after) / (before - 2 * at + after)
    return np.where(peak > points / 2, peak - points, peak) / upsampling


def select_directions(sofa: Sofa, rule: str, azimuths=None) -> tuple[np.ndarray, np.ndarray]:
    """One response pair for every azimuth wanted.

    Parameters
    ----------
    sofa : Sofa
    rule : str
        "nearest_azimuth", as published: the first direction of the file whose azimuth is nearest,
        whatever its elevation. "horizontal": elevation 0; where nothing was measured, interpolated
        between the measured neighbours on either side.
    azimuths : (n,) array, optional
        Degrees; the 72 classes by default.

    Returns
    -------
    hrirs : (n, 2, taps) float64
    elevations : (n,) float64, degrees

    Raises
    ------
    InputError
        "horizontal" has no measured neighbour within MAX_NEIGHBOUR degrees.
    """
    if rule not in DIRECTION_RULES:
        raise InputError(f"direction rule {rule!r}: unknown: use one of {', '.join(DIRECTION_RULES)}")
    azimuths = np.arange(AZIMUTHS) * AZIMUTH_STEP if azimuths is None else np.asarray(azimuths)

    # signed degrees counter-clockwise from each wanted azimuth to each measured one, (n, M)
    offset = (sofa.azimuth - azimuths[:, None] + 180) % 360 - 180
    if rule == "nearest_azimuth":
        chosen = np.abs(offset).argmin(axis=1)  # the first of equals
        return sofa.hrirs[chosen], sofa.elevation[chosen]

    plane = np.flatnonzero(np.abs(sofa.elevation) <= ON_GRID)
    offset = offset[:, plane]
    ahead = np.where(offset >= 0, offset, np.inf)
    behind = np.where(offset <= 0, -offset, np.inf)
    for azimuth, gaps in zip(azimuths, zip(ahead, behind)):
        if len(plane) == 0 or max(gap.min() for gap in gaps) > MAX_NEIGHBOUR:
            raise InputError(f"{sofa.name}.sofa: nothing measured at elevation 0 within {MAX_NEIGHBOUR:g} "
                             f"degrees of azimuth {azimuth:g}: use the direction rule nearest_azimuth")
    nearest = np.abs(offset).argmin(axis=1)
    hrirs, elevations = sofa.hrirs[plane[nearest]], sofa.elevation[plane[nearest]]
    off = np.abs(offset).min(axis=1) > ON_GRID
    if off.any():
        left, right = ahead[off].argmin(axis=1), behind[off].argmin(axis=1)
        reach = ahead[off].min(axis=1), behind[off].min(axis=1)
        weight = np.repeat((reach[0] / (reach[0] + reach[1]))[:, None], 2, axis=1)  # the same for both ears
        hrirs[off] = interpolate(sofa.hrirs[plane[left]], sofa.hrirs[plane[right]], weight)
        elevations[off] = 0.0
    return hrirs, elevations


def scale_head(sofa: Sofa, factor: float) -> Sofa:
    """The head shrunk by `factor`: its spectral features lie `factor` times higher in frequency.

    H(f) becomes H(f / factor) (Middlebrooks 1999): the time axis of every response is compressed
    by `factor` with band-limited interpolation, delays and ITD with it. Gains and the number of
    taps stay; for a factor below 1 nothing is left above factor * fs/2.
    """
    n = np.arange(sofa.hrirs.shape[-1])
    if factor >= 1:
        kernel = np.sinc(n - n[:, None] / factor)
    else:
        kernel = factor * np.sinc(factor * n - n[:, None])  # rows: taps read, columns: taps written
    return sofa._replace(name=f"{sofa.name}-{factor:.3f}", hrirs=sofa.hrirs @ kernel)


def virtual_factors(n: int = 20) -> np.ndarray:
    """`n` frequency-scaling factors, log-spaced over 0.87..1.15.

    Middlebrooks (1999) finds optimal factors of this order between pairs of his 33 subjects.
    """
    return np.geomspace(0.87, 1.15, n)


def load_heads(data: Path | None, direction_rule: str, fs: int) -> Heads:
    """The 20 heads of a run.

    Parameters
    ----------
    data : Path or None
        Folder with cipic/subject_*.sofa. None: the embedded KEMAR, as 20 virtual heads.
    direction_rule : str
        See `select_directions`.
    fs : int, Hz

    Raises
    ------
    InputError
        A file is missing or unreadable, or lacks a direction.
    """
    if data is not None:
        paths = [Path(data) / "cipic" / f"subject_{subject}.sofa" for subject in CIPIC_SUBJECTS]
        for path in paths:
            if not path.is_file():
                raise InputError(f"{path}: no such file: python -m ssl_jax download --to {data} fetches it")
        return load_heads_from(paths, direction_rule, fs)
    sofa = read_sofa(Path(str(resources.files("ssl_jax") / "data/hrtf/MIT_KEMAR_normal_pinna.sofa")), fs)
    hrirs, elevations = select_directions(sofa, direction_rule)
    kemar = sofa._replace(name="virtual", hrirs=hrirs)
    factors = virtual_factors()
    return _stack([scale_head(kemar, factor) for factor in factors], [elevations] * len(factors))


def load_heads_from(paths, direction_rule: str, fs: int) -> Heads:
    """Heads from any SimpleFreeFieldHRIR files, named after them."""
    heads = [read_sofa(path, fs) for path in paths]
    hrirs, elevations = zip(*(select_directions(head, direction_rule) for head in heads))
    return _stack([head._replace(hrirs=chosen) for head, chosen in zip(heads, hrirs)], elevations)


def _stack(heads: list[Sofa], elevations) -> Heads:
    # shorter responses are padded with zeros
    taps = max(head.hrirs.shape[-1] for head in heads)
    hrirs = np.zeros((len(heads), len(elevations[0]), 2, taps), np.float32)
    for stored, head in zip(hrirs, heads):
        stored[..., : head.hrirs.shape[-1]] = head.hrirs
    return Heads(tuple(head.name for head in heads), hrirs, np.stack(elevations), heads[0].fs)

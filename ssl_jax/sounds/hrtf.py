"""Head-related impulse responses: one pair for each of 72 azimuths of measured heads."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import package_data
from ssl_jax.config import AZIMUTH_STEP, AZIMUTHS, DIRECTION_RULES
from ssl_jax.sounds.sofa import ON_GRID, Sofa, read_sofa

CIPIC = "cipic_*.sofa"  # the 20 people of the published experiment, in the package
KEMAR = package_data("hrtf/MIT_KEMAR_normal_pinna.sofa")  # the head that `render` uses
# of the package too: manikins, and a person of another laboratory
OTHER_HEADS = (
    KEMAR,
    *(package_data(f"hrtf/{name}.sofa") for name in ("kemar_large", "ku100", "ari_nh898")),
)
# degrees: an interpolated azimuth needs a measured one this near on both sides
MAX_NEIGHBOUR = 20.0
LATERAL_HZ = 1500.0  # below it an ITD grows with the angle to the side and has one value


@dataclass(frozen=True)
class Heads:
    """Heads of a run in 72 directions: azimuth 5c degrees is class c."""

    names: tuple[str, ...]
    hrirs: np.ndarray  # (heads, 72, 2, taps) float32, left ear first
    elevations: np.ndarray  # (heads, 72) degrees
    # (heads, 2, samples) float32: reverberation that all azimuths share
    tails: np.ndarray | None = None
    part: np.ndarray | None = None  # (heads,), the one part that each is of, see `parts.PARTS`


def interpolate(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Responses between two neighbouring directions.

    Log magnitudes and delays are interpolated, phases after the delay is taken out (Arend,
    Poerschmann, Weinzierl & Brinkmann 2023). The ITD of KEMAR moves by 1 us (median), with minimum
    phases it would move by 23 us.

    Parameters
    ----------
    first, second : (..., taps)
    weight : (...) of the second, 0 to 1

    Returns
    -------
    (..., taps)
    """
    taps = first.shape[-1]
    nfft = 2 ** int(np.ceil(np.log2(4 * taps)))
    weight = np.asarray(weight)[..., None]
    first_spectrum = np.fft.rfft(first, nfft)
    second_spectrum = np.fft.rfft(second, nfft)
    delay = delay_between(first_spectrum, second_spectrum, nfft)[..., None]
    angle = 2j * np.pi * np.fft.rfftfreq(nfft) * delay
    # the second is moved to the time of the first, and their mean to the time between
    mean = (1 - weight) * first_spectrum + weight * second_spectrum * np.exp(angle)
    tiny = np.finfo(float).tiny
    log_first = np.log(np.abs(first_spectrum) + tiny)
    log_second = np.log(np.abs(second_spectrum) + tiny)
    magnitude = np.exp((1 - weight) * log_first + weight * log_second)
    spectrum = magnitude * mean / (np.abs(mean) + tiny) * np.exp(-weight * angle)
    return np.fft.irfft(spectrum, nfft)[..., :taps]


def delay_between(
    first: np.ndarray, second: np.ndarray, nfft: int, upsampling: int = 8
) -> np.ndarray:
    """Samples (...) by which the second of two spectra (..., nfft/2+1) lags.

    The peak of their correlation on a grid `upsampling` times finer, and between its points that
    of a parabola.
    """
    points = upsampling * nfft
    correlation = np.fft.irfft(second * first.conj(), points)
    peak = correlation.argmax(axis=-1)
    neighbours = (peak[..., None] + (-1, 0, 1)) % points
    before, at, after = np.moveaxis(np.take_along_axis(correlation, neighbours, -1), -1, 0)
    peak = peak + 0.5 * (before - after) / (before - 2 * at + after)
    return np.where(peak > points / 2, peak - points, peak) / upsampling


def select_directions(sofa: Sofa, rule: str, azimuths=None) -> tuple[np.ndarray, np.ndarray]:
    """Response pairs (n, 2, taps) for `azimuths` (n,), by default the 72 classes, and elevations (n,). Rule
    "nearest_azimuth", as published: the first of nearest azimuth, whatever its elevation; "horizontal":
    elevation 0, interpolated where not measured; raises InputError where neighbours are too far."""
    if rule not in DIRECTION_RULES:
        raise InputError(
            f"direction rule {rule!r}: unknown: use one of {', '.join(DIRECTION_RULES)}"
        )
    azimuths = np.arange(AZIMUTHS) * AZIMUTH_STEP if azimuths is None else np.asarray(azimuths)
    # signed degrees counter-clockwise from each wanted azimuth to each measured one, (n, M)
    offset = (sofa.azimuth - azimuths[:, None] + 180) % 360 - 180
    if rule == "nearest_azimuth":
        chosen = np.abs(offset).argmin(axis=1)  # the first of equals
        return sofa.hrirs[chosen], sofa.elevation[chosen]

    plane = np.flatnonzero(np.abs(sofa.elevation) <= ON_GRID)
    offset = offset[:, plane]
    ahead, behind = np.where(offset >= 0, offset, np.inf), np.where(offset <= 0, -offset, np.inf)
    gaps = ahead.min(axis=1, initial=np.inf), behind.min(axis=1, initial=np.inf)
    if (wide := np.maximum(*gaps) > MAX_NEIGHBOUR).any():
        at = azimuths[wide.argmax()]
        lacks = (
            f"nothing measured at elevation 0 within {MAX_NEIGHBOUR:g} degrees of azimuth {at:g}"
        )
        raise InputError(f"{sofa.name}.sofa: {lacks}: use the direction rule nearest_azimuth")
    nearest = np.abs(offset).argmin(axis=1)
    hrirs, elevations = sofa.hrirs[plane[nearest]], sofa.elevation[plane[nearest]]
    if (off := np.abs(offset).min(axis=1) > ON_GRID).any():
        left, right = ahead[off].argmin(axis=1), behind[off].argmin(axis=1)
        weight = gaps[0][off, None] / np.add(*gaps)[off, None]  # the same for both ears
        hrirs[off] = interpolate(sofa.hrirs[plane[left]], sofa.hrirs[plane[right]], weight)
        elevations[off] = 0.0
    return hrirs, elevations


def scale_head(sofa: Sofa, factor: float) -> Sofa:
    """The head shrunk by `factor`: H(f) becomes H(f / factor) (Middlebrooks 1999).

    Gains and the number of taps stay.
    """
    n = np.arange(sofa.hrirs.shape[-1])
    kernel = np.sinc(n - n[:, None] / factor)  # rows: taps read, columns: taps written
    if factor < 1:  # nothing is left above factor * fs/2
        kernel = factor * np.sinc(factor * n - n[:, None])
    # as one product: NumPy would make one for every direction, many times slower
    hrirs = (sofa.hrirs.reshape(-1, len(n)) @ kernel).reshape(sofa.hrirs.shape)
    return sofa._replace(name=f"{sofa.name}-{factor:.3f}", hrirs=hrirs)


def turned_to_midline(sofa: Sofa) -> Sofa:
    """The head turned until its ITDs on the horizontal plane are alike on both sides.

    Only frequencies below LATERAL_HZ count. Some people look up to 12 degrees beside azimuth 0 while
    they are measured.
    """
    nfft = 1024
    spectra = np.fft.rfft(select_directions(sofa, "horizontal")[0], nfft)  # 72, 2, nfft/2+1
    spectra[..., np.fft.rfftfreq(nfft, 1 / sofa.fs) > LATERAL_HZ] = 0
    # the right ear's lag, over azimuth a sine of azimuth + turn
    itd = delay_between(spectra[:, 0], spectra[:, 1], nfft)
    azimuths = np.radians(AZIMUTH_STEP * np.arange(AZIMUTHS))
    turn = np.degrees(np.angle(1j * itd @ np.exp(-1j * azimuths)))
    return sofa._replace(azimuth=(sofa.azimuth + turn) % 360)


def head_files(folder: Path | None) -> list[Path]:
    """The SOFA files of a folder by name, or the package's 20 people of CIPIC for None.

    Raises
    ------
    InputError
        For a folder that is not there or has fewer than two SOFA files.
    """
    if folder is None:
        return sorted(package_data("hrtf").glob(CIPIC))
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder: name a folder of SOFA files")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".sofa")
    if len(paths) < 2:
        raise InputError(f"{folder}: has {len(paths)} SOFA files: name a folder with at least 2")
    return paths


def load_heads(folder: Path | None, direction_rule: str, fs: int) -> Heads:
    """The heads of `head_files` at `fs` (Hz) in 72 directions; see `select_directions`."""
    names = []
    responses = []
    elevations = []
    for path in head_files(folder):
        sofa = read_sofa(path, fs)
        hrirs, elevation = select_directions(sofa, direction_rule)
        names.append(sofa.name)
        responses.append(hrirs)
        elevations.append(elevation)
    longest = max(hrirs.shape[-1] for hrirs in responses)
    # shorter responses end in zeros
    stored = np.zeros((len(responses), AZIMUTHS, 2, longest), np.float32)
    for one, hrirs in zip(stored, responses, strict=True):
        one[..., : hrirs.shape[-1]] = hrirs
    return Heads(tuple(names), stored, np.stack(elevations))

"""Head-related impulse responses: one pair for each of 72 azimuths of measured heads."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ssl_jax.common.angles import circle_degrees, signed_degrees
from ssl_jax.common.errors import InputError
from ssl_jax.common.files import package_data
from ssl_jax.config import AZIMUTHS, DIRECTION_RULES, class_azimuths
from ssl_jax.sounds.laterality import LATERAL_HZ
from ssl_jax.sounds.sofa import ON_GRID, Sofa, read_sofa

CIPIC = "cipic_*.sofa"  # the 20 people of the published experiment, in the package
KEMAR = package_data("hrtf/MIT_KEMAR_normal_pinna.sofa")  # the head that `render` uses
# of the package too: manikins, and a person of another laboratory
OTHER_HEADS = (
    KEMAR,
    *(package_data(f"hrtf/{name}.sofa") for name in ("kemar_large", "ku100", "ari_nh898")),
)
UPSAMPLING = 8  # of the grid that a delay is read on
# degrees: an interpolated azimuth needs a measured one this near on both sides
MAX_NEIGHBOUR = 20.0
INTERPOLATED_TAPS = 2**18  # of responses at a time, whose spectra take a hundred times as much
# degrees from elevation 0 at which a ring is still one: a head that is tracked moves by 2 or so
TRACKED = 5.0


@dataclass(frozen=True)
class Heads:
    """Heads of a run in 72 directions: azimuth 5c degrees is class c."""

    names: tuple[str, ...]
    hrirs: np.ndarray  # (heads, 72, 2, taps) float32, left ear first
    elevations: np.ndarray  # (heads, 72) degrees
    # (heads, 2, samples) float32: reverberation that all azimuths share
    tails: np.ndarray | None = None
    part: np.ndarray | None = None  # (heads,), the one part that each is of, see `config.PARTS`


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


def delay_between(first: np.ndarray, second: np.ndarray, nfft: int) -> np.ndarray:
    """Samples (...) by which the second of two spectra (..., nfft/2+1) lags.

    The peak of their correlation on a grid UPSAMPLING times finer, and between its points that of a
    parabola.
    """
    points = UPSAMPLING * nfft
    correlation = np.fft.irfft(second * first.conj(), points)
    peak = correlation.argmax(axis=-1)
    neighbours = (peak[..., None] + (-1, 0, 1)) % points
    before, at, after = np.moveaxis(np.take_along_axis(correlation, neighbours, -1), -1, 0)
    peak = peak + 0.5 * (before - after) / (before - 2 * at + after)
    return np.where(peak > points / 2, peak - points, peak) / UPSAMPLING


def select_directions(sofa: Sofa, rule: str, azimuths=None) -> tuple[np.ndarray, np.ndarray]:
    """Response pairs of a head for azimuths on the horizontal plane.

    Parameters
    ----------
    rule : of DIRECTION_RULES
        "nearest_azimuth", as published: the first of nearest azimuth, whatever its elevation.
        "nearest": the direction nearest on the sphere.
        "horizontal": of the ring at elevation 0, interpolated where not measured.
    azimuths : (n,), degrees, by default the 72 classes

    Returns
    -------
    hrirs : (n, 2, taps)
    elevations : (n,), degrees, of the directions used; 0 of interpolated ones

    Raises
    ------
    InputError
        Where the ring of rule "horizontal" has gaps, see `horizontal_ring`.
    """
    if rule not in DIRECTION_RULES:
        raise InputError(
            f"direction rule {rule!r}: unknown: use one of {', '.join(DIRECTION_RULES)}"
        )
    if azimuths is None:
        azimuths = class_azimuths()
    azimuths = np.asarray(azimuths, float)
    if rule == "nearest_azimuth":
        # the first of equals
        chosen = np.abs(azimuth_offsets(sofa.azimuth, azimuths)).argmin(axis=1)
        return sofa.hrirs[chosen], sofa.elevation[chosen]
    if rule == "nearest":
        chosen = nearest_on_sphere(sofa, azimuths)
        return sofa.hrirs[chosen], sofa.elevation[chosen]
    return interpolate_ring(sofa, horizontal_ring(sofa, azimuths), azimuths)


def azimuth_offsets(measured: np.ndarray, azimuths: np.ndarray) -> np.ndarray:
    """Signed degrees counter-clockwise from each azimuth (n,) to each measured one (M,): (n, M)."""
    return signed_degrees(measured - azimuths[:, None])


def nearest_on_sphere(sofa: Sofa, azimuths: np.ndarray) -> np.ndarray:
    """Numbers (n,) of the measured directions nearest to azimuths (n,) at elevation 0."""
    apart = np.radians(sofa.azimuth - azimuths[:, None])
    return (np.cos(np.radians(sofa.elevation)) * np.cos(apart)).argmax(axis=1)


def ring_gaps(measured: np.ndarray, azimuths: np.ndarray) -> np.ndarray:
    """Degrees (n, 2) from azimuths (n,) to the next measured one (M,) ahead and behind."""
    offset = azimuth_offsets(measured, azimuths)
    ahead = np.where(offset >= 0, offset, np.inf).min(axis=1, initial=np.inf)
    behind = np.where(offset <= 0, -offset, np.inf).min(axis=1, initial=np.inf)
    return np.stack([ahead, behind], axis=-1)


def horizontal_ring(sofa: Sofa, azimuths: np.ndarray) -> np.ndarray:
    """Numbers of the directions that surround azimuths (n,) at elevation 0.

    They are at elevation 0 itself, or, where they leave gaps there, within TRACKED degrees of it.

    Raises
    ------
    InputError
        Where an azimuth has no neighbour within MAX_NEIGHBOUR on both sides.
    """
    for highest in (ON_GRID, TRACKED):
        ring = np.flatnonzero(np.abs(sofa.elevation) <= highest)
        wide = ring_gaps(sofa.azimuth[ring], azimuths).max(axis=1) > MAX_NEIGHBOUR
        if not wide.any():
            return ring
    raise InputError(
        f"{sofa.name}.sofa: nothing measured at elevation 0 within {MAX_NEIGHBOUR:g} degrees"
        f" of azimuth {azimuths[wide.argmax()]:g}: use another head, or the direction rule nearest"
    )


def interpolate_ring(
    sofa: Sofa, ring: np.ndarray, azimuths: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Response pairs (n, 2, taps) and elevations (n,) for azimuths (n,) between those of a ring."""
    offset = azimuth_offsets(sofa.azimuth[ring], azimuths)
    nearest = ring[np.abs(offset).argmin(axis=1)]
    hrirs = sofa.hrirs[nearest]
    elevations = sofa.elevation[nearest]
    between = np.abs(offset).min(axis=1) > ON_GRID
    if not between.any():
        return hrirs, elevations
    offset = offset[between]
    ahead = ring[np.where(offset >= 0, offset, np.inf).argmin(axis=1)]
    behind = ring[np.where(offset <= 0, -offset, np.inf).argmin(axis=1)]
    gaps = ring_gaps(sofa.azimuth[ring], azimuths[between])
    # the same weight for both ears
    weight = (gaps[:, 0] / gaps.sum(axis=1))[:, None]
    rows = np.flatnonzero(between)
    at_a_time = max(1, INTERPOLATED_TAPS // hrirs.shape[-1])
    for start in range(0, len(rows), at_a_time):
        part = slice(start, start + at_a_time)
        first = sofa.hrirs[ahead[part]]
        second = sofa.hrirs[behind[part]]
        hrirs[rows[part]] = interpolate(first, second, weight[part])
    elevations[between] = 0.0
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
    return replace(sofa, name=f"{sofa.name}-{factor:.3f}", hrirs=hrirs)


def turn_to_midline(sofa: Sofa) -> Sofa:
    """The head turned until its ITDs on the horizontal plane are alike on both sides.

    Only frequencies below LATERAL_HZ count. Some people look up to 12 degrees beside azimuth 0
    while they are measured.
    """
    nfft = 1024
    responses, _ = select_directions(sofa, "horizontal")
    spectra = np.fft.rfft(responses, nfft)  # 72, 2, nfft/2+1
    spectra[..., np.fft.rfftfreq(nfft, 1 / sofa.fs) > LATERAL_HZ] = 0
    # the right ear's lag, over azimuth a sine of azimuth + turn
    itd = delay_between(spectra[:, 0], spectra[:, 1], nfft)
    azimuths = np.radians(class_azimuths())
    turn = np.degrees(np.angle(1j * itd @ np.exp(-1j * azimuths)))
    return replace(sofa, azimuth=circle_degrees(sofa.azimuth + turn))


def sofa_files(folder: Path) -> list[Path]:
    """The SOFA files of a folder by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() == ".sofa")


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
    paths = sofa_files(folder)
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

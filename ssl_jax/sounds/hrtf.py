"""Head-related impulse responses: one pair for each of 72 azimuths, of measured and virtual heads.

Azimuth follows SOFA (AES69): counter-clockwise seen from above, 0 = front, 90 = left.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import package_data
from ssl_jax.config import AZIMUTH_STEP, AZIMUTHS, DIRECTION_RULES
from ssl_jax.sounds.sofa import ON_GRID, Sofa, read_sofa

# The subjects of the published experiment, in its order.
CIPIC_SUBJECTS = "003 008 009 010 011 012 015 017 018 019 020 021 027 028 033 040 044 048 050 051".split()

KEMAR = package_data("hrtf/MIT_KEMAR_normal_pinna.sofa")
MAX_NEIGHBOUR = 20.0  # degrees: an interpolated azimuth needs a measured one this near on both sides


class Heads(NamedTuple):
    """Heads of a run: `names`, `hrirs` (heads, 72, 2, taps) float32, `elevations` (heads, 72), `fs` in Hz.

    Entry c of the second axis is the direction of class c, azimuth 5c degrees.
    """

    names: tuple[str, ...]
    hrirs: np.ndarray
    elevations: np.ndarray
    fs: int


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
    before, at, after = (
        np.take_along_axis(correlation, ((peak + step) % points)[..., None], -1)[..., 0]
        for step in (-1, 0, 1)
    )
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
            lacks = f"nothing measured at elevation 0 within {MAX_NEIGHBOUR:g} degrees of azimuth {azimuth:g}"
            raise InputError(f"{sofa.name}.sofa: {lacks}: use the direction rule nearest_azimuth")
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
    # as one product: NumPy would make one for every direction, tens of times slower on a busy machine
    hrirs = (sofa.hrirs.reshape(-1, len(n)) @ kernel).reshape(sofa.hrirs.shape)
    return sofa._replace(name=f"{sofa.name}-{factor:.3f}", hrirs=hrirs)


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
    sofa = read_sofa(KEMAR, fs)
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

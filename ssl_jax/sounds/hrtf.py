"""Head-related impulse responses: one pair for each of 72 azimuths, of measured and virtual heads."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import package_data
from ssl_jax.config import AZIMUTH_STEP, AZIMUTHS, DIRECTION_RULES
from ssl_jax.sounds.sofa import ON_GRID, Sofa, read_sofa

# of the published experiment, in its order
CIPIC_SUBJECTS = (
    "003 008 009 010 011 012 015 017 018 019 020 021 027 028 033 040 044 048 050 051".split()
)
CIPIC_OTHERS = "058 059 060 061 065 119 124 126 127 131 133 134 135".split()  # the rest of its 45
CIPIC_OTHERS += "137 147 148 152 153 154 155 156 158 162 163 165".split()
EMBEDDED = (
    "MIT_KEMAR_normal_pinna",
    "kemar_large",
    "cipic_003",
    "ku100",
    "ari_nh898",
)  # see data/NOTICE.md
KEMAR = package_data(f"hrtf/{EMBEDDED[0]}.sofa")
FACTORS = np.geomspace(
    0.87, 1.15, 4
)  # of virtual heads: the range that Middlebrooks (1999) finds in people
MAX_NEIGHBOUR = (
    20.0  # degrees: an interpolated azimuth needs a measured one this near on both sides
)


class Heads(NamedTuple):
    """Heads of a run in 72 directions: azimuth 5c degrees is class c."""

    names: tuple[str, ...]
    hrirs: np.ndarray  # (heads, 72, 2, taps) float32, left ear first
    elevations: np.ndarray  # (heads, 72) degrees
    tails: np.ndarray | None = (
        None  # (heads, 2, samples) float32: reverberation that all azimuths share
    )
    part: np.ndarray | None = None  # (heads,), the one part that each is of, see `recipes.PARTS`


def interpolate(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Responses (..., taps) between two neighbouring directions, `weight` (...) of the second: Arend,
    Poerschmann, Weinzierl & Brinkmann (2023). Moves KEMAR's ITD 1 us, minimum phase 23 us (median)."""
    taps = first.shape[-1]
    nfft = 2 ** int(np.ceil(np.log2(4 * taps)))
    weight = np.asarray(weight)[..., None]
    spectra = np.fft.rfft(first, nfft), np.fft.rfft(second, nfft)
    angle = 2j * np.pi * np.fft.rfftfreq(nfft) * delay_between(*spectra, nfft)[..., None]
    mean = (1 - weight) * spectra[0] + weight * spectra[1] * np.exp(angle)
    tiny = np.finfo(float).tiny
    log_first, log_second = (np.log(np.abs(spectrum) + tiny) for spectrum in spectra)
    magnitude = np.exp((1 - weight) * log_first + weight * log_second)
    spectrum = magnitude * mean / (np.abs(mean) + tiny) * np.exp(-weight * angle)
    return np.fft.irfft(spectrum, nfft)[..., :taps]


def delay_between(
    first: np.ndarray, second: np.ndarray, nfft: int, upsampling: int = 8
) -> np.ndarray:
    """Samples by which the second of two spectra (..., nfft/2+1) lags: the peak of their correlation."""
    points = upsampling * nfft  # a finer grid; between its points the peak is sought by a parabola
    correlation = np.fft.irfft(second * first.conj(), points)
    peak = correlation.argmax(axis=-1)
    near = (peak[..., None] + (-1, 0, 1)) % points
    before, at, after = np.moveaxis(np.take_along_axis(correlation, near, -1), -1, 0)
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
    """The head shrunk by `factor`: H(f) becomes H(f / factor) (Middlebrooks 1999); gains and taps stay."""
    n = np.arange(sofa.hrirs.shape[-1])
    kernel = np.sinc(n - n[:, None] / factor)  # rows: taps read, columns: taps written
    if factor < 1:  # nothing is left above factor * fs/2
        kernel = factor * np.sinc(factor * n - n[:, None])
    # as one product: NumPy would make one for every direction, tens of times slower on a busy machine
    hrirs = (sofa.hrirs.reshape(-1, len(n)) @ kernel).reshape(sofa.hrirs.shape)
    return sofa._replace(name=f"{sofa.name}-{factor:.3f}", hrirs=hrirs)


def turned_to_midline(sofa: Sofa) -> Sofa:
    """The head turned so that its ITDs on the horizontal plane, below 1.5 kHz, are alike on both sides: some
    people looked up to 12 degrees beside azimuth 0 while they were measured."""
    azimuths, nfft = np.radians(AZIMUTH_STEP * np.arange(AZIMUTHS)), 1024
    spectra = np.fft.rfft(select_directions(sofa, "horizontal")[0], nfft)
    spectra[..., np.fft.rfftfreq(nfft, 1 / sofa.fs) > 1500] = 0
    itd = delay_between(
        spectra[:, 0], spectra[:, 1], nfft
    )  # of the right ear: a sine of azimuth + turn
    turn = np.degrees(np.angle(1j * itd @ np.exp(-1j * azimuths)))
    return sofa._replace(azimuth=(sofa.azimuth + turn) % 360)


def load_heads(data: Path | None, direction_rule: str, fs: int) -> Heads:
    """The 20 heads of a run at `fs` (Hz): data/cipic/subject_*.sofa, or the five embedded scaled to four."""
    paths, heads = [package_data(f"hrtf/{name}.sofa") for name in EMBEDDED], []
    if data is not None:
        paths = [Path(data) / "cipic" / f"subject_{subject}.sofa" for subject in CIPIC_SUBJECTS]
    for path in paths:
        if not path.is_file():
            raise InputError(
                f"{path}: no such file: python -m ssl_jax download --to {data} fetches it"
            )
        sofa = read_sofa(path, fs)
        hrirs, elevations = select_directions(sofa, direction_rule)
        heads.append(sofa._replace(hrirs=hrirs, elevation=elevations))
    if data is None:
        heads = [scale_head(head, factor) for head in heads for factor in FACTORS]
    taps = [head.hrirs.shape[-1] for head in heads]
    hrirs = np.zeros(
        (len(heads), AZIMUTHS, 2, max(taps)), np.float32
    )  # shorter responses end in zeros
    for stored, head, length in zip(hrirs, heads, taps):
        stored[..., :length] = head.hrirs
    return Heads(
        tuple(head.name for head in heads), hrirs, np.stack([head.elevation for head in heads])
    )

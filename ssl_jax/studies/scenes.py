"""Four published mixtures taken apart: which head, which voice, which noise. NumPy alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import sha256_of
from ssl_jax.sounds.hrtf import select_directions
from ssl_jax.sounds.reading import read_sound
from ssl_jax.sounds.sofa import Sofa, read_sofa

REPOSITORY = "github.com/Kenzot007/SoundSourceLocalization"
COMMIT = "d5365c4"
FOLDER = "Test_Audio"
FS = 44_100  # Hz
SAMPLES = FS  # of a scene: one second
CHECKSUMS = {  # SHA-256 of the scene at each azimuth, at COMMIT
    0: "c2f92898f221e1ddd4b9c6249a177c879db8f43fec494af2f6641996b2c53967",
    90: "c93bba90cb7bb12de96f2ec65fb29e1544c8f3b49999161e71497844a8d8d83e",
    180: "af6c7c7a39f5567e46f625462c154b494b71eb866215e0a908fc98a946776040",
    270: "6f95a4768fc2d41e740504362cf354f067c9a69acdaace41f7cb669d34c7e3eb",
}
SCENE_AZIMUTHS = tuple(CHECKSUMS)  # degrees, of the voice
# of the Fourier transforms: the second, the longest response and room for what is cut off at the
# second's end
POINTS = 2**16
HEAD_BAND = (150, 7_500)  # Hz: where the voice stands above the noise
ROUNDS = 60  # of gains and weights in turn; SNRs then stand within 0.02 dB
CHUNK = 16  # directions scored at once: arrays of some 20 MB


@dataclass(frozen=True)
class Method:
    """How `separate` fits the voice."""

    top: float  # Hz, the voice has nothing above
    # each ear's residual is raised by what the fit took of the ear's noise. Without that the fit
    # runs into the ear whose noise is weakest: its weight grows, its noise becomes voice
    corrected: bool


# LibriSpeech is sampled at 16 kHz. The filter of SciPy's resample_poly, which took it to 44.1 kHz,
# falls slowly: 6 dB at 8 kHz, 10 at 8.3, 43 at 9.2. A mirror image of the voice is left there.
PLAIN = Method(top=8_300, corrected=False)
CORRECTED = Method(top=9_200, corrected=True)


@dataclass(frozen=True)
class Direction:
    """A measured direction of a head, and how well it explains a scene."""

    head: str
    azimuth: float  # degrees
    elevation: float  # degrees
    score: float  # dB, see `response_scores`


@dataclass(frozen=True)
class Separation:
    """Scenes as the sum of one voice at several gains and of rests."""

    gains: np.ndarray  # (scenes,) of the voice, the first is 1
    voice: np.ndarray  # (scenes, 2, samples) at the ears
    rest: np.ndarray  # (scenes, 2, samples) scene less voice
    share_left: np.ndarray  # (scenes, 2) of each ear's noise power, that the fit left in the rest


def read_scenes(folder: Path) -> np.ndarray:
    """The four published scenes.

    Parameters
    ----------
    folder : the clone of REPOSITORY, or its folder FOLDER

    Returns
    -------
    (scenes, 2, samples) at FS in the order of SCENE_AZIMUTHS, left ear first

    Raises
    ------
    InputError
        if the folder or a scene is missing, or a file is not the published one.
    """
    remedy = f"name a clone of {REPOSITORY} at commit {COMMIT}"
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder: {remedy}")
    if (folder / FOLDER).is_dir():
        folder = folder / FOLDER
    scenes = []
    for azimuth, checksum in CHECKSUMS.items():
        path = folder / f"main_audio_100_azi{azimuth}.wav"
        if not path.is_file():
            raise InputError(f"{path}: no such file: {remedy}")
        scene, fs = read_sound(path)
        if fs != FS or scene.shape != (SAMPLES, 2):
            length, ears = scene.shape
            has = f"has {length} samples of {ears} channels at {fs} Hz"
            raise InputError(f"{path}: {has}, not {SAMPLES} of 2 at {FS} Hz: {remedy}")
        if sha256_of(path) != checksum:
            raise InputError(f"{path}: is another sound than the published one: {remedy}")
        scenes.append(scene.T)
    return np.stack(scenes).astype(float)


def read_heads(paths: Sequence[Path]) -> list[Sofa]:
    """The heads of SOFA files at FS; raises InputError where responses are too long."""
    heads = []
    for path in paths:
        head = read_sofa(path, FS)
        taps = head.hrirs.shape[-1]
        if taps > POINTS - SAMPLES:
            raise InputError(f"{path}: its responses last {taps / FS:.2f} s: use a free-field head")
        heads.append(head)
    return heads


def head_spectra(heads: Sequence[Sofa]) -> np.ndarray:
    """Spectra (heads, SCENE_AZIMUTHS, 2, bins) of the responses that the published rule picks."""
    spectra = []
    for head in heads:
        responses, _ = select_directions(head, "nearest_azimuth", np.asarray(SCENE_AZIMUTHS))
        spectra.append(np.fft.rfft(responses, POINTS))
    return np.stack(spectra)


def frequencies() -> np.ndarray:
    """Frequencies (bins,) of all spectra here, in Hz."""
    return np.fft.rfftfreq(POINTS, 1 / FS)


def response_scores(scenes: np.ndarray, responses: np.ndarray) -> np.ndarray:
    """How well each pair of responses explains each scene.

    One source S through the right pair gives L = S H_L and R = S H_R, so L H_R - R H_L is 0
    whatever the source. Noise and a wrong pair leave something of it.

    Parameters
    ----------
    scenes : (scenes, 2, samples)
    responses : (n, scenes or 1, 2, bins), spectra, see `head_spectra`

    Returns
    -------
    (n, scenes) in dB, the lower the better: the power of L H_R - R H_L over that of both terms,
    within HEAD_BAND
    """
    low, high = HEAD_BAND
    band = (frequencies() >= low) & (frequencies() <= high)
    ears = np.fft.rfft(scenes, POINTS)[..., band]
    responses = responses[..., band]
    left = ears[:, 0] * responses[:, :, 1]
    right = ears[:, 1] * responses[:, :, 0]
    difference = np.sum(np.abs(left - right) ** 2, axis=-1)
    total = np.sum(np.abs(left) ** 2 + np.abs(right) ** 2, axis=-1)
    return 10 * np.log10(difference / total)


def rank_directions(scenes: np.ndarray, heads: Sequence[Sofa]) -> list[list[Direction]]:
    """For each of scenes (scenes, 2, samples) every direction of every head, best first."""
    ranks: list[list[Direction]] = [[] for _ in scenes]
    for head in heads:
        for start in range(0, len(head.hrirs), CHUNK):
            spectra = np.fft.rfft(head.hrirs[start : start + CHUNK], POINTS)
            scores = response_scores(scenes, spectra[:, None])
            for offset, row in enumerate(scores):
                azimuth = float(head.azimuth[start + offset])
                elevation = float(head.elevation[start + offset])
                for rank, score in zip(ranks, row, strict=True):
                    rank.append(Direction(head.name, azimuth, elevation, float(score)))
    return [sorted(rank, key=lambda direction: direction.score) for rank in ranks]


def separate(scenes: np.ndarray, heads: np.ndarray, method: Method) -> Separation:
    """Find the dry voice that scenes share, by least squares over all their ears.

    With ears Y, responses H, gains g and weights w the voice is
    S = sum(w g conj(H) Y) / sum(w g^2 |H|^2). Gains that fit S best and weights, one over the
    power of each ear's residual, follow from S, and S from them again.

    Parameters
    ----------
    scenes : (scenes, 2, samples)
    heads : (scenes, 2, bins), the spectra of each scene's own head
    method : which band, and whether residuals are corrected
    """
    band = frequencies() <= method.top
    ears = np.fft.rfft(scenes, POINTS)[..., band]
    responses = heads[..., band]
    gains = np.ones((len(scenes), 1, 1))
    weights = np.ones((len(scenes), 2, 1))
    share_left = np.ones((len(scenes), 2, 1))
    for _ in range(ROUNDS):
        energy = weights * np.abs(gains * responses) ** 2  # scenes, 2, bins
        products = weights * gains * responses.conj() * ears
        source = products.sum((0, 1)) / energy.sum((0, 1))  # bins
        at_ears = responses * source
        explained = np.sum(weights * (at_ears.conj() * ears).real, axis=(1, 2), keepdims=True)
        gains = explained / np.sum(weights * np.abs(at_ears) ** 2, axis=(1, 2), keepdims=True)
        gains = gains / gains[0]
        residual = np.mean(np.abs(ears - gains * at_ears) ** 2, axis=-1, keepdims=True)
        if method.corrected:
            share_left = 1 - np.mean(energy / energy.sum((0, 1)), axis=-1, keepdims=True)
        weights = share_left / residual
    spectrum = np.zeros(heads.shape, complex)
    spectrum[..., band] = gains * at_ears
    voice = np.fft.irfft(spectrum, POINTS)[..., : scenes.shape[-1]]
    return Separation(gains[:, 0, 0], voice, scenes - voice, share_left[..., 0])


def rest_snr(separation: Separation) -> np.ndarray:
    """SNR (scenes,) in dB: mean powers, over both ears, of the voice and of the rest's noise."""
    voice = np.mean(separation.voice**2, axis=(1, 2))
    noise = np.mean(np.mean(separation.rest**2, axis=-1) / separation.share_left, axis=1)
    return 10 * np.log10(voice / noise)


def band_levels(sounds: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Levels of sounds in bands of frequency, summed over both ears.

    Parameters
    ----------
    sounds : (..., 2, samples)
    edges : (bands + 1,) in Hz, each band holds its lower edge

    Returns
    -------
    (..., bands) in dB
    """
    power = np.sum(np.abs(np.fft.rfft(sounds, POINTS)) ** 2, axis=-2)
    bounds = np.searchsorted(frequencies(), edges)
    levels = [
        power[..., first:end].sum(axis=-1)
        for first, end in zip(bounds[:-1], bounds[1:], strict=True)
    ]
    return 10 * np.log10(np.stack(levels, axis=-1))

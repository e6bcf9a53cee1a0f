"""Sounds that the studies listen to: voices of the package, and sounds of a wider band."""

from pathlib import Path

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import package_data
from ssl_jax.sounds.clips import cut_into_seconds, one_second, read_mono
from ssl_jax.sounds.noises import files_by_kind, load_noises
from ssl_jax.sounds.speech import speaker_of, utterances

# a sound is wide-band with this share of its power above so many Hz, where LibriSpeech has nothing
WIDE_HZ = 8000.0
WIDE_SHARE = 0.01


def bundled_voices(count: int, fs: int, seconds: int = 1) -> np.ndarray:
    """The middle of one utterance each of `count` speakers, taken evenly from the bundled ones.

    Parameters
    ----------
    count : how many speakers
    fs : Hz, rate of the clips
    seconds : how long each speaks; shorter utterances are passed over

    Returns
    -------
    (count, seconds, fs) float32, every second with peak 1

    Raises
    ------
    InputError
        Where there are fewer speakers, or none is asked for.
    """
    speakers = []
    for sound, rate in _first_utterances():
        if len(sound) >= seconds * rate:
            speakers.append((sound, rate))
    if not 1 <= count <= len(speakers):
        raise InputError(f"--clips {count}: out of range: use 1 to {len(speakers)}")
    chosen = np.linspace(0, len(speakers) - 1, count).round().astype(int)
    voices = []
    for number in chosen:
        sound, rate = speakers[number]
        voices.append(_middle(sound, rate, seconds, fs))
    return np.stack(voices)


def _first_utterances() -> list[tuple[np.ndarray, int]]:
    """Sound and rate of the first utterance of every bundled speaker, in corpus order."""
    folder = package_data("speech")
    paths: dict[str, Path] = {}
    for path in utterances(folder):
        paths.setdefault(speaker_of(path.relative_to(folder)), path)
    return [read_mono(path) for path in paths.values()]


def _middle(sound: np.ndarray, rate: int, seconds: int, fs: int) -> np.ndarray:
    """The `seconds` in the middle of a sound, (seconds, fs)."""
    whole = len(sound) // rate  # the padded rest is mostly silent
    clips = cut_into_seconds(sound[: whole * rate], rate)
    first = (whole - seconds) // 2
    return one_second(clips[first : first + seconds], rate, fs)


def wide_band_sounds(folder: Path | None, count: int, fs: int) -> np.ndarray:
    """A second each of `count` sounds that reach over 8 kHz, taken evenly from all that do.

    Parameters
    ----------
    folder : of kinds of sounds, see `sounds.noises.load_noises`; None: the package's noises
    count : how many sounds
    fs : Hz, rate of the clips

    Returns
    -------
    (count, fs) float32 with peak 1

    Raises
    ------
    InputError
        As `load_noises` does, and where there are fewer.
    """
    folder = package_data("noise") if folder is None else folder
    # all kinds by name, or else the steadiest alone were taken
    noises = load_noises(folder, tuple(files_by_kind(folder)), fs)
    clips = []
    for waveforms, clip_count in zip(noises.waveforms, noises.clip_counts, strict=True):
        clips.extend(waveforms[:clip_count])
    wide = [clip for clip in clips if _share_above(clip, fs) >= WIDE_SHARE]
    if len(wide) < count:
        raise InputError(
            f"{folder}: has {len(wide)} seconds that reach over {WIDE_HZ / 1000:g} kHz, not "
            f"{count}: use fewer --clips, or other --sounds"
        )
    chosen = np.linspace(0, len(wide) - 1, count).round().astype(int)
    return np.stack([wide[number] for number in chosen])


def _share_above(sound: np.ndarray, fs: int) -> float:
    """Share of the power of a sound (samples,) above WIDE_HZ."""
    power = np.abs(np.fft.rfft(sound)) ** 2
    return float(power[np.fft.rfftfreq(len(sound), 1 / fs) > WIDE_HZ].sum() / power.sum())

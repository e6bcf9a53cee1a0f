"""Voices that the studies listen to: some seconds each of different speakers of the package."""

from pathlib import Path

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import package_data
from ssl_jax.sounds.clips import cut_into_seconds, one_second, read_mono
from ssl_jax.sounds.speech import speaker_of, utterances


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

"""Sound files of a folder, and the one-second clips that are cut from them."""

from pathlib import Path

import numpy as np
import soundfile
from scipy import signal

from ssl_jax.common.errors import InputError
from ssl_jax.sounds.reading import RATES, check_rate, read_sound

MAX_FILES = 1_000_000  # below one folder; all of LibriSpeech has 292,000
OTHER_NAMES = ("aif", "aifc", "oga", "opus")  # by which files of known formats go too


def numbers_first(name: str) -> tuple[int, str]:
    """Sort key: whole numbers by their value, then all other names by letter."""
    return (int(name), "") if name.isdecimal() else (10**18, name)


def sound_files(folder: Path) -> list[Path]:
    """Every sound file below a folder, by number and name.

    Raises
    ------
    InputError
        Where there is no such folder, no sound file in it, or more than MAX_FILES files.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder: name a folder of sound files")
    endings = {name.lower() for name in soundfile.available_formats()} | set(OTHER_NAMES)
    endings.discard("raw")  # says neither its rate nor its channels
    paths = []
    for path in folder.rglob("*"):
        if path.suffix.lower().lstrip(".") in endings and not path.name.startswith("."):
            paths.append(path)
        if len(paths) > MAX_FILES:
            raise InputError(f"{folder}: over {MAX_FILES} sound files: name a smaller folder")
    if not paths:
        raise InputError(f"{folder}: no sound file in it: it takes WAV, FLAC, OGG and the like")
    return sorted(paths, key=lambda path: [numbers_first(part) for part in path.parts])


def read_mono(path: Path, seconds: int | None = None) -> tuple[np.ndarray, int]:
    """A whole sound file, or its first `seconds`, as one channel; several are averaged.

    Returns
    -------
    (samples,) float32 and the rate in Hz. Raises InputError as `read_sound` and `check_rate` do.
    """
    frames = -1 if seconds is None else seconds * RATES[1]
    sound, rate = read_sound(path, frames=frames)
    check_rate(path, rate)
    if seconds is not None:
        sound = sound[: seconds * rate]
    return sound.mean(axis=1) if sound.shape[1] > 1 else sound[:, 0], rate


def cut_into_seconds(sound: np.ndarray, rate: int) -> np.ndarray:
    """Consecutive seconds (seconds, rate) of (samples,), the last one padded with zeros."""
    return np.pad(sound, (0, -len(sound) % rate)).reshape(-1, rate)


def one_second(clips: np.ndarray, rate: int, fs: int) -> np.ndarray:
    """Clips (..., rate) resampled to (..., fs) float32, each scaled to peak 1 unless silent."""
    if rate != fs:
        clips = signal.resample_poly(clips, fs, rate, axis=-1)
    peak = np.abs(clips).max(axis=-1, keepdims=True)
    return (clips / np.where(peak > 0, peak, 1)).astype(np.float32)

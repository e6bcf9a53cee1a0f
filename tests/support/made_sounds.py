"""Small sound files: tones in the layouts that folders of speech and noise may have."""

from pathlib import Path

import numpy as np
import soundfile

RATE = 8_000  # Hz


def tone(seconds: float, frequency: float = 440.0, rate: int = RATE) -> np.ndarray:
    """A tone of amplitude 0.3: (samples,)."""
    return 0.3 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def pitch(clip: np.ndarray, fs: int) -> float:
    """The frequency, Hz, of the highest line of a clip's spectrum."""
    return np.abs(np.fft.rfft(clip)).argmax() * fs / len(clip)


def put_sound(path: Path, sound: np.ndarray, rate: int = RATE) -> Path:
    """Write a sound file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound, rate)
    return path

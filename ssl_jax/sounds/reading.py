"""Sound files of any format that libsndfile reads, checked before and while they are read."""

import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from ssl_jax.common.errors import InputError, error_reason
from ssl_jax.common.files import atomic_write, require_file

# What is read into memory at once may be no larger: a file of a few kilobytes may declare any length.
MAX_SOUND_SECONDS = 4 * 3600
MAX_SAMPLES = 2**27  # of all channels together; 512 MiB
RATES = (4_000, 384_000)  # Hz, that recordings and responses may have
CUT_SHORT = "ends before its stated length: it is truncated, fetch it again"


def check_rate(name: str | Path, fs: float) -> None:
    """Raise InputError unless a sampling rate is a whole number within RATES."""
    if not (RATES[0] <= fs <= RATES[1] and fs == int(fs)):
        needed = f"not a whole number in {RATES[0]}..{RATES[1]}"
        raise InputError(f"{name}: its rate is {fs} Hz, {needed}: export it again")


def _cut_short(log: str) -> bool:
    """Does libsndfile's log of opening a WAV, AIFF or Ogg say that the end is missing?

    It reads such a file as a shorter sound, and does not notice an Ogg cut within its last page.
    Programs that write to a pipe leave the length at its highest value, which means nothing.
    """
    sizes = re.search(r"^ ?(?:data|SSND) : (\d+) \(should be (\d+)\)", log, re.MULTILINE)
    return "lacks an end-of-stream" in log or bool(sizes and int(sizes[2]) < int(sizes[1]) < 0x7FFF0000)


@contextlib.contextmanager
def open_sound(path: Path):
    """A sound file open for reading, as soundfile.SoundFile; raises InputError if it is not one."""
    path = Path(path)
    require_file(path)
    try:
        with soundfile.SoundFile(path) as sound:
            if sound.samplerate < 1 or sound.frames < 1:
                raise InputError(f"{path}: holds no sound: fetch it again")
            if _cut_short(sound.extra_info):
                raise InputError(f"{path}: {CUT_SHORT}")
            yield sound
    except (soundfile.SoundFileError, RuntimeError, TypeError, ValueError, MemoryError) as error:
        require_file(path)  # it may have been deleted by now
        reason = error_reason(error).replace(f"{str(path)!r}", "it")
        raise InputError(f"{path}: not a readable sound file ({reason}): use WAV, FLAC or OGG") from None


def read_sound(path: Path, start: int = 0, frames: int = -1) -> tuple[np.ndarray, int]:
    """Read a sound file of any format libsndfile knows.

    Parameters
    ----------
    path : Path
    start, frames : int
        First frame, and how many (-1: all that follow).

    Returns
    -------
    signal : (frames, ears) float32, full scale is 1
    fs : int, Hz

    Raises
    ------
    InputError
        The file is missing, empty, truncated, no sound, too long, or holds NaN or infinity.
    """
    path = Path(path)
    with open_sound(path) as sound:
        fs = sound.samplerate
        start = min(start, sound.frames)
        promised = sound.frames - start if frames < 0 else min(frames, sound.frames - start)
        if promised > MAX_SOUND_SECONDS * fs or promised * sound.channels > MAX_SAMPLES:
            limits = f"{MAX_SOUND_SECONDS} s or {MAX_SAMPLES} samples"
            raise InputError(f"{path}: longer than {limits}: cut it into pieces")
        sound.seek(start)
        signal = sound.read(promised, dtype="float32", always_2d=True)
        if len(signal) < promised:
            raise InputError(f"{path}: {CUT_SHORT}")
    if not np.isfinite(signal).all():
        raise InputError(f"{path}: holds NaN or infinite samples: export it again")
    return signal, fs


def sound_blocks(path: Path, size: int) -> Iterator[np.ndarray]:
    """A sound file of any length in consecutive blocks (size, ears) float32; the last may be shorter.

    Raises InputError as `read_sound` does, but does not look at the samples.
    """
    with open_sound(path) as sound:
        left = sound.frames
        while left:
            block = sound.read(min(size, left), dtype="float32", always_2d=True)
            if len(block) < min(size, left):
                raise InputError(f"{path}: {CUT_SHORT}")
            left -= len(block)
            yield block


def write_wav(path: Path, samples: np.ndarray, fs: int, bits: int = 16) -> None:
    """Write whole numbers (samples, ears) as WAV, whole or not at all.

    soundfile cannot report a full disk; `atomic_write` does.
    """
    wav = io.BytesIO()
    soundfile.write(wav, samples, fs, f"PCM_{bits}", format="WAV")
    with atomic_write(path) as stream:
        stream.write(wav.getvalue())

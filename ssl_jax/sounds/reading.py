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

MAX_SOUND_SECONDS = 4 * 3600  # read at once: a file of a few kilobytes may declare any length
MAX_SAMPLES = 2**27  # of all channels together; 512 MiB
RATES = (4_000, 384_000)  # Hz, that recordings and responses may have
CUT_SHORT = "ends before its stated length: it is truncated, fetch it again"


def check_rate(name: str | Path, fs: float) -> None:
    """Raise InputError unless a sampling rate is a whole number within RATES."""
    low, high = RATES
    if not (low <= fs <= high and fs == int(fs)):
        raise InputError(
            f"{name}: its rate is {fs} Hz, not a whole number in {low}..{high}: export it again"
        )


@contextlib.contextmanager
def open_sound(path: Path):
    """A sound file open for reading, as soundfile.SoundFile; raises InputError if it is not one."""
    path = Path(path)
    require_file(path)
    try:
        with soundfile.SoundFile(path) as sound:
            if sound.samplerate < 1 or sound.frames < 1:
                raise InputError(f"{path}: holds no sound: fetch it again")
            # libsndfile says in its log alone that the end of a WAV, AIFF or Ogg is missing; a length at its
            # highest value means nothing: programs that write to a pipe leave it so
            sizes = re.search(
                r"^ ?(?:data|SSND) : (\d+) \(should be (\d+)\)", sound.extra_info, re.MULTILINE
            )
            cut = sizes and int(sizes[2]) < int(sizes[1]) < 0x7FFF0000
            if cut or "lacks an end-of-stream" in sound.extra_info:
                raise InputError(f"{path}: {CUT_SHORT}")
            yield sound
    except (soundfile.SoundFileError, RuntimeError, TypeError, ValueError, MemoryError) as error:
        require_file(path)  # it may have been deleted by now
        reason = error_reason(error).replace(f"{str(path)!r}", "it")
        raise InputError(
            f"{path}: not a readable sound file ({reason}): use WAV, FLAC or OGG"
        ) from None


def read_sound(path: Path, start: int = 0, frames: int = -1) -> tuple[np.ndarray, int]:
    """`frames` of a sound file, or all, from `start` on: (frames, ears) float32, and fs in Hz; raises
    InputError where they are missing, too many at once, NaN or infinite, or the file no sound."""
    with open_sound(path) as sound:
        fs, start = sound.samplerate, min(start, sound.frames)
        promised = sound.frames - start if frames < 0 else min(frames, sound.frames - start)
        if promised > MAX_SOUND_SECONDS * fs or promised * sound.channels > MAX_SAMPLES:
            raise InputError(
                f"{path}: longer than {MAX_SOUND_SECONDS} s or {MAX_SAMPLES} samples: cut it"
            )
        sound.seek(start)
        signal = sound.read(promised, dtype="float32", always_2d=True)
        if len(signal) < promised:
            raise InputError(f"{path}: {CUT_SHORT}")
    if not np.isfinite(signal).all():
        raise InputError(f"{path}: holds NaN or infinite samples: export it again")
    return signal, fs


def sound_blocks(path: Path, size: int) -> Iterator[np.ndarray]:
    """A sound file of any length in blocks (size, ears) float32, the last one shorter; NaN is let through."""
    with open_sound(path) as sound:
        left = sound.frames
        while left:
            block = sound.read(size, dtype="float32", always_2d=True)
            if len(block) < min(size, left):
                raise InputError(f"{path}: {CUT_SHORT}")
            left -= len(block)
            yield block


def write_wav(path: Path, samples: np.ndarray, fs: int, bits: int = 16) -> None:
    """Write integers (samples, ears) as WAV, whole or not at all."""
    wav = io.BytesIO()  # soundfile itself cannot report a full disk
    soundfile.write(wav, samples, fs, f"PCM_{bits}", format="WAV")
    with atomic_write(path) as stream:
        stream.write(wav.getvalue())

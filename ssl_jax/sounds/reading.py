"""Sound files of any format that libsndfile reads, checked before and while they are read."""

import contextlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from ssl_jax.common.errors import InputError, error_reason
from ssl_jax.common.files import atomic_write, is_device, require_file
from ssl_jax.common.progress import say
from ssl_jax.sounds.wav import header_of_longer_wav, open_longer_wav

MAX_SOUND_SECONDS = 4 * 3600  # read at once: a file of a few kilobytes may declare any length
MAX_SAMPLES = 2**27  # of all channels together; 512 MiB
RATES = (4_000, 384_000)  # Hz, that recordings and responses may have
UNKNOWN_BYTES = 0x7FFF0000  # programs that write to a pipe state this length or more
# what libsndfile calls the length of a WAV's sound, of an AIFF's, AU's, RF64's and W64's
SIZES = "data|SSND|Data Size|Riff size|riff"
CUT_SHORT = "ends before its stated length: it is truncated, fetch it again"
GOES_ON = "goes on after its stated length: all the sound that is there is used"


@dataclass(frozen=True)
class SoundInfo:
    """What a sound file holds."""

    fs: int  # Hz
    samples: int  # of each channel
    channels: int


def check_rate(name: str | Path, fs: float) -> None:
    """Raise InputError unless a sampling rate is a whole number within RATES."""
    low, high = RATES
    try:
        is_usable = low <= fs <= high and fs == int(fs)
    except TypeError:  # no number
        is_usable = False
    if not is_usable:
        raise InputError(
            f"{name}: its rate is {fs} Hz, not a whole number in {low}..{high}: export it again"
        )


def ears_needed(channels: int) -> str:
    """What is wrong with a sound of another number of channels than two."""
    count = "1 channel" if channels == 1 else f"{channels} channels"
    return f"has {count}: two ears are needed, left first"


@contextlib.contextmanager
def open_sound(path: Path) -> Iterator[soundfile.SoundFile]:
    """Open a sound file for reading.

    Raises
    ------
    InputError
        Where it is no sound file, or is a pipe. The `with` block's own errors of libsndfile and
        of values are taken for the file's.
    """
    path = Path(path)
    _require_sound_file(path)
    try:
        with contextlib.ExitStack() as opened:
            longer = header_of_longer_wav(path)
            source = path
            if longer is not None:
                source = opened.enter_context(open_longer_wav(path, longer))
            sound = opened.enter_context(soundfile.SoundFile(source))
            _check_whole(path, sound)
            yield sound
    except InputError:
        raise
    except (soundfile.SoundFileError, RuntimeError, TypeError, ValueError, MemoryError) as error:
        # it may have been deleted by now
        require_file(path)
        reason = error_reason(error).replace(f"{str(path)!r}", "it")
        raise InputError(
            f"{path}: not a readable sound file ({reason}): use WAV, FLAC or OGG"
        ) from None


def _require_sound_file(path: Path) -> None:
    if is_device(path):
        raise InputError(
            f"{path}: is a pipe or a device, not a file: use - with localise and send the sound "
            "to its standard input, or save it to a file first"
        )
    require_file(path)


def _check_whole(path: Path, sound: soundfile.SoundFile) -> None:
    """Raise InputError where there is no sound, or its end is missing."""
    if sound.samplerate < 1 or sound.frames < 1:
        raise InputError(f"{path}: holds no sound: fetch it again")
    # libsndfile says in its log alone that the end of a file is missing
    log = sound.extra_info
    sizes = re.search(rf"^ *(?:{SIZES}) *: (\d+) \(should be (\d+)\)", log, re.MULTILINE)
    is_cut = "lacks an end-of-stream" in log
    if sizes is not None:
        stated_bytes, actual_bytes = int(sizes[1]), int(sizes[2])
        # a length at its highest value means nothing
        is_cut |= actual_bytes < stated_bytes < UNKNOWN_BYTES
    if is_cut:
        raise InputError(f"{path}: {CUT_SHORT}")


def sound_info(path: Path) -> SoundInfo:
    """Rate, length and channels of a sound file; raises InputError as `open_sound` does."""
    with open_sound(path) as sound:
        return SoundInfo(sound.samplerate, sound.frames, sound.channels)


def read_sound(path: Path, start: int = 0, frames: int = -1) -> tuple[np.ndarray, int]:
    """Read a sound file, or `frames` of it from sample `start` on.

    Returns
    -------
    sound : (frames, channels) float32, full scale 1
    fs : Hz

    Raises
    ------
    InputError
        Where samples are missing, too many at once, NaN or infinite, or the file is no sound.
    """
    _note_longer(path)
    with open_sound(path) as sound:
        fs = sound.samplerate
        start = min(start, sound.frames)
        promised = sound.frames - start
        if frames >= 0:
            promised = min(promised, frames)
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
    """A sound file of any length in blocks (size, channels) float32, the last one shorter.

    Raises InputError as `open_sound` does, and where samples are missing. NaN is let through.
    """
    _note_longer(path)
    with open_sound(path) as sound:
        left = sound.frames
        while left:
            block = sound.read(size, dtype="float32", always_2d=True)
            if len(block) < min(size, left):
                raise InputError(f"{path}: {CUT_SHORT}")
            left -= len(block)
            yield block


def _note_longer(path: Path) -> None:
    path = Path(path)
    if path.is_file() and header_of_longer_wav(path) is not None:
        say(f"ssl_jax: note: {path}: {GOES_ON}")


def write_sound(path: Path, samples: np.ndarray, fs: int, bits: int, kind: str) -> None:
    """Write integers (samples, channels) as "WAV" or "FLAC", whole or not at all."""
    # soundfile itself cannot report a full disk
    content = io.BytesIO()
    soundfile.write(content, samples, fs, f"PCM_{bits}", format=kind)
    with atomic_write(path) as stream:
        stream.write(content.getvalue())


def write_wav(path: Path, samples: np.ndarray, fs: int) -> None:
    """Write integers (samples, channels) of 16 bits as WAV, whole or not at all."""
    write_sound(path, samples, fs, 16, "WAV")

"""One-second speech and noise clips: the embedded corpus, or LibriSpeech and ESC-50 as published.

Every clip is cut at its file's own rate, resampled on its own and scaled to a peak of 1.
"""

import math
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import signal

from ssl_jax.common.errors import InputError, os_error_message
from ssl_jax.common.files import package_data, read_csv
from ssl_jax.sounds.hrtf import CIPIC_SUBJECTS
from ssl_jax.sounds.reading import RATES, check_rate, open_sound, read_sound

LANGUAGES = ("en", "es", "fr", "it", "ru")  # of the embedded speech, 140 s each
SPEAKERS = {"en": "voice-en-es", "es": "voice-en-es"}  # one voice speaks both, see data/NOTICE.md
SPEECH_SUBSETS = ("train-clean-100", "dev-clean")  # of LibriSpeech, the first found is used
NOISE_CLASSES = 10
NOISE_FILES = 20  # of each class (published)


class SpeechClip(NamedTuple):
    """Where a speech clip comes from: second `start_s` to `start_s` + 1 of `file`."""

    name: str
    speaker: str
    file: str
    start_s: float


class Speech:
    """Speech clips (clips, fs), read when asked for, so that memory does not grow with their number.

    `speech[i]`, of a number, a slice or an array of numbers, is float32 with peak 1.
    """

    def __init__(self, folder: Path, clips: list[SpeechClip], fs: int):
        self.clips, self.shape = clips, (len(clips), fs)
        keep = lru_cache(len(LANGUAGES))  # embedded clips take turns
        self._sound = keep(lambda file: _mono(folder / file))

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, which) -> np.ndarray:
        numbers = np.arange(len(self))[which]
        out = np.empty((*numbers.shape, self.shape[1]), np.float32)
        for place, i in np.ndenumerate(numbers):
            sound, rate = self._sound(self.clips[i].file)
            start = round(self.clips[i].start_s) * rate
            out[place] = one_second(cut(sound[start : start + rate], rate)[0], rate, self.shape[1])
        return out


class Corpus(NamedTuple):
    """The sounds of a run.

    `name` is "embedded" or "librispeech-esc10-cipic"; `speech` (clips, fs) and `noise`
    (classes, files, fs) are float32 with peak 1, one second long; `speech_info` has one entry a clip,
    `noise_classes` one a class, `noise_files` one list of names a class.
    """

    name: str
    speech: Speech | np.ndarray
    speech_info: list[SpeechClip]
    noise: np.ndarray
    noise_classes: tuple[str, ...]
    noise_files: list[list[str]]


def load_corpus(data: Path | None, clips: int, fs: int) -> Corpus:
    """Speech and noise at the rate wanted.

    Parameters
    ----------
    data : Path or None
        Folder with LibriSpeech/, ESC-50/ and cipic/ in their publishers' layouts; None: the
        corpus that comes with the package.
    clips : int
        Speech clips wanted.
    fs : int, Hz

    Raises
    ------
    InputError
        A corpus or a file of it is missing or unreadable, or has too few clips.
    """
    if clips < 1:
        raise InputError(f"{clips} speech clips asked for: ask for at least 1")
    try:
        if data is None:
            return Corpus("embedded", *_embedded_speech(clips, fs), *_embedded_noise(fs))
        subset = check_data_folder(Path(data))
        # noise first: it is the quicker to fail
        noise = _esc10(Path(data) / "ESC-50", fs)
        speech = _librispeech(Path(data) / "LibriSpeech" / subset, clips, fs)
        return Corpus("librispeech-esc10-cipic", *speech, *noise)
    except OSError as error:
        raise InputError(os_error_message(error)) from None


def check_data_folder(data: Path) -> str:
    """The LibriSpeech subset that is in `data`; raises InputError, which lists all that is missing."""
    if not data.is_dir():
        raise InputError(f"{data}: no such folder: python -m ssl_jax download --to {data} fetches it")
    subset = next((s for s in SPEECH_SUBSETS if (data / "LibriSpeech" / s).is_dir()), None)
    missing = [] if subset else [f"LibriSpeech/{SPEECH_SUBSETS[0]} (or {SPEECH_SUBSETS[1]})"]
    missing += [name for name in ("ESC-50/meta/esc50.csv", "ESC-50/audio") if not (data / name).exists()]
    heads = [f"cipic/subject_{s}.sofa" for s in CIPIC_SUBJECTS]
    heads = [name for name in heads if not (data / name).is_file()]
    if heads:
        missing.append(f"{len(heads)} of {len(CIPIC_SUBJECTS)} heads ({heads[0]} first)")
    if missing:
        remedy = f"python -m ssl_jax download --to {data} fetches it"
        raise InputError(f"{data}: lacks {', '.join(missing)}: {remedy}")
    return subset


def one_second(signals: np.ndarray, rate: int, fs: int) -> np.ndarray:
    """Clips (..., rate) resampled to (..., fs), each for itself, and scaled to peak 1; float32.

    A silent clip stays zero.
    """
    clips = signals if rate == fs else signal.resample_poly(signals, fs, rate, axis=-1)
    peak = np.abs(clips).max(axis=-1, keepdims=True)
    return (clips / np.where(peak > 0, peak, 1)).astype(np.float32)


def cut(sound: np.ndarray, rate: int) -> np.ndarray:
    """Consecutive seconds (seconds, rate) of (samples,), the last one zero-padded."""
    seconds = math.ceil(len(sound) / rate)
    return np.pad(sound, (0, seconds * rate - len(sound))).reshape(seconds, rate)


def _mono(path: Path, seconds: int | None = None) -> tuple[np.ndarray, int]:
    """A whole mono file, or its first `seconds`, and its rate."""
    sound, rate = read_sound(path, frames=-1 if seconds is None else seconds * RATES[1])
    if sound.shape[1] != 1:
        raise InputError(f"{path}: has {sound.shape[1]} channels, not one: mix it down to mono")
    check_rate(path, rate)
    return sound[: None if seconds is None else seconds * rate, 0], rate


def _embedded_speech(clips: int, fs: int) -> tuple[Speech, list[SpeechClip]]:
    """Clip i is second i // 5 of language i % 5, so that the first few span all voices."""
    folder, info, seconds = package_data("."), [], []
    for language in LANGUAGES:
        with open_sound(folder / f"speech/{language}.ogg") as sound:
            seconds.append(math.ceil(sound.frames / sound.samplerate))
    most = len(LANGUAGES) * min(seconds)
    if clips > most:
        remedy = "ask for fewer, or fetch LibriSpeech: python -m ssl_jax download --to DIR"
        raise InputError(f"the embedded corpus has {most} speech clips, not {clips}: {remedy}")
    for i in range(clips):
        language = LANGUAGES[i % 5]
        speaker = SPEAKERS.get(language, f"voice-{language}")
        info.append(SpeechClip(f"main_audio_{i + 1}", speaker, f"speech/{language}.ogg", float(i // 5)))
    return Speech(folder, info, fs), info


def _embedded_noise(fs: int) -> tuple[np.ndarray, tuple[str, ...], list[list[str]]]:
    """File k of a class is second k of its Ogg file, named CLASS.ogg#k."""
    paths = sorted(package_data("noise").glob("*.ogg"))
    noise = []
    for path in paths:
        sound, rate = _mono(path)
        noise.append(one_second(cut(sound, rate)[:NOISE_FILES], rate, fs))
    files = [[f"noise/{path.name}#{k}" for k in range(NOISE_FILES)] for path in paths]
    return np.stack(noise), tuple(path.stem for path in paths), files


def utterances(folder: Path) -> list[Path]:
    """Every utterance of SPEAKER/CHAPTER/*.flac: the first of each speaker, then the second, ...

    Speakers and chapters are sorted by number. The published order is not recorded; this one has
    many speakers in few clips.
    """

    def numbered(folder):
        folders = (p for p in folder.iterdir() if p.name.isdecimal() and p.is_dir())
        return sorted(folders, key=lambda p: int(p.name))

    def spoken(speaker):
        return [path for chapter in numbered(speaker) for path in sorted(chapter.glob("*.flac"))]

    speakers = [spoken(speaker) for speaker in numbered(folder)]
    rounds = max(map(len, speakers), default=0)
    return [files[k] for k in range(rounds) for files in speakers if k < len(files)]


def _librispeech(folder: Path, clips: int, fs: int) -> tuple[Speech, list[SpeechClip]]:
    """The first `clips` seconds of the utterances in turn; wholly silent seconds are left out."""
    data, info = folder.parent.parent, []
    for path in utterances(folder):
        seconds = cut(*_mono(path))
        kept = np.flatnonzero(seconds.any(axis=1))[: clips - len(info)]
        name = path.relative_to(data).as_posix()
        for k in kept:
            info.append(SpeechClip(f"main_audio_{len(info) + 1}", path.parts[-3], name, float(k)))
        if len(info) == clips:
            return Speech(data, info, fs), info
    remedy = f"ask for fewer, or fetch more: python -m ssl_jax download --to {data}"
    raise InputError(f"{folder}: has {len(info)} one-second speech clips, not {clips}: {remedy}")


def _esc10(folder: Path, fs: int) -> tuple[np.ndarray, tuple[str, ...], list[list[str]]]:
    """The first second of the first 20 files of each of the ten ESC-10 classes, both sorted by name.

    Which ten classes the published run used is not recorded. A file whose first second is silent
    has no SNR: the next one takes its place.
    """
    table = folder / "meta" / "esc50.csv"
    classes: dict[str, set[str]] = {}
    for row in read_csv(table, ("filename", "category", "esc10")):
        if row["esc10"].strip().lower() != "true":
            continue
        name = row["filename"]
        if not name or name in (".", "..") or any(c in "/\\\0\n\r" for c in name):
            raise InputError(f"{table}: names the file {name[:60]!r}, not a plain name: fetch it again")
        classes.setdefault(row["category"], set()).add(name)
    if len(classes) != NOISE_CLASSES:
        raise InputError(f"{table}: has {len(classes)} ESC-10 classes, not {NOISE_CLASSES}: fetch it again")

    noise = np.empty((NOISE_CLASSES, NOISE_FILES, fs), np.float32)
    files: list[list[str]] = []
    for stored, category in zip(noise, sorted(classes)):
        chosen = []
        for name in sorted(classes[category]):
            sound, rate = _mono(folder / "audio" / name, seconds=1)
            if sound.any():
                stored[len(chosen)] = one_second(cut(sound, rate)[0], rate, fs)
                chosen.append(name)
            if len(chosen) == NOISE_FILES:
                break
        if len(chosen) < NOISE_FILES:
            found = f"{len(chosen)} files that sound, not {NOISE_FILES}"
            raise InputError(f"{table}: class {category[:40]!r} has {found}: fetch ESC-50 again")
        files.append(chosen)
    return noise, tuple(sorted(classes)), files

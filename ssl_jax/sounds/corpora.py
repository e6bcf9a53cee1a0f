"""One-second speech and noise clips: the embedded corpus, or LibriSpeech and ESC-50 as published."""

from functools import lru_cache
from itertools import cycle, zip_longest
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import signal

from ssl_jax.common.errors import InputError, os_error_message
from ssl_jax.common.files import package_data, read_csv
from ssl_jax.sounds.hrtf import CIPIC_SUBJECTS
from ssl_jax.sounds.reading import RATES, check_rate, read_sound

SPOKEN = 140  # s of embedded speech a language; one voice speaks two of them, see data/NOTICE.md
SPEAKERS = {
    "en": "voice-en-es",
    "es": "voice-en-es",
    "fr": "voice-fr",
    "it": "voice-it",
    "ru": "voice-ru",
}
SPEECH_SUBSETS = ("train-clean-100", "dev-clean")  # of LibriSpeech, the first found is used
NOISE_CLASSES, NOISE_FILES = 10, 20  # files of each class (published)


class SpeechClip(NamedTuple):
    name: str
    speaker: str
    file: str
    start_s: float  # the clip is the second from there on


class Speech:
    """Speech clips (clips, fs), read when asked for; speech[i], for any index i, is float32 with peak 1."""

    def __init__(self, folder: Path, clips: list[SpeechClip], fs: int):
        self.clips, self.shape = clips, (len(clips), fs)
        self._sound = lru_cache(len(SPEAKERS))(
            lambda file: _mono(folder / file)
        )  # embedded clips take turns

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
    """The sounds of a run: clips of one second, cut at their file's own rate, resampled, scaled to peak 1."""

    speech: Speech | np.ndarray  # (clips, fs) float32
    speech_info: list[SpeechClip]
    noise: np.ndarray  # (classes, files, fs) float32
    noise_classes: tuple[str, ...]
    noise_files: list[list[str]]  # of each class


def load_corpus(data: Path | None, clips: int, fs: int) -> Corpus:
    """Speech, `clips` of it, and noise at rate `fs` (Hz) from a folder with LibriSpeech/, ESC-50/ and cipic/
    as published, or, for None, from the package. Raises InputError for missing or unreadable files."""
    if clips < 1:
        raise InputError(f"{clips} speech clips asked for: ask for at least 1")
    try:
        if data is None:
            return Corpus._make([*_embedded_speech(clips, fs), *_embedded_noise(fs)])
        subset = check_data_folder(data)
        noise = _esc10(data / "ESC-50", fs)  # first: it is the quicker to fail
        speech = _librispeech(data / "LibriSpeech" / subset, clips, fs)
        return Corpus._make([*speech, *noise])
    except OSError as error:
        raise InputError(os_error_message(error)) from None


def check_data_folder(data: Path) -> str:
    """The LibriSpeech subset that is in `data`; raises InputError, which lists all that is missing."""
    remedy = f"python -m ssl_jax download --to {data} fetches it"
    if not data.is_dir():
        raise InputError(f"{data}: no such folder: {remedy}")
    subset = next((s for s in SPEECH_SUBSETS if (data / "LibriSpeech" / s).is_dir()), "")
    missing = [] if subset else [f"LibriSpeech/{SPEECH_SUBSETS[0]} (or {SPEECH_SUBSETS[1]})"]
    missing += [
        name for name in ("ESC-50/meta/esc50.csv", "ESC-50/audio") if not (data / name).exists()
    ]
    if heads := [s for s in CIPIC_SUBJECTS if not (data / f"cipic/subject_{s}.sofa").is_file()]:
        missing.append(
            f"{len(heads)} of {len(CIPIC_SUBJECTS)} heads (cipic/subject_{heads[0]}.sofa first)"
        )
    if missing:
        raise InputError(f"{data}: lacks {', '.join(missing)}: {remedy}")
    return subset


def one_second(signals: np.ndarray, rate: int, fs: int) -> np.ndarray:
    """Clips (..., rate) resampled to (..., fs) float32, each by itself, scaled to peak 1 unless silent."""
    clips = signals if rate == fs else signal.resample_poly(signals, fs, rate, axis=-1)
    peak = np.abs(clips).max(axis=-1, keepdims=True)
    return (clips / np.where(peak > 0, peak, 1)).astype(np.float32)


def cut(sound: np.ndarray, rate: int) -> np.ndarray:
    """Consecutive seconds (seconds, rate) of (samples,), the last one zero-padded."""
    return np.pad(sound, (0, -len(sound) % rate)).reshape(-1, rate)


def _mono(path: Path, seconds: int | None = None) -> tuple[np.ndarray, int]:
    """A whole mono file, or its first `seconds`, and its rate."""
    sound, rate = read_sound(path, frames=-1 if seconds is None else seconds * RATES[1])
    if sound.shape[1] != 1:
        raise InputError(f"{path}: has {sound.shape[1]} channels, not one: mix it down to mono")
    check_rate(path, rate)
    return sound[: None if seconds is None else seconds * rate, 0], rate


def _embedded_speech(clips: int, fs: int) -> tuple[Speech, list[SpeechClip]]:
    """Clip i is second i // 5 of language i % 5, so that the first few span all voices."""
    folder, info = package_data("."), []
    if clips > (most := SPOKEN * len(SPEAKERS)):
        raise InputError(
            f"the embedded corpus has {most} speech clips, not {clips}: download LibriSpeech"
        )
    for i, (language, speaker) in zip(range(clips), cycle(SPEAKERS.items())):
        info.append(
            SpeechClip(f"main_audio_{i + 1}", speaker, f"speech/{language}.ogg", float(i // 5))
        )
    return Speech(folder, info, fs), info


def _embedded_noise(fs: int) -> tuple[np.ndarray, tuple[str, ...], list[list[str]]]:
    """File k of a class is second k of its Ogg file, named CLASS.ogg#k."""
    paths = sorted(package_data("noise").glob("*.ogg"))
    noise = [
        one_second(cut(sound, rate)[:NOISE_FILES], rate, fs) for sound, rate in map(_mono, paths)
    ]
    files = [[f"noise/{path.name}#{k}" for k in range(NOISE_FILES)] for path in paths]
    return np.stack(noise), tuple(path.stem for path in paths), files


def utterances(folder: Path) -> list[Path]:
    """SPEAKER/CHAPTER/*.flac by number: the first of each speaker, then the second, ... (our own order)."""

    def numbered(folder):
        folders = [p for p in folder.iterdir() if p.name.isdecimal() and p.is_dir()]
        return sorted(folders, key=lambda p: int(p.name))

    books = map(numbered, numbered(folder))  # chapters of each speaker
    spoken = (
        [path for chapter in book for path in sorted(chapter.glob("*.flac"))] for book in books
    )
    return [path for turn in zip_longest(*spoken) for path in turn if path]


def _librispeech(folder: Path, clips: int, fs: int) -> tuple[Speech, list[SpeechClip]]:
    """The first `clips` seconds of the utterances in turn; wholly silent seconds are left out."""
    data, info = folder.parent.parent, list[SpeechClip]()
    for path in utterances(folder):
        name, seconds = path.relative_to(data).as_posix(), cut(*_mono(path))
        for k in np.flatnonzero(seconds.any(axis=1))[: clips - len(info)]:
            info.append(SpeechClip(f"main_audio_{len(info) + 1}", path.parts[-3], name, float(k)))
        if len(info) == clips:
            return Speech(data, info, fs), info
    raise InputError(
        f"{folder}: has {len(info)} one-second speech clips, not {clips}: ask for fewer"
    )


def _esc10(folder: Path, fs: int) -> tuple[np.ndarray, tuple[str, ...], list[list[str]]]:
    """The first second, if it sounds, of the first 20 files of each of the ten ESC-10 classes, both by name.
    Which ten classes the published run used is not recorded."""
    table = folder / "meta" / "esc50.csv"
    classes: dict[str, set[str]] = {}
    for row in read_csv(table, ("filename", "category", "esc10")):
        if row["esc10"].strip().lower() == "true":
            if (
                not (name := row["filename"])
                or name in (".", "..")
                or any(c in "/\\\0\n\r" for c in name)
            ):
                raise InputError(
                    f"{table}: names the file {name[:60]!r}, not a plain name: fetch it again"
                )
            classes.setdefault(row["category"], set()).add(name)
    if len(classes) != NOISE_CLASSES:
        raise InputError(
            f"{table}: has {len(classes)} ESC-10 classes, not {NOISE_CLASSES}: fetch it again"
        )
    noise, files = np.empty((NOISE_CLASSES, NOISE_FILES, fs), np.float32), []
    for stored, category in zip(noise, sorted(classes)):
        chosen: list[str] = []
        for name in sorted(classes[category]):
            sound, rate = _mono(folder / "audio" / name, seconds=1)
            if sound.any():
                stored[len(chosen)] = one_second(cut(sound, rate)[0], rate, fs)
                chosen.append(name)
            if len(chosen) == NOISE_FILES:
                break
        if len(chosen) < NOISE_FILES:
            found = f"class {category[:40]!r} has {len(chosen)} files that sound, not {NOISE_FILES}"
            raise InputError(f"{table}: {found}: fetch ESC-50 again")
        files.append(chosen)
    return noise, tuple(sorted(classes)), files

"""One-second clips of speech, of the package or of any folder of sound files."""

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import package_data
from ssl_jax.sounds.clips import (
    cut_into_seconds,
    numbers_first,
    one_second,
    read_mono,
    sound_files,
)

LIBRISPEECH_NAME = re.compile(r"(\d+)-\d+-\d+")  # speaker, chapter, utterance
WHOLE_FILES = 4  # utterances kept in memory; clips are asked for roughly in order


@dataclass(frozen=True)
class SpeechClip:
    """One second of speech and where it was cut."""

    name: str
    speaker: str
    file: str  # below the folder of speech
    start_s: float  # the clip is the second from there on


class Speech:
    """Speech clips (clips, fs), read when asked for; speech[i] is float32 with peak 1."""

    def __init__(self, folder: Path, clips: list[SpeechClip], fs: int):
        self.clips = clips
        self.shape = (len(clips), fs)
        self._read = lru_cache(WHOLE_FILES)(lambda file: read_mono(folder / file))

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, which) -> np.ndarray:
        numbers = np.arange(len(self))[which]
        waveforms = np.empty((*numbers.shape, self.shape[1]), np.float32)
        for place, number in np.ndenumerate(numbers):
            clip = self.clips[number]
            sound, rate = self._read(clip.file)
            start = round(clip.start_s) * rate
            second = cut_into_seconds(sound[start : start + rate], rate)[0]
            waveforms[place] = one_second(second, rate, self.shape[1])
        return waveforms


def speaker_of(path: Path) -> str:
    """Who speaks in a file, by its path below the folder of speech.

    The number that LibriSpeech's names begin with, or else the first folder, or else the file's
    own name: nothing tells that two loose files are of one speaker.
    """
    librispeech = LIBRISPEECH_NAME.match(path.name)
    if librispeech:
        return librispeech[1]
    return path.parts[0] if len(path.parts) > 1 else path.stem


def utterances(folder: Path) -> list[Path]:
    """Sound files below `folder`: the first of each speaker, then the second of each, ..."""
    by_speaker = defaultdict(list)
    for path in sound_files(folder):
        by_speaker[speaker_of(path.relative_to(folder))].append(path)
    of_speakers = [by_speaker[name] for name in sorted(by_speaker, key=numbers_first)]
    return [path for turn in zip_longest(*of_speakers) for path in turn if path is not None]


def load_speech(folder: Path | None, clips: int, fs: int) -> Speech:
    """The first `clips` seconds of the utterances of a folder, or of the package for None.

    Utterances are cut into consecutive seconds, the last one padded with zeros (published).
    Seconds without any sound are left out.

    Raises
    ------
    InputError
        For an unreadable or silent file, or where there are fewer seconds than asked for.
    """
    if clips < 1:
        raise InputError(f"{clips} speech clips asked for: ask for at least 1")
    folder = package_data("speech") if folder is None else folder
    chosen: list[SpeechClip] = []
    for path in utterances(folder):
        seconds = cut_into_seconds(*read_mono(path))
        sounding = np.flatnonzero(seconds.any(axis=1))
        if not len(sounding):
            raise InputError(f"{path}: is silent throughout: take it out of the folder")
        name = path.relative_to(folder)
        for k in sounding[: clips - len(chosen)]:
            number = len(chosen) + 1
            clip = SpeechClip(f"main_audio_{number}", speaker_of(name), name.as_posix(), float(k))
            chosen.append(clip)
        if len(chosen) == clips:
            return Speech(folder, chosen, fs)
    raise InputError(f"{folder}: has {len(chosen)} seconds of speech, not {clips}: add more files")

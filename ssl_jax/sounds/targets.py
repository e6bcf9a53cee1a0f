"""What mixtures of the protocol `rooms` point at: voices, and as many other sounds.

Speech corpora end at 8 kHz, while front and back differ most from 4 to 16 kHz. So other sounds
reach higher, and half of the voices are extended.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssl_jax.config import Database
from ssl_jax.sounds.made_sounds import MADE_SOUNDS
from ssl_jax.sounds.noises import Kind, Noises, join_kinds, load_kinds
from ssl_jax.sounds.speech import Speech, SpeechClip

TARGETS = 7  # what a generator is for, part of its seed
# what of a target it draws; from 1 on, as NumPy takes (seed, n, 0) for (seed, n)
CHOICE = 1
WAVEFORM = 2
RECORDED_SHARE = 0.5  # of the other sounds; the rest is made
EXTENDED_SHARE = 0.5  # of the voices
VOICE_TURNS = 2  # times that a voice comes from every azimuth: in other rooms, among other noises
SPEECH_TOP_HZ = 8000.0  # where corpora of 16 kHz end
ENVELOPE_FROM_HZ = 4000.0  # the band below SPEECH_TOP_HZ whose envelope goes on above it
EXTENSION_DB = (-25.0, -5.0)  # level of what is above SPEECH_TOP_HZ, relative to that band's
ENVELOPE_S = 0.005  # over which the envelope is smoothed


@dataclass(frozen=True)
class ClipPlace:
    """Where a clip stands among `Noises`."""

    kind: int
    file: int


@dataclass(frozen=True)
class OtherClip:
    """A target that is no speech."""

    name: str
    place: ClipPlace | None  # of a recorded sound; None: made
    made_kind: str = ""  # of MADE_SOUNDS

    @property
    def speaker(self) -> str:
        """Its name: it shares nothing else with other clips."""
        return self.name


def target_generator(seed: int, number: int, purpose: int) -> np.random.Generator:
    """What one target is drawn from, for one purpose: CHOICE or WAVEFORM."""
    return np.random.default_rng((seed, TARGETS, number, purpose))


def voices_for(count: int) -> int:
    """How many voices `count` targets need: every second target is one, each VOICE_TURNS times."""
    return math.ceil(count / 2 / VOICE_TURNS)


class Targets:
    """Targets (clips, fs) of a second each, made when asked for; targets[i] is float32, peak 1.

    Clips with even numbers are voices, those with odd numbers are other sounds. After its last
    voice the speech begins again.
    """

    def __init__(self, speech: Speech, recorded: Noises, count: int, seed: int):
        self.speech = speech
        self.recorded = recorded
        self.seed = seed
        self.shape = (count, speech.shape[1])
        self.clips: list[SpeechClip | OtherClip] = []
        for number in range(count):
            if number % 2:
                self.clips.append(self._other_clip(number))
            else:
                self.clips.append(speech.clips[self._voice(number)])

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, which) -> np.ndarray:
        numbers = np.arange(len(self))[which]
        waveforms = np.empty((*numbers.shape, self.shape[1]), np.float32)
        for place, number in np.ndenumerate(numbers):
            waveforms[place] = self._waveform(int(number))
        return waveforms

    def _voice(self, number: int) -> int:
        """Which clip of the speech the target of an even number is."""
        return number // 2 % len(self.speech)

    def _other_clip(self, number: int) -> OtherClip:
        rng = target_generator(self.seed, number, CHOICE)
        if rng.random() < RECORDED_SHARE:
            kind = int(rng.integers(len(self.recorded.kinds)))
            file = int(rng.integers(self.recorded.clip_counts[kind]))
            name = self.recorded.names[kind][file]
            return OtherClip(name, ClipPlace(kind, file))
        made_kind = tuple(MADE_SOUNDS)[rng.integers(len(MADE_SOUNDS))]
        return OtherClip(f"{made_kind}-{number}", None, made_kind)

    def _waveform(self, number: int) -> np.ndarray:
        """The second of one clip, peak 1."""
        clip = self.clips[number]
        fs = self.shape[1]  # and the samples of a clip, which lasts a second
        rng = target_generator(self.seed, number, WAVEFORM)
        if isinstance(clip, SpeechClip):
            sound = self.speech[self._voice(number)]
            if rng.random() < EXTENDED_SHARE:
                sound = extend_voice(sound, fs, rng)
        elif clip.place is not None:
            sound = self.recorded.waveforms[clip.place.kind, clip.place.file]
        else:
            sound = MADE_SOUNDS[clip.made_kind](fs, fs, rng)
        return (sound / np.abs(sound).max()).astype(np.float32)


def load_targets(speech: Speech, noises: Noises, folder: Path | None, config: Database) -> Targets:
    """The targets of a database.

    Parameters
    ----------
    speech : as many clips as `voices_for` says
    noises : whose clips are targets too
    folder : of kinds of other sounds, see `noises.load_kinds`; None for none
    config : how many clips, and the seed

    Raises
    ------
    InputError
        As `noises.load_kinds` does.
    """
    fs = speech.shape[1]
    kinds = {}
    for kind, names, waveforms in zip(noises.kinds, noises.names, noises.waveforms, strict=True):
        kinds[kind] = Kind(names, waveforms[: len(names)])
    if folder is not None:
        for kind, clips in load_kinds(folder, (), fs).items():
            # the noises come first, and keep their places; a folder may use their names
            kinds[f"{folder.name}/{kind}"] = clips
    return Targets(speech, join_kinds(kinds, fs), config.clips, config.seed)


def extend_voice(voice: np.ndarray, fs: int, rng: np.random.Generator) -> np.ndarray:
    """A voice (samples,) that goes on above SPEECH_TOP_HZ as noise with the envelope below it.

    The voice itself where the rate `fs` (Hz) leaves nothing above.
    """
    samples = len(voice)
    frequency = np.fft.rfftfreq(samples, 1 / fs)
    is_below = (frequency >= ENVELOPE_FROM_HZ) & (frequency < SPEECH_TOP_HZ)
    below = np.fft.irfft(np.fft.rfft(voice) * is_below, samples)
    smooth = np.hanning(round(ENVELOPE_S * fs) + 2)
    envelope = np.sqrt(np.convolve(below**2, smooth / smooth.sum(), mode="same"))
    noise = np.fft.rfft(envelope * rng.standard_normal(samples))
    above = np.fft.irfft(noise * (frequency >= SPEECH_TOP_HZ), samples)
    gain_db = rng.uniform(*EXTENSION_DB)
    power = np.mean(above**2)
    if not power:
        return voice
    return voice + above * np.sqrt(np.mean(below**2) / power) * 10 ** (gain_db / 20)

"""The databases that `fingerprint` holds against the weights: sounds, SNR ranges, settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ssl_jax.config import AZIMUTHS, Database, FrontEnd, SoundFolders
from ssl_jax.database.recipes import Recipes, recipes_of
from ssl_jax.sounds.noises import Noises, files_by_kind, load_noises
from ssl_jax.sounds.sources import Sounds, load_database_heads, load_sounds
from ssl_jax.sounds.steadiness import steadiness

CLIPS = 14  # 14 * 72 mixtures, about a thousand, of each database
MIXTURES_STREAM = 5  # part of the generator's seed; mixture 5 has the same one, see `draws.draw`
# dB, see `steadiness`. It lies in the gap of ESC-10: crackling fire has 4.5, a rooster 8.3.
STEADY_DB = 5.0


@dataclass(frozen=True)
class Corpus:
    """Sounds, and the recipes of the whole database of them."""

    config: Database
    sounds: Sounds
    speech: np.ndarray  # (clips, fs), in memory, because mixtures are drawn from all of it
    recipes: Recipes  # of config.clips * 72 mixtures


def load_corpus(folders: SoundFolders, config: Database, front: FrontEnd) -> Corpus:
    """The corpus of some folders; raises InputError as `load_sounds` does."""
    sounds = load_sounds(folders, config, front.fs)
    recipes, _ = recipes_of(config, sounds)
    return Corpus(config, sounds, sounds.speech[:], recipes)


def with_noises(corpus: Corpus, folder: Path, front: FrontEnd) -> Corpus:
    """The same speech and heads with all noises of a folder; raises InputError as `load_noises`."""
    # all kinds by name, or else the steadiest alone were taken
    noises = load_noises(folder, tuple(files_by_kind(folder)), front.fs)
    sounds = replace(corpus.sounds, noises=noises)
    config = replace(corpus.config, noise=folder.name, noise_kinds=())
    recipes, _ = recipes_of(config, sounds)
    return Corpus(config, sounds, corpus.speech, recipes)


def some_recipes(corpus: Corpus, draw: int = 0) -> Recipes:
    """CLIPS * 72 random mixtures of a corpus, others with every `draw`."""
    generator = np.random.default_rng((corpus.config.seed, MIXTURES_STREAM))
    order = generator.permutation(len(corpus.recipes.clip))
    count = CLIPS * AZIMUTHS
    return corpus.recipes.rows(np.sort(order[draw * count :][:count]))


@dataclass(frozen=True)
class SnrRange:
    """Each noise's SNR is uniform between two ends."""

    low: float  # dB
    high: float  # dB

    @property
    def name(self) -> str:
        """As tables have it."""
        return f"{self.low:g} to {self.high:g} dB"


CODE = SnrRange(15, 40)  # of the published code


def at_snr(recipes: Recipes, config: Database, snr_range: SnrRange) -> Recipes:
    """The same mixtures in another range than `config` has.

    Each SNR keeps its place between the ends. So ranges differ in nothing but their SNR.
    """
    place = (recipes.snr - config.snr_low) / (config.snr_high - config.snr_low)
    width = snr_range.high - snr_range.low
    return replace(recipes, snr=np.round(snr_range.low + width * place, 4))


@dataclass(frozen=True)
class NoiseGroup:
    """Some of the kinds of noise of a corpus."""

    title: str
    kinds: tuple[int, ...]  # their numbers
    text: str  # their names, and how steady each is


def noise_groups(noises: Noises, fs: int) -> list[NoiseGroup]:
    """All kinds, and where both are there the steady ones alone and the events alone."""
    medians = []
    for waveforms, count in zip(noises.waveforms, noises.clip_counts, strict=True):
        medians.append(float(np.median(steadiness(waveforms[:count], fs))))
    numbers = range(len(medians))
    steady = [number for number in numbers if medians[number] < STEADY_DB]
    events = [number for number in numbers if medians[number] >= STEADY_DB]
    chosen = {"all kinds": list(numbers)}
    if steady and events:
        chosen |= {"steady kinds": steady, "events": events}
    groups = []
    for title, kinds in chosen.items():
        names = [f"{noises.kinds[kind]} ({medians[kind]:.1f})" for kind in kinds]
        groups.append(NoiseGroup(title, tuple(kinds), ", ".join(names)))
    return groups


@dataclass(frozen=True)
class Setting:
    """What a database has otherwise than the nearest one."""

    name: str  # of the file of its statistics
    title: str
    database: Mapping = field(default_factory=dict)  # fields of `Database`
    front: Mapping = field(default_factory=dict)  # fields of `FrontEnd`
    first: Mapping = field(default_factory=dict)  # how many, by field of `Recipes`, to draw from


SETTINGS = (
    Setting("haircell-halfwave", "hair cell: half-wave", front={"hair_cell": "halfwave"}),
    Setting("haircell-roman", "hair cell: Roman", front={"hair_cell": "roman"}),
    Setting("tau-5ms", "window: 5 ms", front={"tau": 0.005}),
    Setting("tau-20ms", "window: 20 ms", front={"tau": 0.020}),
    Setting(
        "horizontal", "directions: horizontal plane", database={"direction_rule": "horizontal"}
    ),
    Setting("floats", "storage: not rounded to 16 bits", database={"bits": 0}),
    Setting("heads-5", "heads: the first five", first={"head": 5}),
    Setting("heads-1", "heads: the first one", first={"head": 1}),
    Setting("clips-50", "speech: the first 50 clips, of few speakers", first={"clip": 50}),
)


def with_setting(corpus: Corpus, setting: Setting, folders: SoundFolders, fs: int) -> Corpus:
    """The corpus with another database; its heads are read again where their directions change."""
    config = replace(corpus.config, **setting.database)
    sounds = corpus.sounds
    if config.direction_rule != corpus.config.direction_rule:
        sounds = replace(sounds, heads=load_database_heads(folders.heads, config, fs))
    return replace(corpus, config=config, sounds=sounds)


def draw_from_first(recipes: Recipes, setting: Setting) -> Recipes:
    """The same mixtures of the first few heads or clips alone."""
    few = {name: getattr(recipes, name) % count for name, count in setting.first.items()}
    return replace(recipes, **few)

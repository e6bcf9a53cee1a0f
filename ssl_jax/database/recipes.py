"""What every mixture is made of: mixture i is of speech clip i // 72 and azimuth class i % 72."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import jax
import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.config import AZIMUTHS, PARTS, Database
from ssl_jax.database.draws import PAIR, draw, pick, pick_pair
from ssl_jax.database.parts import SplitOf, numbers_of_parts, part_of_mixtures
from ssl_jax.sounds.noises import Noises
from ssl_jax.sounds.sources import Sounds
from ssl_jax.sounds.targets import OtherClip, Targets


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Recipes:
    """What each of n mixtures is made of: indices into the sounds."""

    clip: np.ndarray  # (n,)
    azimuth: np.ndarray  # (n,), class
    head: np.ndarray  # (n,), shared by target and noises
    noise_kind: np.ndarray  # (n,)
    noise_file: np.ndarray  # (n, 2), two different files of the kind
    noise_azimuth: np.ndarray  # (n, 2), two different classes
    snr: np.ndarray  # (n, 2), dB

    def rows(self, which) -> "Recipes":
        """The recipes of some mixtures: a number, numbers or a slice."""
        return Recipes(*(getattr(self, field.name)[which] for field in fields(self)))


@dataclass(frozen=True)
class Choices:
    """What recipes choose from."""

    heads: int
    noise_files: Sequence[int]  # how many each kind of noise has
    part_of_head: np.ndarray | None = None  # (heads,), where each head is of one part already


def draw_recipes(config: Database, choices: Choices, part: np.ndarray | None = None) -> Recipes:
    """Recipes of config.clips * 72 mixtures.

    Parameters
    ----------
    config : seed, SNR range and what the parts may not share
    choices : what there is to choose from
    part : (mixtures,) of `part_of_mixtures`, None where nothing is kept apart
    """
    count = config.clips * AZIMUTHS
    draws = draw(config, count)
    part = np.zeros(count, int) if part is None else part
    clip, azimuth = np.divmod(np.arange(count, dtype=np.int32), AZIMUTHS)
    noise_kind = pick(draws.noise_kind, len(choices.noise_files))
    width = config.snr_high - config.snr_low
    return Recipes(
        clip=clip,
        azimuth=azimuth,
        head=_choose_heads(config, choices, draws.head, part),
        noise_kind=noise_kind,
        noise_file=_choose_files(config, choices.noise_files, draws.noise_file, part, noise_kind),
        noise_azimuth=pick_pair(draws.noise_azimuth, AZIMUTHS),
        snr=np.round(config.snr_low + width * draws.snr, 4),  # as the manifest writes it
    )


def _choose_heads(config, choices: Choices, uniform: np.ndarray, part: np.ndarray) -> np.ndarray:
    heads_of_parts = numbers_of_parts(choices.heads, config, SplitOf.HEADS)
    if choices.part_of_head is not None:
        heads_of_parts = [np.flatnonzero(choices.part_of_head == k) for k in range(len(PARTS))]
    chosen = np.empty(len(part), np.int32)
    for which, heads in enumerate(heads_of_parts):
        mine = part == which
        chosen[mine] = heads[pick(uniform[mine], len(heads))]
    return chosen


def _choose_files(config, noise_files, uniform, part, noise_kind) -> np.ndarray:
    """Two different files of each mixture's kind of noise (n, 2)."""
    chosen = np.empty((len(part), PAIR), np.int32)
    for kind, count in enumerate(noise_files):
        for which, files in enumerate(numbers_of_parts(count, config, SplitOf.NOISE, (kind,))):
            mine = (part == which) & (noise_kind == kind)
            chosen[mine] = files[pick_pair(uniform[mine], len(files))]
    return chosen


def check_noises(config: Database, noises: Noises) -> None:
    """Raise InputError where a part has fewer than two clips of a kind of noise."""
    for number, (kind, count) in enumerate(zip(noises.kinds, noises.clip_counts, strict=True)):
        parts = numbers_of_parts(count, config, SplitOf.NOISE, (number,))
        if min(len(clips) for clips in parts) < PAIR:
            raise InputError(
                f"kind of noise {kind!r}: {count} clips are too few to keep {PAIR} of them in each "
                "part: add files, or leave the kind out with --noise-kinds"
            )


def with_recordings_apart(config: Database, targets: Targets, part: np.ndarray) -> np.ndarray:
    """The parts of mixtures (n,), those of a recorded target being that of its file.

    The noises of a part draw from the same files, so no other part hears them.
    """
    part_of_file = []
    for kind, count in enumerate(targets.recorded.clip_counts):
        of_kind = np.empty(count, int)
        for which, files in enumerate(numbers_of_parts(count, config, SplitOf.NOISE, (kind,))):
            of_kind[files] = which
        part_of_file.append(of_kind)
    part_of_clip = part[::AZIMUTHS].copy()
    for number, clip in enumerate(targets.clips):
        if isinstance(clip, OtherClip) and clip.place is not None:
            part_of_clip[number] = part_of_file[clip.place.kind][clip.place.file]
    return np.repeat(part_of_clip, AZIMUTHS)


def recipes_of(config: Database, sounds: Sounds) -> tuple[Recipes, np.ndarray | None]:
    """The recipes over all sounds, and the part of each mixture (None: left to training).

    Raises
    ------
    InputError
        Where the sounds are too few to be kept apart.
    """
    check_noises(config, sounds.noises)
    part = part_of_mixtures(config, [clip.speaker for clip in sounds.speech.clips])
    if part is not None and isinstance(sounds.speech, Targets):
        part = with_recordings_apart(config, sounds.speech, part)
    choices = Choices(len(sounds.heads.names), sounds.noises.clip_counts, sounds.heads.part)
    return draw_recipes(config, choices, part), part

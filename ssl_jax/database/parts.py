"""Which mixtures train, which evaluate and which validate, and what these parts may not share."""

from collections import Counter
from collections.abc import Sequence
from enum import IntEnum

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.config import (
    AZIMUTHS,
    EVALUATION,
    PARTS,
    SPLIT_BY,
    TRAINING,
    VALIDATION,
    Database,
)

VALIDATION_SEED = 6  # follows the seed of a split whose rest is split once more


class SplitOf(IntEnum):
    """What a generator splits.

    A split's seed is (run seed, 0, SplitOf), that of a mixture (run seed, number). NumPy pads seeds
    with zeros, so MIXTURES has the generator of mixture 0: one permutation follows its draws.
    """

    MIXTURES = 0
    CLIPS = 1
    SPEAKERS = 2
    HEADS = 3
    NOISE = 4


def split_seed(config: Database, split: SplitOf, *which: int) -> tuple[int, ...]:
    """The seed of a split; `which` tells splits of one sort apart, such as kinds of noise."""
    return (config.seed, 0, int(split), *which)


def two_parts(count: int, share: float, seed: tuple) -> tuple[np.ndarray, np.ndarray]:
    """The numbers 0 to count - 1 in random order: some to train on, and a `share` to evaluate on.

    Both are sorted, and neither is empty.
    """
    order = np.random.default_rng(seed).permutation(count)
    evaluated = min(max(round(share * count), 1), count - 1)
    return np.sort(order[evaluated:]), np.sort(order[:evaluated])


def split_numbers(count: int, config: Database, seed: tuple) -> list[np.ndarray]:
    """The numbers 0 to count - 1 by part.

    The validation part exists only if `validation_share` is above 0.
    """
    rest, evaluation = two_parts(count, config.evaluation_share, seed)
    if not config.validation_share:
        return [rest, evaluation]
    share = config.validation_share * count / len(rest)
    training, validation = two_parts(len(rest), share, (*seed, VALIDATION_SEED))
    return [rest[training], evaluation, rest[validation]]


def part_of_mixtures(config: Database, speakers: Sequence[str]) -> np.ndarray | None:
    """The part of each mixture, an index into PARTS (clips * 72,).

    None where nothing is kept apart: then training splits the mixtures at random (published).

    Parameters
    ----------
    config : `disjoint` names what no two parts share
    speakers : who speaks in each clip

    Raises
    ------
    InputError
        If `disjoint` names something else than SPLIT_BY, or there is one speaker or clip only.
    """
    apart = set(config.disjoint)
    unknown = apart - set(SPLIT_BY)
    if unknown:
        raise InputError(f"{', '.join(unknown)}: cannot be kept apart: {', '.join(SPLIT_BY)} can")
    if not apart:
        return None
    if apart & {"clip", "speaker"} and config.clips < 2:
        raise InputError("one clip cannot be kept apart from others: ask for at least 2 clips")
    if "speaker" in apart:
        return np.repeat(_part_of_clips(config, speakers[: config.clips]), AZIMUTHS)
    if "clip" in apart:
        seed = split_seed(config, SplitOf.CLIPS)
        return np.repeat(_part_of_numbers(config.clips, config, seed), AZIMUTHS)
    return _part_of_numbers(config.clips * AZIMUTHS, config, split_seed(config, SplitOf.MIXTURES))


def _part_of_numbers(count: int, config: Database, seed: tuple) -> np.ndarray:
    part = np.zeros(count, int)
    for which, numbers in enumerate(split_numbers(count, config, seed)):
        part[numbers] = which
    return part


def _part_of_clips(config: Database, speakers: Sequence[str]) -> list[int]:
    """The part of each clip by its speaker.

    Speakers come in random order; one is taken if that brings a part nearer to its share.
    """
    clips_of = Counter(speakers)
    if len(clips_of) < 2:
        raise InputError(
            f"{config.clips} clips, all of one speaker, cannot be kept apart: ask for more clips"
        )
    names = list(clips_of)
    generator = np.random.default_rng(split_seed(config, SplitOf.SPEAKERS))
    shuffled = [names[k] for k in generator.permutation(len(names))]
    part_of = dict.fromkeys(names, TRAINING)
    shares = {EVALUATION: config.evaluation_share, VALIDATION: config.validation_share}
    for part, share in shares.items():
        wanted = share * config.clips
        chosen = 0
        for name in shuffled:
            nearer = abs(chosen + clips_of[name] - wanted) < abs(chosen - wanted)
            if part_of[name] == TRAINING and nearer:
                part_of[name] = part
                chosen += clips_of[name]
        if share and not chosen:  # every speaker says more than the share: the one with least
            left = [name for name in names if part_of[name] == TRAINING]
            part_of[min(left, key=clips_of.__getitem__)] = part
    return [part_of[speaker] for speaker in speakers]


def numbers_of_parts(
    count: int, config: Database, split: SplitOf, which: tuple[int, ...] = ()
) -> list[np.ndarray]:
    """What each part draws from, of `count` heads (SplitOf.HEADS) or noise files (SplitOf.NOISE).

    All parts draw from everything where `config.disjoint` does not keep them apart.
    """
    name = {SplitOf.HEADS: "head", SplitOf.NOISE: "noise"}[split]
    if name not in config.disjoint:
        return [np.arange(count)] * len(PARTS)
    return split_numbers(count, config, split_seed(config, split, *which))

"""All that is drawn at random for the mixtures, by name."""

from dataclasses import dataclass

import numpy as np

from ssl_jax.config import Database

PAIR = 2  # noises of a mixture (published)


@dataclass(frozen=True)
class Draws:
    """Uniform numbers in [0, 1) of n mixtures, from which `recipes` makes choices."""

    head: np.ndarray  # (n,)
    noise_kind: np.ndarray  # (n,)
    noise_file: np.ndarray  # (n, 2)
    noise_azimuth: np.ndarray  # (n, 2)
    snr: np.ndarray  # (n, 2)


def draw(config: Database, count: int) -> Draws:
    """Draws of `count` mixtures.

    Each mixture has a generator of its own, seeded by (run seed, its number). So its draws stay
    the same whatever else is drawn.

    Three numbers serve twice, because NumPy pads seeds with zeros: 0 (`parts.SplitOf.MIXTURES`),
    1 (`batches.SPLIT`) and 5 (`rooms.ROOMS`, `fingerprint_corpora.MIXTURES_STREAM`). Every result
    on record was drawn so.
    """
    generators = [np.random.default_rng((config.seed, number)) for number in range(count)]
    # the order in which a generator gives them is part of every committed result
    columns = iter(np.stack([generator.random(8) for generator in generators], axis=1))
    return Draws(
        head=next(columns),
        noise_kind=next(columns),
        noise_file=np.stack([next(columns), next(columns)], axis=1),
        noise_azimuth=np.stack([next(columns), next(columns)], axis=1),
        snr=np.stack([next(columns), next(columns)], axis=1),
    )


def pick(uniform: np.ndarray, choices: int) -> np.ndarray:
    """One of `choices` numbers from 0 on, for each uniform number (n,): (n,) int32."""
    return np.floor(uniform * choices).astype(np.int32)


def pick_pair(uniform: np.ndarray, choices: int) -> np.ndarray:
    """Two different numbers of `choices` for each pair of uniform numbers (n, 2): (n, 2) int32."""
    first = pick(uniform[:, 0], choices)
    steps = 1 + pick(uniform[:, 1], choices - 1)  # from the first on, never all the way round
    return np.stack([first, (first + steps) % choices], axis=1)

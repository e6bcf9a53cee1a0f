"""What every mixture is made of, and which of them are kept for evaluation.

Mixture i is speech clip i // 72 from azimuth class i % 72, and two noises. Everything drawn for it
comes from a generator seeded by (run seed, i) alone, so that no mixture depends on another, on the
order of work, or on how often the work was interrupted.
"""

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import MAX_TEXT_BYTES, csv_rows
from ssl_jax.config import AZIMUTH_STEP, AZIMUTHS, SPLIT_BY, Database
from ssl_jax.sounds.corpora import Corpus, load_corpus
from ssl_jax.sounds.hrtf import Heads, load_heads

# what a generator that serves the whole database is for: part of its seed, longer than a mixture's
MIXTURE, CLIP, SPEAKER, HEAD, NOISE = ((0, k) for k in range(5))
PARTS = ("training", "evaluation")
COLUMNS = "mixture clip speaker azimuth elevation head noise_class noise_file_1 noise_azimuth_1 snr_1_db"
COLUMNS = (*COLUMNS.split(), "noise_file_2", "noise_azimuth_2", "snr_2_db", "part")


class Sounds(NamedTuple):
    """What recipes are drawn from and rendered with."""

    corpus: Corpus
    heads: Heads


def load_sounds(data: Path | None, config: Database, fs: int) -> Sounds:
    """The corpus and the heads of a database at rate `fs`; see `load_corpus` and `load_heads`."""
    return Sounds(load_corpus(data, config.clips, fs), load_heads(data, config.direction_rule, fs))


class Recipes(NamedTuple):
    """What each of n mixtures is made of; indices into the corpus and the heads."""

    clip: np.ndarray  # (n,)
    azimuth: np.ndarray  # (n,), class
    head: np.ndarray  # (n,), shared by target and noises
    noise_class: np.ndarray  # (n,)
    noise_file: np.ndarray  # (n, 2), two different files of the class
    noise_azimuth: np.ndarray  # (n, 2), two different classes
    snr: np.ndarray  # (n, 2), dB

    def rows(self, which) -> "Recipes":
        """The recipes of some mixtures."""
        return Recipes(*(field[which] for field in self))


def two_parts(count: int, share: float, seed: tuple) -> tuple[np.ndarray, np.ndarray]:
    """The numbers 0 to count - 1, at random: some to train on, and a `share` to evaluate on."""
    order = np.random.default_rng(seed).permutation(count)
    held_out = min(max(round(share * count), 1), count - 1)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def draw_held_out(config: Database, speakers: Sequence[str] = ()) -> np.ndarray | None:
    """Which mixtures are for evaluation alone, where `config.disjoint` names anything, else None.

    Parameters
    ----------
    speakers : sequence of str
        Of each clip; needed only where the split is by speaker. Whole speakers are held out, drawn at
        random until they have the share of the clips that is asked for.

    Returns
    -------
    (clips * 72,) bool, or None

    Raises
    ------
    InputError
        `config.disjoint` names something else than SPLIT_BY, or there is but one speaker or clip.
    """
    by, clips, mixtures = set(config.disjoint), config.clips, config.clips * AZIMUTHS
    if unknown := by - set(SPLIT_BY):
        raise InputError(f"{', '.join(unknown)}: cannot be kept apart: {', '.join(SPLIT_BY)} can")
    if not by:
        return None
    if by & {"clip", "speaker"} and clips < 2:
        raise InputError("one clip cannot be kept apart from others: ask for at least 2 clips")
    if "speaker" in by:
        return np.repeat(_held_out_speakers(config, speakers[:clips]), AZIMUTHS)
    if "clip" in by:
        held_out = two_parts(clips, config.evaluation_share, (config.seed, *CLIP))[1]
        return np.repeat(np.isin(np.arange(clips), held_out), AZIMUTHS)
    held_out = two_parts(mixtures, config.evaluation_share, (config.seed, *MIXTURE))[1]
    return np.isin(np.arange(mixtures), held_out)


def _held_out_speakers(config: Database, speakers: Sequence[str]) -> list[bool]:
    """Which clips are of speakers held out."""
    names = list(dict.fromkeys(speakers))
    if len(names) < 2:
        one = f"{config.clips} clips are all of one speaker, who cannot be kept apart"
        raise InputError(f"{one}: ask for more clips")
    sizes = {name: sum(s == name for s in speakers) for name in names}
    wanted = config.evaluation_share * config.clips
    chosen: set[str] = set()
    for k in np.random.default_rng((config.seed, *SPEAKER)).permutation(len(names)):
        without = sum(sizes[name] for name in chosen)
        # take a speaker where that comes nearer to the share than going without
        if abs(without + sizes[names[k]] - wanted) < abs(without - wanted):
            chosen.add(names[k])
    chosen = chosen or {min(names, key=sizes.get)}
    return [speaker in chosen for speaker in speakers]


def draw_recipes(
    config: Database, heads: int, noise_classes: int, noise_files: int, held_out: np.ndarray | None = None
) -> Recipes:
    """Draw the recipe of every mixture of `config`, clips * 72 of them.

    Where `config` splits by heads or noise files, the mixtures held out (see `draw_held_out`) draw
    theirs from the part for evaluation and the others from the rest.
    """
    count = config.clips * AZIMUTHS
    u = np.empty((count, 8))
    for i in range(count):
        u[i] = np.random.default_rng((config.seed, i)).random(8)
    part = np.zeros(count, int) if held_out is None else held_out.astype(int)

    def pick(column, choices):
        return np.floor(u[:, column] * choices).astype(np.int32)

    def two(column, choices):  # the second never equals the first
        first = pick(column, choices)
        return np.stack([first, (first + 1 + pick(column + 1, choices - 1)) % choices], axis=1)

    def parts_of(kind, choices, *seed):
        if kind not in config.disjoint:
            return [np.arange(choices, dtype=np.int32)] * 2
        parts = two_parts(choices, config.evaluation_share, (config.seed, *seed))
        return [chosen.astype(np.int32) for chosen in parts]

    index, noise_class = np.arange(count, dtype=np.int32), pick(1, noise_classes)
    noise_file = np.empty((count, 2), np.int32)
    for kind in range(noise_classes):
        files = [chosen[two(2, len(chosen))] for chosen in parts_of("noise", noise_files, *NOISE, kind)]
        noise_file = np.where((noise_class == kind)[:, None], np.choose(part[:, None], files), noise_file)
    return Recipes(
        clip=index // AZIMUTHS,
        azimuth=index % AZIMUTHS,
        head=np.choose(part, [chosen[pick(0, len(chosen))] for chosen in parts_of("head", heads, *HEAD)]),
        noise_class=noise_class,
        noise_file=noise_file,
        noise_azimuth=two(4, AZIMUTHS),
        # four decimals, so that the manifest's text says exactly what was rendered
        snr=np.round(config.snr_low + (config.snr_high - config.snr_low) * u[:, 6:], 4),
    )


def recipes_of(config: Database, sounds: Sounds) -> tuple[Recipes, np.ndarray | None]:
    """The recipes over all sounds, and which mixtures are held out (None: left to training)."""
    held_out = draw_held_out(config, [info.speaker for info in sounds.corpus.speech_info])
    files = sounds.corpus.noise.shape[:2]
    return draw_recipes(config, len(sounds.heads.names), *files, held_out), held_out


def manifest_csv(recipes: Recipes, sounds: Sounds, held_out: np.ndarray | None = None) -> Iterator[str]:
    """The recipes as CSV, line by line, by the names of clips, heads and files.

    The last column names the part of a mixture; it is empty where each training run splits for itself.
    """
    out, (corpus, heads) = io.StringIO(), sounds
    rows = csv.writer(out, lineterminator="\n")

    def line(row):
        out.seek(0)
        out.truncate()
        rows.writerow(row)
        return out.getvalue()

    yield line(COLUMNS)
    for i in range(len(recipes.clip)):
        clip, head, azimuth, kind = (
            int(f[i]) for f in (recipes.clip, recipes.head, recipes.azimuth, recipes.noise_class)
        )
        info, elevation = corpus.speech_info[clip], f"{heads.elevations[head, azimuth]:.2f}"
        row = [
            i,
            info.name,
            info.speaker,
            azimuth * AZIMUTH_STEP,
            elevation,
            heads.names[head],
            corpus.noise_classes[kind],
        ]
        for k in range(2):
            row.append(corpus.noise_files[kind][recipes.noise_file[i, k]])
            row += [recipes.noise_azimuth[i, k] * AZIMUTH_STEP, f"{recipes.snr[i, k]:.4f}"]
        yield line([*row, "" if held_out is None else PARTS[int(held_out[i])]])


class Manifest(NamedTuple):
    """What is read back of a manifest: the part, the lower SNR and the speaker of each mixture."""

    held_out: np.ndarray | None  # (n,) bool
    snr: np.ndarray  # (n,), dB, the lower of the two noises'
    speaker: list[str]  # n of them


def read_manifest(path: Path, count: int) -> Manifest:
    """Read a manifest; raises InputError where it is missing, or not one of `count` mixtures."""
    if not path.exists():
        raise InputError(f"{path}: is missing: run the database stage again")
    snr, held_out, speakers, parts = np.empty(count), np.empty(count, bool), [], set()
    try:
        columns = "mixture", "speaker", "snr_1_db", "snr_2_db", "part"
        for row in csv_rows(path, columns, count + 1, MAX_TEXT_BYTES + 1000 * count):
            i = len(speakers)
            if int(row["mixture"]) != i or i == count:
                raise ValueError
            snr[i] = min(float(row["snr_1_db"]), float(row["snr_2_db"]))
            held_out[i] = row["part"] == PARTS[1]
            speakers.append(sys.intern(row["speaker"]))
            parts.add(row["part"])
    except (ValueError, TypeError):
        parts = set()
    if len(speakers) != count or parts not in ({""}, set(PARTS)):
        wrong = f"is not the manifest of these {count:,} mixtures"
        raise InputError(f"{path}: {wrong}: run the database stage again")
    return Manifest(None if parts == {""} else held_out, snr, speakers)

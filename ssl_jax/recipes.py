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

from .config import AZIMUTH_STEP, AZIMUTHS, KEPT_APART, Database
from .corpora import Corpus
from .files import MAX_TEXT_BYTES, InputError, csv_rows
from .hrtf import Heads

# what a generator that serves the whole database is for: part of its seed, longer than a mixture's
MIXTURE, CLIP, SPEAKER, HEAD, NOISE = ((0, k) for k in range(5))
PARTS = ("training", "evaluation")


class Recipes(NamedTuple):
    """What each of n mixtures is made of; indices into the corpus and the heads."""

    clip: np.ndarray  # (n,)
    azimuth: np.ndarray  # (n,), class
    head: np.ndarray  # (n,), shared by target and noises
    noise_class: np.ndarray  # (n,)
    noise_file: np.ndarray  # (n, 2), two different files of the class
    noise_azimuth: np.ndarray  # (n, 2), two different classes
    snr: np.ndarray  # (n, 2), dB


def two_parts(count: int, share: float, seed: tuple) -> tuple[np.ndarray, np.ndarray]:
    """The numbers 0 to count - 1 in two parts, at random: to train on, and a `share` to evaluate on."""
    order = np.random.default_rng(seed).permutation(count)
    held_out = min(max(round(share * count), 1), count - 1)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def draw_held_out(config: Database, speakers: Sequence[str] = ()) -> np.ndarray | None:
    """Which mixtures are for evaluation alone, where `config` keeps anything apart, else None.

    Parameters
    ----------
    speakers : sequence of str
        Of each clip. Whole speakers are held out, drawn at random until they have the share of
        the clips that is asked for; speakers are needed only where they are kept apart.

    Returns
    -------
    (clips * 72,) bool, or None

    Raises
    ------
    InputError
        `config.disjoint` names something else than KEPT_APART, or there is but one speaker or clip.
    """
    apart, share = set(config.disjoint), config.evaluation_share
    if apart - set(KEPT_APART):
        raise InputError(f"{', '.join(apart - set(KEPT_APART))}: cannot be kept apart: {', '.join(KEPT_APART)} can")
    if not apart:
        return None
    if apart & {"clip", "speaker"} and config.clips < 2:
        raise InputError("one clip cannot be kept apart from others: ask for at least 2 clips")
    if "speaker" in apart:
        names = list(dict.fromkeys(speakers[: config.clips]))
        if len(names) < 2:
            raise InputError(f"{config.clips} clips are all of one speaker, who cannot be kept apart: "
                             "ask for more clips")
        sizes = {name: sum(s == name for s in speakers[: config.clips]) for name in names}
        chosen: set[str] = set()
        for k in np.random.default_rng((config.seed, *SPEAKER)).permutation(len(names)):
            without = sum(sizes[name] for name in chosen)
            # take a speaker where that comes nearer to the share than going without
            if abs(without + sizes[names[k]] - share * config.clips) < abs(without - share * config.clips):
                chosen.add(names[k])
        chosen = chosen or {min(names, key=sizes.get)}
        return np.repeat([s in chosen for s in speakers[: config.clips]], AZIMUTHS)
    if "clip" in apart:
        held_out = two_parts(config.clips, share, (config.seed, *CLIP))[1]
        return np.repeat(np.isin(np.arange(config.clips), held_out), AZIMUTHS)
    held_out = two_parts(config.clips * AZIMUTHS, share, (config.seed, *MIXTURE))[1]
    return np.isin(np.arange(config.clips * AZIMUTHS), held_out)


def draw_recipes(config: Database, heads: int, noise_classes: int, noise_files: int,
                 held_out: np.ndarray | None = None) -> Recipes:
    """Draw the recipe of every mixture of `config`, clips * 72 of them.

    Where `config` keeps heads or noise files apart, the mixtures held out (see `draw_held_out`)
    draw theirs from the part kept for evaluation and the others from the rest.
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


def recipes_of(config: Database, corpus: Corpus, heads: Heads) -> tuple[Recipes, np.ndarray | None]:
    """The recipes over a corpus and heads, and which mixtures are held out (None: left to training)."""
    held_out = draw_held_out(config, [info.speaker for info in corpus.speech_info])
    return draw_recipes(config, len(heads.names), *corpus.noise.shape[:2], held_out), held_out


def manifest_csv(recipes: Recipes, corpus: Corpus, heads: Heads, held_out: np.ndarray | None = None) -> Iterator[str]:
    """The recipes as CSV, line by line, by the names of clips, heads and files.

    The last column names the part of a mixture held out or not; it is empty where each training
    run splits for itself.
    """
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")

    def line(row):
        out.seek(0)
        out.truncate()
        rows.writerow(row)
        return out.getvalue()

    yield line("mixture clip speaker azimuth elevation head noise_class noise_file_1 noise_azimuth_1 snr_1_db"
               " noise_file_2 noise_azimuth_2 snr_2_db part".split())
    for i in range(len(recipes.clip)):
        clip, head, kind = (int(f[i]) for f in (recipes.clip, recipes.head, recipes.noise_class))
        info = corpus.speech_info[clip]
        row = [i, info.name, info.speaker, recipes.azimuth[i] * AZIMUTH_STEP,
               f"{heads.elevations[head, recipes.azimuth[i]]:.2f}", heads.names[head],
               corpus.noise_classes[kind]]
        for k in range(2):
            row += [corpus.noise_files[kind][recipes.noise_file[i, k]],
                    recipes.noise_azimuth[i, k] * AZIMUTH_STEP, f"{recipes.snr[i, k]:.4f}"]
        yield line([*row, "" if held_out is None else PARTS[int(held_out[i])]])


class Manifest(NamedTuple):
    """What is read back of a manifest: the part, the lower SNR and the clip of each mixture."""

    held_out: np.ndarray | None  # (n,) bool
    snr: np.ndarray  # (n,), dB, the lower of the two noises'
    speaker: list[str]  # n of them


def read_manifest(path: Path, count: int) -> Manifest:
    """Read a manifest; InputError where it is missing, or not one of `count` mixtures."""
    if not path.exists():
        raise InputError(f"{path}: is missing: run the database stage again")
    snr, held_out, speakers, parts = np.empty(count), np.empty(count, bool), [], set()
    try:
        columns = "mixture", "speaker", "snr_1_db", "snr_2_db", "part"
        for row in csv_rows(path, columns, count + 1, MAX_TEXT_BYTES + 1000 * count):
            i = len(speakers)
            if int(row["mixture"]) != i or i == count:
                raise ValueError
            snr[i], held_out[i] = min(float(row["snr_1_db"]), float(row["snr_2_db"])), row["part"] == PARTS[1]
            speakers.append(sys.intern(row["speaker"]))
            parts.add(row["part"])
    except (ValueError, TypeError):
        parts = set()
    if len(speakers) != count or parts not in ({""}, set(PARTS)):
        raise InputError(f"{path}: is not the manifest of these {count:,} mixtures: run the database stage again")
    return Manifest(None if parts == {""} else held_out, snr, speakers)

"""What every mixture is made of, and which are kept for evaluation and validation. Mixture i is of speech
clip i // 72 and azimuth class i % 72; all drawn for it comes from a generator seeded by (run seed, i)."""

import csv
import io
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import MAX_TEXT_BYTES, csv_rows
from ssl_jax.config import AZIMUTH_STEP, AZIMUTHS, SPLIT_BY, Database
from ssl_jax.sounds.corpora import Corpus, load_corpus
from ssl_jax.sounds.hrtf import Heads, load_heads
from ssl_jax.sounds.rooms import load_rooms

MIXTURE, CLIP, SPEAKER, HEAD, NOISE = (
    (0, k) for k in range(5)
)  # in seeds: longer than a mixture's
VALIDATION = 6
PARTS = ("training", "evaluation", "validation")
COLUMNS = (
    "mixture clip speaker azimuth elevation head noise_class noise_file_1 noise_azimuth_1 snr_1_db"
)
COLUMNS = (*COLUMNS.split(), "noise_file_2", "noise_azimuth_2", "snr_2_db", "part")


class Sounds(NamedTuple):
    corpus: Corpus
    heads: Heads


def load_sounds(data: Path | None, config: Database, fs: int) -> Sounds:
    """The corpus and the heads of a database at rate `fs`; see `load_corpus` and `load_heads`."""
    corpus = load_corpus(data, config.clips, fs)
    if config.noise:
        kept = [corpus.noise_classes.index(name) for name in config.noise]
        files = [corpus.noise_files[k] for k in kept]
        corpus = corpus._replace(
            noise=corpus.noise[kept], noise_classes=config.noise, noise_files=files
        )
    heads = (
        load_rooms(data, config, fs)
        if config.rooms
        else load_heads(data, config.direction_rule, fs)
    )
    return Sounds(corpus, heads)


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
        return Recipes(*(field[which] for field in self))


def two_parts(count: int, share: float, seed: tuple) -> tuple[np.ndarray, np.ndarray]:
    """The numbers 0 to count - 1, at random: some to train on, and a `share` to evaluate on."""
    order = np.random.default_rng(seed).permutation(count)
    held_out = min(max(round(share * count), 1), count - 1)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def shared_out(count: int, config: Database, seed: tuple) -> list[np.ndarray]:
    """The same for each of PARTS, of which the last is there with a `validation_share` alone."""
    rest, evaluation = two_parts(count, config.evaluation_share, seed)
    if not config.validation_share:
        return [rest, evaluation]
    share = config.validation_share * count / len(rest)
    training, validation = two_parts(len(rest), share, (*seed, VALIDATION))
    return [rest[training], evaluation, rest[validation]]


def draw_parts(config: Database, speakers: Sequence[str] = ()) -> np.ndarray | None:
    """Which of PARTS each mixture (clips * 72,) is for, or None if `config.disjoint` is empty. Raises
    InputError if that names something else than SPLIT_BY, or there is but one speaker or clip."""
    by, clips, mixtures = set(config.disjoint), config.clips, config.clips * AZIMUTHS
    if unknown := by - set(SPLIT_BY):
        raise InputError(f"{', '.join(unknown)}: cannot be kept apart: {', '.join(SPLIT_BY)} can")
    if not by:
        return None
    if by & {"clip", "speaker"} and clips < 2:
        raise InputError("one clip cannot be kept apart from others: ask for at least 2 clips")
    if "speaker" in by:
        return np.repeat(_parts_of_speakers(config, speakers[:clips]), AZIMUTHS)
    kind, count = (CLIP, clips) if "clip" in by else (MIXTURE, mixtures)
    parts = np.zeros(count, int)
    for part, numbers in enumerate(shared_out(count, config, (config.seed, *kind))):
        parts[numbers] = part
    return np.repeat(parts, mixtures // count)


def _parts_of_speakers(config: Database, speakers: Sequence[str]) -> list[int]:
    """The part of each clip. In random order, a speaker is taken if that brings a part nearer its share."""
    sizes = Counter(speakers)
    if len(sizes) < 2:
        alone = f"{config.clips} clips, all of one speaker, cannot be kept apart"
        raise InputError(f"{alone}: ask for more clips")
    names, part_of = list(sizes), dict.fromkeys(sizes, 0)
    order = [
        names[k] for k in np.random.default_rng((config.seed, *SPEAKER)).permutation(len(names))
    ]
    for part, share in ((1, config.evaluation_share), (2, config.validation_share)):
        without, wanted = 0, share * config.clips
        for name in order:
            if part_of[name] == 0 and abs(without + sizes[name] - wanted) < abs(without - wanted):
                part_of[name] = part
                without += sizes[name]
        if share and not without:
            part_of[min((name for name in names if part_of[name] == 0), key=sizes.__getitem__)] = (
                part
            )
    return [part_of[speaker] for speaker in speakers]


def draw_recipes(
    config: Database, heads: int, noise_classes: int, noise_files: int, part=None, rooms=None
):
    """Recipes of clips * 72 mixtures; `part` (mixtures,) is of `draw_parts`, `rooms` (heads,) of heads."""
    count = config.clips * AZIMUTHS
    u = np.stack([np.random.default_rng((config.seed, i)).random(8) for i in range(count)])
    part = np.zeros(count, int) if part is None else part

    def pick(column, choices):
        return np.floor(u[:, column] * choices).astype(np.int32)

    def two(column, choices):  # the second never equals the first
        first = pick(column, choices)
        return np.stack([first, (first + 1 + pick(column + 1, choices - 1)) % choices], axis=1)

    def parts_of(kind, choices, *seed):  # what the mixtures of each part draw from
        parts = [np.arange(choices)] * len(PARTS)
        if kind == "head" and rooms is not None:
            parts = [np.flatnonzero(rooms == k) for k in range(len(PARTS))]
        elif kind in config.disjoint:
            parts = shared_out(choices, config, (config.seed, *seed))
        return [chosen.astype(np.int32) for chosen in parts]

    index, noise_class = np.arange(count, dtype=np.int32), pick(1, noise_classes)
    head = np.choose(
        part, [chosen[pick(0, len(chosen))] for chosen in parts_of("head", heads, *HEAD)]
    )
    noise_file = np.empty((count, 2), np.int32)
    for kind in range(noise_classes):
        files = [
            chosen[two(2, len(chosen))] for chosen in parts_of("noise", noise_files, *NOISE, kind)
        ]
        noise_file = np.where(
            (noise_class == kind)[:, None], np.choose(part[:, None], files), noise_file
        )
    snr = np.round(
        config.snr_low + (config.snr_high - config.snr_low) * u[:, 6:], 4
    )  # as the manifest says
    clip, azimuth = np.divmod(index, AZIMUTHS)
    return Recipes(clip, azimuth, head, noise_class, noise_file, two(4, AZIMUTHS), snr)


def recipes_of(config: Database, sounds: Sounds) -> tuple[Recipes, np.ndarray | None]:
    """The recipes over all sounds, and the part of each mixture (None: left to training)."""
    part = draw_parts(config, [info.speaker for info in sounds.corpus.speech_info])
    classes, files = sounds.corpus.noise.shape[:2]
    return draw_recipes(
        config, len(sounds.heads.names), classes, files, part, sounds.heads.part
    ), part


def manifest_csv(recipes: Recipes, sounds: Sounds, part: np.ndarray | None = None) -> str:
    """The recipes as CSV, by the names of clips, heads and files, and each mixture's part."""
    text, (corpus, heads) = io.StringIO(), sounds
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for i in range(len(recipes.clip)):
        one = recipes.rows(i)
        info, kind = corpus.speech_info[one.clip], one.noise_class
        row = [i, info.name, info.speaker, one.azimuth * AZIMUTH_STEP]
        row.append(f"{heads.elevations[one.head, one.azimuth]:.2f}")
        row += [heads.names[one.head], corpus.noise_classes[kind]]
        for file, azimuth, snr in zip(one.noise_file, one.noise_azimuth, one.snr):
            row += [corpus.noise_files[kind][file], azimuth * AZIMUTH_STEP, f"{snr:.4f}"]
        rows.writerow([*row, "" if part is None else PARTS[part[i]]])
    return text.getvalue()


class Manifest(NamedTuple):
    """What is read back of a manifest of n mixtures."""

    part: np.ndarray | None  # (n,), index into PARTS
    snr: np.ndarray  # (n,), dB, the lower of the two noises'
    speaker: list[str]  # n of them
    head: list[str]  # the same


def read_manifest(path: Path, count: int) -> Manifest:
    """Read a manifest; raises InputError where it is missing, or not one of `count` mixtures."""
    if not path.exists():
        raise InputError(f"{path}: is missing: run the database stage again")
    snr, part = np.empty(count), np.empty(count, int)
    speakers, heads, parts = list[str](), list[str](), set[str]()
    columns = "mixture", "speaker", "head", "snr_1_db", "snr_2_db", "part"
    try:
        for i, row in enumerate(csv_rows(path, columns, count + 1, MAX_TEXT_BYTES + 1000 * count)):
            if int(row["mixture"]) != i or i == count:
                raise ValueError
            snr[i] = min(float(row["snr_1_db"]), float(row["snr_2_db"]))
            part[i] = PARTS.index(row["part"] or PARTS[0])
            speakers.append(sys.intern(row["speaker"]))
            heads.append(sys.intern(row["head"]))
            parts.add(row["part"])
    except (ValueError, TypeError):
        parts = set()
    if len(speakers) != count or parts not in ({""}, set(PARTS[:2]), set(PARTS)):
        wrong = f"is not the manifest of these {count:,} mixtures"
        raise InputError(f"{path}: {wrong}: run the database stage again")
    return Manifest(None if parts == {""} else part, snr, speakers, heads)

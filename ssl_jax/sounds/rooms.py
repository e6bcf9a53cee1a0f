"""The rooms of a database: which heads, which rooms, and which part each is of."""

import re
from pathlib import Path

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.common.progress import track
from ssl_jax.config import AZIMUTHS, EVALUATION, PARTS, TRAINING, VALIDATION, Database
from ssl_jax.sounds.hrtf import OTHER_HEADS, Heads, head_files, turn_to_midline
from ssl_jax.sounds.shoebox import EARLY_S, Room, draw_room, room_responses
from ssl_jax.sounds.sofa import Sofa, read_sofa

ROOMS = 5  # what a generator is for, part of its seed
SETTINGS = 3  # one free field, then two rooms
# which part each of ten is of: seven train, two evaluate, one validates. These shares hold whatever
# those of speech are, since rooms are few.
PART_OF_TEN = np.full(10, TRAINING)
PART_OF_TEN[[2, 7]] = EVALUATION
PART_OF_TEN[4] = VALIDATION
# names of the files that hold KEMAR, here and at their publishers
KEMAR_FILES = (
    "MIT_KEMAR_normal_pinna",
    "kemar_large",
    "cipic_021",
    "cipic_165",
    "subject_021",
    "subject_165",
)
LEAST_HEADS = 3  # besides KEMAR: one for each part
# heads that are manikins: rooms are measured with them, and many recordings made
MANIKIN_FILES = (*KEMAR_FILES, "ku100")
MANIKIN_SHARE = 0.1  # of the rooms of a part that has manikins and people


def parts_of_heads(names: list[str], config: Database) -> np.ndarray:
    """Which part each head is of (n,), see `config.PARTS`.

    KEMAR, who has several files, trains. Raises InputError for fewer than LEAST_HEADS besides him.
    """
    others = [number for number, name in enumerate(names) if name not in KEMAR_FILES]
    if len(others) < LEAST_HEADS:
        raise InputError(
            f"{len(others)} heads besides KEMAR cannot be kept apart: "
            f"name a folder with at least {LEAST_HEADS}"
        )
    order = np.random.default_rng((config.seed, ROOMS, 0)).permutation(others)
    evaluation = max(1, round(config.evaluation_share * len(names)))
    validation = max(1, round(config.validation_share * len(names)))
    part = np.full(len(names), TRAINING)
    part[order[:evaluation]] = EVALUATION
    part[order[evaluation : evaluation + validation]] = VALIDATION
    return part


def check_names(paths: list[Path]) -> None:
    """Raise InputError where two heads have the same name: one may be in another part."""
    seen: set[str] = set()
    for path in paths:
        if path.stem in seen:
            raise InputError(
                f"{path}: a head {path.stem} is there already (the package's join the folder's): "
                "take it out, or rename it if it is another"
            )
        seen.add(path.stem)


def part_of_rooms(rooms: int) -> np.ndarray:
    """Which part each room is of (rooms,); a free field and its two rooms are of the same."""
    triple = np.arange(rooms) // SETTINGS
    return PART_OF_TEN[triple % len(PART_OF_TEN)]


def choose_head(rng: np.random.Generator, heads: list[Sofa]) -> Sofa:
    """One of some heads: a manikin for MANIKIN_SHARE of the draws, where there are people too."""
    manikins = [head for head in heads if head.name in MANIKIN_FILES]
    people = [head for head in heads if head.name not in MANIKIN_FILES]
    is_manikin = rng.random() < MANIKIN_SHARE if manikins and people else bool(manikins)
    choices = manikins if is_manikin else people
    return choices[rng.integers(len(choices))]


def room_name(head: Sofa, room: Room) -> str:
    """What the manifest calls a head in a room."""
    field = f"t60_{room.t60:.2f}-drr_{room.drr:.0f}" if room.t60 else "free"
    name = f"{head.name}-{room.scale:.3f}-{field}"
    return f"{name}-narrow" if room.narrow else name


def head_of(name: str) -> str:
    """The head of a name that `room_name` gives."""
    return re.sub(r"-\d\.\d{3}-(free|t60).*$", "", name)


def load_rooms(folder: Path | None, config: Database, fs: int) -> Heads:
    """Rooms made of heads that are turned to their midline; every third is the free field.

    No two parts share a head or a room.

    Parameters
    ----------
    folder : of SOFA files, or None for the package's people; the package's other heads join them
    config : its `rooms` says how many, its seed which
    fs : Hz

    Raises
    ------
    InputError
        For fewer heads than three besides KEMAR, and for a head of the package in the folder.
    """
    paths = [*OTHER_HEADS, *head_files(folder)]
    check_names(paths)
    heads = [turn_to_midline(read_sofa(path, fs)) for path in paths]
    part_of_head = parts_of_heads([head.name for head in heads], config)
    part_of_room = part_of_rooms(config.rooms)
    heads_of_part = [
        [head for head, its_part in zip(heads, part_of_head, strict=True) if its_part == part]
        for part in range(len(PARTS))
    ]
    early = np.zeros((config.rooms, AZIMUTHS, 2, round(EARLY_S * fs)), np.float32)
    tails = np.zeros((config.rooms, 2, fs), np.float32)
    names = []
    for number in track(range(config.rooms), "rooms", total=config.rooms):
        rng = np.random.default_rng((config.seed, ROOMS, number + 1))
        room = draw_room(rng, free=number % SETTINGS == 0)
        head = choose_head(rng, heads_of_part[part_of_room[number]])
        responses = room_responses(head, room, fs, rng)
        early[number] = responses.early
        tails[number] = responses.tail
        names.append(room_name(head, room))
    return Heads(tuple(names), early, np.zeros((config.rooms, AZIMUTHS)), tails, part_of_room)

"""Rooms made of measured heads: shoeboxes with walls of one absorption (Eyring 1930). Early reflections are
image sources (Allen & Berkley 1979), each through the response nearest to its direction. The tail is noise of
two ears in a diffuse field, as the head's own responses have it; it decays faster at high frequencies."""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.common.progress import track
from ssl_jax.config import AZIMUTH_STEP, AZIMUTHS, Database
from ssl_jax.sounds.hrtf import (
    OTHER_HEADS,
    Heads,
    head_files,
    scale_head,
    select_directions,
    turned_to_midline,
)
from ssl_jax.sounds.sofa import Sofa, read_sofa

SPEED = 343.0  # m/s
EARLY = 0.04  # s after the direct sound that image sources cover, and over which the tail fades in
ROOMS = 5  # what a generator is for, part of its seed
ORDER = 3  # walls that an image was mirrored at, at most
SETTINGS = 3  # one free field, then two rooms
# KEMAR, whom several files hold, by their names here and at their publisher
KEMAR_FILES = (
    "MIT_KEMAR_normal_pinna",
    "kemar_large",
    *("cipic_021", "cipic_165", "subject_021", "subject_165"),
)
BANDS = (1000.0, 4000.0), (1.0, 0.85, 0.6)  # Hz, edges; and T60 in them, of the room's
BAND_LIMIT = 6500.0, 8000.0  # Hz: where what a recorder of 16 kHz hears fades out


@dataclass(frozen=True)
class Room:
    """What is drawn for one room and its listener; t60 is 0 in the free field."""

    size: np.ndarray  # (3,) m: 3..10 x 3..8 x 2.4..4
    place: np.ndarray  # (3,) m, of the listener, at least 1 m from the walls
    facing: float  # degrees, of the listener, from the first axis
    distance: float  # m, of every source, at the listener's height
    t60: float  # s, 0.15 to 1
    drr: float  # dB, direct-to-reverberant ratio, -5 to 15
    scale: float  # of the head in frequency, 0.9 to 1.1
    narrow: bool  # heard at 16 kHz


def draw_room(rng: np.random.Generator, free: bool) -> Room:
    """A room at random, each quantity uniform in its bounds; a quarter is heard through a narrow band."""
    size = rng.uniform((3, 3, 2.4), (10, 8, 4))
    place = np.append(rng.uniform(1, size[:2] - 1), rng.uniform(1.1, 1.8))
    near = min(*place[:2], *(size - place)[:2])
    facing, distance = rng.uniform((0, 0.7), (360, near - 0.2))
    t60, drr, scale = rng.uniform((0.15, -5, 0.9), (1.0, 15, 1.1))
    return Room(
        size, place, facing, distance, 0.0 if free else t60, drr, scale, rng.random() < 0.25
    )


def image_sources(room: Room, azimuth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Images of sources at `azimuth` (n,), degrees from the listener's nose: positions from the listener
    (images, n, 3), m, first axis ahead, and amplitudes (images, n), the direct sound's being 1 and first."""
    size, place = room.size, room.place
    angle = np.radians(room.facing + azimuth)
    source = place + room.distance * np.stack(
        [np.cos(angle), np.sin(angle), 0 * angle], axis=-1
    )  # n, 3
    surface = 2 * (size[0] * size[1] + size[0] * size[2] + size[1] * size[2])
    kept = np.exp(
        -0.161 * size.prod() / (surface * room.t60) / 2
    )  # amplitude left by a wall (Eyring)
    positions, walls = [], []
    for cell in itertools.product(range(-ORDER, ORDER + 1), repeat=3):
        if (hits := sum(map(abs, cell))) <= ORDER:
            cell = np.array(cell)
            mirrored = np.where(cell % 2, size - source, source)
            positions.append(cell * size + mirrored - place)
            walls.append(hits)
    order = np.argsort(walls, kind="stable")
    positions = np.stack(positions)[order]
    amplitude = (
        kept ** np.array(walls)[order][:, None] * room.distance / np.linalg.norm(positions, axis=-1)
    )
    turn = np.radians(-room.facing)
    ahead = np.cos(turn) * positions[..., 0] - np.sin(turn) * positions[..., 1]
    left = np.sin(turn) * positions[..., 0] + np.cos(turn) * positions[..., 1]
    return np.stack([ahead, left, positions[..., 2]], axis=-1), amplitude


def early_reflections(head: Sofa, room: Room, azimuth: np.ndarray, taps: int) -> np.ndarray:
    """Responses (n, 2, taps) of all images but the direct sound, from which their time counts."""
    positions, amplitude = (part[1:] for part in image_sources(room, azimuth))
    far = np.linalg.norm(positions, axis=-1)
    delay = np.rint((far - room.distance) / SPEED * head.fs).astype(int)
    azimuths, elevations = np.radians(head.azimuth), np.radians(head.elevation)
    flat = np.cos(elevations)
    measured = np.stack(
        [flat * np.cos(azimuths), flat * np.sin(azimuths), np.sin(elevations)]
    )  # 3, M
    nearest = (positions / far[..., None] @ measured).argmax(-1)  # images, n
    length = head.hrirs.shape[-1]
    made = np.zeros((len(azimuth), 2, taps + length))
    for image, source in np.argwhere(delay < taps):
        at = delay[image, source]
        made[source, :, at : at + length] += (
            amplitude[image, source] * head.hrirs[nearest[image, source]]
        )
    return made[..., :taps]


def diffuse_tail(head: Sofa, room: Room, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Noise (2, samples) with the spectra and coherence of both ears that all directions give together."""
    nfft = 2 * head.hrirs.shape[-1]
    left, right = np.moveaxis(np.fft.rfft(head.hrirs, nfft), 1, 0)
    power_left, cross = np.mean(np.abs(left) ** 2, 0), np.mean(right * left.conj(), 0)
    rest = np.maximum(np.mean(np.abs(right) ** 2, 0) - np.abs(cross) ** 2 / power_left, 0)
    wanted, grid = (np.fft.rfftfreq(n, 1 / head.fs) for n in (samples, nfft))
    gains = np.sqrt(power_left), cross / np.sqrt(power_left), np.sqrt(rest)
    to_left, to_right, alone = (np.interp(wanted, grid, gain) for gain in gains)
    first, second = np.fft.rfft(rng.standard_normal((2, samples)))
    ears = np.stack([to_left * first, to_right * first + alone * second])
    seconds, tail = np.arange(samples) / head.fs, np.zeros((2, samples))
    band = np.searchsorted(BANDS[0], wanted)
    for k, factor in enumerate(BANDS[1]):
        tail += np.fft.irfft(ears * (band == k), samples) * 10 ** (
            -3 * seconds / (factor * room.t60)
        )
    return tail * np.minimum(seconds / EARLY, 1)


def responses(head: Sofa, room: Room, samples: int, rng) -> tuple[np.ndarray, np.ndarray]:
    """A room's responses from the 72 azimuths (72, 2, taps), and the tail that they share (2, samples)."""
    head = scale_head(head, room.scale)
    direct, azimuth = select_directions(head, "horizontal")[0], AZIMUTH_STEP * np.arange(AZIMUTHS)
    taps = round(EARLY * head.fs)
    made, tail = np.zeros((AZIMUTHS, 2, taps)), np.zeros((2, samples))
    used = min(taps, direct.shape[-1])
    made[..., :used] = direct[..., :used]
    if room.t60:
        early, tail = (
            early_reflections(head, room, azimuth, taps),
            diffuse_tail(head, room, samples, rng),
        )
        energy = (
            np.square(made).sum() / AZIMUTHS / 10 ** (room.drr / 10)
        )  # of all that is reflected
        late = 10 ** (-6 * EARLY / room.t60)  # share of an exponential decay that comes after EARLY
        made += early * np.sqrt((1 - late) * energy * AZIMUTHS / np.square(early).sum())
        tail *= np.sqrt(late * energy / np.square(tail).sum())
    if room.narrow:
        made, tail = (narrowed(part, head.fs) for part in (made, tail))
    return made, tail


def narrowed(sound: np.ndarray, fs: int) -> np.ndarray:
    """The same (..., samples) without what lies above BAND_LIMIT."""
    frequency, (low, high) = np.fft.rfftfreq(sound.shape[-1], 1 / fs), BAND_LIMIT
    open_by = np.clip((high - frequency) / (high - low), 0, 1)
    return np.fft.irfft(np.fft.rfft(sound) * np.sin(np.pi / 2 * open_by) ** 2, sound.shape[-1])


def parts_of_heads(names: list[str], config: Database) -> np.ndarray:
    """Which part each head is of (n,), see `parts.PARTS`. A head with several files trains."""
    others = [i for i, name in enumerate(names) if name not in KEMAR_FILES]
    if len(others) < 3:
        raise InputError(
            f"{len(others)} heads besides KEMAR cannot be kept apart: name a folder with at least 3"
        )
    order = np.random.default_rng((config.seed, ROOMS, 0)).permutation(others)
    evaluation = max(1, round(config.evaluation_share * len(names)))
    validation = max(1, round(config.validation_share * len(names)))
    part = np.zeros(len(names), int)
    part[order[:evaluation]] = 1
    part[order[evaluation : evaluation + validation]] = 2
    return part


def room_files(folder: Path | None) -> list[Path]:
    """The heads that rooms are made of: those of `head_files`, and the package's other heads."""
    return [*OTHER_HEADS, *head_files(folder)]


def load_rooms(folder: Path | None, config: Database, fs: int) -> Heads:
    """Rooms made of the heads of `room_files`, every third of them the free field.

    Heads are turned to their midline. No two parts share any of them.

    Parameters
    ----------
    folder : of SOFA files, or None for the package's people
    config : its `rooms` says how many, its seed which
    fs : Hz

    Raises
    ------
    InputError
        For fewer heads than three besides KEMAR.
    """
    heads = [turned_to_midline(read_sofa(path, fs)) for path in room_files(folder)]
    part_of_head = parts_of_heads([head.name for head in heads], config)
    heads_of_part = [np.flatnonzero(part_of_head == part) for part in range(3)]
    part = part_of_rooms(config.rooms)
    early = np.zeros((config.rooms, AZIMUTHS, 2, round(EARLY * fs)), np.float32)
    tails = np.zeros((config.rooms, 2, fs), np.float32)
    names = []
    for i in track(range(config.rooms), "rooms", total=config.rooms):
        rng = np.random.default_rng((config.seed, ROOMS, i + 1))
        room = draw_room(rng, free=i % SETTINGS == 0)
        head = heads[rng.choice(heads_of_part[part[i]])]
        early[i], tails[i] = responses(head, room, fs, rng)
        names.append(room_name(head, room))
    return Heads(tuple(names), early, np.zeros((config.rooms, AZIMUTHS)), tails, part)


def part_of_rooms(rooms: int) -> np.ndarray:
    """Which part each room is of (rooms,): in every ten, seven train, two evaluate, one validates.

    These shares hold whatever those of speech are, since rooms are few. The free field and the
    two rooms after it are of the same part.
    """
    part_of_ten = np.array([0, 0, 1, 0, 2, 0, 0, 1, 0, 0])
    triple = np.arange(rooms) // SETTINGS
    return part_of_ten[triple % len(part_of_ten)]


def room_name(head: Sofa, room: Room) -> str:
    """What the manifest calls a head in a room."""
    field = f"t60_{room.t60:.2f}-drr_{room.drr:.0f}" if room.t60 else "free"
    name = f"{head.name}-{room.scale:.3f}-{field}"
    return f"{name}-narrow" if room.narrow else name

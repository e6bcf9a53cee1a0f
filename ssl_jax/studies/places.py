"""Heads and rooms of SOFA files, and what ears hear there from their measured directions."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import jax
import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.common.progress import track
from ssl_jax.config import AZIMUTHS, Database, class_azimuths
from ssl_jax.database.program import Waveforms, block_size, render
from ssl_jax.database.recipes import Choices, Recipes, draw_recipes
from ssl_jax.experiments import PROTOCOLS
from ssl_jax.metrics import degrees_apart
from ssl_jax.sounds.hrtf import horizontal_ring, nearest_on_sphere
from ssl_jax.sounds.noises import Noises
from ssl_jax.sounds.sofa import ON_GRID, read_sofa

# dB, that the code of the published experiment states: it asks for the head, not for the noise
SNR = (PROTOCOLS["published-code"].snr_low, PROTOCOLS["published-code"].snr_high)

# of a place where sounds may come from anywhere around, or in front
FEWEST_DIRECTIONS = 24
# Seconds after the loudest sample: later than that, rooms answer and no head or torso does. And the
# share of the energy that comes so late, from which on a place is a room: -30 dB
LATE_S = 0.02
LATE_SHARE = 1e-3

_render = jax.jit(render)


@dataclass(frozen=True)
class Place:
    """Directions that sound comes from on one head, in the free field or in a room."""

    name: str
    hrirs: np.ndarray  # (n, 2, taps) float32, left ear first, at most a second long
    azimuth: np.ndarray  # (n,) degrees
    elevation: np.ndarray  # (n,) degrees
    fs: int  # Hz, of the responses

    @cached_property
    def is_room(self) -> bool:
        """Whether sounds are heard again after their direct sound."""
        power = np.square(self.hrirs, dtype=float)
        direct = power.argmax(axis=-1)[..., None]
        late = np.arange(power.shape[-1]) > direct + LATE_S * self.fs
        return bool(power[late].sum() > LATE_SHARE * power.sum())

    @property
    def directions(self) -> str:
        """How many there are, and how far they lie off the horizontal plane, in words."""
        off = np.abs(self.elevation).max()
        count = str(len(self.azimuth))
        return f"{count}, up to {off:.0f}° off the plane" if off > ON_GRID else count


@dataclass(frozen=True)
class EarBlock:
    """Mixtures that are rendered together."""

    ears: np.ndarray  # (block, 2, samples), left ear first
    truth: np.ndarray  # (block,) degrees
    is_new: np.ndarray  # (block,) of bool: the last block repeats its last mixture


def measured_place(path: Path, fs: int, ears: str = "", azimuths: str = "") -> Place:
    """Directions of a SOFA file on the horizontal plane, or nearest to it; nothing is interpolated.

    Of more than 72 directions the nearest to each class are taken. Responses end after a second:
    what comes later is added at the beginning, for sounds that repeat every second.

    Raises
    ------
    InputError
        As `read_sofa` does.
    """
    sofa = read_sofa(path, fs, ears=ears, azimuths=azimuths)
    classes = class_azimuths()
    try:
        chosen = horizontal_ring(sofa, classes)
    except InputError:  # the ring has gaps
        chosen = np.unique(nearest_on_sphere(sofa, classes))
    if len(chosen) > AZIMUTHS:
        apart = degrees_apart(sofa.azimuth[chosen], classes[:, None])
        chosen = chosen[np.unique(apart.argmin(axis=1))]
    hrirs = fold_seconds(sofa.hrirs[chosen], fs).astype(np.float32)
    return Place(path.stem, hrirs, sofa.azimuth[chosen], sofa.elevation[chosen], fs)


def fold_seconds(hrirs: np.ndarray, fs: int) -> np.ndarray:
    """Responses (n, 2, taps) of at most `fs` taps: what comes after a second falls on the next."""
    taps = hrirs.shape[-1]
    if taps <= fs:
        return hrirs
    padded = np.pad(hrirs, ((0, 0), (0, 0), (0, -taps % fs)))
    return padded.reshape(*hrirs.shape[:2], -1, fs).sum(axis=2)


def recipes_at(place: Place, clips: int, noises: Noises, snr: tuple[float, float] = SNR) -> Recipes:
    """Each sound from each direction, two noises of a kind from any; drawn with seed 0.

    Parameters
    ----------
    clips : how many sounds
    snr : dB, the range that each noise's is drawn from
    """
    config = Database(clips=clips, snr_low=snr[0], snr_high=snr[1])
    drawn = draw_recipes(config, Choices(heads=1, noise_files=noises.clip_counts))
    count = len(place.azimuth)
    numbers = np.arange(clips)[:, None] * AZIMUTHS + np.arange(count)
    recipes = drawn.rows(numbers.ravel())
    return replace(recipes, noise_azimuth=recipes.noise_azimuth % count)


def ears_at(
    place: Place, sounds: np.ndarray, noises: Noises, recipes: Recipes
) -> Iterator[EarBlock]:
    """What two ears hear of sounds (n, samples) at a place, block by block."""
    total = len(recipes.clip)
    block = block_size()
    no_tail = np.zeros((1, 2, sounds.shape[1]), np.float32)
    waveforms = jax.device_put(Waveforms(noises.waveforms, place.hrirs[None], no_tail))
    blocks = range(0, total, block)
    for first in track(blocks, place.name, total=len(blocks)):
        # one size is one compiled program: the last block repeats its last mixture
        numbers = np.arange(first, first + block)
        block_recipes = recipes.rows(np.minimum(numbers, total - 1))
        ears = np.asarray(_render(waveforms, sounds[block_recipes.clip], block_recipes))
        yield EarBlock(ears, place.azimuth[block_recipes.azimuth], numbers < total)

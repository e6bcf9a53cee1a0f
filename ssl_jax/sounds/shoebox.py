"""One room made of a measured head: a shoebox with walls of one absorption (Eyring 1930).

Early reflections are image sources (Allen & Berkley 1979), each through the head's response nearest
to its direction. The tail is noise of two ears in a diffuse field, as the head's own responses have
it; it decays faster at high frequencies.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from ssl_jax.config import AZIMUTHS, class_azimuths
from ssl_jax.sounds.hrtf import scale_head, select_directions
from ssl_jax.sounds.sofa import Sofa

SOUND_SPEED = 343.0  # m/s, at 20 degrees Celsius
EARLY_S = 0.04  # after the direct sound: image sources cover it, and the tail fades in over it
MOST_MIRRORS = 3  # walls that an image is mirrored at
EYRING = 0.161  # s/m: 24 ln(10) / speed of sound, of Sabine's and Eyring's formulas
BAND_EDGES_HZ = (1000.0, 4000.0)
BAND_DECAY = (1.0, 0.85, 0.6)  # T60 in each band, of the room's: air and walls absorb treble
NARROW_SHARE = 0.25  # of the rooms: recorders of 16 kHz are common
NARROW_FADE_HZ = (6500.0, 8000.0)  # where what such a recorder hears fades out

# bounds of what is drawn for a room
T60_S = (0.15, 1.0)
DRR_DB = (-5.0, 15.0)
HEAD_SCALE = (0.9, 1.1)  # in frequency


@dataclass(frozen=True)
class Room:
    """What is drawn for one room and its listener; t60 is 0 in the free field."""

    size: np.ndarray  # (3,) m: 3..10 x 3..8 x 2.4..4
    place: np.ndarray  # (3,) m, of the listener, at least 1 m from the walls
    facing: float  # degrees, of the listener, from the first axis
    distance: float  # m, of every source, at the listener's height
    t60: float  # s
    drr: float  # dB, direct-to-reverberant ratio
    scale: float  # of the head in frequency
    narrow: bool  # heard at 16 kHz


def draw_room(rng: np.random.Generator, *, free: bool) -> Room:
    """A room at random, each quantity uniform in its bounds; `free` makes it the free field."""
    size = rng.uniform((3, 3, 2.4), (10, 8, 4))
    place = np.append(rng.uniform(1, size[:2] - 1), rng.uniform(1.1, 1.8))
    nearest_wall = min(*place[:2], *(size - place)[:2])
    facing = rng.uniform(0, 360)
    distance = rng.uniform(0.7, nearest_wall - 0.2)
    t60 = rng.uniform(*T60_S)
    drr = rng.uniform(*DRR_DB)
    scale = rng.uniform(*HEAD_SCALE)
    return Room(
        size=size,
        place=place,
        facing=facing,
        distance=distance,
        t60=0.0 if free else t60,
        drr=drr,
        scale=scale,
        narrow=rng.random() < NARROW_SHARE,
    )


@dataclass(frozen=True)
class Images:
    """Image sources of n sources; the direct sound comes first."""

    positions: np.ndarray  # (images, n, 3) m from the listener: ahead, left, up
    amplitudes: np.ndarray  # (images, n), the direct sound's being 1


def image_sources(room: Room, azimuth: np.ndarray) -> Images:
    """Images, by up to MOST_MIRRORS walls, of sources at `azimuth` (n,), degrees from the nose."""
    angle = np.radians(room.facing + azimuth)
    ring = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=-1)  # n, 3
    source = room.place + room.distance * ring
    positions = []
    walls = []
    for cell in itertools.product(range(-MOST_MIRRORS, MOST_MIRRORS + 1), repeat=3):
        mirrors = sum(map(abs, cell))
        if mirrors <= MOST_MIRRORS:
            cell = np.array(cell)
            # an odd number of mirrors along an axis reverses it
            mirrored = np.where(cell % 2, room.size - source, source)
            positions.append(cell * room.size + mirrored - room.place)
            walls.append(mirrors)
    order = np.argsort(walls, kind="stable")
    positions = np.stack(positions)[order]  # images, n, 3
    reflected = wall_amplitude(room) ** np.array(walls)[order][:, None]
    amplitudes = reflected * room.distance / np.linalg.norm(positions, axis=-1)
    return Images(turn(positions, -room.facing), amplitudes)


def wall_amplitude(room: Room) -> float:
    """The share of amplitude that a wall reflects, by Eyring's formula."""
    length, width, height = room.size
    surface = 2 * (length * width + length * height + width * height)
    return np.exp(-EYRING * room.size.prod() / (surface * room.t60) / 2)


def turn(positions: np.ndarray, degrees: float) -> np.ndarray:
    """Positions (..., 3) turned counter-clockwise about the vertical axis."""
    angle = np.radians(degrees)
    x = np.cos(angle) * positions[..., 0] - np.sin(angle) * positions[..., 1]
    y = np.sin(angle) * positions[..., 0] + np.cos(angle) * positions[..., 1]
    return np.stack([x, y, positions[..., 2]], axis=-1)


def early_reflections(head: Sofa, room: Room, azimuth: np.ndarray, taps: int) -> np.ndarray:
    """Responses (n, 2, taps) of all images but the direct sound, from which their time counts."""
    images = image_sources(room, azimuth)
    positions = images.positions[1:]
    amplitudes = images.amplitudes[1:]
    distance = np.linalg.norm(positions, axis=-1)
    delay = np.rint((distance - room.distance) / SOUND_SPEED * head.fs).astype(int)  # samples
    measured = unit_vectors(head.azimuth, head.elevation)  # 3, M
    nearest = (positions / distance[..., None] @ measured).argmax(-1)  # images, n
    length = head.hrirs.shape[-1]
    reflections = np.zeros((len(azimuth), 2, taps + length))
    for image, source in np.argwhere(delay < taps):
        at = delay[image, source]
        response = head.hrirs[nearest[image, source]]
        reflections[source, :, at : at + length] += amplitudes[image, source] * response
    return reflections[..., :taps]


def unit_vectors(azimuth: np.ndarray, elevation: np.ndarray) -> np.ndarray:
    """Directions (3, M): ahead, left, up, of azimuths and elevations (M,) in degrees."""
    azimuth = np.radians(azimuth)
    elevation = np.radians(elevation)
    flat = np.cos(elevation)
    return np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)])


def diffuse_noise(head: Sofa, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Spectra (2, samples/2+1) of noise as the ears have it when it comes from all directions.

    Their power spectra and their coherence are those of all measured directions together.
    """
    nfft = 2 * head.hrirs.shape[-1]
    left, right = np.moveaxis(np.fft.rfft(head.hrirs, nfft), 1, 0)  # M, nfft/2+1
    left_power = np.mean(np.abs(left) ** 2, 0)
    cross = np.mean(right * left.conj(), 0)
    # the right ear's power that the left ear does not share
    own_power = np.maximum(np.mean(np.abs(right) ** 2, 0) - np.abs(cross) ** 2 / left_power, 0)
    grid = np.fft.rfftfreq(nfft, 1 / head.fs)
    frequency = np.fft.rfftfreq(samples, 1 / head.fs)
    to_left = np.interp(frequency, grid, np.sqrt(left_power))
    to_right = np.interp(frequency, grid, cross / np.sqrt(left_power))
    own_to_right = np.interp(frequency, grid, np.sqrt(own_power))
    shared_noise, own_noise = np.fft.rfft(rng.standard_normal((2, samples)))
    return np.stack([to_left * shared_noise, to_right * shared_noise + own_to_right * own_noise])


def diffuse_tail(head: Sofa, room: Room, samples: int, rng: np.random.Generator) -> np.ndarray:
    """The room's tail (2, samples): diffuse noise that decays, and fades in over EARLY_S."""
    noise = diffuse_noise(head, samples, rng)
    band = np.searchsorted(BAND_EDGES_HZ, np.fft.rfftfreq(samples, 1 / head.fs))
    seconds = np.arange(samples) / head.fs
    tail = np.zeros((2, samples))
    for number, share in enumerate(BAND_DECAY):
        decay = 10 ** (-3 * seconds / (share * room.t60))  # 60 dB of power in T60
        tail += np.fft.irfft(noise * (band == number), samples) * decay
    return tail * np.minimum(seconds / EARLY_S, 1)


@dataclass(frozen=True)
class RoomResponses:
    """What a head hears in a room."""

    early: np.ndarray  # (72, 2, taps): direct sound and early reflections from the 72 azimuths
    tail: np.ndarray  # (2, samples), which all azimuths share


def room_responses(head: Sofa, room: Room, samples: int, rng: np.random.Generator) -> RoomResponses:
    """A head's responses in a room, with a tail of `samples`; in the free field where T60 is 0."""
    head = scale_head(head, room.scale)
    direct, _ = select_directions(head, "horizontal")  # 72, 2, taps of the head
    taps = round(EARLY_S * head.fs)
    early = np.zeros((AZIMUTHS, 2, taps))
    used = min(taps, direct.shape[-1])
    early[..., :used] = direct[..., :used]
    tail = np.zeros((2, samples))
    if room.t60:
        reflections = early_reflections(head, room, class_azimuths(), taps)
        tail = diffuse_tail(head, room, samples, rng)
        # of all that is reflected, on average over azimuths
        energy = np.square(early).sum() / AZIMUTHS / 10 ** (room.drr / 10)
        # of an exponential decay, what follows EARLY_S
        late_share = 10 ** (-6 * EARLY_S / room.t60)
        early_energy = (1 - late_share) * energy * AZIMUTHS
        early += reflections * np.sqrt(early_energy / np.square(reflections).sum())
        tail *= np.sqrt(late_share * energy / np.square(tail).sum())
    if room.narrow:
        early = fade_out_treble(early, head.fs)
        tail = fade_out_treble(tail, head.fs)
    return RoomResponses(early, tail)


def fade_out_treble(sound: np.ndarray, fs: int) -> np.ndarray:
    """A sound (..., samples) that fades out over frequencies NARROW_FADE_HZ."""
    low, high = NARROW_FADE_HZ
    frequency = np.fft.rfftfreq(sound.shape[-1], 1 / fs)
    passed = np.clip((high - frequency) / (high - low), 0, 1)
    return np.fft.irfft(np.fft.rfft(sound) * np.sin(np.pi / 2 * passed) ** 2, sound.shape[-1])

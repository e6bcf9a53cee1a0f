"""A scene of one's own: a sound from an azimuth or along a trajectory, noises beside it, to two ears."""

from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike
from scipy import signal as sps

from ssl_jax.common.errors import InputError
from ssl_jax.common.progress import track
from ssl_jax.config import FrontEnd
from ssl_jax.sounds.hrtf import KEMAR, select_directions
from ssl_jax.sounds.mixing import carry_around, mix, spatialise
from ssl_jax.sounds.reading import check_rate, read_sound, write_wav
from ssl_jax.sounds.sofa import Sofa, read_sofa

STEP = 1.0  # degrees between the responses of a trajectory: crossfading them shifts no notch into hearing
MAX_SECONDS, MAX_TURN = (
    600,
    100 * 360,
)  # of a scene, which is all in memory; degrees of a trajectory


class Scene(NamedTuple):
    ears: np.ndarray  # (samples, 2) float32, left ear first, peak 1
    fs: int  # Hz
    azimuths: np.ndarray  # (samples,) degrees, of the source; may run past 360
    notes: tuple[str, ...]  # what was done otherwise than asked, a line each


def directions(head: Sofa, azimuths) -> tuple[np.ndarray, tuple[str, ...]]:
    """Responses (n, 2, taps) for azimuths (n,) in degrees: horizontal, or nearest, and notes."""
    try:
        hrirs, _ = select_directions(head, "horizontal", azimuths)
    except InputError as error:
        hrirs, elevations = select_directions(head, "nearest", azimuths)
        lacking = str(error).rsplit(":", 1)[0]
        low, high = elevations.min(), elevations.max()
        used = f"nearest directions used, at elevations {low:.0f} to {high:.0f} degrees"
        return hrirs.astype(np.float32), (f"{lacking}: {used}",)
    return hrirs.astype(np.float32), ()


def read_mono(path: Path, fs: int, seconds: float | None = None, start: float = 0.0) -> np.ndarray:
    """A sound file as one channel (samples,) at rate `fs`: `seconds` of it from `start` on; ears averaged."""
    _, rate = read_sound(path, 0, 0)
    check_rate(path, rate)
    frames = round(
        min(seconds or np.inf, MAX_SECONDS + 1) * rate
    )  # one second shows that it is too long
    sound = read_sound(path, round(start * rate), frames)[0].mean(axis=1)
    if len(sound) > MAX_SECONDS * rate:
        raise InputError(f"{path}: longer than {MAX_SECONDS} s: use --seconds for a part of it")
    if not sound.any():
        raise InputError(f"{path}: nothing sounds at {start:g} s or after: use another part of it")
    return sps.resample_poly(sound, fs, rate).astype(np.float32)


def render_scene(source: ArrayLike, fs: int, azimuths: ArrayLike, noises: list | tuple = (),
                 noise_azimuths: list | tuple = (), snr: float = 20.0,
                 head: Sofa | None = None) -> Scene:  # fmt: skip
    """What two ears hear of a source and of noises beside it. Raises InputError where a number is out of
    range, or not every noise has an azimuth.

    Parameters
    ----------
    source : (samples,)
    fs : int, Hz
    azimuths : float or list, degrees, 90 = left; several are passed at equal times, straight on
    noises, noise_azimuths : lists of (any,), repeated to the length of the source, and of degrees
    snr : float, dB, of each noise by itself
    head : Sofa, optional, by default the embedded KEMAR
    """
    source, corners = np.asarray(source, np.float32), np.asarray(azimuths, float).ravel()
    if len(noises) != len(noise_azimuths):
        raise InputError(
            f"{len(noises)} noises and {len(noise_azimuths)} azimuths: give one for each"
        )
    if not (
        len(corners) and np.isfinite(corners).all() and np.abs(np.diff(corners)).sum() <= MAX_TURN
    ):
        raise InputError(
            f"azimuths {azimuths!r}: use numbers of degrees, at most {MAX_TURN} in all"
        )
    if not -100 <= snr <= 100:
        raise InputError(f"SNR {snr:g}: out of range: use -100 to 100 dB")
    head = read_sofa(KEMAR, fs) if head is None else head
    last, numbers = len(corners) - 1, np.arange(len(corners))
    path = np.interp(np.linspace(0, last, len(source)), numbers, corners)
    if last == 0 or len(source) < 2:
        responses, notes = directions(head, corners[:1] % 360)
        ears = spatialise(source, responses[0])
    else:  # equal times between positions, at most STEP degrees apart
        each = max(1, int(np.ceil(np.abs(np.diff(corners)).max() / STEP)))
        positions = np.interp(np.arange(last * each + 1) / each, numbers, corners)
        responses, notes = directions(head, positions % 360)
        ears = carry_around(source, responses)
    beside = jnp.zeros(
        (1, 2, len(source))
    )  # without noises a silent one leaves the source as it is
    if len(noises):
        responses, more = directions(head, np.asarray(noise_azimuths, float) % 360)
        beside = spatialise(
            np.stack([np.resize(noise, len(source)) for noise in noises]), responses
        )
        notes += tuple(note for note in more if note not in notes)
    mixture = mix(jnp.asarray(ears), beside, jnp.full(len(beside), float(snr)))
    return Scene(np.asarray(mixture).T, fs, path, notes)


def render_file(
    speech,
    azimuths,
    noises=(),
    noise_azimuths=(),
    snr=20.0,
    hrtf=None,
    seconds=None,
    start=0.0,
    sides=None,
):
    """`render_scene` of files; `sides` go to `read_sofa`; of the speech `seconds` from second `start` on."""
    if seconds is not None and not 0.01 <= seconds <= MAX_SECONDS:
        raise InputError(f"{seconds:g} seconds: out of range: use 0.01 to {MAX_SECONDS}")
    if not 0 <= start < np.inf:
        raise InputError(f"start {start:g}: out of range: use 0 seconds or more")
    fs = FrontEnd.fs
    source = read_mono(speech, fs, seconds, start)
    beside = [
        read_mono(path, fs, len(source) / fs) for path in track(noises, "noises", total=len(noises))
    ]
    head = read_sofa(hrtf or KEMAR, fs, **(sides or {}))
    return render_scene(source, fs, azimuths, beside, noise_azimuths, snr, head)


def write_scene(scene: Scene, path: Path, bits: int = 16) -> None:
    """Write a scene as stereo WAV of 16 or 24 bits, left ear first, whole or not at all."""
    if bits not in (16, 24):
        raise InputError(f"{bits} bits: not supported: use 16 or 24")
    whole = np.round(scene.ears.astype(np.float64) * (2 ** (bits - 1) - 1)).astype(np.int32)
    write_wav(
        path, whole.astype(np.int16) if bits == 16 else whole << 8, scene.fs, bits
    )  # upper 24 of 32


def parse_trajectory(text: str) -> list[float]:
    """Azimuths with colons between, such as 0:360 or 0:90:45; raises InputError for anything else."""
    try:
        azimuths = [float(part) for part in text.split(":")]
    except ValueError:
        azimuths = []
    if len(azimuths) < 2 or not np.isfinite(azimuths).all():
        raise InputError(
            f"trajectory {text!r}: not azimuths: use degrees with colons between, such as 0:360"
        )
    return azimuths

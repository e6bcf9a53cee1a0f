"""A scene of one's own: a sound from an azimuth or along a trajectory, and noises, to two ears."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike
from scipy import signal as sps

from ssl_jax.common.angles import circle_degrees
from ssl_jax.common.errors import InputError
from ssl_jax.common.progress import track
from ssl_jax.config import MAX_SNR_DB, FrontEnd
from ssl_jax.frontend.sound_checks import LARGEST
from ssl_jax.metrics import degrees_apart
from ssl_jax.recordings.signals import plain_array
from ssl_jax.recordings.trajectories import trajectory_azimuths
from ssl_jax.sounds.hrtf import KEMAR, MAX_NEIGHBOUR, nearest_on_sphere, select_directions
from ssl_jax.sounds.mixing import carry_around, mix, spatialise
from ssl_jax.sounds.reading import check_rate, read_sound, sound_info, write_sound
from ssl_jax.sounds.sofa import Sofa, read_sofa

MAX_SECONDS = 600  # of a scene, which is all in memory
MAX_TURN_DEGREES = 100 * 360  # of a trajectory
# by the ending of a file's name; a name without one is a WAV too
SCENE_KINDS = {".wav": "WAV", "": "WAV", ".flac": "FLAC"}
BITS = (16, 24)


class Scene(NamedTuple):
    """What two ears hear."""

    ears: np.ndarray  # (samples, 2) float32, left ear first, peak 1
    fs: int  # Hz
    azimuths: np.ndarray  # (samples,) degrees, of the source; may run past 360
    notes: tuple[str, ...]  # what was done otherwise than asked, a line each


@dataclass(frozen=True)
class RenderOptions:
    """A scene of sound files."""

    speech: Path
    azimuths: Sequence[float]  # degrees; several are passed at equal times
    noises: Sequence[Path] = ()
    noise_azimuths: Sequence[float] = ()  # degrees, one for each noise
    snr: float = 20.0  # dB, of each noise by itself
    head: Path = KEMAR  # a SOFA file
    # how to read the head: see `read_sofa`
    head_ears: str = ""
    head_azimuths: str = ""
    seconds: float | None = None  # of the speech; None is all of it
    start_s: float = 0.0  # so much of the speech is left out


def nearby_responses(head: Sofa, azimuths: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Responses (n, 2, taps) of a head for azimuths (n,), degrees, and notes.

    Those of the horizontal plane. Where it has gaps, those of the nearest directions, and a note.
    InputError where these have other azimuths.
    """
    try:
        responses, _ = select_directions(head, "horizontal", azimuths)
        return responses.astype(np.float32), ()
    except InputError as error:
        fault = str(error).rsplit(":", 1)[0]
        chosen = nearest_on_sphere(head, azimuths)
        beside = degrees_apart(head.azimuth[chosen], azimuths).max()
        # another azimuth than asked for would be heard
        if beside > MAX_NEIGHBOUR:
            raise InputError(f"{fault}, nor above or below: use another head or azimuth") from None
        low, high = head.elevation[chosen].min(), head.elevation[chosen].max()
        note = (
            f"{fault}: nearest directions used, at elevations {low:.0f} to {high:.0f} degrees, up "
            f"to {beside:.0f} degrees beside the azimuth"
        )
        return head.hrirs[chosen].astype(np.float32), (note,)


def read_source(
    path: Path, fs: int, seconds: float | None = None, start_s: float = 0.0
) -> np.ndarray:
    """A sound file, or `seconds` of it from `start_s` on, as one channel at rate `fs` (Hz).

    Returns
    -------
    (samples,) float32, the mean of the channels

    Raises
    ------
    InputError
        For a file that `read_sound` refuses, is silent there or longer than MAX_SECONDS.
    """
    rate = sound_info(path).fs
    check_rate(path, rate)
    # one second more than allowed shows that it is too long
    wanted_s = MAX_SECONDS + 1 if seconds is None else min(seconds, MAX_SECONDS + 1)
    channels, _ = read_sound(path, round(start_s * rate), round(wanted_s * rate))
    sound = channels.mean(axis=1)
    if len(sound) > MAX_SECONDS * rate:
        raise InputError(f"{path}: longer than {MAX_SECONDS} s: use --seconds for a part of it")
    if not sound.any():
        raise InputError(
            f"{path}: nothing sounds at {start_s:g} s or after: use another part of it"
        )
    return sps.resample_poly(sound, fs, rate).astype(np.float32)


def render_scene(
    source: ArrayLike,
    fs: int,
    azimuths: ArrayLike,
    noises: list | tuple = (),
    noise_azimuths: list | tuple = (),
    snr: float = 20.0,
    head: Sofa | None = None,
) -> Scene:
    """What two ears hear of a source and of noises beside it.

    Parameters
    ----------
    source : array_like
        (samples,), of any level.
    fs : int
        Hz, of source and noises.
    azimuths : float or list of float
        Degrees, 90 = left. Several are passed at equal times, straight on.
    noises : list of array_like
        (any,) each, repeated to the length of the source.
    noise_azimuths : list of float
        Degrees, one for each noise.
    snr : float
        dB, of each noise by itself.
    head : Sofa, optional
        By default the KEMAR of the package; `read_sofa(path, fs)` reads another.

    Returns
    -------
    Scene

    Raises
    ------
    InputError
        Where a number is out of range, or not every noise has an azimuth; where a sound is not
        one channel of finite numbers, or the head has another rate.
    """
    check_rate("source", fs)
    source = _as_channel("source", source)
    noises = [_as_channel(f"noise {number}", noise) for number, noise in enumerate(noises)]
    corners = np.asarray(azimuths, float).ravel()
    noise_azimuths = np.atleast_1d(noise_azimuths)
    _check_scene(corners, azimuths, len(noises), noise_azimuths, snr)
    if head is None:
        head = read_sofa(KEMAR, fs)
    _check_head(head, fs)
    last = len(corners) - 1
    trajectory = np.interp(np.linspace(0, last, len(source)), np.arange(len(corners)), corners)
    is_still = last == 0 or len(source) < 2
    if is_still:
        responses, notes = nearby_responses(head, circle_degrees(corners[:1]))
        ears = spatialise(source, responses[0])
    else:
        # each once, however often it is passed
        passed, numbers = np.unique(trajectory_azimuths(corners), return_inverse=True)
        responses, notes = nearby_responses(head, passed)
        ears = carry_around(source, responses, numbers)
    # without noises a silent one leaves the source as it is
    noise_ears = jnp.zeros((1, 2, len(source)))
    if len(noises):
        responses, noise_notes = nearby_responses(head, circle_degrees(noise_azimuths))
        repeated = np.stack([np.resize(noise, len(source)) for noise in noises])
        noise_ears = spatialise(repeated, responses)  # noises, 2, samples
        notes += tuple(note for note in noise_notes if note not in notes)
    mixture = mix(jnp.asarray(ears), noise_ears, jnp.full(len(noise_ears), float(snr)))
    return Scene(np.asarray(mixture).T, fs, trajectory, notes)


def _as_channel(name: str, sound: ArrayLike) -> np.ndarray:
    """A sound (samples,) in float32; InputError for anything else."""
    array = plain_array(name, sound)
    if array.ndim != 1 or array.size == 0:
        raise InputError(
            f"{name}: has shape {array.shape}: use one channel with samples, (samples,)"
        )
    if array.dtype.kind not in "if":
        raise InputError(f"{name}: holds {array.dtype}: use real numbers with a sign")
    if not np.isfinite(array).all():
        raise InputError(f"{name}: holds NaN or infinity: numpy.nan_to_num(sound) replaces them")
    if (np.abs(array) > LARGEST).any():
        raise InputError(f"{name}: holds values over {LARGEST:g}: divide it by its full scale")
    return array.astype(np.float32)


def _check_head(head: Sofa, fs: float) -> None:
    if not isinstance(head, Sofa):
        raise InputError(f"head {head!r}: not a head: use read_sofa(path, fs)")
    if head.fs != fs:
        raise InputError(
            f"head {head.name}: its rate is {head.fs} Hz, not {fs} Hz: use read_sofa(path, {fs})"
        )


def _check_scene(
    corners: np.ndarray, azimuths: ArrayLike, noises: int, noise_azimuths: np.ndarray, snr: float
) -> None:
    """Raise InputError where `render_scene` does.

    Parameters
    ----------
    corners : (n,), the azimuths as floats
    azimuths : as they came, for the message
    noises : how many
    noise_azimuths : (noises,) degrees
    snr : dB
    """
    count = len(noise_azimuths)
    if noises != count:
        raise InputError(f"{noises} noises and {count} azimuths: give each one: --noise-azimuth")
    if not np.isfinite(noise_azimuths).all():
        raise InputError(f"noise azimuths {noise_azimuths.tolist()}: use numbers of degrees")
    is_usable = len(corners) > 0 and np.isfinite(corners).all()
    if not (is_usable and np.abs(np.diff(corners)).sum() <= MAX_TURN_DEGREES):
        raise InputError(
            f"azimuths {azimuths!r}: use numbers of degrees, at most {MAX_TURN_DEGREES} in all"
        )
    if not -MAX_SNR_DB <= snr <= MAX_SNR_DB:
        raise InputError(f"SNR {snr:g}: out of range: use -{MAX_SNR_DB} to {MAX_SNR_DB} dB")


def render_file(options: RenderOptions) -> Scene:
    """`render_scene` of sound files.

    Raises
    ------
    InputError
        Where a number is out of range, or a file cannot be used.
    """
    seconds = options.seconds
    if seconds is not None and not 0.01 <= seconds <= MAX_SECONDS:
        raise InputError(f"{seconds:g} seconds: out of range: use 0.01 to {MAX_SECONDS}")
    if not 0 <= options.start_s < np.inf:
        raise InputError(f"start {options.start_s:g}: out of range: use 0 seconds or more")
    fs = FrontEnd.fs
    source = read_source(options.speech, fs, seconds, options.start_s)
    paths = track(options.noises, "noises", total=len(options.noises))
    noises = [read_source(path, fs, len(source) / fs) for path in paths]
    head = read_sofa(options.head, fs, ears=options.head_ears, azimuths=options.head_azimuths)
    return render_scene(
        source,
        fs,
        list(options.azimuths),
        noises,
        list(options.noise_azimuths),
        options.snr,
        head,
    )


def scene_kind(path: Path) -> str:
    """The format that a file's name asks for; raises InputError for another than WAV and FLAC."""
    kind = SCENE_KINDS.get(Path(path).suffix.lower())
    if kind is None:
        raise InputError(f"{path}: not a name for a scene: use one that ends in .wav or .flac")
    return kind


def write_scene(scene: Scene, path: Path, bits: int = 16) -> None:
    """Write a scene of 16 or 24 bits, left ear first, whole or not at all.

    Raises InputError for other bits, and where `scene_kind` does.
    """
    if bits not in BITS:
        raise InputError(f"{bits} bits: not supported: use 16 or 24")
    kind = scene_kind(path)
    samples = np.round(scene.ears.astype(np.float64) * (2 ** (bits - 1) - 1)).astype(np.int32)
    if bits == 16:
        samples = samples.astype(np.int16)
    else:
        # soundfile wants the upper 24 bits of 32
        samples = samples << 8
    write_sound(path, samples, scene.fs, bits, kind)

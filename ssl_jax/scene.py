"""A scene of one's own: a sound from an azimuth or along a trajectory, noises beside it, to two ears."""

import io
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import soundfile
from scipy import signal as sps

from .config import FrontEnd
from .corpora import RATES
from .database import mix, spatialise
from .files import InputError, atomic_write, read_sound
from .hrtf import select_directions
from .progress import track
from .sofa import Sofa, read_sofa

STEP = 1.0  # degrees between the responses of a trajectory: crossfading them shifts no notch into hearing
BATCH = 32  # positions rendered at a time
MAX_SECONDS = 600  # of a scene: all of it is in memory
MAX_TURN = 100 * 360  # degrees, of a trajectory
KEMAR = Path(str(resources.files("ssl_jax") / "data/hrtf/MIT_KEMAR_normal_pinna.sofa"))


class Scene(NamedTuple):
    """What two ears hear."""

    ears: np.ndarray  # (samples, 2) float32, left ear first, peak 1
    fs: int  # Hz
    azimuths: np.ndarray  # (samples,) degrees, of the source; may run past 360
    notes: tuple[str, ...]  # what was done otherwise than asked, a line each


def carry_around(source, hrirs):
    """A source that passes the directions of `hrirs` at equal times, linearly crossfaded.

    Parameters
    ----------
    source : (samples,)
    hrirs : (positions, 2, taps)
        At least two; the first is reached at the first sample, the last at the last.

    Returns
    -------
    ears : (2, samples)

    Notes
    -----
    Every response renders the source under a triangle that reaches to its neighbours; the triangles
    add up to 1, so that nothing jumps.
    """
    source, hrirs = np.asarray(source), np.asarray(hrirs)
    samples, (positions, _, taps) = len(source), hrirs.shape
    apart = (samples - 1) / (positions - 1)  # samples between positions
    first = np.ceil((np.arange(positions) - 1) * apart).astype(int)  # samples of the triangles
    length, early = int(2 * apart) + 2, -first[0]  # the first triangle reaches before the sound
    padded = np.pad(source, (early, length))
    ears = np.zeros((2, early + samples + length + taps), source.dtype)
    for at in range(0, positions, BATCH):
        rows = np.arange(at, min(at + BATCH, positions))
        number = first[rows][:, None] + np.arange(length)
        weight = np.maximum(0, 1 - np.abs(number / apart - rows[:, None])).astype(source.dtype)
        stretches = np.zeros((BATCH, length + taps - 1), source.dtype)  # one shape: one compiled program
        stretches[: len(rows), :length] = weight * padded[number + early]
        responses = np.zeros((BATCH, 2, taps), hrirs.dtype)
        responses[: len(rows)] = hrirs[rows]
        parts = np.asarray(spatialise(stretches, responses))[: len(rows)]
        for start, part in zip(first[rows] + early, parts, strict=True):
            ears[:, start : start + part.shape[1]] += part
    return ears[:, early : early + samples]


def directions(head: Sofa, azimuths) -> tuple[np.ndarray, tuple[str, ...]]:
    """Responses (n, 2, taps) for azimuths (n,) in degrees, and a note where they could not be had.

    On the horizontal plane, interpolated between measured neighbours; from the direction of nearest
    azimuth, whatever its elevation, for a head that was not measured there.
    """
    try:
        return select_directions(head, "horizontal", azimuths)[0].astype(np.float32), ()
    except InputError as error:
        hrirs, elevations = select_directions(head, "nearest_azimuth", azimuths)
        note = (f"{str(error).rsplit(':', 1)[0]}: the directions of nearest azimuth stand in, at elevations "
                f"{elevations.min():.0f} to {elevations.max():.0f} degrees")
        return hrirs.astype(np.float32), (note,)


def read_mono(path: Path, fs: int, seconds: float | None = None, start: float = 0.0) -> np.ndarray:
    """A sound file as one channel (samples,) at rate `fs`: `seconds` of it from `start` on; ears averaged."""
    _, rate = read_sound(path, 0, 0)
    if not RATES[0] <= rate <= RATES[1]:
        raise InputError(f"{path}: its rate is {rate} Hz, outside {RATES[0]}..{RATES[1]}: export it again")
    # a file that is too long is found out here, one sample past the limit
    frames = round(min(seconds or np.inf, MAX_SECONDS + 1) * rate)
    sound = read_sound(path, round(start * rate), frames)[0].mean(axis=1)
    if len(sound) > MAX_SECONDS * rate:
        raise InputError(f"{path}: longer than {MAX_SECONDS} s: use --seconds for a part of it")
    if not sound.any():
        raise InputError(f"{path}: nothing sounds at {start:g} s or after: use another part of it")
    divisor = np.gcd(rate, fs)
    return sps.resample_poly(sound, fs // divisor, rate // divisor).astype(np.float32)


def render_scene(source, fs: int, azimuths, noises=(), noise_azimuths=(), snr: float = 20.0,
                 head: Sofa | None = None) -> Scene:
    """A source, still or moving, and noises, as two ears hear them.

    Parameters
    ----------
    source : (samples,)
    fs : int, Hz
    azimuths : sequence of float, degrees, counter-clockwise, 90 = left
        One: the source stands there. More: it passes them at equal times, straight from one to the
        next; 0, 360 is once around.
    noises : sequence of (samples,) arrays
        Repeated as needed to the source's length.
    noise_azimuths : sequence of float, degrees
        One for each noise.
    snr : float, dB
        Of each noise by itself; see `database.mix`.
    head : Sofa, optional
        The embedded KEMAR at rate `fs` unless given.

    Returns
    -------
    Scene

    Raises
    ------
    InputError
        Numbers of noises and azimuths differ, or an azimuth or the SNR makes no sense.
    """
    corners = np.asarray(azimuths, float).ravel()
    source = np.asarray(source, np.float32)
    if len(noises) != len(noise_azimuths):
        raise InputError(f"{len(noises)} noises and {len(noise_azimuths)} azimuths for them: give one for each")
    if not (len(corners) and np.isfinite(corners).all() and np.abs(np.diff(corners)).sum() <= MAX_TURN):
        raise InputError(f"azimuths {azimuths}: use numbers of degrees, at most {MAX_TURN} in all")
    if not -100 <= snr <= 100:
        raise InputError(f"SNR {snr:g}: out of range: use -100 to 100 dB")
    head = read_sofa(KEMAR, fs) if head is None else head
    time = np.linspace(0, len(corners) - 1, len(source))
    path = np.interp(time, np.arange(len(corners)), corners)
    if len(corners) == 1 or len(source) < 2:
        responses, notes = directions(head, corners[:1] % 360)
        ears = spatialise(source, responses[0])
    else:
        # equal times between positions, at most STEP degrees apart
        each = max(1, int(np.ceil(np.abs(np.diff(corners)).max() / STEP)))
        positions = np.interp(np.arange((len(corners) - 1) * each + 1) / each, np.arange(len(corners)), corners)
        responses, notes = directions(head, positions % 360)
        ears = carry_around(source, responses)
    beside = jnp.zeros((1, 2, len(source)))  # without noises a silent one leaves the source as it is
    if len(noises):
        responses, more = directions(head, np.asarray(noise_azimuths, float) % 360)
        beside = spatialise(np.stack([np.resize(noise, len(source)) for noise in noises]), responses)
        notes += tuple(note for note in more if note not in notes)
    mixture = mix(jnp.asarray(ears), beside, jnp.full(len(beside), float(snr)))
    return Scene(np.asarray(mixture).T, fs, path, notes)


def render_file(speech: Path, azimuths, noises=(), noise_azimuths=(), snr: float = 20.0, hrtf: Path | None = None,
                seconds: float | None = None, start: float = 0.0, fs: int = FrontEnd.fs) -> Scene:
    """`render_scene` of sound files, of any rate, and a SOFA file; channels are averaged into one.

    `seconds` of the speech from second `start` on are used, all of it unless given; a noise file is
    used from its beginning.
    """
    if seconds is not None and not 0.01 <= seconds <= MAX_SECONDS:
        raise InputError(f"{seconds:g} seconds: out of range: use 0.01 to {MAX_SECONDS}")
    if not 0 <= start < np.inf:
        raise InputError(f"start {start:g}: out of range: use seconds from the beginning of the sound, 0 or more")
    source = read_mono(speech, fs, seconds, start)
    beside = [read_mono(path, fs, len(source) / fs) for path in track(noises, "noises", total=len(noises))]
    head = None if hrtf is None else read_sofa(hrtf, fs)
    return render_scene(source, fs, azimuths, beside, noise_azimuths, snr, head)


def write_scene(scene: Scene, path: Path, bits: int = 16) -> None:
    """Write a scene as stereo WAV of 16 or 24 bits, left ear first, whole or not at all."""
    if bits not in (16, 24):
        raise InputError(f"{bits} bits: not supported: use 16 or 24")
    whole = np.round(scene.ears.astype(np.float64) * (2 ** (bits - 1) - 1)).astype(np.int32)
    whole = whole.astype(np.int16) if bits == 16 else whole << 8  # 24 bits are the upper ones of 32
    wav = io.BytesIO()  # soundfile cannot report a full disk; our own writing does
    soundfile.write(wav, whole, scene.fs, f"PCM_{bits}", format="WAV")
    with atomic_write(path) as stream:
        stream.write(wav.getvalue())


def parse_trajectory(text: str) -> list[float]:
    """"0:360" or "0:90:45" as azimuths; InputError for anything else."""
    try:
        azimuths = [float(part) for part in text.split(":")]
    except ValueError:
        azimuths = []
    if len(azimuths) < 2 or not np.isfinite(azimuths).all():
        raise InputError(f"trajectory {text!r}: not azimuths: use degrees with colons between, such as 0:360")
    return azimuths

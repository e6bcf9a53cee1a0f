"""Where a sound comes from, over time: a recording of any rate and length in, azimuths out."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from ssl_jax.common.errors import InputError
from ssl_jax.common.progress import track
from ssl_jax.config import FrontEnd
from ssl_jax.frontend.cues import Cues
from ssl_jax.frontend.streaming import ENDLESS
from ssl_jax.recordings.azimuths import Azimuths
from ssl_jax.recordings.blocks import resample_blocks
from ssl_jax.recordings.estimates import (
    check_length,
    estimates,
    join_estimates,
    posteriors_by_piece,
    posteriors_by_window,
    sound_cues,
)
from ssl_jax.recordings.overview import Overview
from ssl_jax.recordings.pieces import can_share_frames
from ssl_jax.recordings.priors import DEFAULT_PRIOR
from ssl_jax.recordings.quality import Quality
from ssl_jax.recordings.signals import plain_array, signal_blocks
from ssl_jax.recordings.windows import (
    LONGEST_S,
    STEP_S,
    TRAINED_S,
    Listener,
    WindowSettings,
    load_listener,
    long_cue_runs,
    watch_sound,
)
from ssl_jax.sounds.reading import ears_needed, sound_blocks, sound_info

RUN_FRAMES = 200  # of cues computed at a time
# s, of a sound that is cut into segments and pieces: a shorter one does not fill a batch of them
LONG_S = 60.0
BATCH_FRAMES = 6400  # in a batch of windows: 64 windows of one second


@dataclass(frozen=True)
class Recording:
    """A sound of two ears that comes in blocks."""

    name: str  # for messages
    fs: float  # Hz
    samples: int  # in all
    blocks: Iterable[np.ndarray]  # (any, 2) each


def localise_blocks(
    recording: Recording, settings: WindowSettings, *, cues: bool = False
) -> Azimuths:
    """`localise` for a sound in blocks, in bounded memory."""
    return localise_recording(recording, load_listener(settings), settings, cues=cues)


def localise_recording(
    recording: Recording,
    listener: Listener,
    settings: WindowSettings,
    *,
    cues: bool,
    most_windows: int | None = None,
) -> Azimuths:
    """`localise_blocks` by a listener that is loaded already.

    It takes `most_windows` at a time; None: as many as fit into BATCH_FRAMES.
    """
    front = listener.front
    name = recording.name
    quality = watch_sound(name, recording.fs, front)
    seconds = recording.samples / recording.fs
    check_length(name, seconds)
    samples = math.ceil(recording.samples * front.fs / quality.fs)
    if samples > ENDLESS - front.fs * LONGEST_S:
        raise InputError(
            f"{name}: {seconds / 3600:.1f} hours of sound: cut it into pieces of 12 hours"
        )
    frames = samples // front.hop
    runs: Iterable[Cues] = _known_length_cues(quality, recording, samples)
    steps = samples // (RUN_FRAMES * front.hop) + 1
    runs = track(runs, f"localise {Path(name).name}", steps)
    overview = Overview() if cues else None
    if overview is not None:
        runs = overview.collect(runs)
    batch = most_windows or max(1, BATCH_FRAMES // listener.span_frames)
    # alone in a piece, a window would share nothing
    if _is_long(samples, front) and batch > 1 and can_share_frames(listener):
        posteriors = posteriors_by_piece(listener, runs, batch)
    else:
        posteriors = posteriors_by_window(listener, runs, batch)
    windows = list(estimates(listener, quality, posteriors))
    azimuths = join_estimates(windows, listener, quality, overview)
    if frames < listener.span_frames:
        note = (
            f"{seconds:.2f} s of sound, shorter than the window of {settings.window_s:g} s, "
            "is one window"
        )
        azimuths = replace(azimuths, notes=(*azimuths.notes, note))
    return azimuths


def _is_long(samples: int, front: FrontEnd) -> bool:
    return samples >= LONG_S * front.fs


def _known_length_cues(quality: Quality, recording: Recording, samples: int) -> Iterator[Cues]:
    """Cues of a recording that has `samples` samples at the front-end's rate."""
    if not _is_long(samples, quality.front):
        return sound_cues(quality, recording.blocks, RUN_FRAMES)
    watched = quality.watch(recording.blocks)
    blocks = resample_blocks(watched, quality.fs, quality.front.fs)
    return long_cue_runs(blocks, quality, RUN_FRAMES)


def localise(
    signal: ArrayLike,
    fs: float,
    window: float = TRAINED_S,
    step: float = STEP_S,
    model: str | None = None,
    cues: bool = False,
    prior: str = DEFAULT_PRIOR,
) -> Azimuths:
    """Where a sound comes from, over time.

    Parameters
    ----------
    signal : array_like
        (samples, 2), left ear first, at least 50 ms. Floats of any level; full scale is 1. int8,
        int16 and int32 are divided by their full scale: 128, 32768, 2**31. uint8 is as in WAV
        files: 128 is zero.
    fs : float
        Hz. The sound is resampled to the network's rate.
    window : float
        s of sound that each estimate rests on. The networks were trained on windows of 1 s,
        `general` on some of 0.25 s too.
    step : float
        s from one estimate to the next. `window` and `step` are rounded to whole frames of 10 ms.
    model : str, optional
        One of `networks.packed.available()`, or a FILE.safetensors of one's own.
    cues : bool
        Whether to keep the cue maps too, averaged to 4000 columns at most: for pictures.
    prior : str
        What is known before anything is heard. "frontal": the front half, sides included, is four
        times as likely as the other, because people look at what they record; "uniform": all
        azimuths are alike; "front": nothing is behind.

    Returns
    -------
    Azimuths

    Raises
    ------
    InputError
        The signal is not two ears of finite numbers, too short or silent, of integers without a
        known full scale, or a setting is out of range or unknown.

    Notes
    -----
    A constant offset of either ear is removed first, by a high-pass at 5 Hz.

    The prior multiplies the calibrated posterior of each window, before anything is read from it.
    Windows are averaged, so it counts once however many they are.

    A window is flagged as "silent" (below -90 dB of full scale; it has no azimuth), "quiet"
    (50 dB below the loudest so far), "one ear" (50 dB less in the other), "clipped", "narrow
    band" (over a quarter of the channels lie above fs / 2), "short" (less sound than the window
    asked for), "front or back" (`mirrored` has 15 % or more) or "unsure" (confidence below 0.9).
    Swapped ears cannot be known: they mirror every azimuth. The notes say where the channels
    cannot be two ears of one head: milliseconds apart, or one with the other polarity.
    """
    signal = plain_array("signal", signal)
    recording = Recording("signal", fs, len(np.atleast_1d(signal)), signal_blocks(signal))
    settings = WindowSettings(window, step, model, prior)
    return localise_blocks(recording, settings, cues=cues)


def localise_file(
    path: Path,
    window: float = TRAINED_S,
    step: float = STEP_S,
    model: str | None = None,
    cues: bool = False,
    prior: str = DEFAULT_PRIOR,
) -> Azimuths:
    """`localise` for a sound file of any format, rate and length, in bounded memory.

    Raises
    ------
    InputError, OSError
        The file cannot be read; InputError also as `localise` does.
    """
    settings = WindowSettings(window, step, model, prior)
    return localise_blocks(open_recording(path), settings, cues=cues)


def open_recording(path: Path) -> Recording:
    """A sound file in blocks.

    Raises
    ------
    InputError, OSError
        The file cannot be read, or is not of two ears.
    """
    info = sound_info(path)
    if info.channels != 2:
        raise InputError(f"{path}: {ears_needed(info.channels)}")
    return Recording(str(path), info.fs, info.samples, sound_blocks(path, info.fs))

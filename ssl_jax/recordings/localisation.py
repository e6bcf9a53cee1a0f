"""Where a sound comes from, over time: a recording of any rate and length in, azimuths out."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import jax
import numpy as np
from flax import nnx
from numpy.typing import ArrayLike

from ssl_jax.common.errors import InputError
from ssl_jax.common.progress import track
from ssl_jax.config import AZIMUTHS, FrontEnd
from ssl_jax.frontend.cues import CueGrid, Cues
from ssl_jax.frontend.streaming import ENDLESS
from ssl_jax.recordings.azimuths import Azimuths, Windows, join_windows
from ssl_jax.recordings.blocks import filled, resampled
from ssl_jax.recordings.overview import Overview
from ssl_jax.recordings.posteriors import SURE, mirror_azimuth, peak_azimuth
from ssl_jax.recordings.priors import DEFAULT_PRIOR, apply_prior
from ssl_jax.recordings.quality import Levels, Quality, level_flags
from ssl_jax.recordings.signals import signal_blocks
from ssl_jax.recordings.windows import (
    LONGEST_S,
    SHORTEST_S,
    STEP_S,
    TRAINED_S,
    Listener,
    WindowSettings,
    cue_runs,
    cut_windows,
    load_listener,
    long_cue_runs,
    watch_sound,
)
from ssl_jax.sounds.reading import ears_needed, sound_blocks, sound_info

RUN_FRAMES = 200  # of cues computed at a time
LIVE_RUN_FRAMES = 10  # the same of a sound that is coming in
# s, of a sound that is cut into segments: a shorter one does not fill a batch of them
LONG_S = 60.0
BATCH_FRAMES = 6400  # in a batch of windows: 64 windows of one second


@dataclass(frozen=True)
class Recording:
    """A sound of two ears that comes in blocks."""

    name: str  # for messages
    fs: float  # Hz
    samples: int  # in all
    blocks: Iterable[np.ndarray]  # (any, 2) each


@partial(jax.jit, static_argnames="graph")
def _posterior(graph, state, cues, temperature):
    """(batch, maps, channels, frames) -> (batch, 72)."""
    return jax.nn.softmax(nnx.merge(graph, state)(cues) / temperature)


def build_classifier(listener: Listener) -> Callable[[np.ndarray], np.ndarray]:
    """A function from windows of cue maps to posteriors: see `_posterior`."""
    graph, state = nnx.split(listener.network)
    return lambda maps: np.array(_posterior(graph, state, maps, listener.temperature))


def live_estimates(
    listener: Listener,
    quality: Quality,
    blocks: Iterable[np.ndarray],
    overview: Overview | None = None,
) -> Iterator[Windows]:
    """Estimates of a sound that is coming in, (any, 2) each, as soon as they are known.

    An `overview` collects the cues. Raises InputError at the end where nothing sounded.
    """
    runs = sound_cues(quality, blocks, LIVE_RUN_FRAMES)
    if overview is not None:
        runs = overview.collect(runs)
    yield from estimates(listener, quality, runs, batch=1)


def sound_cues(quality: Quality, blocks: Iterable[np.ndarray], run_frames: int) -> Iterator[Cues]:
    """Cues of a sound in blocks (any, 2) of its own rate, watched by `quality`."""
    watched = quality.watch(blocks)
    return cue_runs(resampled(watched, quality.fs, quality.front.fs), quality, run_frames)


def estimates(
    listener: Listener, quality: Quality, runs: Iterable[Cues], batch: int
) -> Iterator[Windows]:
    """Estimates of the cues of `sound_cues`, for `batch` windows at a time.

    Raises InputError at the end where nothing sounded.
    """
    classify = build_classifier(listener)
    count = 0  # windows so far
    for maps in filled(cut_windows(runs, listener), batch):
        span = maps.shape[-1]
        posterior = classify(maps)
        if quality.ended:
            # what fills up the last batch is no window
            total = (quality.frames - span) // listener.step_frames + 1
            posterior = posterior[: total - count]
        if not len(posterior):
            break
        first = (count + np.arange(len(posterior))) * listener.step_frames
        levels = quality.window_levels(first, span)
        yield describe_windows(listener, quality, posterior, first, span, levels)
        quality.advance(int(first[-1]), levels)
        count += len(posterior)
    _check_length(quality.name, quality.samples / quality.fs)
    if not quality.heard:
        raise InputError(f"{quality.name}: silent: use a recording that something sounds in")


def describe_windows(
    listener: Listener,
    quality: Quality,
    posterior: np.ndarray,
    first: np.ndarray,
    span: int,
    levels: Levels,
) -> Windows:
    """Azimuths and flags of n windows.

    Parameters
    ----------
    posterior : (n, 72), of the network
    first : (n,), the frame that each window begins with
    span : frames of a window
    levels : of the windows
    """
    cases = level_flags(levels, quality.loudest)
    silent = cases["silent"]
    posterior = np.where(silent[:, None], np.float32(1 / AZIMUTHS), posterior)
    posterior = apply_prior(posterior, listener.prior)
    azimuth, confidence = peak_azimuth(posterior)
    mirrored = mirror_azimuth(posterior)
    azimuth = np.where(silent, np.nan, azimuth)
    confidence = np.where(silent, 0, confidence)
    mirrored = np.where(silent, np.nan, mirrored)
    count = len(posterior)
    cases["narrow band"] = np.full(count, quality.narrow)
    cases["short"] = np.full(count, span < listener.span_frames)
    cases["front or back"] = np.isfinite(mirrored)
    cases["unsure"] = (confidence < SURE) & ~silent
    flags = tuple(tuple(name for name in cases if cases[name][i]) for i in range(count))
    times = (first + span / 2) / listener.frame_rate
    return Windows(times, azimuth, confidence, mirrored, posterior, flags)


def _check_length(name: str, seconds: float) -> None:
    if seconds < SHORTEST_S:
        raise InputError(
            f"{name}: {1000 * seconds:.0f} ms of sound: use at least {1000 * SHORTEST_S:.0f} ms"
        )


def localise_blocks(
    recording: Recording, settings: WindowSettings, *, cues: bool = False
) -> Azimuths:
    """`localise` for a sound in blocks, in bounded memory."""
    return localise_recording(recording, load_listener(settings), settings, cues=cues)


def localise_recording(
    recording: Recording,
    chosen: Listener,
    settings: WindowSettings,
    *,
    cues: bool,
    most_windows: int | None = None,
) -> Azimuths:
    """`localise_blocks` by a listener that is loaded, which takes `most_windows` at a time."""
    front = chosen.front
    name = recording.name
    quality = watch_sound(name, recording.fs, front)
    seconds = recording.samples / recording.fs
    _check_length(name, seconds)
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
    batch = most_windows or max(1, BATCH_FRAMES // chosen.span_frames)
    azimuths = join_estimates(
        list(estimates(chosen, quality, runs, batch)), chosen, quality, overview
    )
    if frames < chosen.span_frames:
        note = (
            f"{seconds:.2f} s of sound, shorter than the window of {settings.window_s:g} s, "
            "is one window"
        )
        azimuths = replace(azimuths, notes=(*azimuths.notes, note))
    return azimuths


def join_estimates(
    parts: Sequence[Windows], listener: Listener, quality: Quality, overview: Overview | None
) -> Azimuths:
    """All windows of a sound so far, with what `quality` and `overview` saw of it."""
    front = listener.front
    seconds = quality.samples / quality.fs
    if overview is not None and not quality.ended:
        # sound that was cut off is ahead of its cues
        seconds = overview.frames / listener.frame_rate
    return Azimuths(
        **vars(join_windows(parts)),
        notes=quality.notes(),
        model=listener.model,
        prior=listener.prior,
        window=min(listener.span_frames, quality.frames) / listener.frame_rate,
        step=listener.step_frames / listener.frame_rate,
        seconds=seconds,
        fs=quality.fs,
        cues=None if overview is None else _with_grid(overview, front),
        cfs=front.cfs,
    )


def _known_length_cues(quality: Quality, recording: Recording, samples: int) -> Iterator[Cues]:
    """Cues of a recording, which has so many samples at the front-end's rate."""
    if samples < LONG_S * quality.front.fs:
        return sound_cues(quality, recording.blocks, RUN_FRAMES)
    watched = quality.watch(recording.blocks)
    blocks = resampled(watched, quality.fs, quality.front.fs)
    return long_cue_runs(blocks, samples, quality, RUN_FRAMES)


def _with_grid(overview: Overview, front: FrontEnd) -> Cues:
    """The cues of an overview, with the times and centre frequencies of its columns."""
    cues = overview.cues()
    grid = CueGrid(
        fs=front.fs,
        hop=overview.column_frames * front.hop,
        frames=cues.itd.shape[-1],
        cfs=tuple(front.cfs),
    )
    return replace(cues, grid=grid)


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
    signal : (samples, 2), left ear first, at least 50 ms
        Floats of any level; full scale is 1. int8, int16 and int32 are divided by their full
        scale: 128, 32768, 2**31. uint8 is as in WAV files: 128 is zero.
    fs : int, Hz, of any value: the sound is resampled to the network's rate
    window : float, s, of sound that each estimate rests on; the networks were trained on 1 s
    step : float, s, from one estimate to the next; both are rounded to whole frames of 10 ms
    model : str, optional, one of `networks.packed.available()`
    cues : bool, whether to keep the cue maps too, averaged to 4000 columns at most: for pictures
    prior : str, what is known before anything is heard
        "frontal": the front half, sides included, is four times as likely as the other, because
        people look at what they record; "uniform"; "front": nothing is behind.

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
    signal = np.asarray(signal)
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
    """`localise` for a sound file of any format, rate and length, in bounded memory."""
    info = sound_info(path)
    if info.channels != 2:
        raise InputError(f"{path}: {ears_needed(info.channels)}")
    recording = Recording(str(path), info.fs, info.samples, sound_blocks(path, info.fs))
    settings = WindowSettings(window, step, model, prior)
    return localise_blocks(recording, settings, cues=cues)

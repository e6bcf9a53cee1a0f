"""Windows of cues to azimuths: the network, the prior and the flags, as sound comes in."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import jax
import numpy as np
from flax import nnx

from ssl_jax.common.errors import InputError
from ssl_jax.config import AZIMUTHS, FrontEnd
from ssl_jax.frontend.cues import CueGrid, Cues
from ssl_jax.networks.overlapping_windows import logits_of_windows
from ssl_jax.recordings.azimuths import Azimuths, Windows, join_windows
from ssl_jax.recordings.blocks import cut_evenly, resample_blocks
from ssl_jax.recordings.overview import Overview
from ssl_jax.recordings.pieces import cut_pieces
from ssl_jax.recordings.posteriors import SURE, mirror_azimuth, peak_azimuth
from ssl_jax.recordings.priors import apply_prior
from ssl_jax.recordings.quality import Levels, Quality, level_flags
from ssl_jax.recordings.windows import SHORTEST_S, Listener, cue_runs, cut_windows

LIVE_RUN_FRAMES = 10  # of cues computed at a time, of a sound that is coming in


@partial(jax.jit, static_argnames="graph")
def _posterior(graph, state, cues, temperature):
    """(batch, maps, channels, frames) -> (batch, 72)."""
    return jax.nn.softmax(nnx.merge(graph, state)(cues) / temperature)


@partial(jax.jit, static_argnames=("graph", "span"))
def _posterior_of_piece(graph, state, maps, extent, first_frames, temperature, span):
    """(maps, channels, frames) -> (windows, 72), see `logits_of_windows`."""
    network = nnx.merge(graph, state)
    logits = logits_of_windows(network, maps, extent, first_frames, span)
    return jax.nn.softmax(logits / temperature)


def posteriors_by_window(
    listener: Listener, runs: Iterable[Cues], batch: int
) -> Iterator[np.ndarray]:
    """Posteriors (batch, 72) of the windows of a sound, each heard by itself.

    The last windows of the last batch may be none of the sound's. A sound that is shorter than a
    window is one window.
    """
    graph, state = nnx.split(listener.network)
    for maps in cut_evenly(cut_windows(runs, listener), batch):
        yield np.array(_posterior(graph, state, maps, listener.temperature))


def posteriors_by_piece(
    listener: Listener, runs: Iterable[Cues], batch: int
) -> Iterator[np.ndarray]:
    """`posteriors_by_window` of a sound longer than a window, whose windows share frames: sooner.

    A window hears a little more than by itself: see `networks.overlapping_windows`.
    """
    graph, state = nnx.split(listener.network)
    for piece in cut_pieces(runs, listener, batch):
        posterior = _posterior_of_piece(
            graph,
            state,
            piece.maps,
            piece.extent,
            piece.first_frames,
            listener.temperature,
            listener.span_frames,
        )
        yield np.array(posterior)


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
    yield from estimates(listener, quality, posteriors_by_window(listener, runs, batch=1))


def sound_cues(quality: Quality, blocks: Iterable[np.ndarray], run_frames: int) -> Iterator[Cues]:
    """Cues of a sound in blocks (any, 2) of its own rate, watched by `quality`."""
    watched = quality.watch(blocks)
    return cue_runs(resample_blocks(watched, quality.fs, quality.front.fs), quality, run_frames)


def estimates(
    listener: Listener, quality: Quality, posteriors: Iterable[np.ndarray]
) -> Iterator[Windows]:
    """Estimates of windows that follow one another, from their posteriors (any, 72).

    Raises InputError at the end where nothing sounded.
    """
    count = 0  # windows so far
    for posterior in posteriors:
        span = listener.span_frames
        if quality.ended:
            span = min(span, quality.frames)
            # what fills up the last batch is no window
            total = (quality.frames - span) // listener.step_frames + 1
            posterior = posterior[: total - count]
        if not len(posterior):
            break
        first_frames = (count + np.arange(len(posterior))) * listener.step_frames
        levels = quality.window_levels(first_frames, span)
        yield describe_windows(listener, quality, posterior, first_frames, span, levels)
        quality.advance(int(first_frames[-1]), levels)
        count += len(posterior)
    check_length(quality.name, quality.samples / quality.fs)
    if not quality.heard:
        raise InputError(f"{quality.name}: silent: use a recording that something sounds in")


def describe_windows(
    listener: Listener,
    quality: Quality,
    posterior: np.ndarray,
    first_frames: np.ndarray,
    span: int,
    levels: Levels,
) -> Windows:
    """Azimuths and flags of n windows.

    Parameters
    ----------
    posterior : (n, 72), of the network
    first_frames : (n,), the frame that each window begins with
    span : frames of a window
    levels : of the windows
    """
    has_flag = level_flags(levels, quality.loudest)
    silent = has_flag["silent"]
    posterior = np.where(silent[:, None], np.float32(1 / AZIMUTHS), posterior)
    posterior = apply_prior(posterior, listener.prior)
    azimuth, confidence = peak_azimuth(posterior)
    mirrored = mirror_azimuth(posterior)
    azimuth = np.where(silent, np.nan, azimuth)
    confidence = np.where(silent, 0, confidence)
    mirrored = np.where(silent, np.nan, mirrored)
    count = len(posterior)
    has_flag["narrow band"] = np.full(count, quality.narrow)
    has_flag["short"] = np.full(count, span < listener.span_frames)
    has_flag["front or back"] = np.isfinite(mirrored)
    has_flag["unsure"] = (confidence < SURE) & ~silent
    flags = []
    for i in range(count):
        flags.append(tuple(name for name, windows in has_flag.items() if windows[i]))
    times = (first_frames + span / 2) / listener.frame_rate
    return Windows(times, azimuth, confidence, mirrored, posterior, tuple(flags))


def check_length(name: str, seconds: float) -> None:
    """Raise InputError for a sound too short to be localised."""
    if seconds < SHORTEST_S:
        raise InputError(
            f"{name}: {1000 * seconds:.0f} ms of sound: use at least {1000 * SHORTEST_S:.0f} ms"
        )


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

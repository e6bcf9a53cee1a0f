"""From blocks of a sound to windows of cue maps, as networks take them."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import jax
import numpy as np
from flax import nnx

from ssl_jax.common.errors import InputError
from ssl_jax.config import FrontEnd
from ssl_jax.frontend.cues import Cues
from ssl_jax.frontend.segments import cues_in_segments
from ssl_jax.frontend.streaming import ENDLESS, cue_block, start_cues
from ssl_jax.networks.packed import default_weights, load_weights, temperature_of
from ssl_jax.recordings.blocks import cut_evenly
from ssl_jax.recordings.priors import DEFAULT_PRIOR, prior_of
from ssl_jax.recordings.quality import Quality
from ssl_jax.sounds.reading import check_rate

SHORTEST_S = 0.05  # of a window: the networks' convolutions span 50 ms
LONGEST_S = 60.0
TRAINED_S = 1.0  # the windows that the networks were trained on, `general` on shorter ones too
STEP_S = 0.1
SHORTEST_STEP_S = 0.01  # a frame


@dataclass(frozen=True)
class WindowSettings:
    """Which windows of a sound are localised, and by which network."""

    window_s: float = TRAINED_S
    step_s: float = STEP_S  # from one window to the next
    model: str | None = None  # the name of the network; None is the default
    prior: str = DEFAULT_PRIOR  # see `priors.prior_of`


@dataclass(frozen=True)
class Listener:
    """A network and its windows in frames."""

    model: str
    network: nnx.Module
    front: FrontEnd
    temperature: float  # that logits are divided by
    span_frames: int  # of a window
    step_frames: int  # from one window to the next
    prior: str

    @property
    def frame_rate(self) -> float:
        """Hz."""
        return self.front.fs / self.front.hop


def load_listener(settings: WindowSettings) -> Listener:
    """The network and the windows; raises InputError for a setting that is wrong."""
    _check_range("window", settings.window_s, SHORTEST_S)
    _check_range("step", settings.step_s, SHORTEST_STEP_S)
    prior_of(settings.prior)
    model = default_weights() if settings.model is None else settings.model
    network, front = load_weights(model)
    frame_rate = front.fs / front.hop
    return Listener(
        model=model,
        network=network,
        front=front,
        temperature=temperature_of(model),
        span_frames=max(round(settings.window_s * frame_rate), 1),
        step_frames=max(round(settings.step_s * frame_rate), 1),
        prior=settings.prior,
    )


def _check_range(name: str, seconds: float, least: float) -> None:
    if not least <= seconds <= LONGEST_S:
        raise InputError(f"{name} {seconds:g}: out of range: use {least} to {LONGEST_S:g} seconds")


def watch_sound(name: str, fs: float, front: FrontEnd) -> Quality:
    """Watches a sound at `fs` Hz called `name`; raises InputError for a rate out of range."""
    check_rate(name, fs)
    return Quality(int(fs), name, front)


def cue_runs(blocks: Iterable[np.ndarray], quality: Quality, run_frames: int) -> Iterator[Cues]:
    """Cues of a sound at the front-end's rate that `quality` watches.

    Parameters
    ----------
    blocks : (any, 2) each
    run_frames : frames that are computed at a time

    Returns
    -------
    runs of cues, (channels, about `run_frames`) each
    """
    stream = start_cues(**quality.front.arguments())
    step = stream.settings.step
    size = run_frames * step
    # silence after the sound brings out its last frames
    silence = np.zeros((max(size // 2, 2 * step), 2), np.float32)
    frames = 0
    for block in cut_evenly(itertools.chain(blocks, [silence]), size):
        stream, cues = cue_block(stream, block)
        if stream.samples > ENDLESS - size:
            hours = ENDLESS / quality.front.fs / 3600
            raise InputError(f"{quality.name}: over {hours:.0f} hours: start again")
        cues = jax.tree.map(np.asarray, cues)
        if quality.ended:
            # frames of the silence are none of the sound's
            cues = _some_frames(cues, 0, quality.frames - frames)
        frames += cues.itd.shape[1]
        yield cues


def long_cue_runs(
    blocks: Iterable[np.ndarray], quality: Quality, run_frames: int
) -> Iterator[Cues]:
    """`cue_runs` of a long sound: sooner, `run_frames` at most each."""
    for cues in cues_in_segments(blocks, **quality.front.arguments()):
        for start in range(0, cues.itd.shape[1], run_frames):
            yield _some_frames(cues, start, start + run_frames)


def _some_frames(cues: Cues, start: int, stop: int) -> Cues:
    return jax.tree.map(lambda values: values[:, start:stop], cues)


def cut_windows(runs: Iterable[Cues], listener: Listener) -> Iterator[np.ndarray]:
    """Windows of cue maps (windows, maps, channels, span) float16, from runs of cues.

    A sound that is shorter than a window is one window.
    """
    span = listener.span_frames
    step = listener.step_frames
    waiting: np.ndarray | None = None
    skip = 0  # frames still to leave out before the next window starts
    any_window = False
    for cues in runs:
        maps = np.asarray(listener.front.maps(cues, 0))
        skipped = min(skip, maps.shape[-1])
        maps = maps[..., skipped:]
        skip -= skipped
        waiting = maps if waiting is None else np.concatenate([waiting, maps], axis=-1)
        if waiting.shape[-1] < span:
            continue
        # (maps, channels, windows, span), none of them a copy
        views = np.lib.stride_tricks.sliding_window_view(waiting, span, axis=-1)[:, :, ::step]
        yield np.moveaxis(views, 2, 0)
        any_window = True
        used = views.shape[2] * step
        skip += max(used - waiting.shape[-1], 0)
        waiting = waiting[..., used:]
    if not any_window and waiting is not None and waiting.shape[-1]:
        yield waiting[None]

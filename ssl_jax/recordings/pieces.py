"""Long sounds: pieces of cue maps with many windows each, so that frames they share count once."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ssl_jax.frontend.cues import Cues
from ssl_jax.networks.level_features import Extent
from ssl_jax.networks.overlapping_windows import CONTEXT
from ssl_jax.networks.phase_network import FRAMES_IN_PAIR, PhaseNetwork
from ssl_jax.recordings.windows import Listener


@dataclass(frozen=True)
class Piece:
    """Cue maps with some windows, and what lies around these."""

    maps: np.ndarray  # (maps, channels, frames) float16
    extent: Extent  # the frames that are of the sound; the others fill up
    first_frames: np.ndarray  # (windows,), counted from the beginning of the piece


def can_share_frames(listener: Listener) -> bool:
    """Whether the windows overlap, and `logits_of_windows` takes them and this network."""
    span = listener.span_frames
    step = listener.step_frames
    are_even = span % FRAMES_IN_PAIR == 0 and step % FRAMES_IN_PAIR == 0
    return step < span and are_even and isinstance(listener.network, PhaseNetwork)


def cut_pieces(runs: Iterable[Cues], listener: Listener, windows: int) -> Iterator[Piece]:
    """Pieces of one size with `windows` windows each, from runs of the cues of a sound.

    The windows overlap. The last windows of the last piece may lie beyond the end of the sound.
    """
    span = listener.span_frames
    stride = windows * listener.step_frames
    first_frames = CONTEXT + listener.step_frames * np.arange(windows)
    size = int(first_frames[-1]) + span + CONTEXT
    # the piece to come, and what follows it: at first what lies before the sound
    waiting = np.zeros((listener.front.map_count, listener.front.channels, CONTEXT), np.float16)
    first_of_sound = CONTEXT
    for cues in runs:
        maps = np.asarray(listener.front.maps(cues, 0))
        waiting = np.concatenate([waiting, maps], axis=-1)
        while waiting.shape[-1] >= size:
            yield Piece(waiting[..., :size], Extent(first_of_sound, size), first_frames)
            waiting = waiting[..., stride:]
            first_of_sound = max(first_of_sound - stride, 0)
    while waiting.shape[-1] >= CONTEXT + span:
        heard = waiting[..., :size]
        stop = heard.shape[-1]
        maps = np.pad(heard, [(0, 0), (0, 0), (0, size - stop)])
        yield Piece(maps, Extent(first_of_sound, stop), first_frames)
        waiting = waiting[..., stride:]
        first_of_sound = max(first_of_sound - stride, 0)

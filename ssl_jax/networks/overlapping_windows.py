"""Windows that overlap, of one long run of cue maps: what their frames share is computed once.

A `PhaseNetwork` takes most of its time for single frames and their neighbours. A window of a second
every 0.1 s has nine tenths of them in common with the next. Only what pools the frames is computed
for each window by itself.

A window in a run hears a little more than alone: levels are about the mean of the second around,
and the convolutions see some frames beyond its ends (`CONTEXT`). Where the run ends too, both say
the same.

In shape comments n are windows, C channels, T frames of the run, S sides (as heard, ears swapped).
"""

import jax
import jax.numpy as jnp
import numpy as np

from ssl_jax.networks.level_features import MEAN_FRAMES, Extent
from ssl_jax.networks.phase_network import CONVOLUTIONS, FRAMES_IN_PAIR, PhaseNetwork

# Frames beyond a window's ends that count: half of those of a mean, and one pair for each
# convolution (its kernel has three).
CONTEXT = MEAN_FRAMES // 2 + FRAMES_IN_PAIR * CONVOLUTIONS


def cut_at(run: jax.Array, first: jax.Array, size: int) -> jax.Array:
    """Pieces (n, ..., size) of a run (..., T) that begin at `first` (n,)."""
    return jnp.moveaxis(run[..., first[:, None] + np.arange(size)], -2, 0)


def logits_of_windows(
    network: PhaseNetwork, run: jax.Array, extent: Extent, first_frames: jax.Array, span: int
) -> jax.Array:
    """Logits of windows of a run, in evaluation mode.

    Parameters
    ----------
    network : PhaseNetwork
    run : (maps, C, T), T even
    extent : the frames of the run that were heard; it begins with an even one
    first_frames : (n,), the even frames that windows begin with
    span : frames of a window, even

    Returns
    -------
    (n, 72)
    """
    cues = run[None].astype(jnp.float32)
    gate, features = network.frame_features(cues, extent)
    # (S, T / 2, width)
    frames = network.convolve(network.mix_sides(features), extent)
    size = span // FRAMES_IN_PAIR
    pairs = cut_at(frames.swapaxes(1, 2), first_frames // FRAMES_IN_PAIR, size)
    # (n, S, width, span / 2) -> (S n, span / 2, width)
    pairs = pairs.transpose(1, 0, 3, 2).reshape(-1, size, frames.shape[2])
    windows = network.cues_of_sides(cut_at(cues[0], first_frames, span))
    gates = cut_at(gate[0], first_frames, span)
    return network.answer(pairs, windows, gates)

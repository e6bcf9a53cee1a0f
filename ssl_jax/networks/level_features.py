"""Levels as features: about their mean in the second around, and their rise from frame to frame.

A microphone's gain moves a channel's mean alone, so neither shows it.

In shape comments B is the batch, C channels, T frames.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

# frames whose mean a level is about: a second at the usual hop, as long as the windows of training
MEAN_FRAMES = 100
# dB in one unit of a level about its mean, and how many units are told apart
LEVEL_UNIT = 10.0
LEVEL_MOST = 4.0
# the same of a level's rise from one frame to the next
ONSET_UNIT = 3.0
ONSET_MOST = 3.0


class Extent(NamedTuple):
    """Which frames of some maps are of a sound. Those before and after only fill up."""

    first: int | jax.Array
    stop: int | jax.Array


def mean_around(level: jax.Array, extent: Extent) -> jax.Array:
    """Means (..., T) over the MEAN_FRAMES frames around each: half of them before it.

    Only frames of the extent count.
    """
    frames = np.arange(level.shape[-1])
    first = jnp.maximum(frames - MEAN_FRAMES // 2, extent.first)
    stop = jnp.minimum(frames + MEAN_FRAMES // 2, extent.stop)
    padding = [(0, 0)] * (level.ndim - 1) + [(1, 0)]
    # [..., k]: the sum of the first k frames
    sums = jnp.cumsum(jnp.pad(level, padding), axis=-1)
    # none around a frame outside of the extent
    count = jnp.maximum(stop - first, 1)
    return (sums[..., stop] - sums[..., first]) / count


def level_features(level: jax.Array, extent: Extent | None = None) -> tuple[jax.Array, jax.Array]:
    """Levels (B, C, T), dB, about the mean around them, and their rises; in units.

    The rise of the first frame is zero. The extent is all frames unless given.
    """
    frames = level.shape[-1]
    extent = extent or Extent(0, frames)
    about_mean = (level - mean_around(level, extent)) / LEVEL_UNIT
    before = jnp.concatenate([level[..., :1], level[..., :-1]], axis=-1)
    rise = jnp.where(np.arange(frames) == extent.first, 0, level - before) / ONSET_UNIT
    return (
        jnp.clip(about_mean, -LEVEL_MOST, LEVEL_MOST),
        jnp.clip(rise, -ONSET_MOST, ONSET_MOST),
    )

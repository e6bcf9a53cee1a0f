"""Cue maps as other microphones give them: smooth random curves over the channels."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from ssl_jax.config import ILD_MAP, LEVEL_MAP
from ssl_jax.networks.layers import CUES

# cosines in a curve over the channels: the slowest four, as microphones' responses are smooth
COSINES = 4


@dataclass(frozen=True)
class Microphones:
    """How far two microphones are from each other and from flat."""

    ild_db: float = 0.0  # standard deviation of smooth random curves on ILDs
    level_db: float = 0.0  # the same on the levels of both ears


# as good as the same microphone twice
ALIKE = Microphones()
# where a network is tried on microphones unlike those of its training
UNLIKE = Microphones(ild_db=1.0, level_db=3.0)


def smooth_curves(count: int, channels: int, rms_db: float, key: jax.Array) -> jax.Array:
    """Random sums of COSINES cosines over the channels, dB, (count, channels).

    Their root mean square is `rms_db` on average.
    """
    # (COSINES, channels)
    positions = (jnp.arange(channels) + 0.5) / channels
    angles = jnp.pi * jnp.outer(jnp.arange(1, COSINES + 1), positions)
    # the mean square of a cosine is 1/2
    scale = rms_db * (2 / COSINES) ** 0.5
    # (count, COSINES) -> (count, channels)
    return scale * jax.random.normal(key, (count, COSINES)) @ jnp.cos(angles)


def colour_maps(cues: jax.Array, microphones: Microphones, key: jax.Array) -> jax.Array:
    """Cue maps as other microphones give them.

    Parameters
    ----------
    cues : jax.Array
        (batch, maps, channels, frames)
    microphones : Microphones
        How strong the random curves of each mixture are.
    key : jax.Array
        Draws the curves.

    Returns
    -------
    jax.Array
        Of the shape and kind of `cues`.
    """
    count, maps, channels, _ = cues.shape
    if microphones.ild_db:
        curves = smooth_curves(count, channels, microphones.ild_db, key)
        cues = cues.at[:, ILD_MAP].add(curves[..., None].astype(cues.dtype))
    if microphones.level_db and maps > CUES:
        curves = smooth_curves(count, channels, microphones.level_db, jax.random.fold_in(key, 1))
        cues = cues.at[:, LEVEL_MAP].add(curves[..., None].astype(cues.dtype))
    return cues

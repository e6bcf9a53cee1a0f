"""Cue maps as other microphones and other heads give them: changes drawn anew for each mixture."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from ssl_jax.config import ILD_MAP, LEVEL_MAP, FrontEnd
from ssl_jax.networks.layers import CUES

# cosines in a curve over the channels: the slowest four, as microphones' responses are smooth
COSINES = 4
# An ear canal closed by the eardrum resonates at a quarter of a wavelength, by some 10 dB, and at
# three quarters (Shaw & Teranishi 1968). A canal adds as much from every direction (Hammershøi &
# Møller 1996). Bounds of what is drawn:
CANAL_HZ = (2000.0, 4000.0)
CANAL_DB = (0.0, 15.0)
OVERTONE = 3  # the second resonance by the first, in frequency
OVERTONE_DB = 0.5  # the same in dB
HALF_WIDTH = 0.5  # octaves from a resonance to half its dB


@dataclass(frozen=True)
class Microphones:
    """How far two microphones are from each other and from flat, and a head from the measured."""

    ild_db: float = 0.0  # standard deviation of smooth random curves on ILDs
    level_db: float = 0.0  # the same on the levels of both ears
    canal_share: float = 0.0  # of the mixtures, heard at the eardrum through an ear canal
    ild_spread: float = 0.0  # ILDs are multiplied by 1 +- at most so much


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


def canal_curves(count: int, cfs: np.ndarray, share: float, key: jax.Array) -> jax.Array:
    """What random ear canals add at frequencies `cfs` (channels,), dB, (count, channels).

    Only `share` of them have a canal; the others add nothing.
    """
    resonance_key, peak_key, share_key = jax.random.split(key, 3)
    low, high = CANAL_HZ
    resonance = jax.random.uniform(resonance_key, (count, 1), minval=low, maxval=high)
    least, most = CANAL_DB
    peak = jax.random.uniform(peak_key, (count, 1), minval=least, maxval=most)
    has_canal = jax.random.bernoulli(share_key, share, (count, 1))
    curve = _resonance(cfs, resonance) + OVERTONE_DB * _resonance(cfs, OVERTONE * resonance)
    return jnp.where(has_canal, peak * curve, 0)


def _resonance(cfs: np.ndarray, centre: jax.Array) -> jax.Array:
    """(count, channels): 1 at `centre` (count, 1), Hz, and 1/2 at HALF_WIDTH octaves beside it."""
    octaves = jnp.log2(cfs / centre)
    return 1 / (1 + (octaves / HALF_WIDTH) ** 2)


def _add_curves(cues: jax.Array, number: int, curves: jax.Array) -> jax.Array:
    """The maps with curves (batch, channels) added to all frames of map `number`."""
    return cues.at[:, number].add(curves[..., None].astype(cues.dtype))


def colour_maps(
    cues: jax.Array, microphones: Microphones, key: jax.Array, front: FrontEnd
) -> jax.Array:
    """Cue maps as other microphones and heads give them.

    Parameters
    ----------
    cues : jax.Array
        (batch, maps, channels, frames)
    microphones : Microphones
        How strong the random changes of each mixture are.
    key : jax.Array
        Draws the changes.
    front : FrontEnd
        What the maps come from.

    Returns
    -------
    jax.Array
        Of the shape and kind of `cues`.
    """
    count, maps, channels, _ = cues.shape
    has_levels = maps > CUES
    if microphones.ild_db:
        curves = smooth_curves(count, channels, microphones.ild_db, key)
        cues = _add_curves(cues, ILD_MAP, curves)
    if microphones.level_db and has_levels:
        curves = smooth_curves(count, channels, microphones.level_db, jax.random.fold_in(key, 1))
        cues = _add_curves(cues, LEVEL_MAP, curves)
    if microphones.canal_share and has_levels:
        share = microphones.canal_share
        curves = canal_curves(count, front.cfs, share, jax.random.fold_in(key, 2))
        cues = _add_curves(cues, LEVEL_MAP, curves)
    if microphones.ild_spread:
        spread = microphones.ild_spread
        draw = jax.random.uniform(jax.random.fold_in(key, 3), (count, 1, 1), minval=-1)
        cues = cues.at[:, ILD_MAP].multiply((1 + spread * draw).astype(cues.dtype))
    if microphones.ild_db or microphones.ild_spread:
        # as a front-end gives them
        ild = jnp.clip(cues[:, ILD_MAP], -front.max_ild, front.max_ild)
        cues = cues.at[:, ILD_MAP].set(ild)
    return cues

"""Recipes to mixtures to cue maps: one compiled program."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from ssl_jax.config import FrontEnd
from ssl_jax.database.recipes import Recipes, Sounds
from ssl_jax.sounds.mixing import mix, spatialise


class Waveforms(NamedTuple):
    """The sounds that all recipes point into, as every device holds them."""

    noise: np.ndarray | jax.Array  # (classes, files, samples)
    hrirs: np.ndarray | jax.Array  # (heads, 72, 2, taps)


def waveforms_of(sounds: Sounds) -> Waveforms:
    """What `render` needs of all sounds but the speech, which it gets clip by clip."""
    return Waveforms(sounds.corpus.noise, sounds.heads.hrirs)


def block_size() -> int:
    """Mixtures that a device renders at a time; memory grows with it.

    On a CPU 4 to 24 run alike. For an accelerator nothing was measured: many, so that its many units
    have work.
    """
    return 12 if jax.default_backend() == "cpu" else 120


def render(waveforms: Waveforms, speech, recipes: Recipes, bits: int = 16):
    """Mixtures (n, 2, samples) of recipes and their speech (n, samples), as a WAV of `bits` bits has them."""
    noise = waveforms.noise[recipes.noise_class[:, None], recipes.noise_file]  # n, 2, samples
    azimuths = jnp.concatenate([recipes.azimuth[:, None], recipes.noise_azimuth], axis=1)
    hrirs = waveforms.hrirs[recipes.head[:, None], azimuths]  # n, 3, 2, taps
    ears = spatialise(jnp.concatenate([speech[:, None], noise], axis=1), hrirs)  # n, 3, 2, samples
    mixture = mix(ears[:, 0], ears[:, 1:], recipes.snr.astype(speech.dtype))
    if not bits:
        return mixture
    full_scale = 2 ** (bits - 1)
    return jnp.round(mixture * (full_scale - 1)) / full_scale


def extract(mixtures, front: FrontEnd):
    """Network input of mixtures (n, 2, samples): (n, 3, channels, frames) float16, ITD, ILD, IC."""
    cues = front.cues(mixtures.swapaxes(1, 2))
    return jnp.stack([cues.itd, cues.ild, cues.ic], axis=1).astype(jnp.float16)


def render_and_extract(front: FrontEnd, mesh: Mesh, bits: int = 16):
    """One compiled program: (Waveforms, speech of n mixtures, their Recipes) -> cues.

    The mixtures are shared out among the devices.
    """
    each, all_of_it = PartitionSpec("data"), PartitionSpec()

    def one_device(waveforms, speech, recipes):
        return extract(render(waveforms, speech, recipes, bits), front)

    specs = {"in_specs": (all_of_it, each, each), "out_specs": each}
    return jax.jit(jax.shard_map(one_device, mesh=mesh, check_vma=False, **specs))

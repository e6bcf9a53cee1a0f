"""Recipes to mixtures to cue maps: one compiled program."""

from collections.abc import Iterator
from itertools import islice

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from ssl_jax.common.devices import on_all, shared_out, to_devices
from ssl_jax.config import FrontEnd
from ssl_jax.database.cue_store import CueStore
from ssl_jax.database.recipes import Recipes, Sounds
from ssl_jax.sounds.mixing import mix, spatialise, spatialise_endless


def waveforms_of(sounds: Sounds) -> tuple[np.ndarray, np.ndarray]:
    """Noises (classes, files, samples), HRIRs (heads, 72, 2, taps) and tails (heads, 2, samples) of rooms."""
    tails = () if sounds.heads.tails is None else (sounds.heads.tails,)
    return sounds.corpus.noise, sounds.heads.hrirs, *tails


def block_size() -> int:
    """Mixtures a device renders at a time: on a CPU 4 to 24 run alike; a GPU: results/benchmark/NOTES.md."""
    return 12 if jax.default_backend() == "cpu" else 120


def render(waveforms, speech, recipes: Recipes, bits: int = 16):
    """Mixtures (n, 2, samples) of recipes and their speech (n, samples), as a WAV of `bits` bits has them. In
    rooms every clip is taken to repeat, so that what was said before still sounds at its beginning."""
    noises, heads, *tails = waveforms
    noise = noises[recipes.noise_class[:, None], recipes.noise_file]  # n, 2, samples
    azimuths = jnp.concatenate([recipes.azimuth[:, None], recipes.noise_azimuth], axis=1)
    hrirs = heads[recipes.head[:, None], azimuths]  # n, 3, 2, taps
    sources = jnp.concatenate([speech[:, None], noise], axis=1)  # n, 3, samples
    if tails:
        ears = spatialise_endless(sources, hrirs, tails[0][recipes.head][:, None])
    else:
        ears = spatialise(sources, hrirs)  # n, 3, 2, samples
    mixture = mix(ears[:, 0], ears[:, 1:], recipes.snr.astype(speech.dtype))
    if not bits:
        return mixture
    full_scale = 2 ** (bits - 1)
    return jnp.round(mixture * (full_scale - 1)) / full_scale


def extract(mixtures, front: FrontEnd):
    """Network input of mixtures (n, 2, samples): see `FrontEnd.maps`."""
    return front.maps(front.cues(mixtures.swapaxes(1, 2)), 1)


def render_and_extract(front: FrontEnd, mesh: Mesh, bits: int = 16):
    """One compiled program: (waveforms, speech of n mixtures, their Recipes), shared out, -> cues."""

    def one_device(waveforms, speech, recipes):
        return extract(render(waveforms, speech, recipes, bits), front)

    each = PartitionSpec("data")
    specs = PartitionSpec(), each, each
    return jax.jit(
        jax.shard_map(one_device, mesh=mesh, in_specs=specs, out_specs=each, check_vma=False)
    )


def cues_of(
    shards, store: CueStore, recipes: Recipes, sounds: Sounds, mesh: Mesh
) -> Iterator[list]:
    """Have every device make blocks of mixtures; after each round, yield (shard, cues) of those now whole."""
    block = block_size()  # however many devices there are, so that the cues do not depend on them
    program = render_and_extract(store.front, mesh, store.config.bits)
    waveforms = to_devices(waveforms_of(sounds), on_all(mesh))
    made: dict[int, np.ndarray] = {}

    def blocks():
        """(shard, first row, mixtures, their speech); the last block of a shard repeats its last mixture."""
        for shard in shards:
            start, size = shard * store.config.shard, store.size(shard)
            clips, at = np.unique(recipes.clip[start : start + size], return_inverse=True)
            speech = sounds.corpus.speech[clips]
            for first in range(0, size, block):
                rows = np.minimum(np.arange(first, first + block), size - 1)
                yield shard, first, start + rows, speech[at[rows]]

    def keep(group, cues):
        for (shard, first, *_), part in zip(
            group, np.asarray(cues).reshape(-1, block, *store.shape)
        ):
            if (
                shard not in made
            ):  # in one piece at once: small results kept would break up the free memory
                made[shard] = np.empty((store.size(shard), *store.shape), np.float16)
            made[shard][first : first + block] = part[: len(made[shard]) - first]
        whole = {shard for shard, first, *_ in group if first + block >= len(made[shard])}
        return [(shard, made.pop(shard)) for shard in sorted(whole)]

    source, waiting = blocks(), None
    while group := list(islice(source, mesh.size)):
        full = group + group[-1:] * (mesh.size - len(group))
        speech = np.concatenate([speech for *_, speech in full])
        some = recipes.rows(np.concatenate([mixtures for *_, mixtures, _ in full]))
        running = group, program(waveforms, *to_devices((speech, some), shared_out(mesh)))
        if waiting:  # wait for the round before: bounded memory, devices kept busy
            yield keep(*waiting)
        waiting = running
    if waiting:
        yield keep(*waiting)

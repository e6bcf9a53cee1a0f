"""From recipes to cue maps: one compiled program."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from ssl_jax.common.devices import copy_on_each, split_rows, to_devices
from ssl_jax.config import FrontEnd
from ssl_jax.database.cue_store import CueStore
from ssl_jax.database.recipes import Recipes
from ssl_jax.frontend.programs import one_ahead, shared_program
from ssl_jax.sounds.mixing import mix, spatialise, spatialise_endless
from ssl_jax.sounds.sources import Sounds


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Waveforms:
    """Everything but speech that mixtures are rendered from."""

    noises: np.ndarray  # (kinds, clips, samples)
    hrirs: np.ndarray  # (heads, 72, 2, taps)
    tails: np.ndarray | None  # (heads, 2, samples), of rooms


def waveforms_of(sounds: Sounds) -> Waveforms:
    """The waveforms of noises, heads and rooms."""
    return Waveforms(sounds.noises.waveforms, sounds.heads.hrirs, sounds.heads.tails)


def block_size() -> int:
    """Mixtures that a device renders at a time.

    On a CPU 4 to 24 run alike; for a GPU see results/benchmark/NOTES.md.
    """
    return 12 if jax.default_backend() == "cpu" else 120


def sources_of(
    waveforms: Waveforms, speech: jax.Array, recipes: Recipes
) -> tuple[jax.Array, jax.Array]:
    """Each mixture's target and two noises, and the responses that they come through.

    Parameters
    ----------
    waveforms : noises and responses
    speech : (n, samples)
    recipes : of n mixtures

    Returns
    -------
    (n, 3, samples) and (n, 3, 2, taps), the target first
    """
    noise = waveforms.noises[recipes.noise_kind[:, None], recipes.noise_file]  # n, 2, samples
    azimuths = jnp.concatenate([recipes.azimuth[:, None], recipes.noise_azimuth], axis=1)  # n, 3
    hrirs = waveforms.hrirs[recipes.head[:, None], azimuths]
    return jnp.concatenate([speech[:, None], noise], axis=1), hrirs


def render(waveforms: Waveforms, speech: jax.Array, recipes: Recipes, bits: int = 16) -> jax.Array:
    """Mixtures as two ears hear them.

    In rooms every clip repeats, so that what was said before still sounds at its beginning.

    Parameters
    ----------
    waveforms : noises and responses
    speech : (n, samples)
    recipes : of n mixtures
    bits : of the WAV file that a mixture passes through (published); 0 keeps floats

    Returns
    -------
    (n, 2, samples), left ear first, peak 1
    """
    sources, hrirs = sources_of(waveforms, speech, recipes)
    if waveforms.tails is None:
        ears = spatialise(sources, hrirs)  # n, 3, 2, samples
    else:
        ears = spatialise_endless(sources, hrirs, waveforms.tails[recipes.head][:, None])
    mixture = mix(ears[:, 0], ears[:, 1:], recipes.snr.astype(speech.dtype))
    if not bits:
        return mixture
    full_scale = 2 ** (bits - 1)
    return jnp.round(mixture * (full_scale - 1)) / full_scale


def extract(mixtures: jax.Array, front: FrontEnd) -> jax.Array:
    """Network input (n, maps, channels, frames) of mixtures (n, 2, samples).

    See `FrontEnd.maps`.
    """
    return jnp.asarray(front.maps(front.cues(mixtures.swapaxes(1, 2)), 1))


def render_and_extract(front: FrontEnd, mesh: Mesh, bits: int = 16) -> Callable:
    """One compiled program: (Waveforms, speech (n, samples), Recipes of n mixtures) -> cue maps.

    Every device of the mesh has all waveforms and its share of the mixtures.
    """

    def one_device(waveforms, speech, recipes):
        return extract(render(waveforms, speech, recipes, bits), front)

    split = PartitionSpec("data")
    return shared_program(one_device, mesh, (PartitionSpec(), split, split), split)


@dataclass(frozen=True)
class Block:
    """Mixtures of one shard that a device renders together."""

    shard: int
    first: int  # row of the shard
    mixtures: np.ndarray  # (block,) numbers; the end of a shard repeats its last mixture
    speech: np.ndarray  # (block, samples)


@dataclass(frozen=True)
class WholeShard:
    """All cue maps of one shard."""

    shard: int
    cues: np.ndarray  # (mixtures, maps, channels, frames) float16


def blocks_of(
    shards: Iterable[int], store: CueStore, recipes: Recipes, speech, size: int
) -> Iterator[Block]:
    """The mixtures of some shards in blocks of one size."""
    for shard in shards:
        start = shard * store.config.shard
        rows = store.size(shard)
        clips, clip_of_row = np.unique(recipes.clip[start : start + rows], return_inverse=True)
        waveforms = speech[clips]
        for first in range(0, rows, size):
            block_rows = np.minimum(np.arange(first, first + size), rows - 1)
            yield Block(shard, first, start + block_rows, waveforms[clip_of_row[block_rows]])


@dataclass(frozen=True)
class Round:
    """Blocks that the devices render at the same time, and their cue maps, still to come."""

    blocks: list[Block]
    cues: jax.Array  # (devices * block, maps, channels, frames)


def blocks_by_round(blocks: Iterable[Block], devices: int) -> Iterator[list[Block]]:
    """The blocks in lists of one a device; the last list may be shorter."""
    group: list[Block] = []
    for block in blocks:
        group.append(block)
        if len(group) == devices:
            yield group
            group = []
    if group:
        yield group


class ShardCollector:
    """Puts blocks of cue maps together until a shard is whole."""

    def __init__(self, store: CueStore):
        self.store = store
        self.unfinished: dict[int, np.ndarray] = {}

    def add(self, finished: Round) -> list[WholeShard]:
        """Wait for the maps of a round; the shards that are whole now."""
        size = len(finished.blocks[0].mixtures)
        maps_of_round = np.asarray(finished.cues)
        by_block = maps_of_round.reshape(-1, size, *maps_of_round.shape[1:])
        # the last maps of a round may only repeat a block
        own = by_block[: len(finished.blocks)]
        whole = []
        for block, maps in zip(finished.blocks, own, strict=True):
            if block.shard not in self.unfinished:
                # in one piece at once: small results kept would break up the free memory
                shape = (self.store.size(block.shard), *self.store.shape)
                self.unfinished[block.shard] = np.empty(shape, np.float16)
            rows = self.unfinished[block.shard][block.first :][: len(maps)]
            rows[:] = maps[: len(rows)]
            if block.first + len(maps) >= self.store.size(block.shard):
                whole.append(WholeShard(block.shard, self.unfinished.pop(block.shard)))
        return whole


def cues_of(
    shards: Iterable[int], store: CueStore, recipes: Recipes, sounds: Sounds, mesh: Mesh
) -> Iterator[list[WholeShard]]:
    """Have every device make blocks of mixtures; after each round, the shards that are whole."""
    program = render_and_extract(store.front, mesh, store.config.bits)
    waveforms = to_devices(waveforms_of(sounds), copy_on_each(mesh))
    yield from run_program(program, waveforms, shards, store, recipes, sounds.speech, mesh)


def run_program(
    program: Callable, waveforms, shards, store: CueStore, recipes: Recipes, speech, mesh: Mesh
) -> Iterator[list[WholeShard]]:
    """`cues_of` with a compiled program and waveforms on devices, for more than one database."""
    size = block_size()  # however many devices there are, so that the cues do not depend on them
    collector = ShardCollector(store)
    blocks = blocks_of(shards, store, recipes, speech, size)

    def start(group: list[Block]) -> Round:
        # every device needs a block: the last round repeats its last
        full = group + group[-1:] * (mesh.size - len(group))
        round_recipes = recipes.rows(np.concatenate([block.mixtures for block in full]))
        round_speech = np.concatenate([block.speech for block in full])
        inputs = to_devices((round_speech, round_recipes), split_rows(mesh))
        return Round(group, program(waveforms, *inputs))

    return one_ahead(start, collector.add, blocks_by_round(blocks, mesh.size))

"""The database: every mixture's cues in a store on disk, and mixtures as sound files."""

import hashlib
import math
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from ssl_jax.common.devices import (
    barrier,
    broadcast_from_first,
    by_main_process,
    is_main_process,
    mesh_of,
    on_all,
    shared_out,
    to_devices,
)
from ssl_jax.common.errors import InputError
from ssl_jax.common.files import atomic_write, sha256_of
from ssl_jax.common.progress import say, track
from ssl_jax.config import AZIMUTH_STEP, Database, FrontEnd
from ssl_jax.database.cue_store import CueStore
from ssl_jax.database.program import block_size, render, render_and_extract, waveforms_of
from ssl_jax.database.recipes import Recipes, Sounds, manifest_csv, read_manifest, recipes_of
from ssl_jax.sounds.reading import write_wav


def write_manifest(path: Path, lines: Iterable[str], sha256: str, count: int) -> None:
    """Write a manifest; raises InputError where one of other recordings stands, whose cues may be stored."""
    try:
        read_manifest(path, count)
    except InputError:  # none, or a damaged one
        with atomic_write(path, "w") as stream:
            stream.writelines(lines)
    if sha256_of(path) != sha256:
        remedy = "use another --name, or delete that folder"
        raise InputError(f"{path}: names other recordings than there are now: {remedy}")


def build(
    folder: Path, config: Database, front: FrontEnd, sounds: Sounds, mesh: Mesh | None = None
) -> CueStore:
    """Make every shard of the cue store that is not there yet.

    Every process makes shards of its own, in turn. Which mixtures form a block does not depend on how
    many devices there are, so neither do the bytes of the store.

    Parameters
    ----------
    folder : Path
        Gets manifest.csv and cues/; the same for all processes.
    mesh : Mesh, optional
        Of this process's own devices; by default, all of them.

    Raises
    ------
    InputError
        Processes have other recordings, or the folder holds a store of other settings or recordings.
    """
    folder = Path(folder)
    recipes, held_out = recipes_of(config, sounds)
    store = CueStore(folder / "cues", config, front)
    manifest = partial(manifest_csv, recipes, sounds, held_out)
    digest = hashlib.sha256()
    for line in manifest():
        digest.update(line.encode())
    ours = np.frombuffer(digest.digest(), np.uint8)
    with barrier():
        if (broadcast_from_first(ours) != ours).any():
            raise InputError("this process and the first have other recordings: give all processes the same")
    by_main_process(store.open)
    by_main_process(write_manifest, folder / "manifest.csv", manifest(), digest.hexdigest(), store.count)
    with barrier():
        whole = np.array([is_main_process() and store.whole(s) for s in range(store.shards)])
    todo = np.flatnonzero(~broadcast_from_first(whole)).tolist()
    for path in map(store.path, todo):
        if is_main_process() and path.exists():
            say(f"{path}: damaged or not finished: made again")
    with barrier():
        mine = todo[jax.process_index() :: jax.process_count()]
        mesh = mesh or mesh_of(jax.local_devices())
        blocks = [math.ceil(store.size(s) / block_size()) for s in range(store.shards)]
        left, total = (
            math.ceil(sum(blocks[s] for s in part) / mesh.size) for part in (mine, range(store.shards))
        )
        maker = _cues_of(mine, store, recipes, sounds, mesh)
        for whole in track(maker, "database", total=total, done=total - left):
            for shard, cues in whole:
                store.write(shard, cues)
    return store


def _cues_of(shards, store: CueStore, recipes: Recipes, sounds: Sounds, mesh: Mesh) -> Iterator[list]:
    """Have every device make blocks of mixtures; after each round, yield (shard, cues) of those now whole."""
    block = block_size()
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
        """Put finished blocks into their shards, and return the shards that are then whole."""
        for (shard, first, *_), part in zip(group, np.asarray(cues).reshape(-1, block, *store.shape)):
            if shard not in made:  # in one piece at once: small results kept would break up the free memory
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


def export_wav(folder: Path, limit: int, config: Database, front: FrontEnd, sounds: Sounds) -> None:
    """Write the first `limit` mixtures as 16-bit stereo WAV, left ear first, and their manifest."""
    recipes, held_out = recipes_of(config, sounds)
    recipes, folder = recipes.rows(slice(limit)), Path(folder)
    with atomic_write(folder / "manifest.csv", "w") as stream:
        stream.writelines(manifest_csv(recipes, sounds, held_out))
    waveforms = jax.tree.map(jnp.asarray, waveforms_of(sounds))
    program = jax.jit(partial(render, bits=config.bits or 16))
    for i in track(range(len(recipes.clip)), "mixtures", total=len(recipes.clip)):
        one = recipes.rows(slice(i, i + 1))
        sound = np.asarray(program(waveforms, sounds.corpus.speech[one.clip], one))[0].T
        name = f"mixture_{i:05d}_azimuth_{recipes.azimuth[i] * AZIMUTH_STEP:03d}.wav"
        write_wav(folder / name, np.round(sound * 2**15).astype(np.int16), front.fs)

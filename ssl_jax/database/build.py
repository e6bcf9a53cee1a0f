"""The database: every mixture's cues in a store on disk, and mixtures as sound files."""

import hashlib
import math
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from ssl_jax.common.devices import (
    barrier,
    broadcast_from_first,
    by_main_process,
    is_main_process,
    mesh_of,
)
from ssl_jax.common.errors import InputError
from ssl_jax.common.files import checksum_agrees, write_text
from ssl_jax.common.progress import say, track
from ssl_jax.config import AZIMUTH_STEP, Database, FrontEnd
from ssl_jax.database.cue_store import CueStore
from ssl_jax.database.program import block_size, cues_of, render, waveforms_of
from ssl_jax.database.recipes import Sounds, manifest_csv, read_manifest, recipes_of
from ssl_jax.sounds.reading import write_wav


def write_manifest(path: Path, text: str, count: int) -> None:
    """Write a manifest; raises InputError where one of other recordings stands, whose cues may be stored."""
    try:
        read_manifest(path, count)
    except InputError:  # none, or a damaged one
        write_text(path, text)
    if path.read_bytes() != text.encode():
        others = "names other recordings than there are now"
        raise InputError(f"{path}: {others}: use another --name, or delete that folder")


def build(folder: Path, config: Database, front: FrontEnd, sounds: Sounds, mesh=None) -> CueStore:
    """Make every shard of the cue store in folder/cues that is not there yet, and folder/manifest.csv. Raises
    InputError where processes or the folder have other recordings, or the folder other settings."""
    recipes, part = recipes_of(config, sounds)
    store = CueStore(folder / "cues", config, front)
    manifest = manifest_csv(recipes, sounds, part)
    ours = np.frombuffer(hashlib.sha256(manifest.encode()).digest(), np.uint8)
    with barrier():
        if (broadcast_from_first(ours) != ours).any():
            raise InputError(
                "this process and the first have other recordings: give all processes the same"
            )
    by_main_process(store.open)
    by_main_process(write_manifest, folder / "manifest.csv", manifest, store.count)
    with barrier():
        whole = np.array(
            [is_main_process() and checksum_agrees(store.path(s)) for s in range(store.shards)]
        )
    todo = np.flatnonzero(~broadcast_from_first(whole)).tolist()
    for path in map(store.path, todo):
        if is_main_process() and path.exists():
            say(f"{path}: damaged or not finished: made again")
    with barrier():  # every process makes shards of its own, by default on all its own devices
        mine = todo[jax.process_index() :: jax.process_count()]
        mesh = mesh or mesh_of(jax.local_devices())
        blocks = [math.ceil(store.size(s) / block_size()) for s in range(store.shards)]
        left, total = (math.ceil(sum(n) / mesh.size) for n in ([blocks[s] for s in mine], blocks))
        rounds = cues_of(mine, store, recipes, sounds, mesh)
        for whole in track(rounds, "database", total=total, done=total - left):
            for shard, cues in whole:
                store.write(shard, cues)
    return store


def export_wav(folder: Path, limit: int, config: Database, front: FrontEnd, sounds: Sounds) -> None:
    """Write the first `limit` mixtures as 16-bit stereo WAV, left ear first, and their manifest."""
    recipes, part = recipes_of(config, sounds)
    recipes = recipes.rows(slice(limit))
    write_text(folder / "manifest.csv", manifest_csv(recipes, sounds, part))
    waveforms = jax.tree.map(jnp.asarray, waveforms_of(sounds))
    program = jax.jit(partial(render, bits=config.bits or 16))
    for i in track(range(len(recipes.clip)), "mixtures", total=len(recipes.clip)):
        one = recipes.rows(slice(i, i + 1))
        sound = np.asarray(program(waveforms, sounds.corpus.speech[one.clip], one))[0].T
        name = f"mixture_{i:05d}_azimuth_{recipes.azimuth[i] * AZIMUTH_STEP:03d}.wav"
        write_wav(folder / name, np.round(sound * 2**15).astype(np.int16), front.fs)

"""The database: every mixture's cues in a store on disk, and mixtures as sound files."""

import hashlib
import math
from collections.abc import Iterable
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
from ssl_jax.common.files import OTHER_FOLDER, checksum_agrees, write_text
from ssl_jax.common.progress import say, track
from ssl_jax.config import AZIMUTH_STEP, Database, FrontEnd
from ssl_jax.database.cue_store import CueStore
from ssl_jax.database.manifest import manifest_csv, read_manifest
from ssl_jax.database.program import block_size, cues_of, render, waveforms_of
from ssl_jax.database.recipes import recipes_of
from ssl_jax.sounds.reading import write_wav
from ssl_jax.sounds.sources import Sounds


def write_manifest(path: Path, text: str, count: int) -> None:
    """Write a manifest.

    Raises
    ------
    InputError
        Where one of other recordings stands, whose cues may be stored already.
    """
    try:
        read_manifest(path, count)
    except InputError:  # none, or a damaged one
        write_text(path, text)
    if path.read_bytes() != text.encode():
        raise InputError(f"{path}: names other recordings than there are now: {OTHER_FOLDER}")


def check_same_manifest(manifest: str) -> None:
    """Raise InputError where processes would render different mixtures."""
    ours = np.frombuffer(hashlib.sha256(manifest.encode()).digest(), np.uint8)
    with barrier():
        if (broadcast_from_first(ours) != ours).any():
            raise InputError(
                "this process and the first have other recordings: give all processes the same"
            )


def missing_shards(store: CueStore) -> list[int]:
    """The shards that are not there or not whole, as the main process sees them."""
    whole = np.zeros(store.shards, bool)
    with barrier():
        if is_main_process():
            whole[:] = [checksum_agrees(store.path(shard)) for shard in range(store.shards)]
    missing = np.flatnonzero(~broadcast_from_first(whole)).tolist()
    for path in map(store.path, missing):
        if is_main_process() and path.exists():
            say(f"{path}: damaged or not finished: made again")
    return missing


def build(folder: Path, config: Database, front: FrontEnd, sounds: Sounds, mesh=None) -> CueStore:
    """Make folder/manifest.csv and every shard of the cue store in folder/cues that is not there.

    Raises
    ------
    InputError
        Where processes or the folder have other recordings, or the folder other settings.
    """
    recipes, part = recipes_of(config, sounds)
    store = CueStore(folder / "cues", config, front)
    manifest = manifest_csv(recipes, sounds, part)
    check_same_manifest(manifest)
    by_main_process(store.settle_settings)
    by_main_process(write_manifest, folder / "manifest.csv", manifest, store.count)
    missing = missing_shards(store)
    with barrier():  # every process makes shards of its own, by default on all its own devices
        mine = missing[jax.process_index() :: jax.process_count()]
        mesh = mesh or mesh_of(jax.local_devices())
        rounds = cues_of(mine, store, recipes, sounds, mesh)
        total = rounds_for(range(store.shards), store, mesh.size)
        left = rounds_for(mine, store, mesh.size)
        for whole_shards in track(rounds, "database", total=total, done=total - left):
            for whole in whole_shards:
                store.write(whole.shard, whole.cues)
    return store


def rounds_for(shards: Iterable[int], store: CueStore, devices: int) -> int:
    """How many rounds of `cues_of` some shards take."""
    blocks = sum(math.ceil(store.size(shard) / block_size()) for shard in shards)
    return math.ceil(blocks / devices)


def export_wav(folder: Path, limit: int, config: Database, front: FrontEnd, sounds: Sounds) -> None:
    """Write the first `limit` mixtures as 16-bit stereo WAV, left ear first, and their manifest."""
    recipes, part = recipes_of(config, sounds)
    recipes = recipes.rows(slice(limit))
    write_text(folder / "manifest.csv", manifest_csv(recipes, sounds, part))
    waveforms = jax.tree.map(jnp.asarray, waveforms_of(sounds))
    program = jax.jit(partial(render, bits=config.bits or 16))
    count = len(recipes.clip)
    for number in track(range(count), "mixtures", total=count):
        one = recipes.rows(slice(number, number + 1))
        mixture = np.asarray(program(waveforms, sounds.speech[one.clip], one))[0].T
        degrees = recipes.azimuth[number] * AZIMUTH_STEP
        name = f"mixture_{number:05d}_azimuth_{degrees:03d}.wav"
        write_wav(folder / name, np.round(mixture * 2**15).astype(np.int16), front.fs)

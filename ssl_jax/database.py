"""The database: the sound of every recipe, and its cues in a store on disk."""

import hashlib
import io
from collections.abc import Iterable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import soundfile
from jax.sharding import Mesh, PartitionSpec
from scipy.fft import next_fast_len

from .binaural_feature import get_cues_clean
from .config import AZIMUTH_STEP, Database, FrontEnd
from .corpora import Corpus
from .cue_store import CueStore
from .devices import data_mesh, is_first, of_first, on_all, our_rows, place, shared_out, together
from .files import InputError, atomic_write, sha256_of
from .filter_design import centre_frequencies
from .hrtf import Heads
from .progress import console, track
from .recipes import Recipes, manifest_csv, read_manifest, recipes_of


def block_size() -> int:
    """Mixtures that a device renders at a time; memory grows with it.

    On a CPU 4 to 24 run alike. For an accelerator nothing was measured: many, so that its many units have work.
    """
    return 12 if jax.default_backend() == "cpu" else 120


def spatialise(source, hrir):
    """Render sources through head-related impulse responses.

    Parameters
    ----------
    source : (..., samples)
    hrir : (..., 2, taps)

    Returns
    -------
    ears : (..., 2, samples), the convolution's first `samples` samples
    """
    samples = source.shape[-1]
    size = next_fast_len(samples + hrir.shape[-1] - 1, real=True)
    spectrum = jnp.fft.rfft(source, size)[..., None, :] * jnp.fft.rfft(hrir, size)
    return jnp.fft.irfft(spectrum, size)[..., :samples]


def mean_power(ears):
    """Mean square over both ears and all samples: (..., 2, samples) to (...).

    Added up in 128 partial sums, which XLA splits among threads without changing any of them: a store has the same
    bytes whatever the number of devices.
    """
    samples = ears.shape[-1]
    square = jnp.pad(ears**2, [(0, 0)] * (ears.ndim - 1) + [(0, -samples % 128)])
    return square.reshape(*ears.shape[:-1], -1, 128).sum((-3, -2)).sum(-1) / (2 * samples)


def mix(target, noises, snr):
    """Add noises to a target at given signal-to-noise ratios, and normalise the peak.

    Parameters
    ----------
    target : (..., 2, samples)
    noises : (..., k, 2, samples)
    snr : (..., k), dB
        Ratio of mean powers over both ears, for each noise by itself; the scaled noises are then
        divided by sqrt(k) (published, k = 2).

    Returns
    -------
    mixture : (..., 2, samples), peak 1, or silence
    """
    power, noise_power = mean_power(target)[..., None], mean_power(noises)
    silent = noise_power == 0
    gain = jnp.sqrt(power / jnp.where(silent, 1, noise_power) * 10 ** (-snr / 10) / snr.shape[-1])
    gain = jnp.where(silent, 0, gain)
    mixture = target + jnp.sum(gain[..., None, None] * noises, axis=-3)
    peak = jnp.max(jnp.abs(mixture), axis=(-2, -1), keepdims=True)
    return mixture / jnp.where(peak == 0, 1, peak)


class Sounds(NamedTuple):
    """What all recipes point into, on every device."""

    noise: jax.Array  # (classes, files, samples)
    hrirs: jax.Array  # (heads, 72, 2, taps)


def render(sounds: Sounds, speech, recipes: Recipes, bits: int = 16):
    """Mixtures of recipes and their speech clips (n, samples): (n, 2, samples), as a WAV of `bits` bits has them."""
    noise = sounds.noise[recipes.noise_class[:, None], recipes.noise_file]  # n, 2, samples
    azimuths = jnp.concatenate([recipes.azimuth[:, None], recipes.noise_azimuth], axis=1)
    hrirs = sounds.hrirs[recipes.head[:, None], azimuths]  # n, 3, 2, taps
    ears = spatialise(jnp.concatenate([speech[:, None], noise], axis=1), hrirs)  # n, 3, 2, samples
    mixture = mix(ears[:, 0], ears[:, 1:], recipes.snr.astype(speech.dtype))
    if not bits:
        return mixture
    full_scale = 2 ** (bits - 1)
    return jnp.round(mixture * (full_scale - 1)) / full_scale


def extract(mixtures, front: FrontEnd):
    """Network input of mixtures (n, 2, samples): (n, 3, channels, frames) float16, ITD, ILD, IC."""
    cfs = centre_frequencies(front.fs, front.channels, front.low_freq)
    cues = get_cues_clean(
        mixtures.swapaxes(1, 2), front.fs, cfs, front.filter_type, front.hair_cell,
        front.tau, front.max_itd, front.max_ild, front.hop,
    )
    return jnp.stack([cues.itd, cues.ild, cues.ic], axis=1).astype(jnp.float16)


def render_and_extract(front: FrontEnd, mesh: Mesh, bits: int = 16):
    """One compiled program: (Sounds, speech of n mixtures, their Recipes) -> cues, n shared among the devices."""
    each, all_of_it = PartitionSpec("data"), PartitionSpec()
    program = jax.shard_map(
        lambda sounds, speech, recipes: extract(render(sounds, speech, recipes, bits), front),
        mesh=mesh, in_specs=(all_of_it, each, each), out_specs=each, check_vma=False,
    )
    return jax.jit(program)


def write_manifest(path: Path, lines: Iterable[str], sha256: str, count: int) -> None:
    """Write a manifest; InputError where one of other recordings stands, whose cues may be in the store."""
    try:
        read_manifest(path, count)
    except InputError:  # none, or a damaged one
        with atomic_write(path, "w") as stream:
            stream.writelines(lines)
    if sha256_of(path) != sha256:
        raise InputError(f"{path}: names other recordings than there are now: "
                         "use another --name, or delete that folder")


def build(folder: Path, config: Database, front: FrontEnd, corpus: Corpus, heads: Heads,
          mesh: Mesh | None = None) -> CueStore:
    """Make every shard of the cue store that is not there yet.

    A shard is made by one process, which has its own devices render a block of it each at a time. What is in a block
    does not depend on how many devices there are, so neither do the bytes of the store.

    Parameters
    ----------
    folder : Path
        Gets manifest.csv and cues/; the same for all processes.
    mesh : Mesh, optional
        By default, all devices there are.
    """
    recipes, held_out = recipes_of(config, corpus, heads)
    store = CueStore(Path(folder) / "cues", config, front)
    manifest = partial(manifest_csv, recipes, corpus, heads, held_out)
    digest = hashlib.sha256()
    for line in manifest():
        digest.update(line.encode())
    ours = np.frombuffer(digest.digest(), np.uint8)
    with together():
        if (of_first(ours) != ours).any():
            raise InputError("the recordings of this process are not those of the first: give all processes the same")
    with together():
        if is_first():
            store.open()
            write_manifest(Path(folder) / "manifest.csv", manifest(), digest.hexdigest(), store.count)
        whole = np.array([is_first() and store.whole(s) for s in range(store.shards)])
    todo = np.flatnonzero(~of_first(whole)).tolist()
    for path in (path for path in map(store.path, todo) if is_first() and path.exists()):
        console.print(f"{path}: damaged or not finished: made again", highlight=False, soft_wrap=True)
    if not todo:
        return store
    mesh = mesh or data_mesh()
    here, block = len(mesh.local_devices), block_size()
    program = render_and_extract(front, mesh, config.bits)
    sounds = place(Sounds(corpus.noise, heads.hrirs), on_all(mesh))

    def blocks(shards):
        """(shard, its mixtures in the block, their speech): the last block of a shard repeats its last mixture."""
        for shard in shards:
            start, size = shard * config.shard, store.size(shard)
            clips, at = np.unique(recipes.clip[start : start + size], return_inverse=True)
            speech = corpus.speech[clips]
            for first in range(0, size, block):
                rows = np.minimum(np.arange(first, first + block), size - 1)
                yield shard, start + rows, speech[at[rows]]

    def batches(shards, count):
        """Cues in `count` batches, a block a device; a shard is written when its last block is in.

        Every process runs the program as often: where its blocks are done it does the first one of all again.
        """
        source, waiting, made, spare = blocks(shards), [], {}, next(blocks(todo))

        def keep(group, cues):
            for (shard, rows, _), part in zip(group, our_rows(cues).reshape(here, block, *store.shape)):
                if shard not in made:  # copied together at once: small results kept would break up the free memory
                    made[shard] = np.empty((store.size(shard), *store.shape), np.float16)
                first = rows[0] - shard * config.shard
                made[shard][first : first + block] = part[: len(made[shard]) - first]
                if first + block >= len(made[shard]):
                    store.write(shard, made.pop(shard))

        for _ in range(count):
            group = list(islice(source, here))
            full = group + [spare] * (here - len(group))
            rows = np.concatenate([rows for _, rows, _ in full])
            speech = np.concatenate([speech for *_, speech in full])
            some = place((speech, Recipes(*(f[rows] for f in recipes))), shared_out(mesh))
            waiting.append((group, program(sounds, *some)))
            if len(waiting) > 1:  # wait for the one before: bounded memory, devices kept busy
                keep(*waiting.pop(0))
            yield
        for last in waiting:
            keep(*last)

    def steps(shards):
        """The most steps that a process takes for its part of `shards`, which are dealt out in turn."""
        parts = [shards[process :: jax.process_count()] for process in range(jax.process_count())]
        return max(-(-sum(-(-store.size(s) // block) for s in part) // here) for part in parts)

    left, total = steps(todo), steps(range(store.shards))
    with together():
        ours = batches(todo[jax.process_index() :: jax.process_count()], left)
        for _ in track(ours, "database", total=total, done=total - left):
            pass
    return store


def export_wav(folder: Path, limit: int, config: Database, front: FrontEnd, corpus: Corpus,
               heads: Heads) -> None:
    """Write the first `limit` mixtures as 16-bit stereo WAV, left ear first, and their manifest."""
    recipes, held_out = recipes_of(config, corpus, heads)
    recipes = Recipes(*(f[:limit] for f in recipes))
    folder = Path(folder)
    with atomic_write(folder / "manifest.csv", "w") as stream:
        stream.writelines(manifest_csv(recipes, corpus, heads, held_out))
    sounds = Sounds(jnp.asarray(corpus.noise), jnp.asarray(heads.hrirs))
    program = jax.jit(partial(render, bits=config.bits or 16))
    for i in track(range(len(recipes.clip)), "mixtures", total=len(recipes.clip)):
        one = Recipes(*(f[i : i + 1] for f in recipes))
        sound = np.asarray(program(sounds, corpus.speech[one.clip], one))[0].T
        wav = io.BytesIO()  # soundfile cannot report a full disk; our own writing does
        soundfile.write(wav, np.round(sound * 2**15).astype(np.int16), front.fs, "PCM_16", format="WAV")
        with atomic_write(folder / f"mixture_{i:05d}_azimuth_{recipes.azimuth[i] * AZIMUTH_STEP:03d}.wav") as f:
            f.write(wav.getvalue())

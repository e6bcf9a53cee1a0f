"""The database: the sound of every recipe, and its cues in a store on disk."""

import contextlib
import io
import json
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import soundfile
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from scipy.fft import next_fast_len

from .binaural_feature import get_cues_clean
from .config import AZIMUTH_STEP, AZIMUTHS, Database, FrontEnd, fingerprint
from .corpora import Corpus
from .files import InputError, atomic_write, is_whole, read_json, write_checksum, write_json
from .filter_design import centre_frequencies
from .hrtf import Heads
from .progress import console, track
from .recipes import Recipes, manifest_csv, read_manifest, recipes_of

BATCH = 24  # mixtures rendered at a time: 8 to 48 run alike, memory grows with it


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
    power = jnp.mean(target**2, axis=(-2, -1))[..., None]
    noise_power = jnp.mean(noises**2, axis=(-2, -1))
    silent = noise_power == 0
    gain = jnp.sqrt(power / jnp.where(silent, 1, noise_power) * 10 ** (-snr / 10) / snr.shape[-1])
    gain = jnp.where(silent, 0, gain)
    mixture = target + jnp.sum(gain[..., None, None] * noises, axis=-3)
    peak = jnp.max(jnp.abs(mixture), axis=(-2, -1), keepdims=True)
    return mixture / jnp.where(peak == 0, 1, peak)


class Sounds(NamedTuple):
    """What the recipes point into, on the devices."""

    speech: jax.Array  # (clips, samples)
    noise: jax.Array  # (classes, files, samples)
    hrirs: jax.Array  # (heads, 72, 2, taps)


def render(sounds: Sounds, recipes: Recipes, bits: int = 16):
    """Mixtures of the given recipes: (n, 2, samples), as a WAV file of `bits` bits would hold them."""
    speech = sounds.speech[recipes.clip]
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


def data_mesh(devices: int | None = None) -> Mesh:
    """All devices there are, or the first so many, along one axis named "data"."""
    devices = jax.device_count() if devices is None else devices
    return jax.make_mesh((devices,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:devices])


def render_and_extract(front: FrontEnd, mesh: Mesh, bits: int = 16):
    """One compiled program: (Sounds, Recipes of n mixtures) -> cues, n shared among the devices."""
    each, all_of_it = PartitionSpec("data"), PartitionSpec()
    program = jax.shard_map(
        lambda sounds, recipes: extract(render(sounds, recipes, bits), front),
        mesh=mesh, in_specs=(all_of_it, each), out_specs=each, check_vma=False,
    )
    return jax.jit(program)


class CueStore:
    """Cue maps on disk: shards of (mixtures, 3, channels, frames) float16, memory-mapped.

    A shard counts only when its checksum file stands beside it and agrees.
    """

    def __init__(self, folder: Path, config: Database, front: FrontEnd):
        self.folder, self.config, self.front = Path(folder), config, front
        self.count = config.clips * AZIMUTHS
        self.shards = -(-self.count // config.shard)
        self.shape = (3, front.channels, front.fs // front.hop)

    def path(self, shard: int) -> Path:
        return self.folder / f"cues-{shard:05d}.npy"

    def size(self, shard: int) -> int:
        """Mixtures in a shard; the last may be shorter."""
        return min(self.config.shard, self.count - shard * self.config.shard)

    def open(self) -> None:
        """Make the folder ours, or check that it is: InputError names the setting that differs."""
        check_settings(self.folder / "store.json", fingerprint(database=self.config, front=self.front))

    def whole(self, shard: int) -> bool:
        """Is the shard there, and as it was written?"""
        return is_whole(self.path(shard))

    def write(self, shard: int, cues: np.ndarray) -> None:
        content = io.BytesIO()  # NumPy's own writing to a file does not say that the disk is full; ours does
        np.save(content, cues, allow_pickle=False)
        with atomic_write(self.path(shard)) as stream:
            stream.write(content.getbuffer())
        write_checksum(self.path(shard))

    def read(self) -> list[np.ndarray]:
        """All shards, memory-mapped; InputError if one is missing or damaged, or the settings differ."""
        for shard in range(self.shards):
            if not self.whole(shard):
                raise InputError(f"{self.path(shard)}: missing or damaged: run the database stage again")
        self.open()
        return [self._map(shard) for shard in range(self.shards)]

    def _map(self, shard: int) -> np.ndarray:
        with contextlib.suppress(ValueError, EOFError):
            cues = np.load(self.path(shard), mmap_mode="r", allow_pickle=False)
            if cues.shape == (self.size(shard), *self.shape) and cues.dtype == np.float16:
                return cues
        raise InputError(f"{self.path(shard)}: is no shard of this store: delete it and run the database stage again")


def check_settings(path: Path, settings: dict, made: str = "*.sha256", older: bool = False) -> None:
    """Write settings where none are, else insist on equal ones.

    Parameters
    ----------
    made : str
        Pattern of the files beside it that the settings stand for.
    older : bool
        Let a field pass that the file does not have: an older version wrote it.

    Raises
    ------
    InputError
        The file holds other settings; the message names the first field that differs. Or it is
        not there, but files that were made with settings nobody knows are.
    """
    settings = json.loads(json.dumps(settings))  # tuples are lists in the file
    if not path.exists():
        if any(path.parent.glob(made)):
            raise InputError(f"{path}: is missing, so nobody knows how the files beside it were made: "
                             "use another --name, or delete that folder")
        write_json(path, settings)
        return
    before = read_json(path)
    for part, fields in settings.items():
        there = before.get(part) if isinstance(before, dict) else None
        for field, value in fields.items():
            if older and isinstance(there, dict) and field not in there:
                continue
            old = there.get(field) if isinstance(there, dict) else None
            if old != value:
                raise InputError(
                    f"{path}: was made with {part}.{field} = {old!r}, now {value!r}: "
                    f"use another --name, or delete that folder"
                )


def write_manifest(path: Path, text: str, count: int) -> None:
    """Write a manifest; InputError where one of other recordings stands, whose cues may be in the store."""
    try:
        read_manifest(path, count)
    except InputError:  # none, or a damaged one
        with atomic_write(path, "w") as stream:
            stream.write(text)
    if path.read_bytes() != text.encode():
        raise InputError(f"{path}: names other recordings than there are now: "
                         "use another --name, or delete that folder")


def build(folder: Path, config: Database, front: FrontEnd, corpus: Corpus, heads: Heads) -> CueStore:
    """Make every shard of the cue store that is not there yet.

    Parameters
    ----------
    folder : Path
        Gets manifest.csv and cues/.
    """
    recipes, held_out = recipes_of(config, corpus, heads)
    store = CueStore(Path(folder) / "cues", config, front)
    store.open()
    write_manifest(Path(folder) / "manifest.csv", manifest_csv(recipes, corpus, heads, held_out), store.count)
    todo = [s for s in range(store.shards) if not store.whole(s)]
    for path in (path for path in map(store.path, todo) if path.exists()):
        console.print(f"{path}: damaged or not finished: made again", highlight=False, soft_wrap=True)
    if not todo:
        return store
    mesh = data_mesh()
    batch = -(-BATCH // mesh.size) * mesh.size
    program = render_and_extract(front, mesh, config.bits)
    sounds = jax.device_put(Sounds(corpus.speech, corpus.noise, heads.hrirs),
                            NamedSharding(mesh, PartitionSpec()))

    def batches():
        """Cues batch by batch; a shard is written when its last one is in."""
        for shard in todo:
            start = shard * config.shard
            parts = []
            for at in range(start, start + store.size(shard), batch):
                rows = np.minimum(np.arange(at, at + batch), store.count - 1)
                parts.append(program(sounds, Recipes(*(f[rows] for f in recipes))))
                if len(parts) > 1:  # wait for the one before: bounded memory, devices kept busy
                    parts[-2] = np.asarray(parts[-2])
                yield
            store.write(shard, np.concatenate([np.asarray(p) for p in parts])[: store.size(shard)])

    steps = [-(-store.size(s) // batch) for s in range(store.shards)]
    done = sum(steps) - sum(steps[s] for s in todo)
    for _ in track(batches(), "database", total=sum(steps), done=done):
        pass
    return store


def export_wav(folder: Path, limit: int, config: Database, front: FrontEnd, corpus: Corpus,
               heads: Heads) -> None:
    """Write the first `limit` mixtures as 16-bit stereo WAV, left ear first, and their manifest."""
    recipes, held_out = recipes_of(config, corpus, heads)
    recipes = Recipes(*(f[:limit] for f in recipes))
    folder = Path(folder)
    with atomic_write(folder / "manifest.csv", "w") as stream:
        stream.write(manifest_csv(recipes, corpus, heads, held_out))
    sounds = Sounds(*(jnp.asarray(s) for s in (corpus.speech, corpus.noise, heads.hrirs)))
    program = jax.jit(partial(render, bits=config.bits or 16))
    for i in track(range(len(recipes.clip)), "mixtures", total=len(recipes.clip)):
        sound = np.asarray(program(sounds, Recipes(*(f[i : i + 1] for f in recipes))))[0].T
        wav = io.BytesIO()  # soundfile cannot report a full disk; our own writing does
        soundfile.write(wav, np.round(sound * 2**15).astype(np.int16), front.fs, "PCM_16", format="WAV")
        with atomic_write(folder / f"mixture_{i:05d}_azimuth_{recipes.azimuth[i] * AZIMUTH_STEP:03d}.wav") as f:
            f.write(wav.getvalue())

"""The fingerprint: what published weights tell of their training set. BatchNorm's statistics are those of
that set as a convolution sees it, so a database can be held against them without a look at any accuracy.
"""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ssl_jax.common.devices import mesh_of
from ssl_jax.common.files import atomic_write
from ssl_jax.common.progress import track
from ssl_jax.config import AZIMUTHS, Database, FrontEnd
from ssl_jax.database.cue_store import CueStore
from ssl_jax.database.program import cues_of
from ssl_jax.database.recipes import Recipes, Sounds, recipes_of
from ssl_jax.networks.three_branch import ThreeBranch
from ssl_jax.studies.published_weights import read_npz

LOWS, HIGHS = (
    (-10, -5, 0, 5, 10, 15),
    (-5, 0, 5, 10, 15, 20, 25, 30, 40),
)  # dB, ends of the ranges looked at
RANGES = [(low, high) for low in LOWS for high in HIGHS if high > low]
CLIPS = 14  # a thousand mixtures of each database
# of ESC-10: what Piczak (2015) calls soundscapes and noise, and the sounds of events
STATIONARY = ("chainsaw", "crackling_fire", "helicopter", "rain", "sea_waves")
EVENTS = ("clock_tick", "crying_baby", "dog", "rooster", "sneezing")


class Layer(NamedTuple):
    """A convolution of all three branches, summed over its kernel, and the BatchNorm after it: neighbouring
    samples, which are what a published kernel spans, hold the same cues.
    """

    kernel: np.ndarray  # (3, inputs, 64)
    bias: np.ndarray  # (3, 64), like all that follow
    mean: np.ndarray  # running
    var: np.ndarray  # running
    scale: np.ndarray
    shift: np.ndarray


class Statistics(NamedTuple):
    """Sums over mixtures, by a label of each; divided by `number` they are means."""

    number: np.ndarray  # (labels,)
    cues: np.ndarray  # (labels, 3, channels): of ITD (ms), ILD (dB), IC
    layers: np.ndarray  # (labels, checkpoints, 3, 2 layers, 2 moments, 64), see `moments`

    def mean(self, labels=slice(None)) -> tuple[np.ndarray, np.ndarray]:
        """Means of cues and layers over all mixtures of some labels."""
        count, *sums = (part[labels].sum(0) for part in self)
        return sums[0] / count, sums[1] / count


def layers_of(model: ThreeBranch) -> tuple[Layer, Layer]:
    """Both convolutions of a three-branch network as `moments` uses them."""
    layers = []
    for k in (1, 2):
        pairs = [(getattr(b, f"conv{k}"), getattr(b, f"norm{k}")) for b in model.branches]
        parts = [(c.kernel[...].sum(0), c.bias, n.mean, n.var, n.scale, n.bias) for c, n in pairs]
        layers.append(Layer(*(np.stack([array[...] for array in part]) for part in zip(*parts))))
    return layers[0], layers[1]


def training_set_means(model: ThreeBranch) -> tuple[np.ndarray, np.ndarray]:
    """Mean cues (3, channels) of the data a network was trained on: ITD in ms, ILD in dB, IC; residuals (3,).

    The first convolution is linear, so its running means, less its bias, are its weights times the mean cues:
    64 equations for 32 unknowns, solved by least squares. A residual, the rms error as a share of the spread
    of the 64 means, tells how far to believe them: statistics that lag behind weights in motion fit no data.
    """
    first, means, residuals = layers_of(model)[0], [], []
    for kernel, wanted in zip(first.kernel, first.mean - first.bias):
        means.append(np.linalg.lstsq(kernel.T, wanted)[0])
        residuals.append(np.sqrt(np.mean((kernel.T @ means[-1] - wanted) ** 2)) / wanted.std())
    return np.stack(means), np.array(residuals)


def moments(layers: tuple[Layer, Layer], cues: jax.Array) -> jax.Array:
    """Means over time of both convolutions' outputs and of their squares, (n, 3, 2 layers, 2, 64), from cue
    maps (n, 3, channels, frames). The second gets the first's output normalised by the running statistics.
    """
    x, found = cues.astype(jnp.float32).swapaxes(2, 3), []  # n, 3, frames, inputs
    for layer in layers:
        y = jnp.einsum("nbti,bio->nbto", x, layer.kernel) + layer.bias[:, None]
        found.append(jnp.stack([y.mean(2), (y * y).mean(2)], axis=2))
        slope = layer.scale * jax.lax.rsqrt(layer.var + 1e-5)
        x = jax.nn.relu((y - layer.mean[:, None]) * slope[:, None] + layer.shift[:, None])
    return jnp.stack(found, axis=2)


def distance(layers: tuple[Layer, Layer], found: np.ndarray) -> float:
    """How far `moments` (3, 2, 2, 64), averaged over a database, lie from the running statistics: over the 64
    outputs, the rms of (mean - running mean) / running standard deviation, and the rms of the log ratio of
    variances; the mean of these over three branches and two layers.
    """
    terms = []
    for layer, (mean, square) in zip(layers, found.transpose(1, 2, 0, 3)):
        terms += [(mean - layer.mean) / np.sqrt(layer.var), np.log((square - mean**2) / layer.var)]
    return float(np.sqrt(np.mean(np.square(terms), axis=-1)).mean())


def statistics(models, config: Database, front: FrontEnd, sounds: Sounds, recipes: Recipes, labels):
    """`Statistics` of `config.clips` * 72 recipes by their labels (0, 1, ...), for each of `models`."""
    store, shape = CueStore(Path(), config, front), (labels.max() + 1, 3)
    layers = [layers_of(model) for model in models]
    program = jax.jit(lambda cues: [moments(pair, cues) for pair in layers])
    sums = np.zeros((*shape, front.channels)), np.zeros((len(layers), *shape, 2, 2, 64))
    rounds = cues_of(range(store.shards), store, recipes, sounds, mesh_of(jax.local_devices()))
    for shard, cues in (item for whole in rounds for item in whole):
        at = labels[shard * config.shard :][: len(cues)]
        for total, found in zip(
            (sums[0], *sums[1]), (cues.mean(-1, dtype=np.float32), *program(cues))
        ):
            np.add.at(total, at, np.asarray(found))
    return Statistics(np.bincount(labels), sums[0], sums[1].swapaxes(0, 1))


def some_recipes(config: Database, sounds: Sounds, draw: int = 0) -> tuple[Database, Recipes]:
    """A thousand random mixtures of a database, others with every `draw`."""
    recipes, count = recipes_of(config, sounds)[0], CLIPS * AZIMUTHS
    order = np.random.default_rng((config.seed, 5)).permutation(
        len(recipes.clip)
    )  # 5: what it is for
    return replace(config, clips=CLIPS), recipes.rows(np.sort(order[draw * count :][:count]))


def of_ranges(
    folder: Path, ranges, models, config, front: FrontEnd, sounds: Sounds, draw: int = 0
) -> dict:
    """Statistics of ranges of SNR, (low, high) in dB, kept in `folder`; the label is the noise class. The
    mixtures differ in their SNR alone, whose place in the range is the same too.
    """
    found, (some, recipes) = {}, some_recipes(config, sounds, draw)
    share = (recipes.snr - config.snr_low) / (config.snr_high - config.snr_low)
    for low, high in track(ranges, f"SNR ranges, draw {draw}", total=len(ranges)):
        path = folder / f"snr{low}to{high}-{draw}.npz"
        if not path.exists():
            mine = recipes._replace(snr=np.round(low + (high - low) * share, 4))
            made = statistics(models, some, front, sounds, mine, recipes.noise_class)
            with atomic_write(path) as stream:
                np.savez(stream, *made)
        found[low, high] = Statistics(*read_npz(path).values())
    return found


def whole_speech(sounds: Sounds) -> Sounds:
    """The same with all speech in memory, where it is drawn from at random."""
    speech = sounds.corpus.speech
    return sounds._replace(corpus=sounds.corpus._replace(speech=speech[np.arange(len(speech))]))

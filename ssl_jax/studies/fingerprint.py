"""The fingerprint: what published weights tell of their training set.

BatchNorm keeps running means and variances of what a convolution gives over the training set.
Any database can be held against them. Accuracy plays no part.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from ssl_jax.common.devices import copy_on_each, mesh_of, to_devices
from ssl_jax.config import AZIMUTHS, FrontEnd
from ssl_jax.database.cue_store import CueStore
from ssl_jax.database.program import render_and_extract, run_program, waveforms_of
from ssl_jax.database.recipes import Recipes
from ssl_jax.networks.three_branch import ThreeBranch
from ssl_jax.studies.fingerprint_corpora import Corpus

EPSILON = 1e-5  # of BatchNorm (PyTorch's default)
SHARD = 504  # mixtures whose moments are computed at once: half a draw, so that shards are alike
MOMENTS_SHAPE = (3, 2, 2, 64)  # branches, layers, mean and mean square, outputs


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Layer:
    """One convolution of all three branches and the BatchNorm after it.

    The kernel is summed over its taps: they are samples of a published kernel, and neighbouring
    samples hold the same cues.
    """

    kernel: np.ndarray  # (3, inputs, 64)
    bias: np.ndarray  # (3, 64), like all that follow
    mean: np.ndarray  # running
    var: np.ndarray  # running
    scale: np.ndarray
    shift: np.ndarray


Layers = tuple[Layer, Layer]  # both convolutions of a checkpoint


def layers_of(model: ThreeBranch) -> Layers:
    """Both convolutions of a three-branch network."""
    first = [(branch.conv1, branch.norm1) for branch in model.branches]
    second = [(branch.conv2, branch.norm2) for branch in model.branches]
    return _layer(first), _layer(second)


def _layer(pairs) -> Layer:
    """Of a (convolution, BatchNorm) for each branch."""
    return Layer(
        kernel=np.stack([np.asarray(conv.kernel[...].sum(0)) for conv, _ in pairs]),
        bias=np.stack([np.asarray(conv.bias[...]) for conv, _ in pairs]),
        mean=np.stack([np.asarray(norm.mean[...]) for _, norm in pairs]),
        var=np.stack([np.asarray(norm.var[...]) for _, norm in pairs]),
        scale=np.stack([np.asarray(norm.scale[...]) for _, norm in pairs]),
        shift=np.stack([np.asarray(norm.bias[...]) for _, norm in pairs]),
    )


@dataclass(frozen=True)
class TrainingSetMeans:
    """Mean cues of the data a network was trained on."""

    cues: np.ndarray  # (3, channels): ITD (ms), ILD (dB), IC
    residuals: np.ndarray  # (3,), how far to believe them


def training_set_means(layers: Layers) -> TrainingSetMeans:
    """Read the mean cues of the training set out of a network.

    The first convolution is linear. So its running means, less its bias, are its weights times
    the mean cues: 64 equations for 32 unknowns, solved by least squares. The residual is the rms
    error as a share of the spread of the 64 means. It is large where the running statistics lag
    behind weights in motion.
    """
    first = layers[0]
    cues = []
    residuals = []
    for kernel, wanted in zip(first.kernel, first.mean - first.bias, strict=True):
        solution = np.linalg.lstsq(kernel.T, wanted)[0]
        error = kernel.T @ solution - wanted
        cues.append(solution)
        residuals.append(np.sqrt(np.mean(error**2)) / wanted.std())
    return TrainingSetMeans(np.stack(cues), np.array(residuals))


@jax.jit
def moments(layers: Layers, cues: jax.Array) -> jax.Array:
    """Means over time of both convolutions' outputs and of their squares.

    Parameters
    ----------
    layers : of one checkpoint
        The second layer gets the first one's output, normalised by the running statistics.
    cues : (n, 3, channels, frames)

    Returns
    -------
    (n, *MOMENTS_SHAPE)
    """
    x = cues.astype(jnp.float32).swapaxes(2, 3)  # n, 3, frames, inputs
    of_layers = []
    for layer in layers:
        y = jnp.einsum("nbti,bio->nbto", x, layer.kernel) + layer.bias[:, None]
        of_layers.append(jnp.stack([y.mean(2), (y * y).mean(2)], axis=2))  # n, 3, 2, 64
        slope = layer.scale * jax.lax.rsqrt(layer.var + EPSILON)
        x = jax.nn.relu((y - layer.mean[:, None]) * slope[:, None] + layer.shift[:, None])
    return jnp.stack(of_layers, axis=2)


def distance(layers: Layers, averaged: np.ndarray) -> float:
    """How far a database lies from the running statistics of a checkpoint.

    Parameters
    ----------
    layers : of the checkpoint
    averaged : MOMENTS_SHAPE, its `moments`, averaged over the database

    Returns
    -------
    The mean over branches and layers of two numbers: over the 64 outputs, the rms of (mean -
    running mean) / running standard deviation, and the rms of the log ratio of variances.
    """
    terms = []
    for number, layer in enumerate(layers):
        mean = averaged[:, number, 0]  # 3, 64
        square = averaged[:, number, 1]
        terms.append((mean - layer.mean) / np.sqrt(layer.var))
        terms.append(np.log((square - mean**2) / layer.var))
    return float(np.sqrt(np.mean(np.square(terms), axis=-1)).mean())


@dataclass(frozen=True)
class Means:
    """Averages over mixtures."""

    cues: np.ndarray  # (3, channels): ITD (ms), ILD (dB), IC
    moments: np.ndarray  # (checkpoints, *MOMENTS_SHAPE)


@dataclass(frozen=True)
class Statistics:
    """Sums over mixtures, by kind of noise."""

    number: np.ndarray  # (kinds,) mixtures
    cues: np.ndarray  # (kinds, 3, channels)
    moments: np.ndarray  # (kinds, checkpoints, *MOMENTS_SHAPE)

    def mean(self, kinds: Sequence[int] | None = None) -> Means:
        """Averages over the mixtures with some kinds of noise, by default all."""
        chosen = list(range(len(self.number))) if kinds is None else list(kinds)
        count = self.number[chosen].sum()
        return Means(self.cues[chosen].sum(0) / count, self.moments[chosen].sum(0) / count)


@lru_cache
def compiled_program(front: FrontEnd, bits: int, mesh: Mesh):
    """The same program for all ranges, draws and corpora: compiling takes longer than one range."""
    return render_and_extract(front, mesh, bits)


def statistics(
    checkpoints: Sequence[Layers], corpus: Corpus, recipes: Recipes, front: FrontEnd
) -> Statistics:
    """Render the mixtures of some recipes and sum up their cues and moments.

    Parameters
    ----------
    checkpoints : whose layers the cues go through
    corpus : that the recipes choose from
    recipes : of a multiple of 72 mixtures
    front : from ear signals to cues
    """
    config = replace(corpus.config, clips=len(recipes.clip) // AZIMUTHS, shard=SHARD)
    store = CueStore(Path(), config, front)
    mesh = mesh_of(jax.local_devices())
    program = compiled_program(front, config.bits, mesh)
    waveforms = to_devices(waveforms_of(corpus.sounds), copy_on_each(mesh))
    kinds = len(corpus.sounds.noises.kinds)
    cue_sums = np.zeros((kinds, 3, front.channels))
    moment_sums = np.zeros((kinds, len(checkpoints), *MOMENTS_SHAPE))
    shards = range(store.shards)
    for whole in run_program(program, waveforms, shards, store, recipes, corpus.speech, mesh):
        for shard in whole:
            kind = recipes.noise_kind[shard.shard * SHARD :][: len(shard.cues)]
            np.add.at(cue_sums, kind, shard.cues.mean(-1, dtype=np.float32))
            for number, layers in enumerate(checkpoints):
                np.add.at(moment_sums[:, number], kind, np.asarray(moments(layers, shard.cues)))
    number = np.bincount(recipes.noise_kind, minlength=kinds)
    return Statistics(number, cue_sums, moment_sums)

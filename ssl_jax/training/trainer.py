"""A network in training."""

import math
import time
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh

from ssl_jax.common.devices import data_mesh, on_all, to_devices
from ssl_jax.common.errors import InputError
from ssl_jax.config import AZIMUTH_STEP, AZIMUTHS, FrontEnd, Training
from ssl_jax.metrics import batch_counts, class_distance
from ssl_jax.networks.registry import build_model
from ssl_jax.networks.serialisation import from_named, named_arrays, split
from ssl_jax.training.batches import EVALUATION_BATCH, Mixtures, batches_of

WAVES, UNLIKE = (
    4,
    1.0,
)  # of a smooth curve over the channels; dB, its spread where microphones are tried


def learning_rates(config: Training, steps_per_epoch: int) -> optax.Schedule:
    """Learning rate by step since the optimiser was last fresh; with a warm-up it changes step by step."""
    rate, floor = config.learning_rate, config.cosine_floor
    if config.warmup_epochs:
        rise, steps = (
            int(config.warmup_epochs * steps_per_epoch),
            config.cosine_epochs * steps_per_epoch,
        )
        return optax.warmup_cosine_decay_schedule(rate / 10, rate, rise, steps, floor)
    if not config.cosine_epochs:
        return optax.constant_schedule(rate)
    cosine = optax.cosine_decay_schedule(rate, config.cosine_epochs, floor / rate)
    return lambda step: cosine(step // steps_per_epoch)


def target_table(spread: float) -> np.ndarray:
    """Targets (72, 72) of every class: a circular normal of `spread` degrees about it."""
    apart = AZIMUTH_STEP * class_distance(np.arange(AZIMUTHS)[:, None], np.arange(AZIMUTHS))
    weights = np.exp(-0.5 * (apart / spread) ** 2)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def coloured(cues: jax.Array, spread: float, key: jax.Array) -> jax.Array:
    """Cue maps (batch, maps, channels, frames) as two microphones that differ give them: on the ILDs of each,
    a random curve of WAVES cosines over the channels, of `spread` dB."""
    channels = cues.shape[2]
    angles = jnp.pi * jnp.outer(jnp.arange(1, WAVES + 1), (jnp.arange(channels) + 0.5) / channels)
    curves = (
        spread * (2 / WAVES) ** 0.5 * jax.random.normal(key, (len(cues), WAVES)) @ jnp.cos(angles)
    )
    return cues.at[:, 1].add(curves[..., None].astype(cues.dtype))


class Trainer:
    """A network, its optimiser and the two compiled programs that use them."""

    def __init__(
        self, config: Training, steps_per_epoch: int, front: FrontEnd, mesh: Mesh | None = None
    ):
        model = build_model(config.model, config.seed, front)
        self.graph, self.weights, self.rest = split(model)
        self.config, self.rates = config, learning_rates(config, steps_per_epoch)
        # flattened: one long vector to update instead of dozens of small ones
        self.optimiser = optax.flatten(optax.adamw(self.rates, weight_decay=config.weight_decay))
        self.moments = self.optimiser.init(self.weights)
        # on a CPU one device per process is fastest: each operation uses all cores by itself
        self.mesh = mesh or data_mesh(1 if jax.default_backend() == "cpu" else None)
        self.everywhere = on_all(self.mesh)  # weights; a batch is shared out
        # XLA's reductions among CPU devices lock up when a program begins before the last one has ended
        self.one_by_one = jax.default_backend() == "cpu" and self.mesh.size > 1
        self.step = jax.jit(self._step, donate_argnums=(0, 1, 2), out_shardings=self.everywhere)
        self.predict = jax.jit(self._predict, out_shardings=self.everywhere)

    def _step(self, weights, rest, moments, totals, cues, labels):
        if self.config.coloured:
            key = jax.random.fold_in(
                jax.random.key(self.config.seed), moments[0].count
            )  # another every step
            cues = coloured(cues, self.config.coloured, key)

        def loss_of(weights):
            model = nnx.merge(self.graph, weights, rest, copy=True)
            model.train()
            logits = model(cues)
            if spread := self.config.label_spread:
                losses = optax.softmax_cross_entropy(
                    logits, jnp.asarray(target_table(spread))[labels]
                )
            else:
                losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            return losses.mean(), (logits, split(model)[2])

        slopes, (logits, rest) = jax.grad(loss_of, has_aux=True)(weights)
        updates, moments = self.optimiser.update(slopes, moments, weights)
        totals = jax.tree.map(jnp.add, totals, batch_counts(logits, labels))
        return optax.apply_updates(weights, updates), rest, moments, totals

    def _predict(self, weights, rest, cues):
        model = nnx.merge(self.graph, weights, rest, copy=True)
        model.eval()
        return model(cues)

    def train_epoch(self, batches: Iterator) -> tuple[float, float, float]:
        """Mean loss, and Top-1 and published Top-5 in percent, as the weights moved."""
        totals = jnp.float32(0), jnp.int32(0), jnp.int32(0)
        state = to_devices((self.weights, self.rest, self.moments, totals), self.everywhere)
        count, self.waited, asked = 0, 0.0, time.monotonic()  # waited for batches, s
        for cues, labels in batches:
            self.waited += time.monotonic() - asked
            state = self.step(*state, cues, labels)
            if self.one_by_one:
                jax.block_until_ready(state)
            count += len(labels)
            asked = time.monotonic()
        self.weights, self.rest, self.moments, totals = state
        loss, hits1, hits5 = (float(t) for t in totals)
        if not math.isfinite(loss):
            raise InputError(
                "training diverged (the loss is not a number): lower the learning rate"
            )
        return loss / count, 100 * hits1 / count, 100 * hits5 / count

    def set_model(self, model: nnx.Module) -> None:
        """Take over the weights and statistics of a network of the same kind."""
        _, self.weights, self.rest = split(model)

    def state_arrays(self) -> dict[str, np.ndarray]:
        """Weights, batch statistics and optimiser state by name, for a checkpoint."""
        trees = {"weights": self.weights, "rest": self.rest, "moments": self.moments}
        return {
            name: array
            for k, tree in trees.items()
            for name, array in named_arrays(k, tree).items()
        }

    def restore(self, arrays: dict, with_optimiser: bool = True) -> None:
        """Take over a checkpoint's arrays; raises InputError, which names one that does not fit."""
        self.weights = from_named("weights", self.weights, arrays)
        self.rest = from_named("rest", self.rest, arrays)
        if with_optimiser:
            self.moments = from_named("moments", self.moments, arrays)


def predict_all(trainer: Trainer, mixtures: Mixtures, numbers: np.ndarray, spread: float = 0):
    """Logits (n, 72) and classes (n,) of the given mixtures, `coloured` by `spread` dB."""
    weights, rest = to_devices((trainer.weights, trainer.rest), trainer.everywhere)
    logits = []
    for k, (cues, _) in enumerate(batches_of(mixtures, numbers, EVALUATION_BATCH, trainer.mesh)):
        cues = coloured(cues, spread, jax.random.key(k)) if spread else cues
        logits.append(trainer.predict(weights, rest, cues))
        if trainer.one_by_one:
            jax.block_until_ready(logits[-1])
    return np.concatenate([np.asarray(l) for l in logits]), numbers % AZIMUTHS

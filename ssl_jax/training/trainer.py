"""A network in training: its loss, its optimiser and the compiled programs that use them."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh

from ssl_jax.common.devices import copy_on_each, data_mesh, to_devices
from ssl_jax.common.errors import InputError
from ssl_jax.config import AZIMUTHS, FrontEnd, Training
from ssl_jax.metrics import BatchCounts, Evaluation, batch_counts, class_distances_degrees
from ssl_jax.networks.registry import build_model
from ssl_jax.networks.serialisation import from_named, named_arrays, split
from ssl_jax.training.batches import EVALUATION_BATCH, Mixtures, batches_of
from ssl_jax.training.microphones import ALIKE, Microphones, colour_maps


def learning_rates(config: Training, steps_per_epoch: int) -> optax.Schedule:
    """The learning rate by step since the optimiser was last fresh.

    With a warm-up it changes step by step, else epoch by epoch (published).
    """
    rate = config.learning_rate
    if config.warmup_epochs:
        return optax.warmup_cosine_decay_schedule(
            # a tenth: fresh weights bear no full step
            init_value=rate / 10,
            peak_value=rate,
            warmup_steps=int(config.warmup_epochs * steps_per_epoch),
            decay_steps=config.cosine_epochs * steps_per_epoch,
            end_value=config.cosine_floor,
        )
    if not config.cosine_epochs:
        return optax.constant_schedule(rate)
    by_epoch = optax.cosine_decay_schedule(rate, config.cosine_epochs, config.cosine_floor / rate)
    return lambda step: by_epoch(step // steps_per_epoch)


def count_steps(moments) -> jax.Array:
    """Steps since the optimiser was last fresh. Adam's own state comes first in AdamW's."""
    adam, *_ = moments
    return adam.count


def target_table(deviation_degrees: float) -> np.ndarray:
    """Targets (72, 72) of every class: a circular normal of that standard deviation about it."""
    weights = np.exp(-0.5 * (class_distances_degrees() / deviation_degrees) ** 2)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class State:
    """All that a training step changes."""

    weights: Any
    rest: Any  # running statistics and dropout's keys
    moments: Any  # the optimiser's
    totals: BatchCounts  # of the epoch's batches so far


@dataclass(frozen=True)
class EpochScores:
    """What an epoch of training gave, while the weights moved."""

    loss: float  # mean, nats
    top1: float  # percent
    top5: float  # percent, as published
    waited_s: float  # for batches


class Trainer:
    """A network, its optimiser and the two compiled programs that use them.

    Parameters
    ----------
    config : Training
    steps_per_epoch : int
        What the learning rate goes by.
    front : FrontEnd
        What the network's cue maps come from.
    mesh : Mesh, optional
        The devices: by default one a process on a CPU, else all.
    """

    def __init__(
        self, config: Training, steps_per_epoch: int, front: FrontEnd, mesh: Mesh | None = None
    ):
        self.config = config
        self.front = front
        self.graph, self.weights, self.rest = split(build_model(config.model, config.seed, front))
        self.rates = learning_rates(config, steps_per_epoch)
        # flattened: one long vector to update instead of dozens of small ones
        adamw = optax.adamw(self.rates, weight_decay=config.weight_decay)
        self.optimiser = optax.flatten(adamw)
        self.restart_optimiser()
        on_cpu = jax.default_backend() == "cpu"
        # on a CPU one device a process is fastest: each operation uses all cores by itself
        self.mesh = mesh or data_mesh(1 if on_cpu else None)
        # weights are whole on every device; a batch is divided among them
        self.everywhere = copy_on_each(self.mesh)
        # XLA's reductions among CPU devices lock up when a program begins before the last one ends
        self.one_by_one = on_cpu and self.mesh.size > 1
        self.step = jax.jit(self._step, donate_argnums=0, out_shardings=self.everywhere)
        self.predict = jax.jit(self._predict, out_shardings=self.everywhere)

    def restart_optimiser(self) -> None:
        """Go on with fresh moments and the learning rate's first step."""
        self.moments = self.optimiser.init(self.weights)

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        return float(self.rates(count_steps(self.moments)))

    def _losses(self, logits: jax.Array, labels: jax.Array) -> jax.Array:
        """Cross-entropy of each mixture (batch,), nats, with the run's kind of target."""
        if not self.config.label_spread:
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        targets = jnp.asarray(target_table(self.config.label_spread))[labels]
        return optax.softmax_cross_entropy(logits, targets)

    def _step(self, state: State, cues: jax.Array, labels: jax.Array) -> State:
        """The state after one batch."""
        config = self.config
        microphones = Microphones(
            ild_db=config.coloured,
            level_db=config.level_curves,
            canal_share=config.canal_share,
            ild_spread=config.ild_spread,
        )
        if microphones != ALIKE:
            # other curves every step
            steps_before = count_steps(state.moments)
            key = jax.random.fold_in(jax.random.key(config.seed), steps_before)
            cues = colour_maps(cues, microphones, key, self.front)

        def loss_of(weights):
            model = nnx.merge(self.graph, weights, state.rest, copy=True)
            model.train()
            logits = model(cues)
            _, _, rest = split(model)
            return self._losses(logits, labels).mean(), (logits, rest)

        gradients, (logits, rest) = jax.grad(loss_of, has_aux=True)(state.weights)
        updates, moments = self.optimiser.update(gradients, state.moments, state.weights)
        weights = optax.apply_updates(state.weights, updates)
        totals = jax.tree.map(jnp.add, state.totals, batch_counts(logits, labels))
        return State(weights, rest, moments, totals)

    def _predict(self, weights, rest, cues: jax.Array) -> jax.Array:
        """Logits (batch, 72)."""
        model = nnx.merge(self.graph, weights, rest, copy=True)
        model.eval()
        return model(cues)

    def train_epoch(self, batches: Iterator) -> EpochScores:
        """Train on batches of cue maps and classes; raises InputError where the loss diverges."""
        no_counts = BatchCounts(jnp.float32(0), jnp.int32(0), jnp.int32(0))
        start = State(self.weights, self.rest, self.moments, no_counts)
        state = to_devices(start, self.everywhere)
        count = 0
        waited_s = 0.0
        asked = time.monotonic()
        for cues, labels in batches:
            waited_s += time.monotonic() - asked
            state = self.step(state, cues, labels)
            if self.one_by_one:
                jax.block_until_ready(state)
            count += len(labels)
            asked = time.monotonic()
        self.weights = state.weights
        self.rest = state.rest
        self.moments = state.moments
        loss = float(state.totals.loss)
        if not math.isfinite(loss):
            wrong = "training diverged (the loss is not a number)"
            raise InputError(f"{wrong}: lower the learning rate")
        return EpochScores(
            loss=loss / count,
            top1=100 * float(state.totals.top1_hits) / count,
            top5=100 * float(state.totals.top5_hits) / count,
            waited_s=waited_s,
        )

    def set_model(self, model: nnx.Module) -> None:
        """Take over the weights and statistics of a network that has the same ones."""
        _, self.weights, self.rest = split(model)

    def model_arrays(self) -> dict[str, np.ndarray]:
        """Weights and batch statistics by name."""
        return named_arrays("weights", self.weights) | named_arrays("rest", self.rest)

    def state_arrays(self) -> dict[str, np.ndarray]:
        """Weights, batch statistics and optimiser state by name, for a checkpoint."""
        return self.model_arrays() | named_arrays("moments", self.moments)

    def restore_model(self, arrays: dict[str, np.ndarray]) -> None:
        """Take over weights and statistics; InputError names one that does not fit."""
        self.weights = from_named("weights", self.weights, arrays)
        self.rest = from_named("rest", self.rest, arrays)

    def restore_optimiser(self, arrays: dict[str, np.ndarray]) -> None:
        """Take over the optimiser's state; InputError names what does not fit."""
        self.moments = from_named("moments", self.moments, arrays)


def predict_all(
    trainer: Trainer,
    mixtures: Mixtures,
    numbers: np.ndarray,
    microphones: Microphones = ALIKE,
) -> Evaluation:
    """What the network says of mixtures.

    Parameters
    ----------
    trainer : Trainer
    mixtures : Mixtures
    numbers : ndarray
        Of the mixtures, (n,).
    microphones : Microphones
        Through which they are heard.

    Returns
    -------
    Evaluation
        Logits (n, 72) and true classes (n,), in the order of `numbers`.
    """
    weights, rest = to_devices((trainer.weights, trainer.rest), trainer.everywhere)
    batches = batches_of(mixtures, numbers, EVALUATION_BATCH, trainer.mesh)
    logits = []
    for number, (cues, _) in enumerate(batches):
        cues = colour_maps(cues, microphones, jax.random.key(number), mixtures.front)
        logits.append(trainer.predict(weights, rest, cues))
        if trainer.one_by_one:
            jax.block_until_ready(logits[-1])
    return Evaluation(np.concatenate([np.asarray(part) for part in logits]), numbers % AZIMUTHS)

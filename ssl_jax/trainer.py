"""A network with its optimiser, and the batches that feed it."""

import math
import queue
import threading
import time
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh

from .checkpoints import from_named, named_arrays
from .config import AZIMUTH_STEP, AZIMUTHS, Training
from .cue_store import Shard
from .devices import data_mesh, on_all, place, rows_here, shared_out
from .evaluation import batch_counts, class_distance
from .files import InputError
from .models import build_model

EVALUATION_BATCH = 32  # small activations stay in the cache; 256 measured a fifth slower a mixture


class Mixtures:
    """Cue maps and classes by mixture number, over the shards of a store."""

    def __init__(self, shards: list[Shard] | list[np.ndarray]):
        self.shards, self.size = shards, len(shards[0])

    def batch(self, numbers: np.ndarray, mirrored: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(n, 3, channels, frames) float16 and (n,) int32; with ears and sides swapped where `mirrored` (n,)."""
        cues = np.stack([self.shards[i // self.size][i % self.size] for i in numbers.tolist()])
        labels = (numbers % AZIMUTHS).astype(np.int32)
        if mirrored is not None:
            cues[mirrored, :2] *= -1  # ITD and ILD; IC has no side
            labels = np.where(mirrored, -labels % AZIMUTHS, labels)
        return cues, labels


def prefetch(items: Iterator, depth: int = 4) -> Iterator:
    """The same items, made in another thread up to `depth` ahead."""
    line: queue.Queue = queue.Queue(depth)
    done, stop = object(), threading.Event()

    def put(item):
        while not stop.is_set():
            try:
                return line.put(item, timeout=0.1)
            except queue.Full:
                continue

    def work():
        try:
            for item in items:
                put(item)
                if stop.is_set():
                    return
            put(done)
        except BaseException as error:  # shown where the items are used
            put(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        while (item := line.get()) is not done:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()


def learning_rates(config: Training, steps_per_epoch: int) -> optax.Schedule:
    """Learning rate by step since the optimiser was last fresh; constant within an epoch but for a warm-up."""
    if config.warmup_epochs:
        return optax.warmup_cosine_decay_schedule(
            config.learning_rate / 10, config.learning_rate, int(config.warmup_epochs * steps_per_epoch),
            config.cosine_epochs * steps_per_epoch, config.cosine_floor,
        )
    if not config.cosine_epochs:
        return optax.constant_schedule(config.learning_rate)
    cosine = optax.cosine_decay_schedule(
        config.learning_rate, config.cosine_epochs, config.cosine_floor / config.learning_rate
    )
    return lambda step: cosine(step // steps_per_epoch)


def target_table(spread: float) -> np.ndarray:
    """Targets (72, 72) of every class: a circular normal of `spread` degrees about it."""
    apart = AZIMUTH_STEP * class_distance(np.arange(AZIMUTHS)[:, None], np.arange(AZIMUTHS))
    weights = np.exp(-0.5 * (apart / spread) ** 2)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


class Trainer:
    """A network, its optimiser and the two compiled programs that use them.

    Weights are on every device of the mesh, a batch is shared out among them. The programs are those of one device:
    what crosses the devices (means over the batch, in the loss and in batch normalisation) is XLA's to add.
    """

    def __init__(self, config: Training, steps_per_epoch: int, mesh: Mesh | None = None):
        model = build_model(config.model, config.seed)
        self.graph, self.weights, self.rest = nnx.split(model, nnx.Param, ...)
        self.rates, self.spread = learning_rates(config, steps_per_epoch), config.label_spread
        # flattened: one long vector to update instead of dozens of small ones
        self.optimiser = optax.flatten(optax.adamw(self.rates, weight_decay=config.weight_decay))
        self.moments = self.optimiser.init(self.weights)
        # on a CPU every operation uses all cores by itself, and a device a process is the fastest
        self.mesh = mesh or data_mesh(1 if jax.default_backend() == "cpu" else None)
        self.everywhere = on_all(self.mesh)
        # XLA's reductions among CPU devices lock up when a program begins before the last one has ended
        self.one_by_one = jax.default_backend() == "cpu" and self.mesh.size > 1
        self._step = jax.jit(self._step_of, donate_argnums=(0, 1, 2), out_shardings=self.everywhere)
        self._predict = jax.jit(self._predict_of, out_shardings=self.everywhere)

    def _step_of(self, weights, rest, moments, totals, cues, labels):
        def loss_of(weights):
            model = nnx.merge(self.graph, weights, rest, copy=True)
            model.train()
            logits = model(cues)
            if self.spread:
                losses = optax.softmax_cross_entropy(logits, jnp.asarray(target_table(self.spread))[labels])
            else:
                losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
            return losses.mean(), (logits, nnx.split(model, nnx.Param, ...)[2])

        slopes, (logits, rest) = jax.grad(loss_of, has_aux=True)(weights)
        updates, moments = self.optimiser.update(slopes, moments, weights)
        totals = jax.tree.map(jnp.add, totals, batch_counts(logits, labels))
        return optax.apply_updates(weights, updates), rest, moments, totals

    def _predict_of(self, weights, rest, cues):
        model = nnx.merge(self.graph, weights, rest, copy=True)
        model.eval()
        return model(cues)

    def fresh_optimiser(self):
        self.moments = self.optimiser.init(self.weights)

    def train_epoch(self, batches: Iterator) -> tuple[float, float, float]:
        """Mean loss, and Top-1 and published Top-5 in percent, as the weights moved.

        `waited` then holds the seconds spent waiting for batches.
        """
        state = self.weights, self.rest, self.moments, (jnp.float32(0), jnp.int32(0), jnp.int32(0))
        self.weights, self.rest, self.moments, totals = place(state, self.everywhere)
        count, self.waited, asked = 0, 0.0, time.monotonic()
        for cues, labels in batches:
            self.waited += time.monotonic() - asked
            self.weights, self.rest, self.moments, totals = self._step(
                self.weights, self.rest, self.moments, totals, cues, labels
            )
            if self.one_by_one:
                jax.block_until_ready(totals)
            count += len(labels)
            asked = time.monotonic()
        loss, hits1, hits5 = (float(t) for t in totals)
        if not math.isfinite(loss):
            raise InputError("training diverged (the loss is not a number): lower the learning rate")
        return loss / count, 100 * hits1 / count, 100 * hits5 / count

    def predict(self, batches: Iterator) -> np.ndarray:
        """Logits (n, 72) of all batches."""
        weights, rest = place((self.weights, self.rest), self.everywhere)
        logits = []
        for cues, _ in batches:
            logits.append(self._predict(weights, rest, cues))
            if self.one_by_one:
                jax.block_until_ready(logits[-1])
        return np.concatenate([np.asarray(l) for l in logits])

    def take(self, model: nnx.Module) -> None:
        """Take over the weights and statistics of a network of the same kind."""
        _, self.weights, self.rest = nnx.split(model, nnx.Param, ...)

    def arrays(self) -> dict[str, np.ndarray]:
        """Weights, batch statistics and optimiser state by name, for a checkpoint."""
        return {**named_arrays("weights", self.weights), **named_arrays("rest", self.rest),
                **named_arrays("moments", self.moments)}

    def load(self, arrays: dict, with_optimiser: bool = True) -> None:
        """Take over a checkpoint's arrays; InputError names one that does not fit."""
        self.weights = from_named("weights", self.weights, arrays)
        self.rest = from_named("rest", self.rest, arrays)
        if with_optimiser:
            self.moments = from_named("moments", self.moments, arrays)


def batches_of(mixtures: Mixtures, numbers: np.ndarray, size: int, mesh: Mesh,
               mirrored: np.ndarray | None = None) -> Iterator:
    """Cue maps and classes of the given mixtures on the devices, `size` at a time, made ahead in another thread.

    A process reads what its own devices get; a batch that does not divide among them all is whole on each.
    `mirrored`, by mixture number, says which to mirror.
    """
    def batch(part):
        even = len(part) % mesh.size == 0
        ours = part[rows_here(mesh, len(part))] if even else part
        rows = mixtures.batch(ours, None if mirrored is None else mirrored[ours])
        return place(rows, shared_out(mesh) if even else on_all(mesh))

    return prefetch(batch(numbers[i : i + size]) for i in range(0, len(numbers), size))


def predict_all(trainer: Trainer, mixtures: Mixtures, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logits (n, 72) and classes (n,) of the given mixtures."""
    return trainer.predict(batches_of(mixtures, numbers, EVALUATION_BATCH, trainer.mesh)), numbers % AZIMUTHS

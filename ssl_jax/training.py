"""One training loop for every run: epochs, log, checkpoint, resume, learning-rate-drop continuation.

Everything random is drawn from (run seed, purpose, epoch), and a checkpoint holds all that an epoch
leaves behind, the log included: a run that was cut off goes on to the same bytes.
"""

import csv
import io
import math
import queue
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx, serialization
from jax.sharding import NamedSharding, PartitionSpec

from .checkpoints import checkpoint_path, from_named, load_checkpoint, named_arrays, save_checkpoint
from .config import AZIMUTHS, Training, fingerprint
from .database import check_settings, data_mesh
from .evaluation import batch_counts, confusion_matrix, evaluate
from .files import InputError, atomic_write
from .models import build_model
from .progress import console, track

SPLIT, ORDER = 1, 2  # what a generator is for, part of its seed
EVALUATION_BATCH = 32  # small activations stay in the cache; 256 measured a fifth slower a mixture
LOG_COLUMNS = (
    "epoch", "epochs", "train_loss", "train_top1", "train_top5", "eval_loss", "eval_top1", "eval_top5",
    "eval_top5_standard", "eval_mean_angular_error", "learning_rate",
)


class Mixtures:
    """Cue maps and classes by mixture number, over the memory-mapped shards of a store."""

    def __init__(self, shards: list[np.ndarray]):
        self.shards, self.size = shards, len(shards[0])

    def batch(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n, 3, channels, frames) float16 and (n,) int32."""
        cues = np.stack([self.shards[i // self.size][i % self.size] for i in numbers.tolist()])
        return cues, (numbers % AZIMUTHS).astype(np.int32)


def split(config: Training, held_out: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Mixture numbers to train on and to evaluate on.

    Parameters
    ----------
    config : Training
    held_out : (n,) bool, optional
        Mixtures the database keeps for evaluation. Where it keeps none apart, a random share of
        all mixtures is held out (published).
    """
    count = config.clips * AZIMUTHS
    if held_out is not None:
        return np.flatnonzero(~held_out[:count]), np.flatnonzero(held_out[:count])
    order = np.random.default_rng((config.seed, SPLIT)).permutation(count)
    held_out = round(config.evaluation_share * count)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


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


class Trainer:
    """A network, its optimiser and the two compiled programs that use them."""

    def __init__(self, config: Training, steps_per_epoch: int):
        model = build_model(config.model, config.seed)
        self.graph, self.weights, self.rest = nnx.split(model, nnx.Param, ...)
        self.rates = learning_rates(config, steps_per_epoch)
        # flattened: one long vector to update instead of dozens of small ones
        self.optimiser = optax.flatten(optax.adamw(self.rates, weight_decay=config.weight_decay))
        self.moments = self.optimiser.init(self.weights)
        # on a CPU every operation uses all cores by itself, and one device does
        mesh = data_mesh(1 if jax.default_backend() == "cpu" else None)
        self.everywhere = NamedSharding(mesh, PartitionSpec())
        self.shared_out = NamedSharding(mesh, PartitionSpec("data"))
        self.devices = mesh.size
        self._step = jax.jit(self._step_of, donate_argnums=(0, 1, 2))
        self._predict = jax.jit(self._predict_of)

    def _step_of(self, weights, rest, moments, totals, cues, labels):
        def loss_of(weights):
            model = nnx.merge(self.graph, weights, rest, copy=True)
            model.train()
            logits = model(cues)
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

    def _to_devices(self, *arrays):
        """Shared out among the devices where the batch divides, else a copy on each."""
        even = len(arrays[0]) % self.devices == 0
        return jax.device_put(arrays, self.shared_out if even else self.everywhere)

    def fresh_optimiser(self):
        self.moments = self.optimiser.init(self.weights)

    def train_epoch(self, batches: Iterator) -> tuple[float, float, float]:
        """Mean loss, and Top-1 and published Top-5 in percent, as the weights moved."""
        state = self.weights, self.rest, self.moments, (jnp.float32(0), jnp.int32(0), jnp.int32(0))
        self.weights, self.rest, self.moments, totals = jax.device_put(state, self.everywhere)
        count = 0
        for cues, labels in batches:
            self.weights, self.rest, self.moments, totals = self._step(
                self.weights, self.rest, self.moments, totals, *self._to_devices(cues, labels)
            )
            count += len(labels)
        loss, hits1, hits5 = (float(t) for t in totals)
        if not math.isfinite(loss):
            raise InputError("training diverged (the loss is not a number): lower the learning rate")
        return loss / count, 100 * hits1 / count, 100 * hits5 / count

    def predict(self, batches: Iterator) -> tuple[np.ndarray, np.ndarray]:
        """Logits (n, 72) and classes (n,) of all batches."""
        logits, labels = [], []
        for cues, classes in batches:
            logits.append(self._predict(self.weights, self.rest, *self._to_devices(cues)))
            labels.append(classes)
        return np.concatenate([np.asarray(l) for l in logits]), np.concatenate(labels)

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


def log_csv(rows: list[dict]) -> str:
    """The log as CSV: losses to four decimals, shares in percent to two."""
    out = io.StringIO()
    writer = csv.DictWriter(out, LOG_COLUMNS, lineterminator="\n")
    writer.writeheader()
    form = {"epoch": "d", "epochs": "d", "train_loss": ".4f", "eval_loss": ".4f", "learning_rate": ".6g"}
    writer.writerows({k: format(row[k], form.get(k, ".2f")) for k in LOG_COLUMNS} for row in rows)
    return out.getvalue()


def log_line(row: dict) -> str:
    """One epoch in the published log's own format."""
    return (
        f"Epoch {row['epoch']}/{row['epochs']}: Train Loss={row['train_loss']:.4f}, "
        f"Top-1={row['train_top1']:.2f}%, Top-5={row['train_top5']:.2f}% | "
        f"Evaluation Loss={row['eval_loss']:.4f}, Top-1={row['eval_top1']:.2f}%, "
        f"Top-5={row['eval_top5']:.2f}%"
    )


def log_text(config: Training, rows: list[dict]) -> str:
    first = [f"Reduced Learning rate from epoch {config.start_epoch}."] if config.start_from else []
    return "\n".join(first + [log_line(row) for row in rows]) + "\n"


def train(name: str, config: Training, database: dict, mixtures: Mixtures, work: Path, results: Path,
          held_out: np.ndarray | None = None) -> dict:
    """Train one run, or what is left of it.

    Parameters
    ----------
    name : str
        Of the run; checkpoints go to work/name/, logs and the last weights to results/.
    database : dict
        The settings of the cue store, kept with the checkpoints.
    mixtures : Mixtures
    work, results : Path
    held_out : (n,) bool, optional
        See `split`.

    Returns
    -------
    dict of final metrics (see `evaluation.evaluate`)

    Raises
    ------
    InputError
        Checkpoints of other settings are there, or the weights to start from are not.
    """
    work, results = Path(work), Path(results)
    check_settings(work / name / "settings.json", {**database, **fingerprint(training=config)})
    training, evaluation = split(config, held_out)
    steps = -(-len(training) // config.batch)
    trainer = Trainer(config, steps)
    rows, epoch = [], config.epochs
    while epoch > config.start_epoch:
        content = load_checkpoint(checkpoint_path(work, name, epoch))
        if content is not None:
            trainer.load(content["arrays"])
            rows = [dict(zip(LOG_COLUMNS, row, strict=True)) for row in content["log"].tolist()]
            rows = [{**row, "epoch": int(row["epoch"]), "epochs": int(row["epochs"])} for row in rows]
            break
        epoch -= 1
    if epoch == config.start_epoch and config.start_from:
        source = checkpoint_path(work, config.start_from, config.start_epoch)
        content = load_checkpoint(source)
        if content is None:
            raise InputError(f"{source}: missing or damaged: train {config.start_from!r} again first")
        trainer.load(content["arrays"], config.keep_optimiser)

    def batches(numbers, size):
        return prefetch(mixtures.batch(numbers[i : i + size]) for i in range(0, len(numbers), size))

    for epoch in range(epoch + 1, config.epochs + 1):
        began = time.monotonic()
        if epoch in config.restart_epochs:
            trainer.fresh_optimiser()
        rate = float(trainer.rates(trainer.moments[0].count))
        order = training[np.random.default_rng((config.seed, ORDER, epoch)).permutation(len(training))]
        label = f"{name} epoch {epoch}/{config.epochs}"
        loss, hit1, hit5 = trainer.train_epoch(track(batches(order, config.batch), label, total=steps))
        trained = time.monotonic()
        scores = evaluate(*trainer.predict(batches(evaluation, EVALUATION_BATCH)))
        rows.append({
            "epoch": epoch, "epochs": config.epochs_planned, "train_loss": loss, "train_top1": hit1,
            "train_top5": hit5, "eval_loss": scores["loss"], "eval_top1": scores["top1"],
            "eval_top5": scores["top5_published"], "eval_top5_standard": scores["top5"],
            "eval_mean_angular_error": scores["mean_angular_error"], "learning_rate": rate,
        })
        log = np.array([[float(row[k]) for k in LOG_COLUMNS] for row in rows])
        save_checkpoint(checkpoint_path(work, name, epoch), {"arrays": trainer.arrays(), "log": log})
        seconds = time.monotonic() - began
        console.print(f"{log_line(rows[-1])}  [{seconds:.0f} s, {seconds - (trained - began):.0f} s of it "
                      f"evaluation]", highlight=False, soft_wrap=True)

    logits, labels = trainer.predict(batches(evaluation, EVALUATION_BATCH))
    weights = {k: v for k, v in trainer.arrays().items() if not k.startswith("moments")}
    with atomic_write(results / f"{name}_epoch{config.epochs}.msgpack") as stream:
        stream.write(serialization.msgpack_serialize(weights))
    for suffix, text in ((".csv", log_csv(rows)), (".log", log_text(config, rows))):
        with atomic_write(results / f"{name}{suffix}", "w") as stream:
            stream.write(text)
    with atomic_write(results / f"{name}_confusion.csv", "w") as stream:
        np.savetxt(stream, confusion_matrix(logits, labels), fmt="%d", delimiter=",")
    return evaluate(logits, labels)

"""Training runs, epoch after epoch.

Split and order come from generators seeded by (run seed, purpose, epoch), and a checkpoint holds
all that an epoch leaves behind. So a run that was cut off goes on to the same bytes.
"""

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jax.sharding import Mesh

from ssl_jax.common.devices import by_main_process
from ssl_jax.common.files import atomic_write, settle_settings, write_text
from ssl_jax.common.progress import say, track
from ssl_jax.config import AZIMUTHS, Training, as_settings
from ssl_jax.metrics import Evaluation, confusion_matrix, evaluate, scores_by_snr
from ssl_jax.networks.array_file import ArrayFile, write_arrays
from ssl_jax.training.batches import Mixtures, batches_of
from ssl_jax.training.checkpoints import Checkpoint, save_checkpoint
from ssl_jax.training.context import Run, RunFolders, weights_path
from ssl_jax.training.log import EpochRow, csv_text, log_line, log_text
from ssl_jax.training.start import bring_to_start
from ssl_jax.training.trainer import EpochScores, Trainer, predict_all

# what a generator is for: part of its seed; batches.SPLIT is 1
ORDER = 2
MIRROR = 3
SHORTEN = 4
# a short window has one of so many frames of a mixture: a quarter
SHORT_PART = 4


def train(
    name: str,
    config: Training,
    mixtures: Mixtures,
    folders: RunFolders,
    mesh: Mesh | None = None,
) -> dict[str, float]:
    """Train one run, or what is left of it.

    The main process writes checkpoints to work/NAME/, logs and the last weights to results/.

    Parameters
    ----------
    name : str
        Of the run's files.
    config : Training
    mixtures : Mixtures
    folders : RunFolders
    mesh : Mesh, optional
        The devices, see `Trainer`.

    Returns
    -------
    dict
        The final metrics, see `metrics.evaluate`.

    Raises
    ------
    InputError
        Where checkpoints of other settings are there, or the weights to start from are not.
    """
    settings = {**mixtures.settings, **as_settings(training=config)}
    by_main_process(settle_settings, folders.work / name / "settings.json", settings)
    split = mixtures.split(config)
    steps = math.ceil(len(split.training) / config.batch)
    trainer = Trainer(config, steps, mixtures.front, mesh)
    run = Run(
        name=name,
        config=config,
        mixtures=mixtures,
        split=split,
        folders=folders,
        trainer=trainer,
        settings=settings,
    )
    if config.batch % trainer.mesh.size:
        uneven = f"a batch of {config.batch} does not divide among {trainer.mesh.size} devices"
        say(f"{name}: {uneven}: each does all of it; fewer devices are no slower")
    rows = bring_to_start(run)
    first_epoch = 1 + (rows[-1].epoch if rows else config.start_epoch)
    predictions = None
    for epoch in range(first_epoch, config.epochs + 1):
        row, predictions = run_epoch(run, epoch)
        rows.append(row)
        by_main_process(save_state, run, rows)
    predictions = predictions or predict(run)
    by_main_process(write_results, run, rows, predictions)
    return evaluate(predictions.held_out)


def short_windows(config: Training, epoch: int, steps: int, frames: int) -> list[slice] | None:
    """What each batch of an epoch takes of its `frames`: all, or at random a quarter of them."""
    if not config.short_share:
        return None
    rng = np.random.default_rng((config.seed, SHORTEN, epoch))
    # a row a batch, so that the draws of a batch do not depend on how many there are
    is_short_draw, start_draw = rng.random((steps, 2)).T
    size = max(1, frames // SHORT_PART)
    starts = (start_draw * (frames - size + 1)).astype(int)
    windows = []
    for is_short, start in zip(is_short_draw < config.short_share, starts.tolist(), strict=True):
        windows.append(slice(start, start + size) if is_short else slice(None))
    return windows


def draw_swapped(config: Training, epoch: int) -> np.ndarray | None:
    """Whose ears are swapped in an epoch, by mixture number: half of them at random."""
    if not config.mirrored:
        return None
    rng = np.random.default_rng((config.seed, MIRROR, epoch))
    # a draw for every mixture, whichever are in the run
    return rng.random(config.clips * AZIMUTHS) < 0.5


def train_epoch(run: Run, epoch: int) -> EpochScores:
    """Train for an epoch on the run's mixtures, in an order of its own."""
    config = run.config
    front = run.mixtures.front
    training = run.split.training
    rng = np.random.default_rng((config.seed, ORDER, epoch))
    order = training[rng.permutation(len(training))]
    steps = math.ceil(len(training) / config.batch)
    batches = batches_of(
        run.mixtures,
        order,
        config.batch,
        run.trainer.mesh,
        swapped=draw_swapped(config, epoch),
        frames=short_windows(config, epoch, steps, front.fs // front.hop),
    )
    label = f"{run.name} epoch {epoch}/{config.epochs}"
    return run.trainer.train_epoch(track(batches, label, total=steps))


@dataclass(frozen=True)
class Predictions:
    """What the network says of all that a run evaluates on."""

    held_out: Evaluation
    last: Evaluation | None  # of the last clips, where `last_share` asks for them


def predict(run: Run) -> Predictions:
    """Predict with the weights as they are."""
    held_out = predict_all(run.trainer, run.mixtures, run.split.evaluation)
    last = None
    if run.config.last_share:
        last = predict_all(run.trainer, run.mixtures, run.mixtures.last(run.config))
    return Predictions(held_out, last)


def evaluation_columns(predictions: Predictions) -> dict[str, float]:
    """The columns of the log about what is evaluated."""
    scores = evaluate(predictions.held_out)
    columns = {
        "eval_loss": scores["loss"],
        "eval_top1": scores["top1"],
        "eval_top5": scores["top5_published"],
        "eval_top5_standard": scores["top5"],
        "eval_mean_angular_error": scores["mean_angular_error"],
    }
    if predictions.last is not None:
        last = evaluate(predictions.last)
        columns["last_loss"] = last["loss"]
        columns["last_top1"] = last["top1"]
        columns["last_top5"] = last["top5_published"]
    return columns


def run_epoch(run: Run, epoch: int) -> tuple[EpochRow, Predictions]:
    """Train for an epoch, evaluate and say how it went; its row of the log, and the predictions."""
    began = time.monotonic()
    if epoch in run.config.restart_epochs:
        run.trainer.restart_optimiser()
    learning_rate = run.trainer.learning_rate
    training = train_epoch(run, epoch)
    trained = time.monotonic()
    predictions = predict(run)
    row = EpochRow(
        epoch=epoch,
        epochs=run.config.epochs_planned,
        train_loss=training.loss,
        train_top1=training.top1,
        train_top5=training.top5,
        learning_rate=learning_rate,
        **evaluation_columns(predictions),
    )
    ended = time.monotonic()
    waited_percent = 100 * training.waited_s / (trained - began)
    times = f"{ended - began:.0f} s, {ended - trained:.0f} s of it evaluation"
    say(f"{log_line(row)}  [{times}; {waited_percent:.1f} % of training waited for data]")
    return row, predictions


def save_state(run: Run, rows: list[EpochRow]) -> None:
    """Write the checkpoint of the last of `rows`."""
    # as settings.json has them: tuples are lists
    settings = json.loads(json.dumps(run.settings))
    checkpoint = Checkpoint(run.trainer.state_arrays(), rows, settings)
    save_checkpoint(run.checkpoint(checkpoint.epoch), checkpoint)


def write_results(run: Run, rows: list[EpochRow], predictions: Predictions) -> None:
    """Write the log, the last weights and the outcome of the evaluation."""
    manifest = run.mixtures.manifest
    notes = {"run": run.name, "epoch": run.config.epochs}
    path = weights_path(run.folders.results, run.name, run.config.epochs)
    write_arrays(path, ArrayFile(notes, run.trainer.model_arrays()))
    write_text(run.result(".csv"), csv_text([row.columns() for row in rows]))
    write_text(run.result(".log"), log_text(run.config, rows))
    if manifest is not None:
        snr = manifest.snr[run.split.evaluation]
        by_snr = scores_by_snr(predictions.held_out, snr)
        write_text(run.result("_by_snr.csv"), csv_text(by_snr))
    write_confusion(run.result("_confusion.csv"), predictions.held_out)
    if predictions.last is not None:
        write_confusion(run.result("_last_confusion.csv"), predictions.last)


def write_confusion(path: Path, evaluation: Evaluation) -> None:
    """Write the confusion matrix as CSV: a row a true class."""
    with atomic_write(path, "w") as stream:
        np.savetxt(stream, confusion_matrix(evaluation), fmt="%d", delimiter=",")

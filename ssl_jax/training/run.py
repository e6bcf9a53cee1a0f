"""Training runs, epoch after epoch. Split and order come from generators seeded by (run seed, purpose,
epoch), and a checkpoint holds all that an epoch leaves behind: a run cut off goes on to the same bytes."""

import json
import math
import time
from pathlib import Path

import numpy as np
from flax import serialization

from ssl_jax.common.devices import barrier, broadcast_from_first, by_main_process, is_main_process
from ssl_jax.common.errors import InputError
from ssl_jax.common.files import (
    atomic_write,
    check_settings,
    checksum_agrees,
    read_json,
    write_text,
)
from ssl_jax.common.progress import say, track
from ssl_jax.config import AZIMUTHS, Training, as_settings
from ssl_jax.metrics import confusion_matrix, evaluate, scores_by_snr
from ssl_jax.training import log
from ssl_jax.training.batches import Mixtures, batches_of
from ssl_jax.training.checkpoints import checkpoint_path, load_checkpoint, save_checkpoint
from ssl_jax.training.trainer import Trainer, predict_all

ORDER, MIRROR, SHORTEN = 2, 3, 4  # what a generator is for, part of its seed


def newest_checkpoint(work: Path, name: str, config: Training) -> int:
    """The last epoch whose checkpoint is whole; the epoch that the run starts from if there is none."""
    for epoch in range(config.epochs, config.start_epoch, -1):
        path = checkpoint_path(work, name, epoch)
        if checksum_agrees(path):
            return epoch
        if path.exists():
            say(f"{path}: damaged or not finished: not used")
    return config.start_epoch


def restore(
    trainer: Trainer, path: Path, epoch: int, with_optimiser: bool = True
) -> list[dict] | None:
    """Take over a checkpoint and return its log; None where it is missing or damaged. Raises InputError if
    it is of another epoch, other settings than its folder's, or another network."""
    if (content := load_checkpoint(path)) is None:
        return None
    settings, remedy = read_json(path.with_name("settings.json")), "delete it and run again"
    try:
        rows = log.rows_of_checkpoint(content)
        same = (
            json.loads(content.get("settings", json.dumps(settings))) == settings
        )  # older have none
        same = rows[-1]["epoch"] == epoch and same
    except (KeyError, IndexError, ValueError, TypeError, AttributeError):
        raise InputError(f"{path}: is no checkpoint of a run: {remedy}") from None
    if not same:
        raise InputError(f"{path}: is of another run or epoch: {remedy}")
    try:
        trainer.restore(content["arrays"], with_optimiser)
    except InputError as error:
        raise InputError(f"{path}: is of another network ({error}): {remedy}") from None
    return rows


def restore_start(trainer: Trainer, work: Path, config: Training) -> Path:
    """Take over what the run starts from, the returned checkpoint; InputError where it is not there."""
    path = checkpoint_path(work, config.start_from, config.start_epoch)
    if restore(trainer, path, config.start_epoch, config.keep_optimiser) is None:
        remedy = f"delete that folder and train {config.start_from!r} again"
        raise InputError(f"{path}: missing or damaged: {remedy}")
    return path


def blend_with_start(trainer: Trainer, work: Path, config: Training) -> None:
    """Make `start_share` of the last weights and statistics those that the run started from."""
    share, last = config.start_share, trainer.state_arrays()
    restore_start(trainer, work, config)
    floats = {
        k: a for k, a in trainer.state_arrays().items() if a.dtype == np.float32
    }  # not dropout's keys
    trainer.restore(last | {k: share * a + (1 - share) * last[k] for k, a in floats.items()}, False)


def start_state(
    trainer: Trainer, work: Path, name: str, config: Training, mixtures: Mixtures
) -> list[dict]:
    """The log up to where the run goes on, the trainer brought there; InputError without a fitting start."""
    with barrier():
        epoch = newest_checkpoint(work, name, config) if is_main_process() else 0
    epoch = int(broadcast_from_first(np.array(epoch)))
    if epoch > config.start_epoch:
        path = checkpoint_path(work, name, epoch)
        if (rows := restore(trainer, path, epoch)) is None:
            remedy = "wait for the folder they share, and run all again"
            raise InputError(f"{path}: the first process has it, this one does not: {remedy}")
        return rows
    if config.start_from:
        path = restore_start(trainer, work, config)
        check_settings(path.with_name("settings.json"), mixtures.settings)
    return []


def short_windows(config: Training, epoch: int, steps: int, frames: int) -> list[slice] | None:
    """What each batch of an epoch takes of its `frames`: all, or at random a quarter of them."""
    if not config.short_share:
        return None
    draws, size = (
        np.random.default_rng((config.seed, SHORTEN, epoch)).random((steps, 2)),
        max(1, frames // 4),
    )
    starts = (draws[:, 1] * (frames - size + 1)).astype(int)
    short = draws[:, 0] < config.short_share
    return [slice(s, s + size) if use else slice(None) for use, s in zip(short, starts.tolist())]


def run_epoch(
    name: str, config: Training, trainer: Trainer, mixtures: Mixtures, parts: tuple, epoch: int
):
    """Train and evaluate on `parts` for an epoch: a row of the log, and logits and classes evaluated."""
    (training, evaluation), began = parts, time.monotonic()
    if epoch in config.restart_epochs:
        trainer.moments = trainer.optimiser.init(trainer.weights)
    rate = float(trainer.rates(trainer.moments[0].count))
    order = training[np.random.default_rng((config.seed, ORDER, epoch)).permutation(len(training))]
    mirrored = None
    if config.mirrored:  # a draw for every mixture, whichever are in the run
        mirrored = (
            np.random.default_rng((config.seed, MIRROR, epoch)).random(config.clips * AZIMUTHS)
            < 0.5
        )
    steps, label = math.ceil(len(training) / config.batch), f"{name} epoch {epoch}/{config.epochs}"
    frames = short_windows(config, epoch, steps, mixtures.front.fs // mixtures.front.hop)
    batches = batches_of(mixtures, order, config.batch, trainer.mesh, mirrored, frames)
    loss, hit1, hit5 = trainer.train_epoch(track(batches, label, total=steps))
    trained = time.monotonic()
    outcome = predict_all(trainer, mixtures, evaluation)
    scores = evaluate(*outcome)
    scored = [scores[k] for k in ("loss", "top1", "top5_published", "top5", "mean_angular_error")]
    values = [epoch, config.epochs_planned, loss, hit1, hit5, *scored, rate]
    row = dict(zip(log.LOG_COLUMNS, values, strict=True))
    if config.last_share:
        last = evaluate(*predict_all(trainer, mixtures, mixtures.last(config)))
        row |= dict(zip(log.LAST_COLUMNS, (last["loss"], last["top1"], last["top5_published"])))
    seconds, testing = time.monotonic() - began, time.monotonic() - trained
    waited = f"{100 * trainer.waited / (trained - began):.1f} % of training waited for data"
    say(f"{log.log_line(row)}  [{seconds:.0f} s, {testing:.0f} s of it evaluation; {waited}]")
    return row, outcome


def train(
    name: str, config: Training, mixtures: Mixtures, work: Path, results: Path, mesh=None
) -> dict:
    """Train one run, or what is left of it, and return its final metrics (see `metrics.evaluate`). The main
    process writes checkpoints to work/name/, logs and the last weights to results/. Raises InputError where
    checkpoints of other settings are there, or the weights to start from are not."""
    work, results = Path(work), Path(results)
    settings = {**mixtures.settings, **as_settings(training=config)}
    by_main_process(check_settings, work / name / "settings.json", settings)
    training, evaluation = parts = mixtures.split(config)
    trainer = Trainer(config, math.ceil(len(training) / config.batch), mixtures.front, mesh)
    if config.batch % trainer.mesh.size:
        uneven = f"a batch of {config.batch} does not divide among {trainer.mesh.size} devices"
        say(f"{name}: {uneven}: each does all of it; fewer devices are no slower")
    rows, outcome = start_state(trainer, work, name, config, mixtures), None
    for epoch in range(
        rows[-1]["epoch"] + 1 if rows else config.start_epoch + 1, config.epochs + 1
    ):
        row, outcome = run_epoch(name, config, trainer, mixtures, parts, epoch)
        rows.append(row)
        numbers = np.array([list(map(float, row.values())) for row in rows])
        content = {
            "arrays": trainer.state_arrays(),
            "log": numbers,
            "settings": json.dumps(settings),
        }
        by_main_process(save_checkpoint, checkpoint_path(work, name, epoch), content)
    if config.start_share:
        blend_with_start(trainer, work, config)
        outcome = None
    outcome = outcome or predict_all(trainer, mixtures, evaluation)
    snr = None if mixtures.manifest is None else mixtures.manifest.snr[evaluation]
    by_main_process(write_results, results, name, config, trainer, rows, outcome, snr)
    if config.last_share:
        last = predict_all(trainer, mixtures, mixtures.last(config))
        by_main_process(write_confusion, results / f"{name}_last_confusion.csv", last)
    return evaluate(*outcome)


def write_results(
    results: Path, name: str, config: Training, trainer: Trainer, rows, outcome, snr
) -> None:
    """Write the log, the last weights and the outcome of the evaluation; `snr` (n,) of its mixtures, dB."""
    weights = {k: v for k, v in trainer.state_arrays().items() if not k.startswith("moments")}
    with atomic_write(results / f"{name}_epoch{config.epochs}.msgpack") as stream:
        stream.write(serialization.msgpack_serialize(weights))
    write_text(results / f"{name}.csv", log.log_csv(rows))
    write_text(results / f"{name}.log", log.log_text(config, rows))
    if snr is not None:
        write_text(
            results / f"{name}_by_snr.csv", log.log_csv(scores_by_snr(outcome[0], outcome[1], snr))
        )
    write_confusion(results / f"{name}_confusion.csv", outcome)


def write_confusion(path: Path, outcome) -> None:
    with atomic_write(path, "w") as stream:
        np.savetxt(stream, confusion_matrix(*outcome), fmt="%d", delimiter=",")

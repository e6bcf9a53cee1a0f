"""Training runs: log, checkpoint, resume, and the learning-rate-drop continuation.

Split and order come from generators seeded by (run seed, purpose, epoch), and a checkpoint holds all that an epoch
leaves behind, the log included: a run that was cut off goes on to the same bytes.
"""

import csv
import io
import json
import time
from pathlib import Path

import numpy as np
from jax.sharding import Mesh
from flax import serialization

from .checkpoints import checkpoint_path, load_checkpoint, save_checkpoint
from .config import AZIMUTHS, Training, fingerprint
from .cue_store import check_settings
from .devices import by_first, is_first, of_first, together
from .evaluation import confusion_matrix, evaluate, scores_by_snr
from .files import InputError, atomic_write, read_json
from .progress import console, track
from .trainer import Mixtures, Trainer, batches_of, predict_all

SPLIT, ORDER, MIRROR = 1, 2, 3  # what a generator is for, part of its seed
LOG_COLUMNS = (
    "epoch", "epochs", "train_loss", "train_top1", "train_top5", "eval_loss", "eval_top1", "eval_top5",
    "eval_top5_standard", "eval_mean_angular_error", "learning_rate",
)


def split(config: Training, held_out: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Mixture numbers to train on and to evaluate on.

    Parameters
    ----------
    config : Training
    held_out : (n,) bool, optional
        Mixtures the database keeps for evaluation, all of which evaluate, however few clips train.
        Where it keeps none apart, a random share of the run's mixtures is held out (published).
    """
    count = config.clips * AZIMUTHS
    if held_out is not None:
        return np.flatnonzero(~held_out[:count]), np.flatnonzero(held_out)
    order = np.random.default_rng((config.seed, SPLIT)).permutation(count)
    held_out = round(config.evaluation_share * count)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


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


def logged(content: dict) -> list[dict]:
    """The rows of the log up to a checkpoint."""
    rows = [dict(zip(LOG_COLUMNS, row, strict=True)) for row in content["log"].tolist()]
    return [{**row, "epoch": int(row["epoch"]), "epochs": int(row["epochs"])} for row in rows]


def resume(trainer: Trainer, work: Path, name: str, epoch: int, with_optimiser: bool = True) -> list[dict] | None:
    """Take over a run's checkpoint: its log, or None where it is missing or damaged.

    Raises
    ------
    InputError
        It is whole, but of another epoch, of a run with other settings than its folder's, or of another network.
    """
    path = checkpoint_path(work, name, epoch)
    content = load_checkpoint(path)
    if content is None:
        if path.exists():
            console.print(f"{path}: damaged or not finished: not used", highlight=False, soft_wrap=True)
        return None
    settings = read_json(path.with_name("settings.json"))
    try:
        rows = logged(content)
        # an older version's checkpoints do not say what they are of
        same = rows[-1]["epoch"] == epoch and json.loads(content.get("settings", json.dumps(settings))) == settings
    except (KeyError, IndexError, ValueError, TypeError, AttributeError):
        raise InputError(f"{path}: is no checkpoint of a run: delete it and run again") from None
    if not same:
        raise InputError(f"{path}: is of another run or epoch: delete it and run again")
    try:
        trainer.load(content["arrays"], with_optimiser)
    except InputError as error:
        raise InputError(f"{path}: is of another network ({error}): delete it and run again") from None
    return rows


def train(name: str, config: Training, database: dict, mixtures: Mixtures, work: Path, results: Path,
          held_out: np.ndarray | None = None, snr: np.ndarray | None = None, mesh: Mesh | None = None) -> dict:
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
    snr : (n,), dB, optional
        Of every mixture, for a table of scores by SNR.
    mesh : Mesh, optional
        The devices to train on (see `Trainer`). The first process writes, all of them read.

    Returns
    -------
    dict of final metrics (see `evaluation.evaluate`)

    Raises
    ------
    InputError
        Checkpoints of other settings are there, or the weights to start from are not.
    """
    work, results = Path(work), Path(results)
    settings = {**database, **fingerprint(training=config)}
    by_first(check_settings, work / name / "settings.json", settings)
    training, evaluation = split(config, held_out)
    steps = -(-len(training) // config.batch)
    trainer = Trainer(config, steps, mesh)
    if config.batch % trainer.mesh.size:
        console.print(f"{name}: a batch of {config.batch} does not divide among {trainer.mesh.size} devices: each does all "
                      "of it; fewer devices are no slower", highlight=False, soft_wrap=True)
    rows, epoch = [], config.epochs
    with together():
        while epoch > config.start_epoch and is_first() and not (rows := resume(trainer, work, name, epoch) or []):
            epoch -= 1
    epoch = int(of_first(np.array(epoch)))
    if epoch > config.start_epoch and not rows and not (rows := resume(trainer, work, name, epoch)):
        raise InputError(f"{checkpoint_path(work, name, epoch)}: the first process has it, this one does not: "
                         "wait for the folder they share, and run all again")
    if epoch == config.start_epoch and config.start_from:
        if resume(trainer, work, config.start_from, config.start_epoch, config.keep_optimiser) is None:
            source = checkpoint_path(work, config.start_from, config.start_epoch)
            raise InputError(f"{source}: missing or damaged: delete that folder and train {config.start_from!r} again")
        check_settings(work / config.start_from / "settings.json", database)

    for epoch in range(epoch + 1, config.epochs + 1):
        began = time.monotonic()
        if epoch in config.restart_epochs:
            trainer.fresh_optimiser()
        rate = float(trainer.rates(trainer.moments[0].count))
        order = training[np.random.default_rng((config.seed, ORDER, epoch)).permutation(len(training))]
        label = f"{name} epoch {epoch}/{config.epochs}"
        mirrored = None
        if config.mirrored:  # a draw for every mixture, whichever are in the run
            draws = np.random.default_rng((config.seed, MIRROR, epoch))
            mirrored = draws.random(config.clips * AZIMUTHS) < 0.5
        batches = batches_of(mixtures, order, config.batch, trainer.mesh, mirrored)
        loss, hit1, hit5 = trainer.train_epoch(track(batches, label, total=steps))
        trained = time.monotonic()
        scores = evaluate(*predict_all(trainer, mixtures, evaluation))
        rows.append({
            "epoch": epoch, "epochs": config.epochs_planned, "train_loss": loss, "train_top1": hit1,
            "train_top5": hit5, "eval_loss": scores["loss"], "eval_top1": scores["top1"],
            "eval_top5": scores["top5_published"], "eval_top5_standard": scores["top5"],
            "eval_mean_angular_error": scores["mean_angular_error"], "learning_rate": rate,
        })
        log = np.array([[float(row[k]) for k in LOG_COLUMNS] for row in rows])
        by_first(save_checkpoint, checkpoint_path(work, name, epoch), {
            "arrays": trainer.arrays(), "log": log, "settings": json.dumps(settings)})
        seconds = time.monotonic() - began
        console.print(f"{log_line(rows[-1])}  [{seconds:.0f} s, {seconds - (trained - began):.0f} s of it evaluation; "
                      f"{100 * trainer.waited / (trained - began):.1f} % of training waited for data]",
                      highlight=False, soft_wrap=True)

    logits, labels = predict_all(trainer, mixtures, evaluation)
    by_first(write_results, results, name, config, trainer, rows, logits, labels,
             None if snr is None else snr[evaluation])
    return evaluate(logits, labels)


def write_results(results: Path, name: str, config: Training, trainer: Trainer, rows: list[dict], logits: np.ndarray,
                  labels: np.ndarray, snr: np.ndarray | None) -> None:
    """Write the log, the last weights and what the evaluation found; `snr` (n,) of the evaluated mixtures, dB."""
    weights = {k: v for k, v in trainer.arrays().items() if not k.startswith("moments")}
    with atomic_write(results / f"{name}_epoch{config.epochs}.msgpack") as stream:
        stream.write(serialization.msgpack_serialize(weights))
    texts = {".csv": log_csv(rows), ".log": log_text(config, rows)}
    if snr is not None:
        texts["_by_snr.csv"] = scores_by_snr(logits, labels, snr)
    for suffix, text in texts.items():
        with atomic_write(results / f"{name}{suffix}", "w") as stream:
            stream.write(text)
    with atomic_write(results / f"{name}_confusion.csv", "w") as stream:
        np.savetxt(stream, confusion_matrix(logits, labels), fmt="%d", delimiter=",")

"""Where a training run goes on: at its newest checkpoint, at another run's, or from nothing."""

from pathlib import Path

import numpy as np

from ssl_jax.common.devices import barrier, broadcast_from_first, is_main_process
from ssl_jax.common.errors import InputError
from ssl_jax.common.files import checksum_agrees, read_json, settle_settings
from ssl_jax.common.progress import say
from ssl_jax.training.checkpoints import REMEDY, Checkpoint, checkpoint_path, load_checkpoint
from ssl_jax.training.context import Run
from ssl_jax.training.log import EpochRow


def newest_checkpoint(run: Run) -> int:
    """The last epoch whose checkpoint is whole; the epoch the run starts from if there is none."""
    config = run.config
    for epoch in range(config.epochs, config.start_epoch, -1):
        path = run.checkpoint(epoch)
        if checksum_agrees(path):
            return epoch
        if path.exists():
            say(f"{path}: damaged or not finished: not used")
    return config.start_epoch


def read_checkpoint(path: Path, epoch: int) -> Checkpoint | None:
    """Read the checkpoint of an epoch; None where it is missing or damaged.

    Raises
    ------
    InputError
        If it is of another epoch, or of other settings than its folder's.
    """
    checkpoint = load_checkpoint(path)
    if checkpoint is None:
        return None
    settings = read_json(path.with_name("settings.json"))
    if checkpoint.epoch != epoch or checkpoint.settings != settings:
        raise InputError(f"{path}: is of another run or epoch: {REMEDY}")
    return checkpoint


def take_over(run: Run, checkpoint: Checkpoint, path: Path, *, optimiser: bool) -> None:
    """Bring the trainer to a checkpoint, with its optimiser or without.

    Raises
    ------
    InputError
        If the checkpoint, which lies at `path`, is of another network.
    """
    try:
        run.trainer.restore_model(checkpoint.arrays)
        if optimiser:
            run.trainer.restore_optimiser(checkpoint.arrays)
    except InputError as error:
        raise InputError(f"{path}: is of another network ({error}): {REMEDY}") from None


def take_over_start(run: Run) -> None:
    """Bring the trainer to what the run starts from.

    Raises
    ------
    InputError
        If it is not there or does not fit.
    """
    config = run.config
    path = checkpoint_path(run.folders.work, config.start_from, config.start_epoch)
    checkpoint = read_checkpoint(path, config.start_epoch)
    if checkpoint is None:
        remedy = f"delete that folder and train {config.start_from!r} again"
        raise InputError(f"{path}: missing or damaged: {remedy}")
    take_over(run, checkpoint, path, optimiser=config.keep_optimiser)
    settle_settings(path.with_name("settings.json"), run.mixtures.settings)


def bring_to_start(run: Run) -> list[EpochRow]:
    """Bring the trainer to where the run goes on; return the log up to there.

    Raises
    ------
    InputError
        Without a start that fits.
    """
    config = run.config
    with barrier():
        epoch = newest_checkpoint(run) if is_main_process() else 0
    epoch = int(broadcast_from_first(np.array(epoch)))
    if epoch > config.start_epoch:
        path = run.checkpoint(epoch)
        checkpoint = read_checkpoint(path, epoch)
        if checkpoint is None:
            wrong = "the first process has it, this one does not"
            raise InputError(f"{path}: {wrong}: wait for the folder they share, and run all again")
        take_over(run, checkpoint, path, optimiser=True)
        return checkpoint.log
    if config.start_from:
        take_over_start(run)
    return []

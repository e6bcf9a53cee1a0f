"""Checkpoints: whole on disk, with a checksum beside them, or not at all."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import checksum_agrees, write_checksum
from ssl_jax.networks.array_file import ArrayFile, read_arrays, write_arrays
from ssl_jax.training.log import EpochRow

REMEDY = "delete it and run again"


@dataclass(frozen=True)
class Checkpoint:
    """All that an epoch leaves behind."""

    arrays: dict[str, np.ndarray]  # weights, statistics and optimiser state by name
    log: list[EpochRow]  # of the epochs so far
    settings: dict  # of the run, as its settings.json has them

    @property
    def epoch(self) -> int:
        """The epoch after which it was written."""
        return self.log[-1].epoch


def checkpoint_path(work: Path, run: str, epoch: int) -> Path:
    """Where the checkpoint of an epoch lies: work/RUN/epoch-K.safetensors."""
    return Path(work) / run / f"epoch-{epoch:03d}.safetensors"


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, then its checksum; InputError for more than would be read again."""
    rows = [row.columns() for row in checkpoint.log]
    notes = {"epoch": checkpoint.epoch, "log": rows, "settings": checkpoint.settings}
    write_arrays(path, ArrayFile(notes, checkpoint.arrays))
    write_checksum(path)


def load_checkpoint(path: Path) -> Checkpoint | None:
    """Read a checkpoint.

    Returns
    -------
    Checkpoint or None
        None when it is not there or not as it was written.

    Raises
    ------
    InputError
        If its checksum is right, but it is no checkpoint.
    """
    if not checksum_agrees(path):
        return None
    content = read_arrays(path, REMEDY)
    try:
        checkpoint = _from_notes(content)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        raise InputError(f"{path}: is no checkpoint: {REMEDY}") from None
    return checkpoint


def _from_notes(content: ArrayFile) -> Checkpoint:
    """The checkpoint in a file; raises one of several errors for notes of something else."""
    rows = [EpochRow.from_columns(row) for row in content.notes["log"]]
    settings = content.notes["settings"]
    checkpoint = Checkpoint(content.arrays, rows, settings)
    if not isinstance(settings, dict) or checkpoint.epoch != content.notes["epoch"]:
        raise ValueError("its notes do not fit one another")
    return checkpoint

"""What one training run works with, and where its files lie."""

from dataclasses import dataclass
from pathlib import Path

from ssl_jax.config import Training
from ssl_jax.training.batches import Mixtures, Split
from ssl_jax.training.checkpoints import checkpoint_path
from ssl_jax.training.trainer import Trainer


@dataclass(frozen=True)
class RunFolders:
    """Where the runs of an experiment leave their files."""

    work: Path  # RUN/epoch-K.safetensors: checkpoints
    results: Path  # RUN.csv and others: logs, scores and last weights


@dataclass(frozen=True)
class Run:
    """What one training run works with."""

    name: str
    config: Training
    mixtures: Mixtures
    split: Split
    folders: RunFolders
    trainer: Trainer
    settings: dict  # of mixtures and training, ready for JSON

    def checkpoint(self, epoch: int) -> Path:
        """Where the run's checkpoint of an epoch lies."""
        return checkpoint_path(self.folders.work, self.name, epoch)

    def result(self, ending: str) -> Path:
        """Where the run's result of that ending lies."""
        return self.folders.results / f"{self.name}{ending}"


def weights_path(results: Path, run: str, epoch: int) -> Path:
    """Where the last weights of a run lie: results/RUN_epochK.safetensors."""
    return Path(results) / f"{run}_epoch{epoch}.safetensors"

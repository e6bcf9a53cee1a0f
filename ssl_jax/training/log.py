"""The training log: in the published log's own lines, as CSV, and read back."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import read_csv
from ssl_jax.config import Training


@dataclass(frozen=True)
class EpochRow:
    """An epoch in the log: losses in nats, shares in percent, Top-5 as published.

    The fields are the columns of the CSV file.
    """

    epoch: int
    epochs: int  # planned: what the published log writes after the slash
    train_loss: float
    train_top1: float
    train_top5: float
    eval_loss: float
    eval_top1: float
    eval_top5: float
    eval_top5_standard: float
    eval_mean_angular_error: float  # degrees
    learning_rate: float  # at the epoch's first step
    # of the run's last clips; None for a run without `Training.last_share`
    last_loss: float | None = None
    last_top1: float | None = None
    last_top5: float | None = None

    def columns(self) -> dict[str, float]:
        """The fields by name, without those of the last clips where there are none."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_columns(cls, columns: dict) -> "EpochRow":
        """The opposite of `columns`; raises TypeError for something else."""
        row = cls(**columns)
        for field in fields(cls):
            value = columns.get(field.name)
            kinds = (int,) if field.type is int else (int, float)
            if field.name in columns and type(value) not in kinds:
                raise TypeError(f"{field.name} is {value!r}")
        return row


# of columns that have not two decimals
FORMATS = {
    "epoch": "d",
    "epochs": "d",
    "train_loss": ".4f",
    "eval_loss": ".4f",
    "last_loss": ".4f",
    "learning_rate": ".6g",
    "snr_from_db": "g",
    "snr_to_db": "g",
    "mixtures": "d",
}
LINE = (
    "Epoch {epoch}/{epochs}: "
    "Train Loss={train_loss:.4f}, Top-1={train_top1:.2f}%, Top-5={train_top5:.2f}%"
    " | Evaluation Loss={eval_loss:.4f}, Top-1={eval_top1:.2f}%, Top-5={eval_top5:.2f}%"
)
LAST_LINE = " | Last clips: Loss={last_loss:.4f}, Top-1={last_top1:.2f}%, Top-5={last_top5:.2f}%"


def log_line(row: EpochRow) -> str:
    """An epoch in the published log's own format, and what was evaluated beyond it."""
    columns = row.columns()
    line = LINE.format(**columns)
    if row.last_loss is not None:
        line += LAST_LINE.format(**columns)
    return line


def csv_text(rows: Sequence[dict]) -> str:
    """Rows as CSV: losses to four decimals, shares and errors to two.

    Parameters
    ----------
    rows : sequence of dict
        `EpochRow.columns` or rows of `metrics.scores_by_snr`, all with the same names.
    """
    lines = [",".join(rows[0])]
    for row in rows:
        cells = [format(value, FORMATS.get(name, ".2f")) for name, value in row.items()]
        lines.append(",".join(cells))
    return "\n".join(lines) + "\n"


def log_text(config: Training, rows: Sequence[EpochRow]) -> str:
    """All epochs in the published log's own format."""
    lines = [log_line(row) for row in rows]
    if config.start_from:
        lines.insert(0, f"Reduced Learning rate from epoch {config.start_epoch}.")
    return "\n".join(lines) + "\n"


def read_log(path: Path, extra: tuple[str, ...] = ()) -> list[dict[str, float]]:
    """Read a training log: a dict of numbers by column for each epoch.

    Parameters
    ----------
    path : Path
        A CSV file: ours, or a reported one, some of whose cells are blank and left out.
    extra : tuple of str
        Columns that must be there besides `epoch`.

    Raises
    ------
    InputError
        If a column is missing, a cell is no number, or an epoch no whole number.
    """
    rows = []
    try:
        for cells in read_csv(path, ("epoch", *extra)):
            rows.append({name: float(cell) for name, cell in cells.items() if cell != ""})
    except InputError:
        raise
    except (ValueError, TypeError):
        wrong = "holds something else than numbers"
        raise InputError(f"{path}: {wrong}: delete it and run again") from None
    # a blank one has no column
    epochs = [row.get("epoch", math.nan) for row in rows]
    if not rows or not all(epoch.is_integer() for epoch in epochs):
        wrong = "has no epochs, or one that is no whole number"
        raise InputError(f"{path}: {wrong}: delete it and run again")
    if any(name not in row for row in rows for name in extra):
        wrong = f"has blank cells under {', '.join(extra)}"
        raise InputError(f"{path}: {wrong}: delete it and run again")
    return rows

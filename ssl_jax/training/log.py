"""The training log: in the published log's own lines, as CSV, and read back."""

import csv
import io
from pathlib import Path

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import read_csv
from ssl_jax.config import Training

LOG_COLUMNS = "epoch epochs train_loss train_top1 train_top5 eval_loss eval_top1 eval_top5"
LOG_COLUMNS = (*LOG_COLUMNS.split(), "eval_top5_standard", "eval_mean_angular_error", "learning_rate")
LOG_FORMATS = {"epoch": "d", "epochs": "d", "train_loss": ".4f", "eval_loss": ".4f", "learning_rate": ".6g"}
LOG_LINE = (  # the published log's own format
    "Epoch {epoch}/{epochs}: Train Loss={train_loss:.4f}, Top-1={train_top1:.2f}%, Top-5={train_top5:.2f}%"
    " | Evaluation Loss={eval_loss:.4f}, Top-1={eval_top1:.2f}%, Top-5={eval_top5:.2f}%"
)
SNR_FORMATS = {"snr_from_db": "g", "snr_to_db": "g", "mixtures": "d"}


def _csv(rows: list[dict], formats: dict[str, str]) -> str:
    """Rows as CSV; numbers to two decimals unless `formats` says otherwise."""
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: format(v, formats.get(k, ".2f")) for k, v in row.items()} for row in rows)
    return out.getvalue()


def log_csv(rows: list[dict]) -> str:
    """The log as CSV: losses to four decimals, shares in percent to two."""
    return _csv([{k: row[k] for k in LOG_COLUMNS} for row in rows], LOG_FORMATS)


def snr_csv(rows: list[dict]) -> str:
    """Scores by SNR (see `metrics.scores_by_snr`) as CSV."""
    return _csv(rows, SNR_FORMATS)


def log_text(config: Training, rows: list[dict]) -> str:
    """All epochs in the published log's own format."""
    first = [f"Reduced Learning rate from epoch {config.start_epoch}."] if config.start_from else []
    return "\n".join(first + [LOG_LINE.format(**row) for row in rows]) + "\n"


def rows_of_checkpoint(content: dict) -> list[dict]:
    """The rows of the log up to a checkpoint."""
    rows = [dict(zip(LOG_COLUMNS, row, strict=True)) for row in content["log"].tolist()]
    return [{**row, "epoch": int(row["epoch"]), "epochs": int(row["epochs"])} for row in rows]


def read_log(path: Path, extra: tuple[str, ...] = ()) -> list[dict]:
    """Rows of a training log as numbers by column: ours, with `extra` columns, or reported, with blanks."""
    rows = read_csv(path, ("epoch", *extra))
    try:
        rows = [{k: float(v) for k, v in row.items() if v != ""} for row in rows]
    except (ValueError, TypeError):
        raise InputError(f"{path}: holds something else than numbers: delete it and run again") from None
    if not rows or not all(row["epoch"].is_integer() for row in rows):
        raise InputError(f"{path}: has no epochs, or one that is no whole number: delete it and run again")
    return rows

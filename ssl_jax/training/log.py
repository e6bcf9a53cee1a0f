"""The training log: in the published log's own lines, as CSV, and read back."""

from pathlib import Path

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import read_csv
from ssl_jax.config import Training

SCORES = ("loss", "top1", "top5")
LOG_COLUMNS = (
    "epoch",
    "epochs",
    *(f"{part}_{what}" for part in ("train", "eval") for what in SCORES),
)
LOG_COLUMNS += ("eval_top5_standard", "eval_mean_angular_error", "learning_rate")
LAST_COLUMNS = (
    "last_loss",
    "last_top1",
    "last_top5",
)  # of the run's last clips: Training.last_share
FORMATS = {
    "epoch": "d",
    "epochs": "d",
    "learning_rate": ".6g",
}  # of columns that are not of two decimals
FORMATS |= {"snr_from_db": "g", "snr_to_db": "g", "mixtures": "d"}
FORMATS |= {f"{part}_loss": ".4f" for part in ("train", "eval", "last")}
LINE = "Epoch {epoch}/{epochs}: Train Loss={train_loss:.4f}, Top-1={train_top1:.2f}%, Top-5={train_top5:.2f}%"
LINE += " | Evaluation Loss={eval_loss:.4f}, Top-1={eval_top1:.2f}%, Top-5={eval_top5:.2f}%"
LAST_LINE = " | Last clips: Loss={last_loss:.4f}, Top-1={last_top1:.2f}%, Top-5={last_top5:.2f}%"


def log_line(row: dict) -> str:
    """An epoch in the published log's own format, and what was evaluated beyond it."""
    return (LINE + LAST_LINE * (LAST_COLUMNS[0] in row)).format(**row)


def log_csv(rows: list[dict]) -> str:
    """The log as CSV: losses to four decimals, shares in percent to two; or `metrics.scores_by_snr`."""
    texts = [[format(v, FORMATS.get(k, ".2f")) for k, v in row.items()] for row in rows]
    return "".join(",".join(fields) + "\n" for fields in [rows[0], *texts])


def log_text(config: Training, rows: list[dict]) -> str:
    """All epochs in the published log's own format."""
    first = [f"Reduced Learning rate from epoch {config.start_epoch}."] if config.start_from else []
    return "\n".join(first + [log_line(row) for row in rows]) + "\n"


def rows_of_checkpoint(content: dict) -> list[dict]:
    """The rows of the log up to a checkpoint."""
    columns = (
        LOG_COLUMNS
        if content["log"].shape[1] == len(LOG_COLUMNS)
        else (*LOG_COLUMNS, *LAST_COLUMNS)
    )
    rows = [dict(zip(columns, row, strict=True)) for row in content["log"].tolist()]
    return [{**row, "epoch": int(row["epoch"]), "epochs": int(row["epochs"])} for row in rows]


def read_log(path: Path, extra: tuple[str, ...] = ()) -> list[dict]:
    """Rows of a training log as numbers by column: ours, with `extra` columns, or reported, with blanks."""
    rows = read_csv(path, ("epoch", *extra))
    try:
        rows = [{k: float(v) for k, v in row.items() if v != ""} for row in rows]
    except (ValueError, TypeError):
        raise InputError(
            f"{path}: holds something else than numbers: delete it and run again"
        ) from None
    if not rows or not all(row["epoch"].is_integer() for row in rows):
        raise InputError(
            f"{path}: has no epochs, or one that is no whole number: delete it and run again"
        )
    return rows

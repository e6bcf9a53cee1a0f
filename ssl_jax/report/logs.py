"""The logs under results/, ours and reported, as the report and the figures read them."""

from pathlib import Path

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import package_data, require_file
from ssl_jax.config import AZIMUTHS, MAIN_RUNS, RUNS
from ssl_jax.training.log import read_log

HEADINGS = {
    "loss": "loss",
    "top1": "Top-1",
    "top5": "Top-5*",
}  # loss in nats, the others in percent
MEASURES = {
    f"{part}_{k}": f"{part} {title}" for part in ("train", "eval") for k, title in HEADINGS.items()
}
LAST = {
    f"last_{k}": f"last clips {title}" for k, title in HEADINGS.items()
}  # all by column of the logs
EXTRA = {"eval_top5_standard": "eval Top-5, standard", "eval_mean_angular_error": "eval mean error"}
COLUMNS, LOGGED = (
    MEASURES | LAST | EXTRA,
    (*MEASURES, *EXTRA),
)  # all, and what every log of ours has
TITLES = {
    "model1": "Model 1",
    "model2": "Model 2",
    "model2_continued": "Model 2, learning rate reduced",
}
TITLES |= {
    "model2_to40": "Model 2, continued to 40",
    "model2_to60": "Model 2, continued to 60 at rate 1e-4",
}
TITLES |= {"resnet": "Residual CNN, 100 clips", "deep": "Deeper three-branch network"}
TITLES |= {"ours": "ours", "ours_mirrored": "ours, heads mirrored", "general": "for recordings"}
TITLES |= {"general_coloured": "for recordings, through unlike microphones"}
REPORTED_RUNS = (*MAIN_RUNS, "model2_to40", "model2_to60")  # tables in data/reported
CORPORA = {
    "embedded": "the embedded corpus",
    "librispeech-esc10-cipic": "LibriSpeech, ESC-10 and CIPIC",
}


def reported_table(results: Path, name: str) -> Path:
    """A reported table: the package's, unless results/reported has another."""
    own = results / "reported" / name
    return own if own.exists() else package_data(f"reported/{name}")


def read_reported(results: Path, run: str) -> dict[float, dict]:
    """What was reported of a run, a row by epoch, by the columns of our log that it is compared with."""
    if run not in REPORTED_RUNS:
        return {}
    rows = read_log(reported_table(results, f"{run}.csv"))
    if RUNS[run].last_share:
        rows = [{k.replace("eval_", "last_"): v for k, v in row.items()} for row in rows]
    return {row["epoch"]: row for row in rows}


def logs_of_seeds(results: Path, name: str, run: str) -> list[list[dict]]:
    """The logs of a run and of its twins with other seeds; none where the run itself is not there."""
    own, twins = results / name / f"{run}.csv", sorted((results / name).glob(f"{run}_seed*.csv"))
    twins = [path for path in twins if path.stem.removeprefix(f"{run}_seed").isdigit()]
    return [read_log(path, LOGGED) for path in (own, *twins)] if own.exists() else []


def compare(results: Path, name: str) -> dict[str, list[dict]]:
    """For each training run, a row per epoch: ours, reported ({} where nothing is)."""
    tables = {}
    for run in TITLES:
        if (path := results / name / f"{run}.csv").exists():
            reported, log = read_reported(results, run), read_log(path, LOGGED)
            tables[run] = [{"ours": row, "reported": reported.get(row["epoch"], {})} for row in log]
    if not tables:
        raise InputError(
            f"{results / name}: no training logs: run ./reproduce.sh with the same options"
        )
    return tables


def read_confusion(path: Path) -> np.ndarray:
    """Counts (72, 72) by true and estimated class; raises InputError for a file of something else."""
    require_file(path)
    try:
        counts = np.loadtxt(path, delimiter=",", dtype=int, ndmin=2)
    except ValueError as error:
        raise InputError(
            f"{path}: not a table of numbers ({error}): delete it and train again"
        ) from None
    if counts.shape != (AZIMUTHS, AZIMUTHS):
        raise InputError(f"{path}: is not {AZIMUTHS} x {AZIMUTHS}: delete it and train again")
    return counts

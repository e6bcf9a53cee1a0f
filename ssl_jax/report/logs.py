"""The logs under results/, ours and reported, as the report and the figures read them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import package_data, read_json, require_file
from ssl_jax.config import AZIMUTHS
from ssl_jax.runs import MAIN_RUNS, RUNS
from ssl_jax.training.log import read_log

TITLES = {
    "model1": "Model 1",
    "model2": "Model 2",
    "model2_continued": "Model 2, learning rate reduced",
    "model2_to40": "Model 2, continued to 40",
    "model2_to60": "Model 2, continued to 60 at rate 1e-4",
    "resnet": "Residual CNN, 100 clips",
    "deep": "Deeper three-branch network",
    "ours": "Phase network",
    "ours_mirrored": "Phase network, heads mirrored",
    "general": "for recordings",
}
REPORTED_RUNS = (*MAIN_RUNS, "model2_to40", "model2_to60")  # tables in data/reported

# columns of a log are PART_QUANTITY: losses in nats, shares in percent
QUANTITIES = {"loss": "loss", "top1": "Top-1", "top5": "Top-5*"}
EVERY_LOG = {
    f"{part}_{quantity}": f"{part} {title}"
    for part in ("train", "eval")
    for quantity, title in QUANTITIES.items()
}
LAST_CLIPS = {f"last_{quantity}": f"last clips {title}" for quantity, title in QUANTITIES.items()}
OURS_ALONE = {
    "eval_top5_standard": "eval Top-5, standard",
    "eval_mean_angular_error": "eval mean error",
}
COLUMNS = {**EVERY_LOG, **LAST_CLIPS, **OURS_ALONE}  # titles of all
LOGGED = (*EVERY_LOG, *OURS_ALONE)  # what every log of ours has


@dataclass(frozen=True)
class Epoch:
    """An epoch of a run, ours beside what was reported of it."""

    number: int
    ours: dict[str, float]  # by column
    reported: dict[str, float]  # by column, empty where nothing was reported


def reported_table(results: Path, name: str) -> Path:
    """A reported table: the package's, unless results/reported has another."""
    own = results / "reported" / name
    return own if own.exists() else package_data(f"reported/{name}")


def read_reported(results: Path, run: str) -> dict[float, dict[str, float]]:
    """What was reported of a run, by epoch, in the columns of our log that it is compared with.

    The reported continuation was evaluated on its last clips, as far as can be told.
    """
    if run not in REPORTED_RUNS:
        return {}
    reported = {}
    for row in read_log(reported_table(results, f"{run}.csv")):
        if RUNS[run].last_share:
            row = {column.replace("eval_", "last_"): value for column, value in row.items()}
        reported[row["epoch"]] = row
    return reported


def names_of_seeds(folder: Path, run: str, ending: str) -> list[str]:
    """A run and its twins with other seeds, RUN_seedK, that have a file so called in a folder."""
    numbers = []
    for path in folder.glob(f"{run}_seed*{ending}"):
        number = path.name.removeprefix(f"{run}_seed").removesuffix(ending)
        if number.isdecimal():
            numbers.append(int(number))
    return [run, *(f"{run}_seed{number}" for number in sorted(numbers))]


def logs_of_seeds(results: Path, name: str, run: str) -> list[list[dict[str, float]]]:
    """The logs of a run and of its twins with other seeds; none where the run itself is not there.

    Raises
    ------
    InputError
        For a log that is none, or has other epochs than the run's.
    """
    folder = results / name
    if not (folder / f"{run}.csv").exists():
        return []
    logs: list[list[dict[str, float]]] = []
    for twin in names_of_seeds(folder, run, ".csv"):
        path = folder / f"{twin}.csv"
        log = read_log(path, LOGGED)
        if logs and [row["epoch"] for row in log] != [row["epoch"] for row in logs[0]]:
            raise InputError(f"{path}: has other epochs than {run}.csv: delete it and train again")
        logs.append(log)
    return logs


def metrics_of_seeds(results: Path, name: str, run: str) -> list[dict[str, float]]:
    """What `evaluate` gave a run and its twins at their end; none where the run is not there."""
    path = results / name / "metrics.json"
    if not path.exists():
        return []
    metrics = read_json(path)
    if not isinstance(metrics, dict):
        raise InputError(f"{path}: holds no metrics by run: delete it and train again")
    if run not in metrics:
        return []
    numbers = [key.removeprefix(f"{run}_seed") for key in metrics if key.startswith(f"{run}_seed")]
    seeds = sorted(int(number) for number in numbers if number.isdecimal())
    return [metrics[run], *(metrics[f"{run}_seed{seed}"] for seed in seeds)]


def compare(results: Path, name: str) -> dict[str, list[Epoch]]:
    """Every epoch of each run of a folder.

    Raises
    ------
    InputError
        Where there are no logs.
    """
    tables = {}
    for run in TITLES:
        path = results / name / f"{run}.csv"
        if path.exists():
            reported = read_reported(results, run)
            tables[run] = [
                Epoch(int(row["epoch"]), row, reported.get(row["epoch"], {}))
                for row in read_log(path, LOGGED)
            ]
    if not tables:
        raise InputError(
            f"{results / name}: no training logs: run ./reproduce.sh with the same options"
        )
    return tables


def read_confusion(path: Path) -> np.ndarray:
    """Counts (72, 72) by true and estimated class; InputError for a file of something else."""
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

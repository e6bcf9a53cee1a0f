"""Ours beside the reported tables, epoch by epoch: comparison.csv, comparison.md and the README's table."""

import csv
import io
import statistics
from pathlib import Path

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import read_json, write_text
from ssl_jax.config import AZIMUTHS, MAIN_RUNS
from ssl_jax.report.tables import markdown_table, put_section
from ssl_jax.training.log import read_log

MEASURES = {  # column of the logs -> heading; loss in nats, the others in percent
    "train_loss": "train loss",
    "train_top1": "train Top-1",
    "train_top5": "train Top-5*",
    "eval_loss": "eval loss",
    "eval_top1": "eval Top-1",
    "eval_top5": "eval Top-5*",
}
EXTRA = {"eval_top5_standard": "eval Top-5, standard", "eval_mean_angular_error": "eval mean error"}
COLUMNS = MEASURES | EXTRA
TITLES = {
    "model1": "Model 1",
    "model2": "Model 2",
    "model2_continued": "Model 2, learning rate reduced",
    "model2_to40": "Model 2, continued to 40",
    "model2_to60": "Model 2, continued to 60 from rate 1e-4",
    "resnet": "Residual CNN, 100 clips",
    "deep": "Deeper three-branch network",
    "ours": "ours",
    "ours_mirrored": "ours, heads mirrored",
}
REPORTED_RUNS = (*MAIN_RUNS, "model2_to40", "model2_to60")  # tables in results/reported
CORPORA = {"embedded": "the embedded corpus", "librispeech-esc10-cipic": "LibriSpeech, ESC-10 and CIPIC"}
README_RUNS = ("embedded", "librispeech-esc10-cipic", "librispeech-esc10-cipic-clean")
TOP5 = (
    "Top-5* as the published code counts it: any of the five highest classes within 10 degrees of the true "
)
TOP5 += "one."
FOOTNOTE = (
    f"Each cell: ours (reported, difference). Shares in percent, loss in nats. {TOP5} The last two "
    "columns were not reported, nor any figure without a bracket."
)


def read_reported(results: Path, run: str) -> dict[float, dict]:
    """What was reported of a run, a row by epoch; nothing for a run that was not."""
    if run not in REPORTED_RUNS:
        return {}
    return {row["epoch"]: row for row in read_log(results / "reported" / f"{run}.csv")}


def compare(results: Path, name: str) -> dict[str, list[dict]]:
    """For each training run, a row per epoch: ours, reported (None where there is none)."""
    tables = {}
    for run in TITLES:
        path = results / name / f"{run}.csv"
        if path.exists():
            reported, log = read_reported(results, run), read_log(path, tuple(COLUMNS))
            tables[run] = [{"ours": row, "reported": reported.get(row["epoch"])} for row in log]
    if not tables:
        raise InputError(
            f"{results / name}: no training logs: run ./reproduce.sh with the same options first"
        )
    return tables


def comparison_csv(tables: dict[str, list[dict]]) -> str:
    """One row per epoch and measure."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["run", "epoch", "measure", "ours", "reported", "difference"])
    for run, rows in tables.items():
        for row in rows:
            for measure in COLUMNS:
                ours, reported = row["ours"][measure], (row["reported"] or {}).get(measure)
                digits = 4 if "loss" in measure else 2
                given = ["", ""]
                if reported is not None:
                    given = [f"{reported:.{digits}f}", f"{ours - reported:+.{digits}f}"]
                writer.writerow([run, int(row["ours"]["epoch"]), measure, f"{ours:.{digits}f}", *given])
    return out.getvalue()


def _cells(row: dict) -> list[str]:
    """Every measure of an epoch: ours and, where it was reported, that and the difference."""
    cells = []
    for measure in COLUMNS:
        digits = 3 if "loss" in measure else 2
        ours, reported = row["ours"][measure], (row["reported"] or {}).get(measure)
        cell = f"{ours:.{digits}f}{'°' if 'error' in measure else ''}"
        if reported is not None:
            cell += f" ({reported:.{digits}f}, {ours - reported:+.{digits}f})"
        cells.append(cell)
    return cells


def epochs_table(rows: list[dict]) -> str:
    """Every epoch of one run as a Markdown table."""
    lines = [[str(int(row["ours"]["epoch"])), *_cells(row)] for row in rows]
    return markdown_table(["epoch", *COLUMNS.values()], lines)


def last_epochs_table(tables: dict[str, list[dict]]) -> str:
    """The last epoch of each run as a Markdown table."""
    lasts = {run: rows[-1] for run, rows in tables.items()}
    lines = [
        [f"{TITLES[run]}, epoch {int(row['ours']['epoch'])}", *_cells(row)] for run, row in lasts.items()
    ]
    return markdown_table(["run", *COLUMNS.values()], lines)


def read_confusion(path: Path) -> np.ndarray:
    """Counts (72, 72) by true and estimated class; raises InputError where the file holds something else."""
    try:
        counts = np.loadtxt(path, delimiter=",", dtype=int, ndmin=2)
    except ValueError as error:
        raise InputError(f"{path}: not a table of numbers ({error}): delete it and train again") from None
    if counts.shape != (AZIMUTHS, AZIMUTHS):
        raise InputError(f"{path}: is not {AZIMUTHS} x {AZIMUTHS}: delete it and train again")
    return counts


def last_epochs_of_seeds(results: Path, name: str) -> dict[str, list[dict]]:
    """For each run trained with several seeds, the last row of every seed's log."""
    found = {}
    for run in TITLES:
        others = sorted((results / name).glob(f"{run}_seed*.csv"))
        logs = [path for path in others if path.stem.removeprefix(f"{run}_seed").isdigit()]
        if logs:
            logs = [results / name / f"{run}.csv", *logs]
            found[run] = [read_log(path, tuple(COLUMNS))[-1] for path in logs]
    return found


def seeds_table(results: Path, name: str) -> str:
    """Mean and standard deviation over seeds beside the reported figure; "" where there is one seed only.

    The seed of a row draws initial weights, split and order; the mixtures are the same.
    """
    rows = []
    for run, lasts in last_epochs_of_seeds(results, name).items():
        beside = read_reported(results, run).get(lasts[0]["epoch"], {})
        cells = []
        for measure in COLUMNS:
            digits, values = 3 if "loss" in measure else 2, [last[measure] for last in lasts]
            given = f" ({beside[measure]:.{digits}f})" if measure in beside else ""
            unit = "°" if "error" in measure else ""
            mean, spread = statistics.fmean(values), statistics.stdev(values)
            cells.append(f"{mean:.{digits}f} ± {spread:.{digits}f}{unit}{given}")
        rows.append([f"{TITLES[run]}, epoch {int(lasts[0]['epoch'])}", str(len(lasts)), *cells])
    if not rows:
        return ""
    table = markdown_table(["run", "seeds", *COLUMNS.values()], rows)
    return f"Mean ± standard deviation over seeds (reported):\n\n{table}"


def header(results: Path, name: str) -> str:
    """What the numbers were made from and on, in one paragraph."""
    try:
        settings = read_json(results / name / "settings.json")
        timing = read_json(results / name / "timing.json")
        database, front, stages = settings["database"], settings["front"], timing["stages"].values()
        embedded = database["corpus"] == "embedded"
        facts = {
            "Corpus": f"{CORPORA.get(database['corpus'], database['corpus'])}, "
            f"{database['clips'] * AZIMUTHS:,} mixtures",
            "heads": "20 virtual heads (KEMAR, frequency-scaled)" if embedded else "20 CIPIC heads",
            "directions": database["direction_rule"],
            "hair cell": front["hair_cell"],
            "kept apart in training and evaluation": ", ".join(database.get("disjoint") or ["mixture"]),
            "hop": f"{front['hop']} samples",
            "seed": database["seed"],
            "device": timing["machine"],
            "wall time": f"{sum(s['seconds'] for s in stages) / 60:.1f} minutes, "
            f"peak memory {max(s['peak_memory_mb'] for s in stages) / 1024:.1f} GiB",
            "commit": timing["commit"],
        }
        return "; ".join(f"{what}: {value}" for what, value in facts.items()) + "."
    except (FileNotFoundError, LookupError, TypeError, ValueError, AttributeError):
        incomplete = "settings.json or timing.json is missing or incomplete"
        remedy = "run ./reproduce.sh with the same options to its end first"
        raise InputError(f"{results / name}: {incomplete}: {remedy}") from None


def write_report(results: Path, name: str) -> str:
    """Write comparison.csv and comparison.md under results/name, and return the latter's text."""
    results = Path(results)
    tables = compare(results, name)
    parts = [f"# Ours beside the reported tables: {name}\n", header(results, name) + "\n", FOOTNOTE + "\n"]
    parts += ["## The last epoch of each run\n", last_epochs_table(tables)]
    parts += [table] if (table := seeds_table(results, name)) else []
    for run, rows in tables.items():
        parts += [f"## {TITLES[run]}\n", epochs_table(rows)]
    text = "\n".join(parts)
    write_text(results / name / "comparison.csv", comparison_csv(tables))
    write_text(results / name / "comparison.md", text)
    return text


def readme_section(results: Path, names: list[str]) -> str:
    """The README's table: the last epoch of each reported run, as reported and in every folder of `names`."""

    def cell(row):
        return " / ".join(f"{row[measure]:.2f}" for measure in ("train_top1", "eval_top1", "eval_top5"))

    tables, rows = {name: compare(results, name) for name in names}, []
    for run in MAIN_RUNS:
        epoch, reported = max(read_reported(results, run).items())
        ours = [cell(table[run][-1]["ours"]) if run in table else "" for table in tables.values()]
        rows.append([f"{TITLES[run]}, epoch {int(epoch)}", cell(reported), *ours])
    head = ["", "reported", *(f"[{name}](results/{name}/comparison.md)" for name in names)]
    text = f"Train Top-1 / evaluation Top-1 / evaluation Top-5*, in percent. {TOP5}\n\n"
    notes = "\n".join(f"- `{name}`: {header(results, name)}" for name in names)
    return f"{text}{markdown_table(head, rows)}\n{notes}"


def update_readme(readme: Path, results: Path) -> None:
    """Put the table of those README_RUNS that are there between the README's markers."""
    there = [name for name in README_RUNS if (results / name / "settings.json").exists()]
    put_section(readme, "results", readme_section(results, there))

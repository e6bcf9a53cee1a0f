"""Ours beside the reported tables, epoch by epoch: comparison.csv, comparison.md and the README's table."""

import statistics
from itertools import product
from pathlib import Path

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import read_json, require_file, write_text
from ssl_jax.config import AZIMUTHS, MAIN_RUNS
from ssl_jax.report.tables import markdown_table, put_section
from ssl_jax.training.log import read_log

HEADINGS = {"loss": "loss", "top1": "Top-1", "top5": "Top-5*"}  # loss in nats, the others in percent
# column of the logs -> heading
MEASURES = {f"{part}_{k}": f"{part} {title}" for part in ("train", "eval") for k, title in HEADINGS.items()}
EXTRA = {"eval_top5_standard": "eval Top-5, standard", "eval_mean_angular_error": "eval mean error"}
COLUMNS = MEASURES | EXTRA
TITLES = {"model1": "Model 1", "model2": "Model 2", "model2_continued": "Model 2, learning rate reduced"}
TITLES |= {
    "model2_to40": "Model 2, continued to 40",
    "model2_to60": "Model 2, continued to 60 from rate 1e-4",
}
TITLES |= {"resnet": "Residual CNN, 100 clips", "deep": "Deeper three-branch network"}
TITLES |= {"ours": "ours", "ours_mirrored": "ours, heads mirrored"}
REPORTED_RUNS = (*MAIN_RUNS, "model2_to40", "model2_to60")  # tables in results/reported
CORPORA = {"embedded": "the embedded corpus", "librispeech-esc10-cipic": "LibriSpeech, ESC-10 and CIPIC"}
README_RUNS = ("embedded", "librispeech-esc10-cipic", "librispeech-esc10-cipic-clean")
TOP5 = "Top-5* as the published code counts it: any of the five highest classes within 10 degrees of the true"
TOP5 += " one."
FOOTNOTE = f"Each cell: ours (reported, difference). Shares in percent, loss in nats. {TOP5} The last two "
FOOTNOTE += "columns were not reported, nor any figure without a bracket."


def read_reported(results: Path, run: str) -> dict[float, dict]:
    """What was reported of a run, a row by epoch; nothing for a run that was not."""
    if run not in REPORTED_RUNS:
        return {}
    return {row["epoch"]: row for row in read_log(results / "reported" / f"{run}.csv")}


def compare(results: Path, name: str) -> dict[str, list[dict]]:
    """For each training run, a row per epoch: ours, reported ({} where nothing is)."""
    tables = {}
    for run in TITLES:
        path = results / name / f"{run}.csv"
        if path.exists():
            reported, log = read_reported(results, run), read_log(path, tuple(COLUMNS))
            tables[run] = [{"ours": row, "reported": reported.get(row["epoch"], {})} for row in log]
    if not tables:
        raise InputError(f"{results / name}: no training logs: run ./reproduce.sh with the same options")
    return tables


def _figures(row: dict, measure: str, loss_digits: int) -> list[str]:
    """A measure of an epoch: ours and, where it was reported, that and the difference."""
    digits = loss_digits if "loss" in measure else 2
    ours, reported = row["ours"][measure], row["reported"].get(measure)
    given = [] if reported is None else [f"{reported:.{digits}f}", f"{ours - reported:+.{digits}f}"]
    return [f"{ours:.{digits}f}", *given]


def comparison_csv(tables: dict[str, list[dict]]) -> str:
    """One row per epoch and measure."""
    lines = ["run,epoch,measure,ours,reported,difference"]
    for run, rows in tables.items():
        for row, measure in product(rows, COLUMNS):
            figures = (_figures(row, measure, 4) + ["", ""])[:3]
            lines.append(",".join([run, str(int(row["ours"]["epoch"])), measure, *figures]))
    return "\n".join(lines) + "\n"


def _cell(row: dict, measure: str) -> str:
    ours, *given = _figures(row, measure, 3)
    return ours + "°" * ("error" in measure) + (f" ({', '.join(given)})" if given else "")


def epochs_table(rows: list[dict]) -> str:
    """Every epoch of one run as a Markdown table."""
    lines = [[str(int(row["ours"]["epoch"])), *(_cell(row, measure) for measure in COLUMNS)] for row in rows]
    return markdown_table(["epoch", *COLUMNS.values()], lines)


def last_epochs_table(tables: dict[str, list[dict]]) -> str:
    """The last epoch of each run as a Markdown table."""
    lines = []
    for run, (*_, last) in tables.items():
        title = f"{TITLES[run]}, epoch {int(last['ours']['epoch'])}"
        lines.append([title, *(_cell(last, measure) for measure in COLUMNS)])
    return markdown_table(["run", *COLUMNS.values()], lines)


def read_confusion(path: Path) -> np.ndarray:
    """Counts (72, 72) by true and estimated class; raises InputError for a file of something else."""
    require_file(path)
    try:
        counts = np.loadtxt(path, delimiter=",", dtype=int, ndmin=2)
    except ValueError as error:
        raise InputError(f"{path}: not a table of numbers ({error}): delete it and train again") from None
    if counts.shape != (AZIMUTHS, AZIMUTHS):
        raise InputError(f"{path}: is not {AZIMUTHS} x {AZIMUTHS}: delete it and train again")
    return counts


def seeds_table(results: Path, name: str) -> str:
    """Mean and standard deviation over seeds beside the reported figure; "" where there is one seed only.

    The seed of a row draws initial weights, split and order; the mixtures are the same.
    """
    rows = []
    for run in TITLES:
        others = sorted((results / name).glob(f"{run}_seed*.csv"))
        others = [path for path in others if path.stem.removeprefix(f"{run}_seed").isdigit()]
        if not others:
            continue
        lasts = [read_log(path, tuple(COLUMNS))[-1] for path in (results / name / f"{run}.csv", *others)]
        beside = read_reported(results, run).get(lasts[0]["epoch"], {})
        cells = []
        for measure in COLUMNS:
            digits, values = 3 if "loss" in measure else 2, [last[measure] for last in lasts]
            given = f" ({beside[measure]:.{digits}f})" if measure in beside else ""
            unit = "°" if "error" in measure else ""
            mean, spread = statistics.fmean(values), statistics.stdev(values)
            cells.append(f"{mean:.{digits}f} ± {spread:.{digits}f}{unit}{given}")
        rows.append([f"{TITLES[run]}, epoch {int(lasts[0]['epoch'])}", str(len(lasts)), *cells])
    table = markdown_table(["run", "seeds", *COLUMNS.values()], rows)
    return f"Mean ± standard deviation over seeds (reported):\n\n{table}" if rows else ""


def header(results: Path, name: str) -> str:
    """What the numbers were made from and on, in one paragraph."""
    try:
        settings, timing = (read_json(results / name / f"{file}.json") for file in ("settings", "timing"))
        database, front, stages = settings["database"], settings["front"], timing["stages"].values()
        corpus, mixtures = database["corpus"], database["clips"] * AZIMUTHS
        heads = "5 heads, each scaled to 4" if corpus == "embedded" else "20 CIPIC heads"
        minutes = sum(s["seconds"] for s in stages) / 60
        memory = max(s["peak_memory_mb"] for s in stages) / 1024
        facts = {
            "Corpus": f"{CORPORA.get(corpus, corpus)}, {mixtures:,} mixtures",
            "heads": heads,
            "directions": database["direction_rule"],
            "hair cell": front["hair_cell"],
            "kept apart in training and evaluation": ", ".join(database.get("disjoint") or ["mixture"]),
            "hop": f"{front['hop']} samples",
            "seed": database["seed"],
            "device": timing["machine"],
            "wall time": f"{minutes:.1f} minutes, peak memory {memory:.1f} GiB",
            "commit": timing["commit"],
        }
        return "; ".join(f"{what}: {value}" for what, value in facts.items()) + "."
    except (FileNotFoundError, LookupError, TypeError, ValueError, AttributeError):
        incomplete = "settings.json or timing.json is missing or incomplete"
        remedy = "run ./reproduce.sh with the same options to its end first"
        raise InputError(f"{results / name}: {incomplete}: {remedy}") from None


def write_report(results: Path, name: str) -> str:
    """Write comparison.csv and comparison.md under results/name, and return the latter's text."""
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
    text = f"Train Top-1 / evaluation Top-1 / evaluation Top-5*, in percent. {TOP5}\n"
    notes = [f"- `{name}`: {header(results, name)}" for name in names]
    return "\n".join([text, markdown_table(head, rows), *notes])


def update_readme(readme: Path, results: Path) -> None:
    """Put the table of those README_RUNS that are there between the README's markers."""
    there = [name for name in README_RUNS if (results / name / "settings.json").exists()]
    put_section(readme, "results", readme_section(results, there))

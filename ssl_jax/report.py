"""Ours beside the reported tables, epoch by epoch: comparison.csv, comparison.md and the README."""

import csv
import io
import statistics
from pathlib import Path

import numpy as np

from .config import AZIMUTH_STEP, AZIMUTHS, MAIN_RUNS
from .evaluation import class_distance
from .files import InputError, atomic_write, read_csv, read_json

MEASURES = {  # column of the logs -> heading; loss in nats, the others in percent
    "train_loss": "train loss", "train_top1": "train Top-1", "train_top5": "train Top-5*",
    "eval_loss": "eval loss", "eval_top1": "eval Top-1", "eval_top5": "eval Top-5*",
}
EXTRA = {"eval_top5_standard": "eval Top-5, standard", "eval_mean_angular_error": "eval mean error"}
TITLES = {
    "model1": "Model 1", "model2": "Model 2", "model2_continued": "Model 2, learning rate reduced",
    "model2_to40": "Model 2, continued to 40", "model2_to60": "Model 2, continued to 60 from rate 1e-4",
    "resnet": "Residual CNN, 100 clips", "deep": "Deeper three-branch network", "ours": "ours",
    "ours_mirrored": "ours, heads mirrored",
}
REPORTED = ("model1", "model2", "model2_continued", "model2_to40", "model2_to60")  # tables in results/reported
CORPORA = {
    "embedded": "the embedded corpus",
    "librispeech-esc10-cipic": "LibriSpeech, ESC-10 and CIPIC",
}
README_RUNS = ("embedded", "librispeech-esc10-cipic", "librispeech-esc10-cipic-clean")
FOOTNOTE = (
    "Each cell: ours (reported, difference). Shares in percent, loss in nats. Top-5* as the published "
    "code counts it: any of the five highest classes within 10 degrees of the true one. The last two "
    "columns were not reported, nor any figure without a bracket."
)


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


def read_reported(results: Path, run: str) -> dict[float, dict]:
    """What was reported of a run, a row by epoch; nothing for a run that was not."""
    return {row["epoch"]: row for row in read_log(results / "reported" / f"{run}.csv")} if run in REPORTED else {}


def compare(results: Path, name: str) -> dict[str, list[dict]]:
    """For each training run, a row per epoch: ours, reported (None where there is none)."""
    tables = {}
    for run in TITLES:
        path = results / name / f"{run}.csv"
        if not path.exists():
            continue
        reported = read_reported(results, run)
        tables[run] = [{"ours": row, "reported": reported.get(row["epoch"])}
                       for row in read_log(path, (*MEASURES, *EXTRA))]
    if not tables:
        raise InputError(f"{results / name}: no training logs: run ./reproduce.sh with the same options first")
    return tables


def comparison_csv(tables: dict[str, list[dict]]) -> str:
    """One row per epoch and measure."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["run", "epoch", "measure", "ours", "reported", "difference"])
    for run, rows in tables.items():
        for row in rows:
            for measure in (*MEASURES, *EXTRA):
                ours, reported = row["ours"][measure], (row["reported"] or {}).get(measure)
                digits = 4 if "loss" in measure else 2
                given = ["", ""]
                if reported is not None:
                    given = [f"{reported:.{digits}f}", f"{ours - reported:+.{digits}f}"]
                writer.writerow([run, int(row["ours"]["epoch"]), measure, f"{ours:.{digits}f}", *given])
    return out.getvalue()


def _cell(row: dict, measure: str) -> str:
    digits = 3 if "loss" in measure else 2
    ours, reported = row["ours"][measure], (row["reported"] or {}).get(measure)
    degrees = "°" if "error" in measure else ""
    if reported is None:
        return f"{ours:.{digits}f}{degrees}"
    return f"{ours:.{digits}f} ({reported:.{digits}f}, {ours - reported:+.{digits}f})"


def markdown_table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def epochs_table(rows: list[dict]) -> str:
    """Every epoch of one run as a Markdown table."""
    measures = {**MEASURES, **EXTRA}
    return markdown_table(["epoch", *measures.values()],
                  [[str(int(r["ours"]["epoch"])), *(_cell(r, m) for m in measures)] for r in rows])


def last_epochs_table(tables: dict[str, list[dict]]) -> str:
    """The last epoch of each run as a Markdown table."""
    measures = {**MEASURES, **EXTRA}
    rows = [[f"{TITLES[run]}, epoch {int(rows[-1]['ours']['epoch'])}", *(_cell(rows[-1], m) for m in measures)]
            for run, rows in tables.items()]
    return markdown_table(["run", *measures.values()], rows)


def error_by_azimuth(counts: np.ndarray) -> np.ndarray:
    """Mean error in degrees (72,) of each true class, from a confusion matrix (72, 72)."""
    apart = AZIMUTH_STEP * class_distance(np.arange(AZIMUTHS)[:, None], np.arange(AZIMUTHS))
    return (counts * apart).sum(1) / np.maximum(counts.sum(1), 1)


def read_confusion(path: Path) -> np.ndarray:
    """Counts (72, 72) by true and estimated class; InputError where the file holds something else."""
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
            found[run] = [read_log(path, (*MEASURES, *EXTRA))[-1] for path in (results / name / f"{run}.csv", *logs)]
    return found


def seeds_table(results: Path, name: str) -> str:
    """Mean and standard deviation over seeds beside the reported figure; "" where there is one seed only.

    The seed of a row draws initial weights, split and order; the mixtures are the same.
    """
    rows = []
    for run, lasts in last_epochs_of_seeds(results, name).items():
        beside = read_reported(results, run).get(lasts[0]["epoch"], {})
        cells = []
        for measure in (*MEASURES, *EXTRA):
            digits, values = 3 if "loss" in measure else 2, [last[measure] for last in lasts]
            given = f" ({beside[measure]:.{digits}f})" if measure in beside else ""
            unit = "°" if "error" in measure else ""
            cells.append(f"{statistics.fmean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f}{unit}{given}")
        rows.append([f"{TITLES[run]}, epoch {int(lasts[0]['epoch'])}", str(len(lasts)), *cells])
    if not rows:
        return ""
    return ("Mean ± standard deviation over seeds (reported):\n\n"
            + markdown_table(["run", "seeds", *MEASURES.values(), *EXTRA.values()], rows))


def header(results: Path, name: str) -> str:
    """What the numbers were made from and on, in one paragraph."""
    try:
        settings = read_json(results / name / "settings.json")
        timing = read_json(results / name / "timing.json")
        database, front = settings["database"], settings["front"]
        embedded = database["corpus"] == "embedded"
        heads = "20 virtual heads (KEMAR, frequency-scaled)" if embedded else "20 CIPIC heads"
        minutes = sum(s["seconds"] for s in timing["stages"].values()) / 60
        memory = max(s["peak_memory_mb"] for s in timing["stages"].values()) / 1024
        return (
            f"Corpus: {CORPORA.get(database['corpus'], database['corpus'])}, "
            f"{database['clips'] * AZIMUTHS:,} mixtures; heads: {heads}; "
            f"directions: {database['direction_rule']}; hair cell: {front['hair_cell']}; "
            f"kept apart in training and evaluation: {', '.join(database.get('disjoint') or ['mixture'])}; "
            f"hop: {front['hop']} samples; seed: {database['seed']}; device: {timing['machine']}; "
            f"wall time: {minutes:.1f} minutes, peak memory {memory:.1f} GiB; commit: {timing['commit']}."
        )
    except (FileNotFoundError, LookupError, TypeError, ValueError, AttributeError):
        raise InputError(f"{results / name}: settings.json or timing.json is missing or incomplete: run "
                         "./reproduce.sh with the same options to its end first") from None


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
    with atomic_write(results / name / "comparison.csv", "w") as stream:
        stream.write(comparison_csv(tables))
    with atomic_write(results / name / "comparison.md", "w") as stream:
        stream.write(text)
    return text


def readme_section(results: Path, names: list[str]) -> str:
    """What stands in the README between its markers: the given runs' comparisons, folded."""
    parts = [FOOTNOTE + "\n"]
    for name in names:
        tables = compare(results, name)
        parts += [f"### {name}\n", header(results, name) + "\n", last_epochs_table(tables)]
        parts += [table] if (table := seeds_table(results, name)) else []
        parts += [f"Every epoch of every run: [comparison.md](results/{name}/comparison.md).\n"]
        for run in (run for run in MAIN_RUNS if run in tables):
            rows = tables[run]
            parts += [f"<details><summary>{TITLES[run]}, every epoch</summary>\n", epochs_table(rows),
                      "</details>\n"]
    return "\n".join(parts)


def update_readme(readme: Path, results: Path, names: list[str]) -> None:
    """Put the comparisons of the given runs, and benchmarks where there are any, between the README's markers."""
    put_section(readme, "results", readme_section(results, names))
    tables = [results / "benchmark" / f"{kind}.md" for kind in ("cpu", "gpu")]
    measured = [t.read_text(encoding="utf-8") for t in tables if t.exists() and t.with_suffix(".json").exists()]
    if measured:
        put_section(readme, "benchmark", "\n".join(measured))


def put_section(readme: Path, name: str, section: str) -> None:
    """Replace what stands between two marker lines of the README; InputError where they are not."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    try:
        text = readme.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{readme}: is not UTF-8 text: save it as such") from None
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise InputError(f"{readme}: needs one line {begin} and, after it, one line {end}: put them back")
    before, rest = text.split(begin)
    with atomic_write(readme, "w") as stream:
        stream.write(f"{before}{begin}\n{section}\n{end}{rest.split(end)[1]}")

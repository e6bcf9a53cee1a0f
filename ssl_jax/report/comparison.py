"""Ours beside the reported tables, epoch by epoch: comparison.csv, comparison.md and the README's table."""

import statistics
from itertools import product
from pathlib import Path

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import read_json, write_text
from ssl_jax.config import AZIMUTHS, MAIN_RUNS, RUNS
from ssl_jax.report.logs import (
    COLUMNS,
    CORPORA,
    REPORTED_RUNS,
    TITLES,
    compare,
    logs_of_seeds,
    read_reported,
)
from ssl_jax.report.tables import markdown_table, put_section, spread

PUBLISHED, CODE = (
    "librispeech-esc10-cipic",
    "librispeech-esc10-cipic-published-code",
)  # folders of results
README_RUNS = (PUBLISHED, "embedded", CODE, "librispeech-esc10-cipic-clean")
TOP5 = "Top-5* as the published code counts it: any of the five highest classes within 10 degrees of the true"
TOP5 += " one."
SEEN = "Last clips: the last fifth, 561 to 700, four fifths of whose mixtures are trained on. The reported "
SEEN += "continuation was evaluated on them, as far as can be told, so its figures stand beside those; the "
SEEN += "held-out ones (eval) are the ones to quote."
EMBEDDED = (
    "What differs from the published database: four voices, noises of a game, five heads at four "
)
EMBEDDED += "sizes each instead of twenty people, and all directions on the horizontal plane."
FOOTNOTE = f"Each cell: ours (reported, difference). Shares in percent, loss in nats. {TOP5} {SEEN}"


def _figures(row: dict, measure: str, loss_digits: int) -> list[str]:
    """A measure of an epoch: ours and, where it was reported, that and the difference."""
    digits = loss_digits if "loss" in measure else 2
    ours, reported = row["ours"][measure], row["reported"].get(measure)
    given = [] if reported is None else [f"{reported:.{digits}f}", f"{ours - reported:+.{digits}f}"]
    return [f"{ours:.{digits}f}", *given]


def _columns_of(row: dict) -> list[str]:
    return [measure for measure in COLUMNS if measure in row]


def comparison_csv(tables: dict[str, list[dict]]) -> str:
    """One row per epoch and measure."""
    lines = ["run,epoch,measure,ours,reported,difference"]
    for run, rows in tables.items():
        for row, measure in product(rows, _columns_of(rows[0]["ours"])):
            figures = (_figures(row, measure, 4) + ["", ""])[:3]
            lines.append(",".join([run, str(int(row["ours"]["epoch"])), measure, *figures]))
    return "\n".join(lines) + "\n"


def _cell(row: dict, measure: str) -> str:
    if measure not in row["ours"]:
        return ""
    ours, *given = _figures(row, measure, 3)
    return ours + "°" * ("error" in measure) + (f" ({', '.join(given)})" if given else "")


def epochs_table(rows: list[dict]) -> str:
    """Every epoch of one run as a Markdown table."""
    columns = _columns_of(rows[0]["ours"])
    lines = [
        [str(int(row["ours"]["epoch"])), *(_cell(row, measure) for measure in columns)]
        for row in rows
    ]
    return markdown_table(["epoch", *(COLUMNS[c] for c in columns)], lines)


def last_epochs_table(tables: dict[str, list[dict]]) -> str:
    """The last epoch of each run as a Markdown table."""
    lines = []
    for run, (*_, last) in tables.items():
        title = f"{TITLES[run]}, epoch {int(last['ours']['epoch'])}"
        lines.append([title, *(_cell(last, measure) for measure in COLUMNS)])
    return markdown_table(["run", *COLUMNS.values()], lines)


def agreement_table(results: Path, name: str) -> str:
    """Mean |difference| over epochs between each reported run and the mean over our seeds."""
    rows = []
    for run in REPORTED_RUNS:
        logs = logs_of_seeds(results, name, run)
        reported = read_reported(results, run) if logs else {}
        part, evaluated = ("last", "last clips") if RUNS[run].last_share else ("eval", "held out")
        cells, epochs = [], set()
        for measure in (f"{part}_top1", f"{part}_top5", "train_top1"):
            found = []
            for ours in zip(*logs):
                beside = reported.get(ours[0]["epoch"], {})
                if measure in beside and all(measure in row for row in ours):
                    found.append(
                        abs(statistics.fmean(row[measure] for row in ours) - beside[measure])
                    )
                    epochs.add(int(ours[0]["epoch"]))
            cells.append(f"{statistics.fmean(found):.2f}" if found else "")
        if epochs:
            rows.append(
                [TITLES[run], f"{min(epochs)} to {max(epochs)}", str(len(logs)), evaluated, *cells]
            )
    head = [
        "run",
        "epochs",
        "seeds",
        "evaluated on",
        "evaluation Top-1",
        "evaluation Top-5*",
        "train Top-1",
    ]
    return markdown_table(head, rows)


def seeds_table(results: Path, name: str) -> str:
    """Mean and standard deviation over seeds beside the reported figure; "" where there is one seed only."""
    rows = []
    for run in TITLES:
        if len(logs := logs_of_seeds(results, name, run)) < 2:
            continue
        lasts, cells = [log[-1] for log in logs], dict.fromkeys(COLUMNS, "")
        beside = read_reported(results, run).get(lasts[0]["epoch"], {})
        for measure in _columns_of(lasts[0]):
            digits, unit = ".3f" if "loss" in measure else ".2f", "°" if "error" in measure else ""
            given = f" ({beside[measure]:{digits}})" if measure in beside else ""
            cells[measure] = spread([last[measure] for last in lasts], unit, digits) + given
        rows.append(
            [f"{TITLES[run]}, epoch {int(lasts[0]['epoch'])}", str(len(lasts)), *cells.values()]
        )
    table = markdown_table(["run", "seeds", *COLUMNS.values()], rows)
    return f"Mean ± standard deviation over seeds (reported):\n\n{table}" if rows else ""


def header(results: Path, name: str, brief: bool = False) -> str:
    """What the numbers were made from and on, in one paragraph, or the README's share of it."""
    try:
        settings, timing = (
            read_json(results / name / f"{file}.json") for file in ("settings", "timing")
        )
        database, front, stages = settings["database"], settings["front"], timing["stages"].values()
        corpus, mixtures = database["corpus"], database["clips"] * AZIMUTHS
        minutes = sum(s["seconds"] for s in stages) / 60
        memory = max(s["peak_memory_mb"] for s in stages) / 1024
        facts = {"Corpus": f"{CORPORA.get(corpus, corpus)}, {mixtures:,} mixtures"}
        facts |= {
            "heads": "5 heads, each scaled to 4" if corpus == "embedded" else "20 CIPIC heads"
        }
        facts |= (
            {"heads": f"of {rooms} rooms, see docs/rooms.md"}
            if (rooms := database.get("rooms"))
            else {}
        )
        facts |= {"directions": database["direction_rule"], "hair cell": front["hair_cell"]}
        facts |= {"SNR of each noise": f"{database['snr_low']:g} to {database['snr_high']:g} dB"}
        facts |= {
            "kept apart in training and evaluation": ", ".join(
                database.get("disjoint") or ["mixture"]
            )
        }
        facts |= {
            "hop": f"{front['hop']} samples",
            "seed": database["seed"],
            "device": timing["machine"],
        }
        facts |= {"wall time": f"{minutes:.1f} minutes, peak memory {memory:.1f} GiB"}
        facts |= {"commit": timing["commit"]}
        kept = ("Corpus", "SNR of each noise", "seed", "device", "commit") if brief else facts
        return "; ".join(f"{what}: {facts[what]}" for what in kept) + "."
    except (FileNotFoundError, LookupError, TypeError, ValueError, AttributeError):
        incomplete = "settings.json or timing.json is missing or incomplete"
        remedy = "run ./reproduce.sh with the same options to its end first"
        raise InputError(f"{results / name}: {incomplete}: {remedy}") from None


def write_report(results: Path, name: str) -> str:
    """Write comparison.csv and comparison.md under results/name, and return the latter's text."""
    tables = compare(results, name)
    parts = [
        f"# Ours beside the reported tables: {name}\n",
        header(results, name) + "\n",
        FOOTNOTE + "\n",
    ]
    parts += [EMBEDDED + "\n"] * name.startswith("embedded")
    parts += ["## How far our curves lie from the reported ones\n"]
    parts += ["Mean absolute difference over epochs in points, of the mean over our seeds.\n"]
    parts += [
        agreement_table(results, name),
        "## The last epoch of each run\n",
        last_epochs_table(tables),
    ]
    parts += [table] if (table := seeds_table(results, name)) else []
    if name == PUBLISHED and (results / CODE / "settings.json").exists():
        parts += [f"At the noise level of the published code: {header(results, CODE)}\n"]
        parts += [last_epochs_table(compare(results, CODE))]
    for run, rows in tables.items():
        parts += [f"## {TITLES[run]}\n", epochs_table(rows)]
    text = "\n".join(parts)
    write_text(results / name / "comparison.csv", comparison_csv(tables))
    write_text(results / name / "comparison.md", text)
    return text


def readme_section(results: Path, names: list[str]) -> str:
    """The README's table: the last epoch of each reported run, as reported and in every folder of `names`."""

    def cell(rows, part):
        columns = "train_top1", f"{part}_top1", f"{part}_top5"
        if not all(column in row for row in rows for column in columns) or not rows:
            return ""
        return " / ".join(
            f"{statistics.fmean(row[column] for row in rows):.2f}" for column in columns
        )

    lines = []
    for run in MAIN_RUNS:
        epoch, reported = max(read_reported(results, run).items())
        lasts = [[log[-1] for log in logs_of_seeds(results, name, run)] for name in names]
        both = {"last": ", on the last clips", "eval": ", held out"}
        for part, on in (both if RUNS[run].last_share else {"eval": ""}).items():
            cells = [cell(rows, part) for rows in ([reported], *lasts)]
            lines.append([f"{TITLES[run]}, epoch {int(epoch)}{on}", *cells])
    head = ["", "reported", *(f"[{name}](results/{name}/comparison.md)" for name in names)]
    text = f"Train Top-1 / evaluation Top-1 / evaluation Top-5*, in percent, mean over seeds. {TOP5} {SEEN}\n"
    notes = [f"- `{name}`: {header(results, name, brief=True)}" for name in names]
    return "\n".join([text, markdown_table(head, lines), *notes])


def update_readme(readme: Path, results: Path) -> None:
    """Put the table of those README_RUNS that are there between the README's markers."""
    there = [name for name in README_RUNS if (results / name / "settings.json").exists()]
    put_section(readme, "results", readme_section(results, there))

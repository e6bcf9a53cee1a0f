"""Ours beside the reported tables, epoch by epoch: comparison.csv and comparison.md."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ssl_jax.common.files import read_json, write_text
from ssl_jax.report.conditions import conditions_line, read_conditions
from ssl_jax.report.logs import (
    COLUMNS,
    REPORTED_RUNS,
    TITLES,
    Epoch,
    compare,
    logs_of_seeds,
    read_reported,
)
from ssl_jax.report.tables import markdown_table, mean_and_deviation
from ssl_jax.runs import RUNS

TOP5 = (
    "Top-5* counts as the published code does: any of the five highest classes within 10 degrees "
    "of the true one."
)
EACH_CELL = "Each cell: ours (reported, difference). Shares in percent, loss in nats."
PART_TITLES = {"eval": "held out", "last": "last clips"}  # what is evaluated on


@dataclass(frozen=True)
class Agreement:
    """How far the curves of a run lie from the reported ones."""

    run: str
    first_epoch: int
    last_epoch: int
    seeds: int
    part: str  # of PART_TITLES
    # points by column: mean over epochs of |mean over seeds - reported|
    differences: dict[str, float]


def last_clips_note(results: Path, name: str) -> str:
    """Which clips the last ones of an experiment are, and that training heard most of them."""
    database = read_json(results / name / "settings.json")["database"]
    last = replace(RUNS["model2_continued"], clips=database["clips"]).last_clips
    trained_on = "Some"
    if not database["disjoint"]:
        trained_on = f"{100 * (1 - database['evaluation_share']):.0f} %"
    return (
        f'"Last clips" are clips {last.start + 1} to {last.stop}. {trained_on} of their mixtures '
        "were in training. The reported continuation was evaluated on them as far as can be told. "
        "Quote the held-out figures."
    )


def columns_of(row: dict[str, float]) -> list[str]:
    """The columns of a row of ours that have a title, in its order."""
    return [column for column in COLUMNS if column in row]


def format_measure(column: str, value: float, loss_digits: int = 3) -> str:
    """A number of a log without its unit."""
    digits = loss_digits if "loss" in column else 2
    return f"{value:.{digits}f}"


def format_difference(column: str, epoch: Epoch, loss_digits: int = 3) -> str:
    """Ours less the reported, with its sign."""
    digits = loss_digits if "loss" in column else 2
    return f"{epoch.ours[column] - epoch.reported[column]:+.{digits}f}"


def unit_of(column: str) -> str:
    """The unit behind a figure of a log's column, "" for percent and nats."""
    return "°" if "error" in column else ""


def comparison_csv(tables: dict[str, list[Epoch]]) -> str:
    """One line per epoch and column of a log."""
    lines = ["run,epoch,measure,ours,reported,difference"]
    for run, epochs in tables.items():
        for epoch in epochs:
            for column in columns_of(epoch.ours):
                ours = format_measure(column, epoch.ours[column], loss_digits=4)
                reported = difference = ""
                if column in epoch.reported:
                    reported = format_measure(column, epoch.reported[column], loss_digits=4)
                    difference = format_difference(column, epoch, loss_digits=4)
                lines.append(f"{run},{epoch.number},{column},{ours},{reported},{difference}")
    return "\n".join(lines) + "\n"


def epoch_cell(epoch: Epoch, column: str) -> str:
    """A cell of a table: ours, and the reported and the difference where there is one."""
    if column not in epoch.ours:
        return ""
    cell = format_measure(column, epoch.ours[column]) + unit_of(column)
    if column not in epoch.reported:
        return cell
    reported = format_measure(column, epoch.reported[column])
    return f"{cell} ({reported}, {format_difference(column, epoch)})"


def epochs_table(epochs: list[Epoch]) -> str:
    """Every epoch of one run as a Markdown table."""
    columns = columns_of(epochs[0].ours)
    rows = []
    for epoch in epochs:
        rows.append([str(epoch.number), *(epoch_cell(epoch, column) for column in columns)])
    return markdown_table(["epoch", *(COLUMNS[column] for column in columns)], rows)


def last_epochs_table(tables: dict[str, list[Epoch]]) -> str:
    """The last epoch of each run as a Markdown table."""
    rows = []
    for run, epochs in tables.items():
        last = epochs[-1]
        title = f"{TITLES[run]}, epoch {last.number}"
        rows.append([title, *(epoch_cell(last, column) for column in COLUMNS)])
    return markdown_table(["run", *COLUMNS.values()], rows)


def agreement_of(results: Path, name: str, run: str) -> Agreement | None:
    """The agreement of a run; None where no epoch of it was reported."""
    logs = logs_of_seeds(results, name, run)
    if not logs:
        return None
    reported = read_reported(results, run)
    part = "last" if RUNS[run].last_share else "eval"
    differences = {}
    compared = set()
    for column in (f"{part}_top1", f"{part}_top5", "train_top1"):
        distances = []
        for rows in zip(*logs, strict=True):
            epoch = rows[0]["epoch"]
            beside = reported.get(epoch, {})
            if column in beside and all(column in row for row in rows):
                mean = statistics.fmean(row[column] for row in rows)
                distances.append(abs(mean - beside[column]))
                compared.add(int(epoch))
        if distances:
            differences[column] = statistics.fmean(distances)
    if not compared:
        return None
    return Agreement(run, min(compared), max(compared), len(logs), part, differences)


def agreement_table(results: Path, name: str) -> str:
    """The agreement of every reported run as a Markdown table."""
    rows = []
    for run in REPORTED_RUNS:
        agreement = agreement_of(results, name, run)
        if agreement is None:
            continue
        columns = (f"{agreement.part}_top1", f"{agreement.part}_top5", "train_top1")
        cells = []
        for column in columns:
            difference = agreement.differences.get(column)
            cells.append("" if difference is None else f"{difference:.2f}")
        rows.append(
            [
                TITLES[run],
                f"{agreement.first_epoch} to {agreement.last_epoch}",
                str(agreement.seeds),
                PART_TITLES[agreement.part],
                *cells,
            ]
        )
    measures = ["evaluation Top-1", "evaluation Top-5*", "train Top-1"]
    return markdown_table(["run", "epochs", "seeds", "evaluated on", *measures], rows)


def seeds_cell(values: list[float], column: str, reported: float | None) -> str:
    """Mean and standard deviation over seeds, and the reported figure where there is one."""
    cell = mean_and_deviation(values, unit_of(column), digits=".3f" if "loss" in column else ".2f")
    return cell if reported is None else f"{cell} ({format_measure(column, reported)})"


def seeds_table(results: Path, name: str) -> str:
    """The last epoch over seeds beside the reported one; "" where every run has one seed only."""
    table = []
    for run in TITLES:
        logs = logs_of_seeds(results, name, run)
        if len(logs) < 2:
            continue
        rows = [log[-1] for log in logs]
        reported = read_reported(results, run).get(rows[0]["epoch"], {})
        cells = []
        for column in COLUMNS:
            values = [row[column] for row in rows if column in row]
            cells.append(seeds_cell(values, column, reported.get(column)) if values else "")
        title = f"{TITLES[run]}, epoch {int(rows[0]['epoch'])}"
        table.append([title, str(len(logs)), *cells])
    if not table:
        return ""
    lines = markdown_table(["run", "seeds", *COLUMNS.values()], table)
    return f"Mean ± standard deviation over seeds (reported):\n\n{lines}"


def comparison_page(results: Path, name: str, tables: dict[str, list[Epoch]]) -> Iterable[str]:
    """The parts of comparison.md."""
    yield f"# Ours beside the reported tables: {name}\n"
    yield conditions_line(read_conditions(results, name)) + "\n"
    notes = [EACH_CELL, TOP5]
    if any("last_top1" in epochs[-1].ours for epochs in tables.values()):
        notes.append(last_clips_note(results, name))
    yield " ".join(notes) + "\n"
    yield "## How far our curves lie from the reported ones\n"
    yield "Mean absolute difference over epochs, in points, of the mean over our seeds.\n"
    yield agreement_table(results, name)
    yield "## The last epoch of each run\n"
    yield last_epochs_table(tables)
    over_seeds = seeds_table(results, name)
    if over_seeds:
        yield over_seeds
    for run, epochs in tables.items():
        yield f"## {TITLES[run]}\n"
        yield epochs_table(epochs)


def write_report(results: Path, name: str) -> str:
    """Write comparison.csv and comparison.md under results/name, and return the latter's text."""
    tables = compare(results, name)
    text = "\n".join(comparison_page(results, name, tables))
    write_text(results / name / "comparison.csv", comparison_csv(tables))
    write_text(results / name / "comparison.md", text)
    return text

"""Training curves: ours as lines with the range over seeds, the reported ones as points."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ssl_jax.report.logs import TITLES, logs_of_seeds, read_reported
from ssl_jax.report.style import BLUE, GREEN, VERMILLION, plt
from ssl_jax.runs import RUNS

PANELS = {"top1": "Top-1 (%)", "top5": "Top-5 as published (%)", "loss": "loss (nats)"}


@dataclass(frozen=True)
class PartStyle:
    """How a part of the mixtures looks, whose ever the numbers are."""

    label: str
    colour: str
    line: str  # of ours
    marker: str  # of the reported


PARTS = {
    "train": PartStyle("training", VERMILLION, "--", "^"),
    "eval": PartStyle("held out", BLUE, "-", "o"),
    "last": PartStyle("last clips", GREEN, "-.", "s"),
}
# runs that begin something new, in words
BEGINNINGS = {
    "model2_continued": "continuation:\nlearning rate\nreduced",
    "model2_to60": "rate 1e-4",
}


def training_curves(results: Path, name: str, runs: list[str]) -> Figure:
    """Top-1, Top-5 and loss over epochs of runs that go on from one another."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 4.4))
    ours = {run: logs_of_seeds(results, name, run) for run in runs}
    for axis, (quantity, title) in zip(axes, PANELS.items(), strict=True):
        for run in runs:
            for part, style in PARTS.items():
                column = f"{part}_{quantity}"
                draw_ours(axis, ours[run], column, style)
                draw_joint(axis, start_row(ours, run), ours[run], column, style)
                draw_reported(axis, read_reported(results, run), column, style)
        axis.set(title=title, xlabel="epoch")
        for run in runs:
            if run in BEGINNINGS:
                # curves of shares end high, losses low: the text goes where they are not
                mark_beginning(axis, run, ours[run], height=0.97 if quantity == "loss" else 0.03)
    add_legend(figure, axes[0])
    seeds = sorted({len(logs) for logs in ours.values()})
    figure.suptitle(f"{TITLES[runs[0]]}, protocol {name}: {seeds_text(seeds)}")
    return figure


def draw_ours(axis, logs: list[list[dict[str, float]]], column: str, style: PartStyle) -> None:
    """The mean over seeds as a line, and their range; nothing where the logs lack the column."""
    if column not in logs[0][0]:
        return
    epochs = [row["epoch"] for row in logs[0]]
    values = np.array([[row[column] for row in log] for log in logs])  # seeds, epochs
    label = f"ours, {style.label}"
    axis.plot(epochs, values.mean(axis=0), style.line, color=style.colour, lw=1.5, label=label)
    axis.fill_between(
        epochs, values.min(axis=0), values.max(axis=0), color=style.colour, alpha=0.25, lw=0
    )


def mean_row(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean over seeds of an epoch's rows."""
    return {column: float(np.mean([row[column] for row in rows])) for column in rows[0]}


def start_row(ours: dict[str, list], run: str) -> dict[str, float]:
    """The epoch that a run goes on from, the mean over seeds; empty where it is not drawn."""
    for rows in zip(*ours.get(RUNS[run].start_from, []), strict=True):
        if rows[0]["epoch"] == RUNS[run].start_epoch:
            return mean_row(rows)
    return {}


def draw_joint(axis, start: dict[str, float], logs: list, column: str, style: PartStyle) -> None:
    """The way from the epoch that a run goes on from to its first one, thin."""
    if column in start and column in logs[0][0]:
        first = mean_row([log[0] for log in logs])
        epochs = [start["epoch"], first["epoch"]]
        axis.plot(epochs, [start[column], first[column]], style.line, color=style.colour, lw=0.8)


def draw_reported(axis, reported: dict[float, dict], column: str, style: PartStyle) -> None:
    """The reported epochs that have the column, as points."""
    points = {epoch: row[column] for epoch, row in reported.items() if column in row}
    if points:
        axis.plot(
            list(points),
            list(points.values()),
            style.marker,
            color=style.colour,
            markersize=4,
            markeredgecolor="white",
            markeredgewidth=0.6,
            label=f"reported, {style.label}",
        )


def mark_beginning(axis, run: str, logs: list[list[dict[str, float]]], height: float) -> None:
    """A line before a run's first epoch, and what begins there in words."""
    start = logs[0][0]["epoch"] - 0.5
    axis.axvline(start, color="0.3", lw=0.9, ls=":", zorder=0)
    axis.annotate(
        BEGINNINGS[run],
        (start, height),
        xycoords=("data", "axes fraction"),
        xytext=(4, 0),
        textcoords="offset points",
        va="top" if height > 0.5 else "bottom",
        fontsize=9,
        color="0.3",
    )


def add_legend(figure: Figure, axis) -> None:
    """A column for each part, ours above the reported; every label once."""
    handles, labels = axis.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    wanted = [f"{whose}, {part.label}" for part in PARTS.values() for whose in ("ours", "reported")]
    shown = {label: once[label] for label in wanted if label in once}
    figure.legend(
        shown.values(), shown.keys(), loc="outside lower center", ncols=(len(shown) + 1) // 2
    )


def seeds_text(counts: list[int]) -> str:
    """How many seeds the lines stand for: "1 seed", "mean and range of 1 to 3 seeds"."""
    if counts == [1]:
        return "1 seed"
    number = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else str(counts[0])
    return f"mean and range of {number} seeds"

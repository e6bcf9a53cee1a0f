"""Where a network is right: confusion, recall and error over azimuth, error over SNR."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.projections.polar import PolarAxes

from ssl_jax.common.files import read_csv
from ssl_jax.config import AZIMUTH_STEP, FrontEnd, class_azimuths
from ssl_jax.metrics import error_by_azimuth
from ssl_jax.report.logs import TITLES, read_confusion, reported_table
from ssl_jax.report.style import (
    BLACK,
    BLUE,
    EIGHTHS,
    GREEN,
    OURS,
    PURPLE,
    REPORTED,
    SHARE_COLOURS,
    VERMILLION,
    plt,
)
from ssl_jax.sounds.hrtf import head_files, select_directions
from ssl_jax.sounds.sofa import ON_GRID, read_sofa

RIM = 45.0  # degrees: larger errors are numbers, so that one azimuth does not dwarf the others
# degrees of error beyond the rim, where the numbers of the first run stand, and of each further one
NUMBERS_AT = 3.5
NEXT_NUMBERS = 4.0
NUMBERS_POINTS = 11  # points that these take of each run: azimuths stand beyond them
LEAST_SHARE = 0.3  # percent: one mixture of an azimuth is 0.7 % of the evaluation of 700 clips


@dataclass(frozen=True)
class RunStyle:
    """How a run looks beside others."""

    colour: str
    line: str
    marker: str


RUN_STYLES = {
    "model2": RunStyle(BLUE, "-", "o"),
    "model2_continued": RunStyle(VERMILLION, "--", "s"),
    "ours": RunStyle(GREEN, "-.", "^"),
    "ours_mirrored": RunStyle(BLACK, ":", "D"),
    "general": RunStyle(PURPLE, "-", "v"),
}


def confusion(results: Path, name: str, run: str) -> Figure:
    """Share of each true azimuth's evaluated mixtures by estimated azimuth."""
    counts = read_confusion(results / name / f"{run}_confusion.csv")
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axis = plt.subplots(figsize=(6.6, 5.8))
    edges = (-AZIMUTH_STEP / 2, 360 - AZIMUTH_STEP / 2)
    image = axis.imshow(
        np.where(share > 0, share, np.nan),
        cmap=SHARE_COLOURS,
        norm=LogNorm(LEAST_SHARE, 100),
        origin="lower",
        interpolation="nearest",
        extent=(*edges, *edges),
    )
    # front taken for back, or back for front: mirrored about the axis through the ears
    for start in (180, 540):
        axis.axline((0, start), slope=-1, color="0.4", lw=0.8, ls=":")
    axis.set(
        xlim=edges,
        ylim=edges,
        xticks=EIGHTHS[:-1],
        yticks=EIGHTHS[:-1],
        xlabel="estimated azimuth (degrees); dotted: front taken for back",
        ylabel="true azimuth (degrees)",
        title=f"{TITLES[run]}, protocol {name}\n{int(counts.sum()):,} held-out mixtures",
    )
    axis.grid(visible=False)
    figure.colorbar(image, ax=axis, label="share of the true azimuth (%), white: none", format="%g")
    return figure


def off_plane_azimuths() -> np.ndarray:
    """Azimuths whose nearest direction in CIPIC's grid is above or below the horizontal plane."""
    head = read_sofa(head_files(None)[0], FrontEnd.fs)
    _, elevations = select_directions(head, "nearest_azimuth")
    return class_azimuths()[np.abs(elevations) > ON_GRID]


def recall(results: Path, name: str) -> Figure:
    """Share of each azimuth's mixtures that are right, on the last clips: ours and reported."""
    counts = read_confusion(results / name / "model2_to40_last_confusion.csv")
    ours = 100 * np.diag(counts) / np.maximum(counts.sum(axis=1), 1)
    rows = read_csv(reported_table(results, "epoch39_by_class.csv"), ("azimuth", "recall"))
    figure, axis = plt.subplots(figsize=(11, 4))
    for azimuth in off_plane_azimuths():
        axis.axvspan(azimuth - AZIMUTH_STEP / 2, azimuth + AZIMUTH_STEP / 2, color="0.92", lw=0)
    axis.plot(
        [float(row["azimuth"]) for row in rows],
        [100 * float(row["recall"]) for row in rows],
        "s--",
        color=REPORTED,
        markersize=4,
        lw=1.2,
        label="reported, epoch 39",
    )
    axis.plot(
        class_azimuths(), ours, "o-", color=OURS, markersize=4, lw=1.2, label="ours, epoch 40"
    )
    axis.fill_between([], [], color="0.92", label="measured off the horizontal plane")
    axis.set(
        xlim=(-AZIMUTH_STEP / 2, 360 - AZIMUTH_STEP / 2),
        ylim=(0, 100),
        xticks=EIGHTHS[:-1],
        xlabel="azimuth (degrees, 90 = left)",
        ylabel="recall (%)",
        title=f"{TITLES['model2_to40']}, protocol {name}: recall by azimuth on the last clips",
    )
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def errors(results: Path, name: str, runs: list[str]) -> Figure:
    """Mean error over azimuth, the head seen from above, and over SNR."""
    # the automatic layout leaves a round plot little room
    figure = plt.figure(figsize=(11, 6.2), layout="none")
    # front up
    around = figure.add_axes((0.03, 0.17, 0.44, 0.6), projection="polar", theta_offset=np.pi / 2)
    around = cast(PolarAxes, around)
    along = figure.add_axes((0.55, 0.22, 0.42, 0.56))
    for number, run in enumerate(runs):
        error = error_by_azimuth(read_confusion(results / name / f"{run}_confusion.csv"))
        draw_around(around, error, run)
        write_beyond_rim(around, error, run, RIM + NUMBERS_AT + number * NEXT_NUMBERS)
        draw_along(along, results / name / f"{run}_by_snr.csv", run)
    around.set(
        ylim=(0, RIM),
        rticks=[15, 30, 45],
        xticks=np.radians(EIGHTHS[:-1]),
    )
    around.set_title(f"mean error (degrees) by azimuth; numbers: over {RIM:g}")
    around.tick_params(axis="x", pad=NUMBERS_POINTS * len(runs) + 4)
    around.set_rlabel_position(112.5)
    along.set(
        title="mean error (degrees) by SNR",
        xlabel="lower SNR of the two noises (dB)",
        ylim=(0, None),
    )
    figure.legend(*along.get_legend_handles_labels(), loc="lower center", ncols=len(runs))
    figure.suptitle(f"Held-out mixtures, protocol {name}")
    return figure


def draw_around(axis, error: np.ndarray, run: str) -> None:
    """Error by azimuth (72,) around the head, cut off at RIM, with points there for larger ones."""
    style = RUN_STYLES[run]
    closed = np.minimum(np.append(error, error[0]), RIM)
    angles = np.radians(np.append(class_azimuths(), 360))
    axis.plot(angles, closed, style.line, color=style.colour, lw=1.5)
    axis.plot(
        np.radians(class_azimuths()[error > RIM]),
        np.full((error > RIM).sum(), RIM),
        style.marker,
        color=style.colour,
        clip_on=False,
    )


def write_beyond_rim(axis, error: np.ndarray, run: str, radius: float) -> None:
    """Errors (72,) over RIM as numbers at their azimuths, `radius` from the middle."""
    for number in np.flatnonzero(error > RIM):
        axis.text(
            np.radians(AZIMUTH_STEP * number),
            radius,
            f"{error[number]:.0f}",
            color=RUN_STYLES[run].colour,
            fontsize=7,
            ha="center",
            va="center",
        )


def draw_along(axis, path: Path, run: str) -> None:
    """Error by SNR: a level over the range of each bin, and a point in its middle."""
    style = RUN_STYLES[run]
    rows = read_csv(path, ("snr_from_db", "snr_to_db", "mean_angular_error"))
    low = np.array([float(row["snr_from_db"]) for row in rows])
    high = np.array([float(row["snr_to_db"]) for row in rows])
    error = [float(row["mean_angular_error"]) for row in rows]
    axis.hlines(error, low, high, colors=style.colour, lw=3, alpha=0.35)
    axis.plot(
        (low + high) / 2,
        error,
        style.line,
        marker=style.marker,
        color=style.colour,
        lw=1.5,
        label=TITLES[run],
    )

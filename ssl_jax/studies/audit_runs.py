"""The audit's tables of the whole database: what the trained runs score, by SNR and by azimuth."""

from pathlib import Path

import numpy as np

from ssl_jax.common.files import read_csv, read_json
from ssl_jax.config import AZIMUTH_STEP, AZIMUTHS, class_azimuths
from ssl_jax.metrics import error_by_azimuth
from ssl_jax.report.directions import off_plane_azimuths
from ssl_jax.report.logs import TITLES, read_confusion
from ssl_jax.report.tables import EVALUATED, SCORES, markdown_table, score_cells, snr_cells
from ssl_jax.runs import MAIN_RUNS

WHOLE_RUNS = (*MAIN_RUNS, "ours", "ours_mirrored")  # whose tables by SNR and azimuth are shown
HARDEST = 6  # azimuths named for each of these runs
SNR_COLUMNS = ("snr_from_db", "snr_to_db", "mixtures", "top1", "mean_angular_error", "front_back")


def runs_section(results: Path) -> str:
    """Of the trained runs of the whole database: every score, by SNR, on and off the plane."""
    tables = {
        "Top-5 as counted, against the usual one, and errors": scores_table(results),
        "By the lower SNR of the two noises": snr_table(results),
        "By azimuth": azimuth_table(results),
    }
    sections = []
    for title, table in tables.items():
        if table:
            heading = f"## {title} ({results.name})"
            source = "`./reproduce.sh` with the options of that run"
            sections.append(f"{heading}\n\n{source}\n\n{table}")
    return "\n".join(sections)


def scores_table(results: Path) -> str:
    """Every score of the evaluation; empty where no run is trained."""
    path = results / "metrics.json"
    metrics = read_json(path) if path.exists() else {}
    rows = [[title, *score_cells(metrics[run])] for run, title in TITLES.items() if run in metrics]
    if not rows:
        return ""
    return markdown_table(["", *(SCORES[score] for score in EVALUATED)], rows)


def snr_table(results: Path) -> str:
    """Scores by SNR; empty where no run is trained."""
    rows = []
    for run in WHOLE_RUNS:
        path = results / f"{run}_by_snr.csv"
        if path.exists():
            for row in read_csv(path, SNR_COLUMNS):
                edges, *cells = snr_cells(row[column] for column in SNR_COLUMNS)
                rows.append([edges, TITLES[run], *cells])
    if not rows:
        return ""
    return markdown_table(["dB", "run", "mixtures", "Top-1", "mean error", "front-back"], rows)


def azimuth_table(results: Path) -> str:
    """Errors on and off the horizontal plane, and the hardest azimuths; empty without a run."""
    paths = {run: results / f"{run}_confusion.csv" for run in WHOLE_RUNS}
    trained = [run for run in WHOLE_RUNS if paths[run].exists()]
    if not trained:
        return ""
    is_off_plane = np.isin(class_azimuths(), off_plane_azimuths())
    rows = []
    for run in trained:
        errors = error_by_azimuth(read_confusion(paths[run]))
        hardest = np.argsort(-errors)[:HARDEST]
        named = ", ".join(f"{AZIMUTH_STEP * c}° ({errors[c]:.1f}°)" for c in hardest)
        on = errors[~is_off_plane].mean()
        off = errors[is_off_plane].mean()
        rows.append([TITLES[run], f"{on:.2f}°", f"{off:.2f}°", named])
    count = int(is_off_plane.sum())
    head = ["run", f"{AZIMUTHS - count} azimuths on the plane", f"{count} off it", "hardest"]
    return markdown_table(head, rows)

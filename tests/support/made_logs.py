"""Results that are made by hand: a row's numbers tell epoch and measure."""

import json

from ssl_jax.report.logs import EVERY_LOG, LAST_CLIPS, OURS_ALONE

OURS = ("epoch", "epochs", *EVERY_LOG, *OURS_ALONE)
OURS_WITH_LAST = (*OURS, *LAST_CLIPS)
REPORTED_COLUMNS = ("epoch", "epochs", *EVERY_LOG)
DATABASE = {
    "speech": "bundled",
    "noise": "bundled",
    "heads": "my_heads",
    "clips": 10,
    "direction_rule": "nearest_azimuth",
    "snr_low": 0,
    "snr_high": 7.5,
    "noise_kinds": [],
    "disjoint": ["speaker", "head"],
    "evaluation_share": 0.2,
    "rooms": 0,
    "seed": 3,
}
FRONT = {"hair_cell": "roman", "hop": 441}
RUNS = {"model1": {"seed": 3}, "model1_seed4": {"seed": 4}}
MADE_BY = {"commit": "0123456789", "machine": "an abacus"}
STAGES = {
    "database": {"seconds": 90, "peak_memory_mb": 512, **MADE_BY},
    "model1": {"seconds": 60.0, "peak_memory_mb": 2048, **MADE_BY},
}
TIMING = {"stages": STAGES}


def row_of(epoch: int, shift: float = 0.0) -> list[float]:
    """Losses 3 and 2.5, Top-1 10 and 20 more than the epoch, Top-5 70 and 80; then our own two."""
    logged = (3.0, 10 + epoch, 70 + epoch, 2.5, 20 + epoch, 80 + epoch)
    return [epoch, 20, *(value + shift for value in logged), 60.5, 12.25]


def write_log(path, columns, *rows):
    """Write rows as CSV, each cut to the columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join(columns)]
    lines += [",".join(map(str, row[: len(columns)])) for row in rows]
    path.write_text("\n".join(lines) + "\n")


def cells(text):
    """Of each line of a Markdown table but the second."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:1] + lines[2:]]


def write_notes(folder):
    """settings.json and timing.json of a finished run."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"database": DATABASE, "front": FRONT, "runs": RUNS}
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "timing.json").write_text(json.dumps(TIMING))

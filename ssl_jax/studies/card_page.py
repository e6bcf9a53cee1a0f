"""The model card of the packed networks, docs/model-card.md, and a figure of their confidences."""

import json
import re
from pathlib import Path

import numpy as np

from ssl_jax.common.files import write_text
from ssl_jax.config import AZIMUTH_STEP, AZIMUTHS
from ssl_jax.networks.packed import available, describe
from ssl_jax.report.style import LOOK, plt, save_figure
from ssl_jax.report.tables import (
    EVALUATED,
    SCORES,
    markdown_table,
    put_section,
    score_cells,
    snr_cells,
)
from ssl_jax.studies.front_scores import FRONT_HEAD

FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n+", re.DOTALL)
# metrics as model hubs call them, and as we do
HUB_METRICS = {"accuracy": "top1", "angular_error": "mean_angular_error"}
WIDTH = 0.1  # of a bin of the histogram: a tenth of confidence
LEAST_WINDOWS = 10  # in a tenth whose share is drawn: fewer tell none


def draw_reliability(path: Path) -> None:
    """Draw what confidences are worth, and how many windows have them, for all packed networks."""
    with plt.rc_context(LOOK):
        figure, (shares, counts) = plt.subplots(
            2, 1, figsize=(7, 8), height_ratios=(3, 1.3), sharex=True, layout="constrained"
        )
        shares.plot([0, 1], [0, 1], color="0.7", lw=1, label="as stated")
        bins_of = {}
        for name in available():
            bins = describe(name).get("reliability")
            if bins:
                bins_of[name] = bins
        for number, (name, bins) in enumerate(bins_of.items()):
            stated, within, windows = np.transpose(bins)
            enough = windows >= LEAST_WINDOWS
            (line,) = shares.plot(stated[enough], within[enough], marker="o", ms=6, label=name)
            lower_ends = np.minimum(np.floor(10 * stated), 9) / 10  # of the tenths
            # the networks' bars side by side, with a gap on either side of them
            width = 0.8 * WIDTH / len(bins_of)
            left = lower_ends + 0.1 * WIDTH + number * width
            counts.bar(left, windows, width, align="edge", color=line.get_color())
        shares.set(title="Confidence and hits", ylabel="share within 10°", ylim=(0, 1))
        shares.legend(loc="upper left")
        counts.set(xlabel="confidence", ylabel="windows", xlim=(0, 1), yscale="log")
        save_figure(figure, path)


def write_card(path: Path) -> None:
    """Put the scores between the card's markers, or make a card of them, and its header anew."""
    if not path.exists():
        write_text(path, "<!-- scores: begin -->\n<!-- scores: end -->\n")
    put_section(path, "scores", scores_of_packed())
    text = FRONT_MATTER.sub("", path.read_text(encoding="utf-8"))
    write_text(path, f"{front_matter()}\n{text}")


def front_matter() -> str:
    """What model hubs read at the top of a card: licence, corpora and scores, as YAML."""
    notes_of = {name: describe(name) for name in available()}
    corpora = sorted({notes["corpus"] for notes in notes_of.values()})
    lines = ["---", "license: apache-2.0", f"datasets: {json.dumps(corpora)}", "model-index:"]
    for name, notes in notes_of.items():
        measured = []
        for hub_name, score in HUB_METRICS.items():
            measured.append({"type": hub_name, "value": round(notes["metrics"][score], 2)})
        result = {
            "task": {"type": "audio-classification"},
            "dataset": {
                "type": notes["corpus"],
                "name": f"{notes['corpus']}, {notes['protocol']}",
            },
            "metrics": measured,
        }
        # JSON is YAML
        lines.append("- " + json.dumps({"name": name, "results": [result]}))
    return "\n".join([*lines, "---\n"])


def scores_of_packed() -> str:
    """All packed networks as Markdown: the front, scores in all, by SNR and by azimuth."""
    notes_of = {f"`{name}`": describe(name) for name in available()}
    trained = []
    for name, notes in notes_of.items():
        trained.append(f"{name}: commit {notes['commit']}, seed {notes['seed']}")
    return (
        f"{front_section(notes_of)}"
        f"{scores_table(notes_of)}\n"
        f"Trained at {'; '.join(trained)}. Figures of the weights as packed, by `ssl_jax pack`.\n\n"
        f"By SNR, the lower of two noises':\n\n{snr_table(notes_of)}\n"
        f"By azimuth, mean error in degrees:\n\n{azimuth_table(notes_of)}"
    )


def front_section(notes_of: dict[str, dict]) -> str:
    """Scores in front by prior, where they are noted; empty where none are."""
    rows = []
    for name, notes in notes_of.items():
        rows += [[name, *row] for row in notes.get("front_scores", [])]
    if not rows:
        return ""
    table = markdown_table(["name", *FRONT_HEAD], rows)
    return f"In front, by prior:\n\n{table}\nAll around, without a prior:\n\n"


def scores_table(notes_of: dict[str, dict]) -> str:
    """What each network is, and every score."""
    head = ["name", "network", "corpus", "protocol", "evaluated on"]
    head += [SCORES[score] for score in EVALUATED]
    rows = []
    for name, notes in notes_of.items():
        about = [name, notes["model"], notes["corpus"], notes["protocol"]]
        about.append(f"{notes['mixtures_evaluated']:,}")
        rows.append([*about, *score_cells(notes["metrics"])])
    return markdown_table(head, rows)


def snr_table(notes_of: dict[str, dict]) -> str:
    """Scores by SNR, where they are noted."""
    rows = []
    for name, notes in notes_of.items():
        # the first line is the head
        for line in notes.get("by_snr", [])[1:]:
            rows.append([name, *snr_cells(line.split(","))])
    return markdown_table(["name", "dB", "mixtures", "Top-1", "mean error", "front-back"], rows)


def azimuth_table(notes_of: dict[str, dict]) -> str:
    """Mean errors by azimuth, a column a network, where they are noted."""
    errors_of = {}
    for name, notes in notes_of.items():
        if "error_by_azimuth" in notes:
            errors_of[name] = notes["error_by_azimuth"]
    rows = []
    for number in range(AZIMUTHS):
        errors = [f"{errors[number]:.2f}" for errors in errors_of.values()]
        rows.append([f"{AZIMUTH_STEP * number}°", *errors])
    return markdown_table(["azimuth", *errors_of], rows)

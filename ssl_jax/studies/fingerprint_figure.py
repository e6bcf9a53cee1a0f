"""The figure of `fingerprint`: mean coherence, and the distance over SNR ranges."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import colors

from ssl_jax.config import FrontEnd
from ssl_jax.report.style import OURS, REPORTED, STYLE, TICKS, plt, save_figure
from ssl_jax.studies.fingerprint_corpora import SnrRange


@dataclass(frozen=True)
class Curve:
    """Mean IC of one database."""

    label: str
    mean_ic: np.ndarray  # (channels,)


@dataclass(frozen=True)
class FigureContent:
    """What the figure shows."""

    training_set: Curve
    nearest: Curve
    code: Curve  # of the range in the published code
    score_title: str
    scores: Mapping[SnrRange, float]  # of every range measured


def draw_figure(path: Path, content: FigureContent) -> None:
    """Draw and write it."""
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
        _draw_coherence(left, content)
        _draw_scores(right, content)
        save_figure(figure, path)


def _draw_coherence(axes, content: FigureContent) -> None:
    cfs = FrontEnd().cfs
    lines = (
        (content.training_set, REPORTED, "o-"),
        (content.nearest, OURS, "-"),
        (content.code, OURS, ":"),
    )
    for curve, colour, style in lines:
        axes.semilogx(
            cfs, curve.mean_ic, style, color=colour, label=curve.label, markersize=3, linewidth=1.6
        )
    axes.set(xlabel="centre frequency (Hz)", ylabel="mean IC", title="Mean interaural coherence")
    axes.set_xticks(list(TICKS), list(TICKS.values()))
    axes.minorticks_off()
    axes.legend()


def _draw_scores(axes, content: FigureContent) -> None:
    """One cell a range; those that were not measured stay blank."""
    lows = sorted({snr_range.low for snr_range in content.scores})
    highs = sorted({snr_range.high for snr_range in content.scores})
    cells = np.full((len(lows), len(highs)), np.nan)
    for snr_range, score in content.scores.items():
        cells[lows.index(snr_range.low), highs.index(snr_range.high)] = score
    image = axes.imshow(cells, cmap="viridis", norm=colors.LogNorm(), aspect="auto")
    for (row, column), score in np.ndenumerate(cells):
        if np.isfinite(score):
            dark = image.norm(score) < 0.5  # the darker half of the colours
            axes.text(
                column,
                row,
                f"{score:.3f}".lstrip("0"),
                color="white" if dark else "black",
                horizontalalignment="center",
                verticalalignment="center",
                fontsize=7,
            )
    axes.set(xlabel="highest SNR (dB)", ylabel="lowest SNR (dB)", title=content.score_title)
    axes.set_xticks(range(len(highs)), [f"{high:g}" for high in highs])
    axes.set_yticks(range(len(lows)), [f"{low:g}" for low in lows])
    axes.grid(visible=False)

"""How every figure looks and is written: colours, ticks, cue maps, files of the same bytes.

The colours and limits of each cue are in `frontend/cue_plot.py`.
"""

from pathlib import Path

import matplotlib
import numpy as np

from ssl_jax.common.files import atomic_write, picture_kind

matplotlib.use("Agg")  # no display needed
import matplotlib.pyplot as plt

LOOK: dict = {
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}
STYLE: dict = {
    **LOOK,
    "figure.dpi": 130,
    "savefig.dpi": 130,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.grid": True,
    "grid.alpha": 0.25,
}
IMAGE: dict = {"origin": "lower", "aspect": "auto", "interpolation": "nearest"}

# Okabe & Ito (2008): colours that stay apart for colour-blind readers
BLUE = "#0072B2"
VERMILLION = "#D55E00"
GREEN = "#009E73"
PURPLE = "#CC79A7"
BLACK = "#000000"
OURS = BLUE
REPORTED = VERMILLION
MASKED = "0.75"  # where a map has no value: a grey that no colour map holds
SHARE_COLOURS = "viridis"  # of shares and probabilities

EIGHTHS = range(0, 361, 45)  # degrees, of a circle
# Hz
TICKS = {
    80: "80",
    200: "200",
    500: "500",
    1000: "1k",
    2000: "2k",
    4000: "4k",
    8000: "8k",
    16000: "16k",
}


def write_figure(figure, path: Path) -> None:
    """Write a figure whole or not at all, in the format its name asks for."""
    kind = picture_kind(path)
    # no version, date or random names: the same figure gives the same bytes
    changing = {"png": "Software", "pdf": "CreationDate", "svg": "Date"}[kind]
    with atomic_write(path) as stream, plt.rc_context({"svg.hashsalt": "ssl_jax"}):
        figure.savefig(stream, format=kind, metadata={changing: None})


def sounding(power: np.ndarray, least_share: float) -> np.ndarray:
    """Where channels sound: (channels, frames) of bool. Pauses hold no direction.

    There the power is above `least_share` of the channel's highest.
    """
    return power > least_share * power.max(axis=1, keepdims=True)


def save_figure(figure, path: Path) -> None:
    """Write a figure and close it."""
    write_figure(figure, path)
    plt.close(figure)


def cue_map(axes, values, cfs, width: float, limits, colours: str):
    """Draw a map and return its image: centre frequency upwards on the ERB scale.

    Parameters
    ----------
    values : (channels, frames), highest frequency first
        NaN is masked.
    cfs : (channels,), Hz
    width : float
        Where the last frame ends on the axis to the right; the first begins at 0.
    limits : (low, high)
        Values at the ends of the colour map.
    colours : str
        Name of the colour map.
    """
    image = axes.imshow(
        values[::-1],
        matplotlib.colormaps[colours].with_extremes(bad=MASKED),
        extent=(0, width, -0.5, len(cfs) - 0.5),
        clim=limits,
        **IMAGE,
    )
    shown = [frequency for frequency in TICKS if frequency <= cfs[0]]
    heights = np.interp(shown, cfs[::-1], np.arange(len(cfs)))
    axes.set_yticks(heights, [TICKS[frequency] for frequency in shown])
    axes.grid(visible=False)
    return image

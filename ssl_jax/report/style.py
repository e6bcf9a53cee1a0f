"""How every figure looks and is written: colours, ticks, cue maps, whole files of the same bytes."""

from pathlib import Path

import matplotlib
import numpy as np

from ssl_jax.common.files import atomic_write, picture_kind

matplotlib.use("Agg")  # no display needed
import matplotlib.pyplot as plt

LOOK: dict = {"axes.titleweight": "bold", "axes.spines.top": False, "axes.spines.right": False}
LOOK |= {"legend.frameon": False, "figure.constrained_layout.use": True}
IMAGE: dict = {"origin": "lower", "aspect": "auto", "interpolation": "nearest"}
STYLE: dict = LOOK | {"figure.dpi": 130, "savefig.dpi": 130, "font.size": 9, "axes.titlesize": 10}
STYLE |= {"axes.grid": True, "grid.alpha": 0.25}
OURS, REPORTED = "#1565a7", "#d9730d"
TICKS = {
    80: "80",
    200: "200",
    500: "500",
    1000: "1k",
    2000: "2k",
    4000: "4k",
    8000: "8k",
    16000: "16k",
}  # Hz
CUE_MAPS = (("ITD (ms)", "itd", (-1, 1), "RdBu_r"), ("ILD (dB)", "ild", (-7, 7), "RdBu_r"))
CUE_MAPS += (("IC", "ic", (0.5, 1), "viridis"),)  # title, field, limits, colours


def save_figure(figure, path: Path) -> None:
    """Write a figure whole or not at all, in the format its name asks for, and close it."""
    kind = picture_kind(path)
    changing = {"png": "Software", "pdf": "CreationDate", "svg": "Date"}[kind]
    with atomic_write(path) as stream:  # no version or date: the same figure gives the same bytes
        figure.savefig(stream, format=kind, metadata={changing: None})
    plt.close(figure)


def cue_map(axes, values, cfs, width: float, limits, colours: str):
    """Draw a cue map (channels, frames): frequency upwards on the ERB scale, 0 to `width` to the right."""
    image = axes.imshow(
        values[::-1], colours, extent=(0, width, -0.5, len(cfs) - 0.5), clim=limits, **IMAGE
    )
    shown = [f for f in TICKS if f <= cfs[0]]
    axes.set_yticks(np.interp(shown, cfs[::-1], np.arange(len(cfs))), [TICKS[f] for f in shown])
    axes.grid(False)
    return image

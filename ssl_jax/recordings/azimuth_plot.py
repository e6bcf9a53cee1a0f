"""Azimuths over time as a picture.

It leaves matplotlib's settings alone: a notebook goes on showing its figures. `report.style` and
what imports it write files, and need no display.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import PowerNorm

from ssl_jax.common.angles import signed_degrees
from ssl_jax.config import AZIMUTH_STEP, class_azimuths
from ssl_jax.recordings.azimuths import Azimuths

ESTIMATE = "#d9730d"
POSTERIOR = "Blues"


def new_axes():
    """Axes of a figure of its own."""
    _, axes = plt.subplots(figsize=(9, 5), layout="constrained")
    return axes


def add_bar(image, axes, label: str = "", **look) -> None:
    """Add the colour bar of an image beside `axes`."""
    bar = image.axes.figure.colorbar(image, ax=axes, **look)
    bar.set_label(label)
    bar.outline.set_visible(False)


def draw_over_time(axes, azimuths: Azimuths) -> None:
    """The posterior as an image, and the estimates on it."""
    # classes from -180 to 175 degrees: front in the middle
    order = np.argsort(signed_degrees(class_azimuths()))
    heard = np.isfinite(azimuths.azimuth)
    image = np.where(heard[:, None], azimuths.posterior, np.nan)[:, order]
    # back once more, at the top
    image = np.concatenate([image, image[:, :1]], axis=1).T
    half = azimuths.step / 2
    top = 180 + AZIMUTH_STEP / 2
    extent = (azimuths.times[0] - half, azimuths.times[-1] + half, -top, top)
    # PowerNorm makes shares of a tenth visible too
    drawn = axes.imshow(
        image,
        POSTERIOR,
        PowerNorm(0.4, 0, 1),
        extent=extent,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
    )
    _draw_estimates(axes, azimuths)
    ticks = (-180, -90, 0, 90, 180)
    axes.set_yticks(ticks, ("back 180°", "right 270°", "front 0°", "left 90°", "back 180°"))
    axes.set_yticks(range(-180, 181, 30), minor=True)
    axes.grid(axis="y", alpha=0.3, lw=0.6)
    axes.set(
        ylim=(-183, 183),
        xlim=(0, azimuths.seconds),
        title="Azimuth over time",
        xlabel="time (s)",
    )
    # matplotlib warns of a legend of nothing, as of a silent sound
    if axes.get_legend_handles_labels()[0]:
        axes.legend(
            loc="upper right", ncols=3, bbox_to_anchor=(1, 1.1), borderaxespad=0, handletextpad=0.2
        )
    ticks = (0, 0.01, 0.1, 0.3, 0.6, 1)
    label = "posterior of a class of 5°"
    add_bar(drawn, axes, label, pad=0.01, aspect=35, ticks=ticks, format="%g")


def _draw_estimates(axes, azimuths: Azimuths) -> None:
    """Estimates as dots: larger and darker where they are surer, hollow where flagged.

    Crosses are their mirror images, where front and back stay open.
    """
    heard = np.isfinite(azimuths.azimuth)
    flawless = np.array([not flags for flags in azimuths.flags])
    azimuth = signed_degrees(azimuths.azimuth)
    size = 5 + 17 * azimuths.confidence
    alpha = np.clip(0.25 + 0.75 * azimuths.confidence, 0, 1)
    for group, colour, edge, label in (
        (flawless, ESTIMATE, "white", "estimate"),
        (~flawless, "white", ESTIMATE, "flagged"),
    ):
        shown = group & heard
        if not shown.any():
            continue
        axes.scatter(
            azimuths.times[shown],
            azimuth[shown],
            size[shown],
            c=colour,
            alpha=alpha[shown],
            label=label,
            edgecolors=edge,
            linewidths=0.6,
            zorder=3,
            clip_on=False,
        )
    is_open = np.isfinite(azimuths.mirrored)
    if is_open.any():
        axes.scatter(
            azimuths.times[is_open],
            signed_degrees(azimuths.mirrored[is_open]),
            14,
            c=ESTIMATE,
            marker="x",
            label="or here",
            linewidths=0.8,
            zorder=3,
            clip_on=False,
        )

"""Pictures for a talk: where a recording was localised, and what a rendered scene looks like."""

from pathlib import Path

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.patches import Circle, Ellipse, Polygon, Wedge
from matplotlib.ticker import MultipleLocator
from scipy import signal as sps

from ssl_jax.config import AZIMUTH_STEP, AZIMUTHS
from ssl_jax.recordings.azimuths import Azimuths, mean_azimuth
from ssl_jax.report.style import IMAGE, LOOK, cue_map, plt, save_figure

STYLE = LOOK | {"figure.dpi": 150, "savefig.dpi": 150, "font.size": 10, "axes.titlesize": 11}
STYLE |= {"axes.titlelocation": "left", "figure.titlesize": 13, "figure.titleweight": "bold"}
ESTIMATE, SURE_OF_IT, HAIR = "#d9730d", "Blues", "#5b4a3f"
INNER, OUTER = 0.62, 1.0  # radii of the ring around the head
MIDDLE = {"ha": "center", "va": "center"}
LEADS, LOUDER = "ITD (ms), red = left leads", "ILD (dB), red = left louder"
MAPS = ((LEADS, "itd", (-0.8, 0.8), "RdBu_r"), (LOUDER, "ild", (-7, 7), "RdBu_r"))  # see CUE_MAPS
MAPS += (("Interaural coherence", "ic", (0.6, 1), "magma"),)


def _signed(azimuth):
    return (np.asarray(azimuth) + 180) % 360 - 180  # front in the middle


def _bar(image, axes, label: str = "", **look) -> None:
    bar = image.axes.figure.colorbar(image, ax=axes, **look)
    bar.set_label(label)
    bar.outline.set_visible(False)


def _over_time(axes, found: Azimuths) -> None:
    """The posterior as an image, the estimates on it: larger and darker where they are surer."""
    order = np.argsort(
        _signed(np.arange(AZIMUTHS) * AZIMUTH_STEP)
    )  # classes from -180 to 175 degrees
    image = np.where(np.isfinite(found.azimuth)[:, None], found.posterior, np.nan)[:, order]
    image = np.concatenate([image, image[:, :1]], axis=1).T  # back once more, at the top
    half, top = found.step / 2, 180 + AZIMUTH_STEP / 2
    extent = (found.times[0] - half, found.times[-1] + half, -top, top)
    shown = axes.imshow(
        image, SURE_OF_IT, PowerNorm(0.4, 0, 1), extent=extent, **IMAGE
    )  # shows a tenth
    bare, azimuth = np.array([not flags for flags in found.flags]), _signed(found.azimuth)
    size, alpha = 5 + 17 * found.confidence, np.clip(0.25 + 0.75 * found.confidence, 0, 1)
    dots = ((bare, ESTIMATE, "white", "estimate"), (~bare, "white", ESTIMATE, "flagged"))
    for use, colour, edge, label in dots:
        if (use := use & np.isfinite(azimuth)).any():
            look = {
                "c": colour,
                "edgecolors": edge,
                "linewidths": 0.6,
                "zorder": 3,
                "clip_on": False,
            }
            axes.scatter(
                found.times[use], azimuth[use], size[use], alpha=alpha[use], label=label, **look
            )
    axes.set_yticks(
        (-180, -90, 0, 90, 180), ("back 180°", "right 270°", "front 0°", "left 90°", "back 180°")
    )
    axes.set_yticks(range(-180, 181, 30), minor=True)
    axes.grid(axis="y", alpha=0.3, lw=0.6)
    axes.set(
        ylim=(-183, 183), xlim=(0, found.seconds), title="Azimuth over time", xlabel="time (s)"
    )
    axes.legend(
        loc="upper right", ncols=2, bbox_to_anchor=(1, 1.1), borderaxespad=0, handletextpad=0.2
    )
    ticks = (0, 0.01, 0.1, 0.3, 0.6, 1)
    _bar(shown, axes, "posterior of a class of 5°", pad=0.01, aspect=35, ticks=ticks, format="%g")


def _point(azimuth, radius):
    """Azimuth in degrees to x, y: 0 is up, 90 is left."""
    angle = np.radians(azimuth)
    return -radius * np.sin(angle), radius * np.cos(angle)


def _from_above(axes, found: Azimuths) -> None:
    """The mean posterior in a ring around a head seen from above, and the estimates over time as dots."""
    axes.add_patch(Wedge((0, 0), OUTER, 0, 360, width=OUTER - INNER, fc="0.965", lw=0))
    axes.add_patch(Circle((0, 0), OUTER, fc="none", ec="0.75", lw=0.8))
    for azimuth in range(0, 360, 30):
        spoke = np.transpose([_point(azimuth, INNER), _point(azimuth, OUTER + 0.03)])
        axes.plot(*spoke, color="0.8", lw=0.7, zorder=0.5)
        look = {"color": "0.15", "weight": "bold"} if azimuth % 90 == 0 else {"color": "0.5"}
        axes.text(*_point(azimuth, OUTER + 0.17), f"{azimuth}°", **look, **MIDDLE)
    heard = np.isfinite(found.azimuth)
    mean, half = found.posterior[heard].mean(axis=0), AZIMUTH_STEP / 2
    for azimuth, share in zip(np.arange(AZIMUTHS) * AZIMUTH_STEP, mean / mean.max(), strict=True):
        ends = (
            azimuth + 90 - half,
            azimuth + 90 + half,
        )  # counted from the right, counter-clockwise
        width, colour = (OUTER - INNER) * share, plt.get_cmap(SURE_OF_IT)(0.15 + 0.75 * share)
        axes.add_patch(
            Wedge((0, 0), INNER + width, *ends, width=width, fc=colour, ec="white", lw=0.3)
        )
    outline: dict = {"fc": "#f3e3d3", "ec": HAIR, "lw": 1.2}
    for side, name in ((-1, "L"), (1, "R")):
        axes.add_patch(Ellipse((side * 0.315, -0.01), 0.09, 0.17, **outline))
        axes.text(side * 0.19, -0.02, name, color="white", weight="bold", **MIDDLE)
    axes.add_patch(Polygon([(-0.065, 0.29), (0, 0.41), (0.065, 0.29)], closed=True, **outline))
    axes.add_patch(Circle((0, 0), 0.31, fc=HAIR, ec=HAIR, lw=1.2))
    axes.add_patch(Wedge((0, 0.02), 0.27, 25, 155, width=0.06, fc="#75624f", lw=0))
    look = {"cmap": "viridis", "s": 16, "alpha": 0.85, "linewidths": 0, "zorder": 4}
    dots = axes.scatter(*_point(found.azimuth[heard], 0.53), c=found.times[heard], **look)
    at, where = mean_azimuth(found), "moving"
    if np.isfinite(at):
        where = f"{at:.0f}°"
        arrow = {"arrowstyle": "-|>", "color": ESTIMATE, "lw": 3, "mutation_scale": 18}
        axes.annotate("", _point(at, 0.33), _point(at, INNER), arrowprops=arrow, zorder=5)
    if heard.sum() > 1:
        _bar(dots, axes, "time (s)", location="bottom", shrink=0.6, aspect=35, pad=0.02)
    axes.set(
        xlim=(-1.3, 1.3), ylim=(-1.25, 1.25), aspect="equal", title=f"Seen from above: {where}"
    )
    axes.axis("off")


def draw_azimuths(found: Azimuths, path: Path, title: str = "Localised") -> None:
    """Draw what `localise(..., cues=True)` found: azimuth over time, the head from above, the cue maps."""
    if found.cues is None:
        raise ValueError("the picture shows the cues: use localise(..., cues=True)")
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(12.8, 8))
        upper, lower = figure.subfigures(2, 1, height_ratios=(1.5, 1))  # type: ignore[misc]
        left, right = upper.subplots(1, 2, width_ratios=(1.65, 1))
        _over_time(left, found)
        _from_above(right, found)
        power = found.cues.power
        heard = power > 1e-3 * power.max(axis=1, keepdims=True)  # pauses hold no direction
        columns = lower.subplots(1, 3)
        for axes, (name, field, limits, colours) in zip(columns, MAPS, strict=True):
            values = np.where(heard, getattr(found.cues, field), np.nan)
            axes.set(facecolor="0.9", title=name, xlabel="time (s)")
            _bar(
                cue_map(axes, values, found.cfs, found.seconds, limits, colours),
                axes,
                pad=0.015,
                aspect=25,
            )
        columns[0].set_ylabel("centre frequency (Hz)")
        settings = f"{found.seconds:.1f} s, network “{found.model}”, windows of {found.window:g} s"
        figure.suptitle(f"{title}: {settings}", x=0.01, ha="left")
        save_figure(figure, path)


def draw_spectrogram(
    ears: np.ndarray, fs: int, path: Path, title: str, azimuths: np.ndarray
) -> None:
    """Draw the spectrogram of both ears (samples, 2) at `fs` Hz and, above, azimuths (samples,) that move."""
    with plt.rc_context(STYLE):
        moving = bool(np.ptp(azimuths) > 0)
        size, ratios = (11, 6 + 1.3 * moving), [1] * moving + [3, 3]
        figure, axes = plt.subplots(2 + moving, 1, figsize=size, sharex=True, height_ratios=ratios)
        if moving:
            some = slice(None, None, max(1, fs // 100))
            axes[0].plot(
                (np.arange(len(azimuths)) / fs)[some], azimuths[some], color=ESTIMATE, lw=2
            )
            axes[0].set(ylabel="azimuth (°)", title="Trajectory")
            axes[0].yaxis.set_major_locator(MultipleLocator(90))
        size = min(2048, len(ears))
        hop = min(max(size // 4, len(ears) // 3000), size)  # as many columns as can be seen
        _, _, powers = sps.spectrogram(
            ears.T, fs, "hann", size, size - hop, mode="psd"
        )  # ear by ear
        levels = 10 * np.log10(powers + 1e-20)
        top, extent = levels.max(), (0, len(ears) / fs, 0, fs / 2000)  # dB; s, kHz
        for axis, level, name in zip(axes[-2:], levels, ("Left ear", "Right ear"), strict=True):
            image = axis.imshow(
                level, cmap="magma", vmin=top - 80, vmax=top, extent=extent, **IMAGE
            )
            axis.set(title=name, ylabel="frequency (kHz)")
        axes[-1].set_xlabel("time (s)")
        _bar(image, axes[-2:], "power density (dB)", pad=0.01, aspect=40)
        figure.suptitle(title, x=0.01, ha="left")
        save_figure(figure, path)

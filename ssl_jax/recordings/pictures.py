"""Pictures for a talk: where a recording was localised, and what a rendered scene looks like."""

from pathlib import Path

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.patches import Circle, Ellipse, Polygon, Wedge
from matplotlib.ticker import MultipleLocator
from scipy import signal as sps

from ssl_jax.config import AZIMUTH_STEP, AZIMUTHS
from ssl_jax.recordings.azimuths import Azimuths, mean_azimuth
from ssl_jax.report.style import LOOK, cue_map, plt, save_figure

STYLE = LOOK | {"figure.dpi": 150, "savefig.dpi": 150, "font.size": 10, "axes.titlesize": 11}
STYLE |= {"axes.titlelocation": "left"}
ESTIMATE, SURE_OF_IT, SKIN, HAIR = "#d9730d", "Blues", "#f3e3d3", "#5b4a3f"
SIDES = ((-180, "back 180°"), (-90, "right 270°"), (0, "front 0°"), (90, "left 90°"), (180, "back 180°"))
INNER, OUTER = 0.62, 1.0  # radii of the ring around the head
MAPS = (  # title, field, limits, colours
    ("ITD (ms), red = left leads", "itd", (-0.8, 0.8), "RdBu_r"),
    ("ILD (dB), red = left louder", "ild", (-7, 7), "RdBu_r"),
    ("Interaural coherence", "ic", (0.6, 1), "magma"),
)


def _signed(azimuth):
    """Degrees from -180 to 180, front in the middle."""
    return (np.asarray(azimuth) + 180) % 360 - 180


def _bar(image, axes, label: str = "", **look) -> None:
    """A colour bar without a frame."""
    bar = image.axes.figure.colorbar(image, ax=axes, **look)
    bar.set_label(label)
    bar.outline.set_visible(False)


def _over_time(axes, found: Azimuths) -> None:
    """The posterior as an image, the estimates on it: larger and darker where they are surer."""
    order = np.argsort(_signed(np.arange(AZIMUTHS) * AZIMUTH_STEP))  # classes from -180 to 175 degrees
    image = np.where(np.isfinite(found.azimuth)[:, None], found.posterior, np.nan)[:, order]
    image = np.concatenate([image, image[:, :1]], axis=1).T  # back once more, at the top
    edge, half = AZIMUTH_STEP / 2, found.step / 2
    extent = (found.times[0] - half, found.times[-1] + half, -180 - edge, 180 + edge)
    look = {"origin": "lower", "aspect": "auto", "interpolation": "nearest", "cmap": SURE_OF_IT}
    shown = axes.imshow(image, extent=extent, norm=PowerNorm(0.4, 0, 1), **look)  # a tenth can be seen
    bare = np.array([not flags for flags in found.flags])
    azimuth, size = _signed(found.azimuth), 5 + 17 * found.confidence
    alpha = np.clip(0.25 + 0.75 * found.confidence, 0, 1)
    look = {"linewidths": 0.6, "zorder": 3, "clip_on": False}
    dots = ((bare, ESTIMATE, "white", "estimate"), (~bare, "white", ESTIMATE, "flagged"))
    for use, colour, edge_colour, label in dots:
        use = use & np.isfinite(azimuth)
        if use.any():
            look |= {"s": size[use], "c": colour, "alpha": alpha[use], "edgecolors": edge_colour}
            axes.scatter(found.times[use], azimuth[use], label=label, **look)
    axes.set_yticks([at for at, _ in SIDES], [label for _, label in SIDES])
    axes.set_yticks(range(-180, 181, 30), minor=True)
    axes.grid(axis="y", alpha=0.3, lw=0.6)
    axes.set(ylim=(-183, 183), xlim=(0, found.seconds), title="Azimuth over time")
    axes.legend(loc="upper right", ncols=2, bbox_to_anchor=(1, 1.1), borderaxespad=0, handletextpad=0.2)
    axes.set_xlabel("time (s)")
    ticks = (0, 0.01, 0.1, 0.3, 0.6, 1)
    _bar(shown, axes, "posterior of a class of 5°", pad=0.01, aspect=35, ticks=ticks, format="%g")


def _point(azimuth, radius):
    """Azimuth in degrees to x, y: 0 is up, 90 is left."""
    angle = np.radians(azimuth)
    return -radius * np.sin(angle), radius * np.cos(angle)


def _head(axes) -> None:
    """A head from above, nose up."""
    outline = {"fc": SKIN, "ec": HAIR, "lw": 1.2}
    for side in (-1, 1):
        axes.add_patch(Ellipse((side * 0.315, -0.01), 0.09, 0.17, **outline))
    axes.add_patch(Polygon([(-0.065, 0.29), (0, 0.41), (0.065, 0.29)], closed=True, **outline))
    axes.add_patch(Circle((0, 0), 0.31, fc=HAIR, ec=HAIR, lw=1.2))
    axes.add_patch(Wedge((0, 0.02), 0.27, 25, 155, width=0.06, fc="#75624f", lw=0))
    for side, name in ((-1, "L"), (1, "R")):
        axes.text(side * 0.19, -0.02, name, color="white", ha="center", va="center", weight="bold")


def _ring(axes, mean: np.ndarray) -> None:
    """The mean posterior (72,) as wedges in a ring around the head, with degrees beside it."""
    axes.add_patch(Wedge((0, 0), OUTER, 0, 360, width=OUTER - INNER, fc="0.965", lw=0))
    axes.add_patch(Circle((0, 0), OUTER, fc="none", ec="0.75", lw=0.8))
    for azimuth in range(0, 360, 30):
        spoke = np.transpose([_point(azimuth, INNER), _point(azimuth, OUTER + 0.03)])
        axes.plot(*spoke, color="0.8", lw=0.7, zorder=0.5)
        look = {"color": "0.15", "weight": "bold"} if azimuth % 90 == 0 else {"color": "0.5"}
        axes.text(*_point(azimuth, OUTER + 0.17), f"{azimuth}°", ha="center", va="center", **look)
    for azimuth, share in zip(np.arange(AZIMUTHS) * AZIMUTH_STEP, mean / mean.max(), strict=True):
        width, half = (OUTER - INNER) * share, AZIMUTH_STEP / 2
        look = {"fc": plt.get_cmap(SURE_OF_IT)(0.15 + 0.75 * share), "ec": "white", "lw": 0.3}
        ends = (azimuth + 90 - half, azimuth + 90 + half)  # counted from the right, counter-clockwise
        axes.add_patch(Wedge((0, 0), INNER + width, *ends, width=width, **look))


def _from_above(axes, found: Azimuths) -> None:
    """The mean posterior around a head seen from above, and the estimates over time as dots."""
    heard = np.isfinite(found.azimuth)
    _ring(axes, found.posterior[heard].mean(axis=0))
    _head(axes)
    azimuth = found.azimuth[heard]
    look = {"cmap": "viridis", "s": 16, "alpha": 0.85, "linewidths": 0, "zorder": 4}
    dots = axes.scatter(*_point(azimuth, 0.53), c=found.times[heard], **look)
    at = mean_azimuth(found)
    if np.isfinite(at):
        arrow = {"arrowstyle": "-|>", "color": ESTIMATE, "lw": 3, "mutation_scale": 18}
        axes.annotate("", _point(at, 0.33), _point(at, INNER), arrowprops=arrow, zorder=5)
    axes.set_title(f"Seen from above: {f'{at:.0f}°' if np.isfinite(at) else 'moving'}")
    if len(azimuth) > 1:
        _bar(dots, axes, "time (s)", location="bottom", shrink=0.6, aspect=35, pad=0.02)
    axes.set(xlim=(-1.3, 1.3), ylim=(-1.25, 1.25), aspect="equal")
    axes.axis("off")


def draw_azimuths(found: Azimuths, path: Path, title: str = "") -> None:
    """Draw azimuth over time, the head from above, and the cue maps.

    Parameters
    ----------
    found : Azimuths
        With cues: `localise(..., cues=True)`.
    path : Path
        PNG, or PDF or SVG by its suffix.
    title : str
        Over everything; what and how long it is, unless given.
    """
    if found.cues is None:
        raise ValueError("the picture shows the cues: use localise(..., cues=True)")
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(12.8, 8))
        upper, lower = figure.subfigures(2, 1, height_ratios=(1.5, 1))
        left, right = upper.subplots(1, 2, width_ratios=(1.65, 1))
        _over_time(left, found)
        _from_above(right, found)
        power = found.cues.power
        heard = power > 1e-3 * power.max(axis=1, keepdims=True)  # pauses hold no direction
        columns = lower.subplots(1, 3)
        for axes, (name, field, limits, colours) in zip(columns, MAPS, strict=True):
            values = np.where(heard, getattr(found.cues, field), np.nan)
            axes.set_facecolor("0.9")
            _bar(cue_map(axes, values, found.cfs, found.seconds, limits, colours), axes, pad=0.015, aspect=25)
            axes.set(title=name, xlabel="time (s)")
        columns[0].set_ylabel("centre frequency (Hz)")
        settings = f"{found.seconds:.1f} s, network “{found.model}”, windows of {found.window:g} s"
        title = f"{title or 'Localised'}: {settings}"
        figure.suptitle(title, x=0.01, ha="left", fontsize=13, weight="bold")
        save_figure(figure, path)


def draw_spectrogram(ears, fs: int, path: Path, title: str = "", azimuths=None) -> None:
    """Draw the spectrogram of both ears.

    Parameters
    ----------
    ears : (samples, 2), left ear first
    fs : int, Hz
    path : Path
    title : str
    azimuths : (samples,) degrees, optional
        Of the source, drawn above.
    """
    ears = np.asarray(ears)
    with plt.rc_context(STYLE):
        moving = azimuths is not None and bool(np.ptp(azimuths) > 0)
        ratios = [1, 3, 3] if moving else [3, 3]
        size = (11, 6 + 1.3 * moving)
        figure, axes = plt.subplots(len(ratios), 1, figsize=size, sharex=True, height_ratios=ratios)
        if moving:
            some = slice(None, None, max(1, fs // 100))
            axes[0].plot((np.arange(len(azimuths)) / fs)[some], azimuths[some], color=ESTIMATE, lw=2)
            axes[0].set(ylabel="azimuth (°)", title="Trajectory")
            axes[0].yaxis.set_major_locator(MultipleLocator(90))
        size = min(2048, len(ears))
        hop = min(max(size // 4, len(ears) // 3000), size)  # as many columns as can be seen
        powers = [sps.spectrogram(ear, fs, "hann", size, size - hop, mode="psd")[2] for ear in ears.T]
        levels = [10 * np.log10(power + 1e-20) for power in powers]
        top = max(level.max() for level in levels)
        look = {"origin": "lower", "aspect": "auto", "interpolation": "nearest", "cmap": "magma"}
        look |= {"vmin": top - 80, "vmax": top, "extent": (0, len(ears) / fs, 0, fs / 2000)}
        for axis, level, name in zip(axes[-2:], levels, ("Left ear", "Right ear"), strict=True):
            image = axis.imshow(level, **look)
            axis.set(title=name, ylabel="frequency (kHz)")
        axes[-1].set_xlabel("time (s)")
        _bar(image, axes[-2:], "power density (dB)", pad=0.01, aspect=40)
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=13, weight="bold")
        save_figure(figure, path)

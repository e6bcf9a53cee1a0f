"""Pictures for a talk: where a recording was localised, and what a rendered scene looks like."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.patches import Circle, Ellipse, Polygon, Wedge
from matplotlib.ticker import MultipleLocator
from scipy import signal as sps

from .azimuths import Azimuths, mean_azimuth
from .config import AZIMUTH_STEP, AZIMUTHS
from .files import InputError, atomic_write

matplotlib.use("Agg")  # no display needed
import matplotlib.pyplot as plt  # noqa: E402

STYLE = {
    "figure.dpi": 150, "savefig.dpi": 150, "font.size": 10, "axes.titlesize": 11, "axes.titleweight": "bold",
    "axes.titlelocation": "left", "axes.spines.top": False, "axes.spines.right": False,
    "legend.frameon": False, "figure.constrained_layout.use": True,
}
ESTIMATE, SURE_OF_IT, SKIN, HAIR = "#d9730d", "Blues", "#f3e3d3", "#5b4a3f"
FREQUENCIES = (100, 200, 500, 1000, 2000, 5000, 10000, 20000)  # Hz, ticks
SIDES = ((-180, "back 180°"), (-90, "right 270°"), (0, "front 0°"), (90, "left 90°"), (180, "back 180°"))
MAPS = (  # title, field, limits, colours
    ("ITD (ms), red = left leads", "itd", (-0.8, 0.8), "RdBu_r"),
    ("ILD (dB), red = left louder", "ild", (-7, 7), "RdBu_r"),
    ("Interaural coherence", "ic", (0.6, 1), "magma"),
)


def picture_kind(path: Path) -> str:
    """The format that a picture's name asks for; InputError for another than PNG, PDF and SVG."""
    kind = Path(path).suffix.lower().lstrip(".")
    if kind not in ("png", "pdf", "svg"):
        raise InputError(f"{path}: not a name for a picture: use one that ends in .png, .pdf or .svg")
    return kind


def save_picture(figure, path: Path) -> None:
    """Write a figure whole or not at all, in the format its name asks for, and close it."""
    kind = picture_kind(path)
    with atomic_write(path) as stream:
        # no version or date in the file: the same picture gives the same bytes
        metadata = {"png": {"Software": None}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}[kind]
        figure.savefig(stream, format=kind, metadata=metadata)
    plt.close(figure)


def _signed(azimuth):
    """Degrees from -180 to 180, front in the middle."""
    return (np.asarray(azimuth) + 180) % 360 - 180


def _over_time(axes, found: Azimuths) -> None:
    """The posterior as an image, the estimates on it: larger and darker where they are surer."""
    order = np.argsort(_signed(np.arange(AZIMUTHS) * AZIMUTH_STEP))  # classes from -180 to 175 degrees
    image = np.where(np.isfinite(found.azimuth)[:, None], found.posterior, np.nan)[:, order]
    image = np.concatenate([image, image[:, :1]], axis=1).T  # back once more, at the top
    edge = AZIMUTH_STEP / 2
    extent = (found.times[0] - found.step / 2, found.times[-1] + found.step / 2, -180 - edge, 180 + edge)
    shown = axes.imshow(image, origin="lower", aspect="auto", extent=extent, cmap=SURE_OF_IT,
                        norm=PowerNorm(0.4, 0, 1), interpolation="nearest")  # so that a tenth can be seen
    bare = np.array([not flags for flags in found.flags])
    azimuth, size = _signed(found.azimuth), 5 + 17 * found.confidence
    alpha = np.clip(0.25 + 0.75 * found.confidence, 0, 1)
    for use, colour, edge_colour, label in ((bare, ESTIMATE, "white", "estimate"),
                                            (~bare, "white", ESTIMATE, "flagged")):
        use = use & np.isfinite(azimuth)
        if use.any():
            axes.scatter(found.times[use], azimuth[use], s=size[use], c=colour, alpha=alpha[use],
                         edgecolors=edge_colour, linewidths=0.6, label=label, zorder=3, clip_on=False)
    axes.set_yticks([at for at, _ in SIDES], [label for _, label in SIDES])
    axes.set_yticks(range(-180, 181, 30), minor=True)
    axes.grid(axis="y", alpha=0.3, lw=0.6)
    axes.set(ylim=(-183, 183), xlim=(0, found.seconds), title="Azimuth over time")
    axes.legend(loc="upper right", ncols=2, bbox_to_anchor=(1, 1.1), borderaxespad=0, handletextpad=0.2)
    axes.set_xlabel("time (s)")
    bar = axes.figure.colorbar(shown, ax=axes, pad=0.01, aspect=35, ticks=(0, 0.01, 0.1, 0.3, 0.6, 1), format="%g")
    bar.set_label("posterior of a class of 5°")
    bar.outline.set_visible(False)


def _point(azimuth, radius):
    """Azimuth in degrees to x, y: 0 is up, 90 is left."""
    angle = np.radians(azimuth)
    return -radius * np.sin(angle), radius * np.cos(angle)


def _head(axes) -> None:
    """A head from above, nose up."""
    for side in (-1, 1):
        axes.add_patch(Ellipse((side * 0.315, -0.01), 0.09, 0.17, fc=SKIN, ec=HAIR, lw=1.2))
    nose = Polygon([(-0.065, 0.29), (0, 0.41), (0.065, 0.29)], closed=True, fc=SKIN, ec=HAIR, lw=1.2)
    axes.add_patch(nose)
    axes.add_patch(Circle((0, 0), 0.31, fc=HAIR, ec=HAIR, lw=1.2))
    axes.add_patch(Wedge((0, 0.02), 0.27, 25, 155, width=0.06, fc="#75624f", lw=0))
    for side, name in ((-1, "L"), (1, "R")):
        axes.text(side * 0.19, -0.02, name, color="white", ha="center", va="center", weight="bold")


def _from_above(axes, found: Azimuths) -> None:
    """The mean posterior around a head seen from above, and the estimates over time as dots."""
    heard = np.isfinite(found.azimuth)
    mean = found.posterior[heard].mean(axis=0)
    inner, outer = 0.62, 1.0
    axes.add_patch(Wedge((0, 0), outer, 0, 360, width=outer - inner, fc="0.965", lw=0))
    axes.add_patch(Circle((0, 0), outer, fc="none", ec="0.75", lw=0.8))
    for azimuth in range(0, 360, 30):
        spoke = np.transpose([_point(azimuth, inner), _point(azimuth, outer + 0.03)])
        axes.plot(*spoke, color="0.8", lw=0.7, zorder=0.5)
        axes.text(*_point(azimuth, outer + 0.17), f"{azimuth}°", ha="center", va="center",
                  color="0.15" if azimuth % 90 == 0 else "0.5", weight="bold" if azimuth % 90 == 0 else None)
    for azimuth, share in zip(np.arange(AZIMUTHS) * AZIMUTH_STEP, mean / mean.max(), strict=True):
        # Wedge counts from the right, counter-clockwise
        middle, colour = azimuth + 90, plt.get_cmap(SURE_OF_IT)(0.15 + 0.75 * share)
        width = (outer - inner) * share
        axes.add_patch(Wedge((0, 0), inner + width, middle - AZIMUTH_STEP / 2, middle + AZIMUTH_STEP / 2, width=width,
                             fc=colour, ec="white", lw=0.3))
    _head(axes)
    azimuth = found.azimuth[heard]
    dots = axes.scatter(*_point(azimuth, 0.53), c=found.times[heard], cmap="viridis", s=16, alpha=0.85,
                        linewidths=0, zorder=4)
    at = mean_azimuth(found)
    if np.isfinite(at):
        axes.annotate("", _point(at, 0.33), _point(at, inner),
                      arrowprops={"arrowstyle": "-|>", "color": ESTIMATE, "lw": 3, "mutation_scale": 18}, zorder=5)
        axes.set_title(f"Seen from above: {at:.0f}°")
    else:
        axes.set_title("Seen from above: moving")
    if len(azimuth) > 1:
        bar = axes.figure.colorbar(dots, ax=axes, location="bottom", shrink=0.6, aspect=35, pad=0.02)
        bar.set_label("time (s)")
        bar.outline.set_visible(False)
    axes.set(xlim=(-1.3, 1.3), ylim=(-1.25, 1.25), aspect="equal")
    axes.axis("off")


def _cue_map(axes, values, cfs, seconds: float, limits, colours: str) -> None:
    """A cue map (channels, columns): centre frequency upwards on the ERB scale, time to the right."""
    axes.set_facecolor("0.9")
    image = axes.imshow(values[::-1], origin="lower", aspect="auto", cmap=colours, vmin=limits[0], vmax=limits[1],
                        extent=(0, seconds, -0.5, len(cfs) - 0.5), interpolation="nearest")
    at = [(np.interp(f, cfs[::-1], np.arange(len(cfs))), f) for f in FREQUENCIES if cfs[-1] <= f <= cfs[0]]
    axes.set_yticks([a for a, _ in at], [f"{f}" if f < 1000 else f"{f // 1000}k" for _, f in at])
    bar = axes.figure.colorbar(image, ax=axes, pad=0.015, aspect=25)
    bar.outline.set_visible(False)
    axes.set_xlabel("time (s)")


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
    with matplotlib.rc_context(STYLE):
        figure = plt.figure(figsize=(12.8, 8))
        upper, lower = figure.subfigures(2, 1, height_ratios=(1.5, 1))
        left, right = upper.subplots(1, 2, width_ratios=(1.65, 1))
        _over_time(left, found)
        _from_above(right, found)
        power = found.cues.power
        heard = power > 1e-3 * power.max(axis=1, keepdims=True)  # pauses hold no direction
        columns = lower.subplots(1, 3)
        for axes, (name, field, limits, colours) in zip(columns, MAPS, strict=True):
            _cue_map(axes, np.where(heard, getattr(found.cues, field), np.nan), found.cfs, found.seconds, limits,
                     colours)
            axes.set_title(name)
        columns[0].set_ylabel("centre frequency (Hz)")
        settings = f"{found.seconds:.1f} s, network “{found.model}”, windows of {found.window:g} s"
        figure.suptitle(f"{title or 'Localised'}: {settings}", x=0.01, ha="left", fontsize=13, weight="bold")
        save_picture(figure, path)


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
    with matplotlib.rc_context(STYLE):
        moving = azimuths is not None and bool(np.ptp(azimuths) > 0)
        figure, axes = plt.subplots(2 + moving, 1, figsize=(11, 6 + 1.3 * moving), sharex=True,
                                    height_ratios=[1] * moving + [3, 3])
        if moving:
            time = np.arange(len(azimuths)) / fs
            axes[0].plot(time[:: max(1, fs // 100)], azimuths[:: max(1, fs // 100)], color=ESTIMATE, lw=2)
            axes[0].set(ylabel="azimuth (°)", title="Trajectory")
            axes[0].yaxis.set_major_locator(MultipleLocator(90))
        size = min(2048, len(ears))
        hop = max(size // 4, len(ears) // 3000)  # as many columns as can be seen
        levels = []
        for ear in ears.T:
            _, _, power = sps.spectrogram(ear, fs, "hann", size, size - min(hop, size), mode="psd")
            levels.append(10 * np.log10(power + 1e-20))
        top = max(level.max() for level in levels)
        for axis, level, name in zip(axes[moving:], levels, ("Left ear", "Right ear"), strict=True):
            image = axis.imshow(level, origin="lower", aspect="auto", cmap="magma", vmin=top - 80, vmax=top,
                                extent=(0, len(ears) / fs, 0, fs / 2000), interpolation="nearest")
            axis.set(title=name, ylabel="frequency (kHz)")
        axes[-1].set_xlabel("time (s)")
        bar = figure.colorbar(image, ax=axes[moving:], pad=0.01, aspect=40)
        bar.set_label("power density (dB)")
        bar.outline.set_visible(False)
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=13, weight="bold")
        save_picture(figure, path)

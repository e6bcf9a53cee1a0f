"""Pictures for a talk: where a recording was localised, and what a rendered scene looks like."""

from pathlib import Path

import numpy as np
from matplotlib.patches import Circle, Ellipse, Polygon, Wedge
from matplotlib.ticker import MultipleLocator
from scipy import signal as sps

from ssl_jax.config import AZIMUTH_STEP
from ssl_jax.frontend.cue_plot import IC, ILD, ITD
from ssl_jax.frontend.cues import Cues
from ssl_jax.recordings.azimuth_plot import ESTIMATE, POSTERIOR, add_bar, draw_over_time
from ssl_jax.recordings.azimuths import Azimuths
from ssl_jax.recordings.overall import Overall
from ssl_jax.recordings.posteriors import rounded_degrees
from ssl_jax.report.style import IMAGE, LOOK, cue_map, plt, save_figure, sounding

STYLE = LOOK | {
    "figure.dpi": 150,
    "savefig.dpi": 150,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "figure.titlesize": 13,
    "figure.titleweight": "bold",
}
HAIR = "#5b4a3f"
# radii of the ring around the head
INNER = 0.62
OUTER = 1.0
CENTRED = {"ha": "center", "va": "center"}
MAPS = (
    (ITD, "ITD (ms), red = left leads"),
    (ILD, "ILD (dB), red = left louder"),
    (IC, "Interaural coherence"),
)
PAUSE_POWER = 1e-3  # of a channel's highest power: less holds no direction
DYNAMIC_RANGE_DB = 80  # of a spectrogram
LEAST_POWER = 1e-20  # of a spectrogram: silence has no logarithm
MOST_COLUMNS = 3000  # of a spectrogram: more cannot be seen
CURVE_RATE_HZ = 100  # points of a trajectory


def _point(azimuth, radius):
    """Azimuth in degrees to x, y: 0 is up, 90 is left."""
    angle = np.radians(azimuth)
    return -radius * np.sin(angle), radius * np.cos(angle)


def _draw_from_above(axes, azimuths: Azimuths) -> None:
    """A head seen from above, the mean posterior in a ring around it, the estimates as dots.

    An arrow is a direction; a source that moves has none.
    """
    heard = np.isfinite(azimuths.azimuth)
    _draw_ring(axes, azimuths.posterior[heard].mean(axis=0))
    _draw_head(axes)
    times = azimuths.times[heard]
    dots = axes.scatter(
        *_point(azimuths.azimuth[heard], 0.53),
        c=times,
        cmap="viridis",
        s=16,
        alpha=0.85,
        linewidths=0,
        zorder=4,
    )
    overall = Overall.of(azimuths)
    arrow = {"arrowstyle": "-|>", "color": ESTIMATE, "lw": 3, "mutation_scale": 18}
    for azimuth in overall.shown:
        tail, tip = _point(azimuth, 0.33), _point(azimuth, INNER)
        axes.annotate("", tail, tip, arrowprops=arrow, zorder=5)
    if len(times) > 1:
        add_bar(dots, axes, "time (s)", location="bottom", shrink=0.6, aspect=35, pad=0.02)
    axes.set(
        xlim=(-1.3, 1.3),
        ylim=(-1.25, 1.25),
        aspect="equal",
        title=f"Seen from above: {_where(overall)}",
    )
    axes.axis("off")


def _where(overall: Overall) -> str:
    """What the arrows show, in a few words."""
    shown = [f"{rounded_degrees(azimuth, 0):.0f}°" for azimuth in overall.shown]
    if np.isfinite(overall.azimuth):
        return " or ".join(shown)
    return "it moves" if overall.moves else ", ".join(shown) or "nothing stands out"


def _draw_ring(axes, posterior: np.ndarray) -> None:
    """A posterior (72,) as wedges between two circles, and the azimuths in degrees."""
    axes.add_patch(Wedge((0, 0), OUTER, 0, 360, width=OUTER - INNER, fc="0.965", lw=0))
    axes.add_patch(Circle((0, 0), OUTER, fc="none", ec="0.75", lw=0.8))
    for azimuth in range(0, 360, 30):
        spoke = np.transpose([_point(azimuth, INNER), _point(azimuth, OUTER + 0.03)])
        axes.plot(*spoke, color="0.8", lw=0.7, zorder=0.5)
        look = {"color": "0.15", "weight": "bold"} if azimuth % 90 == 0 else {"color": "0.5"}
        axes.text(*_point(azimuth, OUTER + 0.17), f"{azimuth}°", **look, **CENTRED)
    half = AZIMUTH_STEP / 2
    for label, share in enumerate(posterior / posterior.max()):
        # Wedge counts from the right, counter-clockwise
        middle = label * AZIMUTH_STEP + 90
        width = (OUTER - INNER) * share
        colour = plt.get_cmap(POSTERIOR)(0.15 + 0.75 * share)
        start, end = middle - half, middle + half
        wedge = Wedge((0, 0), INNER + width, start, end, width=width, fc=colour, ec="white", lw=0.3)
        axes.add_patch(wedge)


def _draw_head(axes) -> None:
    skin: dict = {"fc": "#f3e3d3", "ec": HAIR, "lw": 1.2}
    for side, name in ((-1, "L"), (1, "R")):
        axes.add_patch(Ellipse((side * 0.315, -0.01), 0.09, 0.17, **skin))
        axes.text(side * 0.19, -0.02, name, color="white", weight="bold", **CENTRED)
    nose = [(-0.065, 0.29), (0, 0.41), (0.065, 0.29)]
    axes.add_patch(Polygon(nose, closed=True, **skin))
    axes.add_patch(Circle((0, 0), 0.31, fc=HAIR, ec=HAIR, lw=1.2))
    # a shine on the hair
    axes.add_patch(Wedge((0, 0.02), 0.27, 25, 155, width=0.06, fc="#75624f", lw=0))


def _clipped_ends(values: np.ndarray, limits: tuple[float, float]) -> str:
    """At which ends of a colour bar some values lie beyond: "neither", "min", "max" or "both"."""
    low, high = limits
    below = bool((values < low).any())
    above = bool((values > high).any())
    return {
        (False, False): "neither",
        (True, False): "min",
        (False, True): "max",
        (True, True): "both",
    }[below, above]


def _draw_cue_maps(figure, cues: Cues, azimuths: Azimuths) -> None:
    heard = sounding(np.asarray(cues.power), PAUSE_POWER)
    columns = figure.subplots(1, 3)
    for axes, (style, title) in zip(columns, MAPS, strict=True):
        values = np.where(heard, getattr(cues, style.field), np.nan)
        axes.set(facecolor="0.9", title=title, xlabel="time (s)")
        image = cue_map(
            axes, values, azimuths.cfs, azimuths.seconds, style.close_limits, style.colours
        )
        ends = _clipped_ends(values, style.close_limits)
        add_bar(image, axes, pad=0.015, aspect=25, extend=ends)
    columns[0].set_ylabel("centre frequency (Hz)")


def draw_azimuths(azimuths: Azimuths, path: Path, title: str = "Localised") -> None:
    """Draw what `localise(..., cues=True)` returns: azimuth over time, the head, the cue maps.

    Raises ValueError where the cues are not there.
    """
    if azimuths.cues is None:
        raise ValueError("the picture shows the cues: use localise(..., cues=True)")
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(12.8, 8))
        upper, lower = figure.subfigures(2, 1, height_ratios=(1.5, 1))  # type: ignore[misc]
        left, right = upper.subplots(1, 2, width_ratios=(1.65, 1))
        draw_over_time(left, azimuths)
        _draw_from_above(right, azimuths)
        _draw_cue_maps(lower, azimuths.cues, azimuths)
        settings = (
            f"{azimuths.seconds:.1f} s, network “{azimuths.model}”, prior “{azimuths.prior}”, "
            f"windows of {azimuths.window:g} s"
        )
        figure.suptitle(f"{title}: {settings}", x=0.01, ha="left")
        save_figure(figure, path)


def draw_spectrogram(
    ears: np.ndarray, fs: int, path: Path, title: str, azimuths: np.ndarray
) -> None:
    """Draw the spectrogram of both ears, and the source's trajectory where it moves.

    Parameters
    ----------
    ears : (samples, 2)
    fs : Hz
    azimuths : (samples,) degrees
    """
    with plt.rc_context(STYLE):
        if np.ptp(azimuths) > 0:
            figure, (top, *ear_axes) = plt.subplots(
                3, 1, figsize=(11, 7.3), sharex=True, height_ratios=(1, 3, 3)
            )
            _draw_trajectory(top, azimuths, fs)
        else:
            figure, ear_axes = plt.subplots(2, 1, figsize=(11, 6), sharex=True)
        _draw_ears(ear_axes, ears, fs)
        figure.suptitle(title, x=0.01, ha="left")
        save_figure(figure, path)


def _draw_trajectory(axes, azimuths: np.ndarray, fs: int) -> None:
    spacing = max(1, fs // CURVE_RATE_HZ)
    times = np.arange(len(azimuths)) / fs
    axes.plot(times[::spacing], azimuths[::spacing], color=ESTIMATE, lw=2)
    axes.set(ylabel="azimuth (°)", title="Trajectory")
    axes.yaxis.set_major_locator(MultipleLocator(90))


def _draw_ears(ear_axes, ears: np.ndarray, fs: int) -> None:
    size = min(2048, len(ears))
    hop = min(max(size // 4, len(ears) // MOST_COLUMNS), size)
    _, _, powers = sps.spectrogram(ears.T, fs, "hann", size, size - hop, mode="psd")
    levels = 10 * np.log10(powers + LEAST_POWER)
    top = levels.max()
    extent = (0, len(ears) / fs, 0, fs / 2000)  # s, kHz
    for axes, level, name in zip(ear_axes, levels, ("Left ear", "Right ear"), strict=True):
        image = axes.imshow(
            level, cmap="magma", vmin=top - DYNAMIC_RANGE_DB, vmax=top, extent=extent, **IMAGE
        )
        axes.set(title=name, ylabel="frequency (kHz)")
    axes.set_xlabel("time (s)")
    add_bar(image, ear_axes, "power density (dB)", pad=0.01, aspect=40)

"""Cues as maps over time and frequency. Needs matplotlib."""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np

from ssl_jax.frontend.cues import Cues

# Hz
TICKS = {100: "100", 200: "200", 500: "500", 1000: "1k", 2000: "2k", 5000: "5k", 10_000: "10k"}
# of a single channel, which has no neighbour to tell its height: half an octave either way
HALF_OCTAVE = 2**0.5


@dataclass(frozen=True)
class MapStyle:
    """How the map of one cue looks."""

    field: str  # of `Cues`
    title: str
    limits: tuple[float, float]  # ends of the colour map: all values there are by default
    close_limits: tuple[float, float]  # of most of a recording: small differences show
    colours: str


# red is left
ITD = MapStyle("itd", "ITD (ms)", (-1.0, 1.0), (-0.8, 0.8), "RdBu_r")
ILD = MapStyle("ild", "ILD (dB)", (-20.0, 20.0), (-7.0, 7.0), "RdBu_r")
IC = MapStyle("ic", "IC", (0.0, 1.0), (0.6, 1.0), "magma")
MAPS = (ITD, ILD, IC)


def channel_edges(cfs: np.ndarray) -> np.ndarray:
    """Borders (channels + 1,), Hz, of channels at ascending centre frequencies."""
    between = np.sqrt(cfs[:-1] * cfs[1:])
    if len(between) == 0:
        return np.array([cfs[0] / HALF_OCTAVE, cfs[0] * HALF_OCTAVE])
    lowest = cfs[0] ** 2 / between[0]
    highest = cfs[-1] ** 2 / between[-1]
    return np.concatenate([[lowest], between, [highest]])


def draw_cues(cues: Cues, axes=None):
    """See `Cues.plot`."""
    shape = np.shape(cues.itd)
    if len(shape) != 2:
        raise ValueError(
            f"plot shows the cues of one sound, (channels, frames), not {shape}: "
            "take one, as in jax.tree.map(lambda cue: cue[0], cues)"
        )
    grid = cues.known_grid()
    cfs = cues.cfs
    if axes is None:
        _, axes = plt.subplots(3, 1, figsize=(8, 7), sharex=True, layout="constrained")
    # a frame begins where the one before ends
    time_edges = (grid.first + np.arange(grid.frames + 1)) * grid.hop / grid.fs
    order = np.argsort(cfs)
    frequency_edges = channel_edges(cfs[order])
    for one, style in zip(axes, MAPS, strict=True):
        values = np.asarray(getattr(cues, style.field))[order]
        low, high = style.limits
        image = one.pcolormesh(
            time_edges, frequency_edges, values, cmap=style.colours, vmin=low, vmax=high
        )
        one.figure.colorbar(image, ax=one)
        one.set(title=style.title, xlabel="time (s)", ylabel="centre frequency (Hz)", yscale="log")
        shown = [tick for tick in TICKS if frequency_edges[0] <= tick <= frequency_edges[-1]]
        one.set_yticks(shown, [TICKS[tick] for tick in shown])
        one.set_yticks([], minor=True)
    return np.asarray(axes)

"""Azimuths of a recording over time, and one or several for all of its windows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import jax
import numpy as np

from ssl_jax.frontend.cues import Cues
from ssl_jax.recordings.overall import Overall
from ssl_jax.recordings.posteriors import Direction, in_words

if TYPE_CHECKING:
    import pandas


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["times", "azimuth", "confidence", "mirrored", "posterior", "cues", "cfs"],
    meta_fields=["flags", "notes", "model", "prior", "window", "step", "seconds", "fs"],
)
@dataclass(frozen=True, eq=False, repr=False)
class Azimuths:
    """Where a sound came from, in n windows; a pytree of its arrays."""

    times: np.ndarray  # (n,) s, middles of the windows
    # (n,) degrees, 0 <= azimuth < 360, 90 = left; NaN where nothing sounds
    azimuth: np.ndarray
    # (n,) share of the posterior within 10 degrees of its peak, 0..1
    confidence: np.ndarray
    # (n,) degrees: the same behind or in front, where it may be that too; else NaN
    mirrored: np.ndarray
    # (n, 72) under the prior, class = azimuth / 5 degrees
    posterior: np.ndarray
    # of each window: why not to rely on it; empty if nothing is wrong
    flags: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]  # of the whole recording
    model: str
    prior: str  # see `priors.prior_of`
    window: float  # s
    step: float  # s
    seconds: float  # of the recording
    fs: int  # Hz, of the recording
    # (channels, columns) each, if asked for: averages over `seconds` / columns
    cues: Cues | None
    cfs: np.ndarray  # (channels,) Hz

    @property
    def mean_azimuth(self) -> float:
        """One azimuth for the whole recording, degrees; NaN where it has none.

        See `Overall.azimuth`.
        """
        return self._overall.azimuth

    @property
    def mean_mirrored(self) -> float:
        """The mirror image of `mean_azimuth`, degrees, where it may be that too; else NaN.

        See `Overall.mirrored`.
        """
        return self._overall.mirrored

    @property
    def moves(self) -> bool:
        """Does the source move, so that no one azimuth is right? See `Overall.moves`."""
        return self._overall.moves

    @property
    def directions(self) -> list[Direction]:
        """Where something sounds, the likeliest first.

        Several where several sound, or where front and back stay open: see `Overall.directions`.
        """
        return self._overall.directions

    @property
    def _overall(self) -> Overall:
        return Overall.of(self)

    def plot(self, axes=None):
        """Draw the posterior over time, and the estimates on it.

        Parameters
        ----------
        axes : matplotlib Axes, optional
            A new figure unless given.

        Returns
        -------
        axes : matplotlib Axes
        """
        # here: only those who draw wait for matplotlib
        from ssl_jax.recordings.azimuth_plot import draw_over_time, new_axes

        if axes is None:
            axes = new_axes()
        draw_over_time(axes, self)
        return axes

    def to_dict(self) -> dict:
        """Everything but the cues, ready for JSON: null where an azimuth is not known."""
        # here: `tables` imports this module
        from ssl_jax.recordings.tables import as_dict

        return as_dict(self)

    def to_dataframe(self) -> "pandas.DataFrame":
        """A pandas DataFrame with a row for each window.

        Its columns are time_s, azimuth_deg, confidence, mirrored_deg and flags, a text.

        Raises
        ------
        ImportError
            pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise ImportError("to_dataframe needs pandas: pip install pandas") from None
        return pandas.DataFrame(
            {
                "time_s": self.times,
                "azimuth_deg": self.azimuth,
                "confidence": self.confidence,
                "mirrored_deg": self.mirrored,
                "flags": [" / ".join(flags) for flags in self.flags],
            }
        )

    def __repr__(self) -> str:
        return f"Azimuths: {self._where()}, {self._windows()}, {self._confidence()}"

    def _where(self) -> str:
        overall = self._overall
        if np.isfinite(overall.azimuth):
            return " or ".join(in_words(azimuth) for azimuth in overall.shown)
        if overall.moves:
            return "no one azimuth: the source moves"
        several = [f"{in_words(peak.azimuth)} {peak.share:.0%}" for peak in overall.sources]
        return f"no one azimuth: {'; '.join(several) or 'nothing stands out'}"

    def _windows(self) -> str:
        count = len(self.times)
        windows = "window" if count == 1 else "windows"
        return f"{count} {windows} of {self.window:g} s"

    def _confidence(self) -> str:
        heard = np.isfinite(self.azimuth)
        if not heard.any():
            return "silent"
        return f"confidence {self.confidence[heard].mean():.2f}"


@dataclass(frozen=True)
class Windows:
    """Estimates of some windows, as they come: fields of `Azimuths`, which has their shapes."""

    times: np.ndarray
    azimuth: np.ndarray
    confidence: np.ndarray
    mirrored: np.ndarray
    posterior: np.ndarray
    flags: tuple[tuple[str, ...], ...]


def join_windows(parts: Sequence[Windows]) -> Windows:
    """The windows of all parts, one after the other."""
    flags: tuple[tuple[str, ...], ...] = ()
    for part in parts:
        flags += part.flags
    return Windows(
        times=np.concatenate([part.times for part in parts]),
        azimuth=np.concatenate([part.azimuth for part in parts]),
        confidence=np.concatenate([part.confidence for part in parts]),
        mirrored=np.concatenate([part.mirrored for part in parts]),
        posterior=np.concatenate([part.posterior for part in parts]),
        flags=flags,
    )


def mean_azimuth(estimates: Windows | Azimuths) -> float:
    """One azimuth for a whole recording.

    Parameters
    ----------
    estimates : Windows or Azimuths

    Returns
    -------
    float
        Degrees, from 0 to below 360; NaN where there is no one azimuth, see `Overall.azimuth`.
    """
    return Overall.of(estimates).azimuth

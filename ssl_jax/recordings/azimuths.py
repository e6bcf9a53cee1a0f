"""Azimuths of a recording over time, and how one or several are made of posteriors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ssl_jax.common.angles import circle_degrees, signed_degrees
from ssl_jax.config import AZIMUTH_STEP, AZIMUTHS
from ssl_jax.frontend.cues import Cues

if TYPE_CHECKING:
    import pandas

PEAK_REACH = 10  # degrees on either side of the posterior's peak that count as the peak
REACH_CLASSES = PEAK_REACH // AZIMUTH_STEP
SURE = 0.9  # confidence below this is flagged
LEAST_SHARE = 0.1  # of a posterior that a second direction has at least
# share of the mean posterior from which a second direction is a talker of its own
SECOND_SHARE = 0.2
# share of the windows that one azimuth for all must be near to, or the source moves
AGREEING_SHARE = 0.7
MOST_DIRECTIONS = 4  # at a time
# within half a class of an axis, a direction is called by that axis alone
ON_AXIS = np.sin(np.radians(AZIMUTH_STEP / 2))


@dataclass(frozen=True, eq=False, repr=False)
class Azimuths:
    """Where a sound came from, in n windows."""

    times: np.ndarray  # (n,) s, middles of the windows
    # (n,) degrees, 0 <= azimuth < 360, 90 = left; NaN where nothing sounds
    azimuth: np.ndarray
    # (n,) share of the posterior within 10 degrees of its peak, 0..1
    confidence: np.ndarray
    # (n,) degrees: the same behind or in front, where it may be that; else NaN
    mirrored: np.ndarray
    posterior: np.ndarray  # (n, 72), class = azimuth / 5 degrees
    # of each window: why not to rely on it; empty if nothing is wrong
    flags: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]  # of the whole recording
    model: str
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
        return mean_azimuth(self)

    @property
    def directions(self) -> list["Direction"]:
        """The peaks of the mean posterior, highest first: several where several sound."""
        return Overall().add(self).directions

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
        # only who draws waits for matplotlib
        from ssl_jax.recordings.azimuth_plot import draw_over_time, new_axes

        if axes is None:
            axes = new_axes()
        draw_over_time(axes, self)
        return axes

    def to_dict(self) -> dict:
        """Everything but the cues, ready for JSON: null where an azimuth is not known."""
        # `tables` reads this module
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
        azimuth = self.mean_azimuth
        if np.isfinite(azimuth):
            return in_words(azimuth)
        several = [f"{in_words(one.azimuth)} {one.share:.0%}" for one in self.directions]
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


def in_words(azimuth: float) -> str:
    """An azimuth in degrees, and the side it is on: 60.2 degrees (left, front)."""
    sides = []
    turn = np.radians(azimuth)
    if abs(np.sin(turn)) > ON_AXIS:
        sides.append("left" if np.sin(turn) > 0 else "right")
    if abs(np.cos(turn)) > ON_AXIS:
        sides.append("front" if np.cos(turn) > 0 else "back")
    return f"{rounded_degrees(azimuth, 1):.1f} degrees ({', '.join(sides)})"


@dataclass(frozen=True)
class Windows:
    """Estimates of some windows, as they come: the first fields of `Azimuths`."""

    times: np.ndarray
    azimuth: np.ndarray
    confidence: np.ndarray
    mirrored: np.ndarray
    posterior: np.ndarray
    flags: tuple[tuple[str, ...], ...]


class Direction(NamedTuple):
    """A peak of a posterior."""

    azimuth: float  # degrees
    share: float  # of the posterior, within 10 degrees of it


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


def rounded_degrees(azimuth: float, decimals: int) -> float:
    """An azimuth as it is shown: rounded, and below 360 after that too."""
    return float(circle_degrees(round(float(azimuth), decimals)))


def _mean_about(posterior: np.ndarray, middle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Circular mean (...), degrees, and share (...) of posteriors (..., 72) near class `middle`."""
    near = (middle[..., None] + np.arange(-REACH_CLASSES, REACH_CLASSES + 1)) % AZIMUTHS
    share = np.take_along_axis(posterior, near, -1)
    vector = (share * np.exp(2j * np.pi * near / AZIMUTHS)).sum(-1)
    return circle_degrees(np.degrees(np.angle(vector))), share.sum(-1)


def peak_azimuth(posterior: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Azimuth (degrees) and confidence (...) of posteriors (..., 72).

    The mean and the share of the posterior within 10 degrees of its peak.
    """
    return _mean_about(np.asarray(posterior, float), np.argmax(posterior, -1))


def mirror_azimuth(posterior: ArrayLike) -> np.ndarray:
    """The peak's mirror image about the interaural axis where it may be that; else NaN.

    Parameters
    ----------
    posterior : (..., 72)

    Returns
    -------
    (...) degrees
    """
    posterior = np.asarray(posterior, float)
    peak = posterior.argmax(-1)
    image = (AZIMUTHS // 2 - peak) % AZIMUTHS
    _, share = _mean_about(posterior, peak)
    azimuth, image_share = _mean_about(posterior, image)
    # nearer ones are one peak about the axis
    is_apart = np.abs(signed_degrees((peak - image) * AZIMUTH_STEP)) > 2 * PEAK_REACH
    is_either = (share < SURE) & (image_share >= LEAST_SHARE) & (share + image_share >= SURE)
    return np.where(is_apart & is_either, azimuth, np.nan)


def directions(posterior: np.ndarray) -> list[Direction]:
    """The peaks of a posterior (72,), highest first."""
    rest = np.array(posterior, float)
    peaks: list[Direction] = []
    while len(peaks) < MOST_DIRECTIONS:
        peak = np.asarray(rest.argmax())
        azimuth, share = _mean_about(rest, peak)
        if share < LEAST_SHARE:
            break
        peaks.append(Direction(float(azimuth), float(share)))
        rest[(peak + np.arange(-2 * REACH_CLASSES, 2 * REACH_CLASSES + 1)) % AZIMUTHS] = 0
    return peaks


class _Votes:
    """Azimuths of windows, each weighed by its confidence, in a few sums."""

    def __init__(self):
        self.vector = 0j
        self.by_class = np.zeros(AZIMUTHS)

    def add(self, azimuth: np.ndarray, confidence: np.ndarray) -> None:
        self.vector += (confidence * np.exp(1j * np.radians(azimuth))).sum()
        nearest = np.round(azimuth / AZIMUTH_STEP).astype(int) % AZIMUTHS
        np.add.at(self.by_class, nearest, confidence)

    def azimuth(self) -> float:
        """Their circular mean, degrees; NaN where too few are near to it."""
        if not self.by_class.any():
            return float("nan")
        mean = circle_degrees(np.degrees(np.angle(self.vector)))
        _, near = _mean_about(self.by_class, np.round(mean / AZIMUTH_STEP).astype(int))
        agree = near >= AGREEING_SHARE * self.by_class.sum()
        return float(mean) if agree else float("nan")


class Overall:
    """What all windows of a recording say together, in a few sums."""

    def __init__(self):
        self.windows = 0
        self.flagged = 0  # windows
        self._heard = 0  # windows that something sounds in
        self._posterior = np.zeros(AZIMUTHS)  # sum over them
        self._heard_votes = _Votes()
        self._flawless_votes = _Votes()

    def add(self, estimates: Windows | Azimuths) -> "Overall":
        """Count windows."""
        heard = np.isfinite(estimates.azimuth)
        flawless = np.array([not flags for flags in estimates.flags], bool)
        for votes, counted in (
            (self._heard_votes, heard),
            (self._flawless_votes, heard & flawless),
        ):
            votes.add(estimates.azimuth[counted], estimates.confidence[counted])
        self._posterior += estimates.posterior[heard].sum(axis=0)
        self._heard += int(heard.sum())
        self.windows += len(heard)
        self.flagged += int((~flawless).sum())
        return self

    @property
    def azimuth(self) -> float:
        """One azimuth for the whole recording, degrees.

        The circular mean of the windows weighed by confidence, of those without flags if there
        are any. NaN where there is a second direction, or the source moves.
        """
        directions = self.directions
        if len(directions) > 1 and directions[1].share >= SECOND_SHARE:
            return float("nan")
        flawless = self._flawless_votes.by_class.any()
        return (self._flawless_votes if flawless else self._heard_votes).azimuth()

    @property
    def directions(self) -> list[Direction]:
        """Those of the mean posterior of all windows that something sounds in."""
        return directions(self._posterior / max(self._heard, 1))


def mean_azimuth(estimates: Windows | Azimuths) -> float:
    """One azimuth for a whole recording, degrees: see `Overall.azimuth`."""
    return Overall().add(estimates).azimuth

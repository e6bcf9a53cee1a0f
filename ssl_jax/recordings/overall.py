"""What all windows of a recording say together: one azimuth, two, several, or that it moves."""

from typing import TYPE_CHECKING

import numpy as np

from ssl_jax.common.angles import circle_degrees, signed_degrees
from ssl_jax.config import AZIMUTHS
from ssl_jax.metrics import degrees_apart, nearest_class
from ssl_jax.recordings.pairs import Pairs
from ssl_jax.recordings.posteriors import (
    LEAST_SHARE,
    MOST_DIRECTIONS,
    PEAK_REACH,
    Direction,
    directions,
    mean_about,
    mirror_azimuth,
    mirrored_class,
)

if TYPE_CHECKING:
    from ssl_jax.recordings.azimuths import Azimuths, Windows

# share of the mean posterior, or of the windows, from which a second direction is a talker
SECOND_SHARE = 0.2
# share of the windows that one azimuth for all must be near to
AGREEING_SHARE = 0.7
PARTS = 32  # points of a source's path, at most: one for each part of the recording
# degrees: no one azimuth is within PEAK_REACH of both ends of a longer path
LONGEST_PATH = 2 * PEAK_REACH
PATH_ENDS = (0.1, 0.9)  # quantiles: one stray part of ten on either side is no movement


class _Votes:
    """Azimuths of windows, each weighed by its confidence, in a few sums."""

    def __init__(self):
        self.vector = 0j
        self.by_class = np.zeros(AZIMUTHS)

    def add(self, azimuth: np.ndarray, confidence: np.ndarray) -> None:
        self.vector += (confidence * np.exp(1j * np.radians(azimuth))).sum()
        np.add.at(self.by_class, nearest_class(azimuth), confidence)

    def agree_on(self, *classes: int) -> bool:
        """Are most of them near one of these classes?"""
        _, near = mean_about(np.tile(self.by_class, (len(classes), 1)), np.array(classes))
        total = self.by_class.sum()
        return total > 0 and near.sum() >= AGREEING_SHARE * total

    def azimuth(self) -> float:
        """Their circular mean, degrees; NaN where too few are near to it."""
        mean = circle_degrees(np.degrees(np.angle(self.vector)))
        return float(mean) if self.agree_on(int(nearest_class(mean))) else float("nan")


class _Path:
    """Where windows hear a sound, in up to PARTS equal parts of a recording of any length.

    When all parts are full, they are joined in pairs.
    """

    def __init__(self):
        self.votes = np.zeros((PARTS, AZIMUTHS))  # sums of confidence
        self.part_windows = 1  # windows of a part
        self.windows = 0

    def add(self, azimuth: np.ndarray, confidence: np.ndarray) -> None:
        for label, weight in zip(nearest_class(azimuth), confidence, strict=True):
            if self.windows == PARTS * self.part_windows:
                self.votes[: PARTS // 2] = self.votes[::2] + self.votes[1::2]
                self.votes[PARTS // 2 :] = 0
                self.part_windows *= 2
            self.votes[self.windows // self.part_windows, label] += weight
            self.windows += 1

    def moves(self) -> bool:
        """Does one piece of it go farther than LONGEST_PATH without a jump?

        A talker who is followed by another is a jump, as are front and back confused.
        """
        votes = self.votes[self.votes.any(axis=1)]
        azimuth, _ = mean_about(votes, votes.argmax(axis=-1))
        steps = signed_degrees(np.diff(azimuth))
        jumps = np.flatnonzero(np.abs(steps) > LONGEST_PATH)
        for piece in np.split(azimuth, jumps + 1):
            path = np.cumsum(signed_degrees(np.diff(piece, prepend=piece[:1])))
            if len(path) and np.ptp(np.quantile(path, PATH_ENDS)) > LONGEST_PATH:
                return True
        return False


class Overall:
    """What all windows of a recording say together, in sums that do not grow."""

    def __init__(self):
        self.windows = 0
        self.flagged = 0  # windows
        self._heard = 0  # windows that something sounds in
        self._posterior = np.zeros(AZIMUTHS)  # sum over these
        self._pairs = Pairs()
        # of these, by class: windows whose front and back are told apart
        self._known_front_back = np.zeros(AZIMUTHS)
        self._heard_votes = _Votes()
        self._unflagged_votes = _Votes()
        self._path = _Path()

    @classmethod
    def of(cls, estimates: "Windows | Azimuths") -> "Overall":
        """What these windows say together."""
        overall = cls()
        overall.add(estimates)
        return overall

    def add(self, estimates: "Windows | Azimuths") -> None:
        """Count windows."""
        heard = np.isfinite(estimates.azimuth)
        unflagged = np.array([not flags for flags in estimates.flags], bool)
        usable = heard & unflagged
        self._heard_votes.add(estimates.azimuth[heard], estimates.confidence[heard])
        self._unflagged_votes.add(estimates.azimuth[usable], estimates.confidence[usable])
        self._path.add(estimates.azimuth[heard], estimates.confidence[heard])
        known = heard & np.isnan(estimates.mirrored)
        np.add.at(self._known_front_back, nearest_class(estimates.azimuth[known]), 1)
        self._posterior += estimates.posterior[heard].sum(axis=0)
        self._pairs.add(estimates.posterior[heard])
        self._heard += int(heard.sum())
        self.windows += len(heard)
        self.flagged += int((~unflagged).sum())

    @property
    def azimuth(self) -> float:
        """One azimuth for the whole recording, degrees.

        The circular mean of the windows weighed by confidence, of those without flags if there
        are any. Where front and back stay open, it is the likelier one: see `mirrored`. NaN where
        a second of the `sources` has SECOND_SHARE, the source moves, or too few windows agree.
        """
        peaks = self.sources
        several = len(peaks) > 1 and peaks[1].share >= SECOND_SHARE
        if several or self.moves:
            return float("nan")
        if not np.isnan(self._image):
            # windows may hear either of the two: their mean would lie between them
            highest = int(self._posterior.argmax())
            agree = self._heard_votes.agree_on(highest, int(mirrored_class(highest)))
            return peaks[0].azimuth if peaks and agree else float("nan")
        if self._unflagged_votes.by_class.any():
            return self._unflagged_votes.azimuth()
        return self._heard_votes.azimuth()

    @property
    def mirrored(self) -> float:
        """The mirror image of `azimuth`, degrees, where front and back stay open; else NaN.

        It is open where `mirror_azimuth` says so of the mean posterior, unless the image is a
        direction of its own: a fifth of the windows hear it and know front from back.
        """
        return float("nan") if np.isnan(self.azimuth) else self._image

    @property
    def _image(self) -> float:
        """`mirrored`, whether or not there is an `azimuth`."""
        image = float(mirror_azimuth(self._mean_posterior))
        if np.isnan(image):
            return image
        _, known = mean_about(self._known_front_back, mirrored_class(self._posterior.argmax()))
        return float("nan") if known >= SECOND_SHARE * self._heard else image

    @property
    def moves(self) -> bool:
        """Does the source go farther than any one azimuth is right for, 20 degrees?"""
        return self._path.moves()

    @property
    def directions(self) -> list[Direction]:
        """Where something sounds, the likeliest first.

        The pair that explains the windows best, if each of the two explains LEAST_SHARE of them;
        a share is then of the windows. The other peaks of the mean posterior follow, with their
        share of it. Where front and back stay open, one may be the first one's mirror image.
        """
        mean = self._mean_posterior
        peaks = directions(mean)
        pair = self._pairs.best()
        if pair is None or pair[1].share < LEAST_SHARE:
            return peaks
        found = []
        for label, share in pair:
            azimuth, _ = mean_about(mean, np.asarray(label))
            found.append(Direction(float(azimuth), share))
        for peak in peaks:
            if all(degrees_apart(peak.azimuth, other.azimuth) > 2 * PEAK_REACH for other in found):
                found.append(peak)
        return found[:MOST_DIRECTIONS]

    @property
    def sources(self) -> list[Direction]:
        """`directions` without the first one's mirror image where front and back stay open."""
        peaks = self.directions
        image = self._image
        if np.isnan(image):
            return peaks
        return [peak for peak in peaks if degrees_apart(peak.azimuth, image) > PEAK_REACH]

    @property
    def shown(self) -> list[float]:
        """The azimuths to point at: one, both where front and back stay open, or several.

        Empty where the source moves.
        """
        if not np.isnan(self.azimuth):
            either = [self.azimuth, self.mirrored]
            return [azimuth for azimuth in either if not np.isnan(azimuth)]
        return [] if self.moves else [peak.azimuth for peak in self.sources]

    @property
    def _mean_posterior(self) -> np.ndarray:
        return self._posterior / max(self._heard, 1)

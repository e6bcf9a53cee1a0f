"""Which SNR range lies nearest to the published weights: coarse to fine, over draws of mixtures."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import read_csv
from ssl_jax.config import FrontEnd
from ssl_jax.studies.fingerprint import Layers, Means, distance, training_set_means
from ssl_jax.studies.fingerprint_corpora import SnrRange
from ssl_jax.studies.fingerprint_measurements import Measurements

DRAWS = 3  # of mixtures, around the nearest range
CUES = ("itd_ms", "ild_db", "ic")
# dB, ends of the coarse ranges, 15 to 40 dB of the published code among them
LOWS = (-5, 0, 5, 10, 15)
HIGHS = (5, 10, 15, 20, 25, 40)
COARSE = tuple(SnrRange(low, high) for low in LOWS for high in HIGHS if high > low)
FINE_STEP = 2.5  # dB, about as fine as a thousand mixtures can tell apart
# Two ranges count as told apart where the mean of their difference over draws is above so many of
# its standard deviations. With three draws chance alone does that once in some 13 times.
TOLD_APART = 2


def read_means(path: Path) -> np.ndarray:
    """The training set's mean cues (3, channels), from reported/training_set_means.csv.

    Raises
    ------
    InputError
        For a table of another number of channels.
    """
    rows = read_csv(path, CUES)
    if len(rows) != FrontEnd.channels:
        raise InputError(
            f"{path}: has {len(rows)} channels, not {FrontEnd.channels}: fetch it again"
        )
    return np.array([[float(row[name]) for row in rows] for name in CUES])


class Reference:
    """What databases are held against: checkpoints, and the mean cues of the training set.

    Without checkpoints a database's score is the difference of its mean IC.
    """

    def __init__(self, checkpoints: dict[str, Layers], means: np.ndarray):
        self.names = list(checkpoints)
        self.layers = list(checkpoints.values())
        self.means = means  # (3, channels)
        self.read_out = [training_set_means(layers) for layers in self.layers]
        self.columns = ["ITD", "ILD", "IC"]
        if self.layers:
            residuals = [read_out.residuals.mean() for read_out in self.read_out]
            self.best = int(np.argmin(residuals))  # its statistics are of weights at rest
            self.columns.insert(0, "distance")
        self.score_column = "distance" if self.layers else "IC"

    def distances(self, means: Means) -> list[float]:
        """To every checkpoint."""
        pairs = zip(self.layers, means.moments, strict=True)
        return [distance(layers, moments) for layers, moments in pairs]

    def values(self, means: Means) -> list[float]:
        """By `columns`: distance to the best checkpoint, rms differences of the mean cues."""
        differences = np.sqrt(np.mean((means.cues - self.means) ** 2, axis=1)).tolist()
        if not self.layers:
            return differences
        return [distance(self.layers[self.best], means.moments[self.best]), *differences]

    def score(self, means: Means) -> float:
        """What the search makes small."""
        return self.values(means)[self.columns.index(self.score_column)]

    def cells(self, means: Means) -> list[str]:
        """`values` as cells of a table."""
        return [f"{value:.3f}" for value in self.values(means)]


def around(centre: SnrRange) -> list[SnrRange]:
    """A range, and those whose ends lie at most one fine step from its own."""
    steps = (0, -FINE_STEP, FINE_STEP)
    ranges = [SnrRange(centre.low + a, centre.high + b) for a in steps for b in steps]
    return [snr_range for snr_range in ranges if snr_range.high > snr_range.low]


def search(scores_of: Callable[[Sequence[SnrRange]], list[float]]) -> dict[SnrRange, float]:
    """Look for the range of least score: at COARSE first, then in fine steps around the least.

    Parameters
    ----------
    scores_of : the score of each of some ranges

    Returns
    -------
    The scores of all ranges looked at, the least first. All that are `around` it are among them.
    """
    scores = dict(zip(COARSE, scores_of(COARSE), strict=True))
    while True:
        scores = dict(sorted(scores.items(), key=lambda item: item[1]))
        nearest = next(iter(scores))
        new = [snr_range for snr_range in around(nearest) if snr_range not in scores]
        if not new:
            return scores
        scores |= dict(zip(new, scores_of(new), strict=True))


@dataclass(frozen=True)
class Nearest:
    """The nearest range of a corpus, over several draws of mixtures."""

    draws: dict[SnrRange, list[float]]  # scores of ranges in each draw, the least mean first
    scores: dict[SnrRange, float]  # of all ranges in the first draw, the least first

    @property
    def least(self) -> SnrRange:
        """The range of the least mean over draws."""
        return next(iter(self.draws))

    def above_least(self, snr_range: SnrRange) -> list[float]:
        """By how much a range's score lies above the least one's, in each draw."""
        pairs = zip(self.draws[snr_range], self.draws[self.least], strict=True)
        return [score - least for score, least in pairs]

    @property
    def tied(self) -> list[SnrRange]:
        """The least range, and those that draws do not tell apart from it."""
        ranges = []
        for snr_range in self.draws:
            above = self.above_least(snr_range)
            if statistics.fmean(above) <= TOLD_APART * statistics.stdev(above):
                ranges.append(snr_range)
        return ranges

    @property
    def snr_range(self) -> SnrRange:
        """The middle of the tied ranges: the median of their lower and of their upper ends."""
        tied = self.tied
        low = statistics.median_low(snr_range.low for snr_range in tied)
        high = statistics.median_low(snr_range.high for snr_range in tied)
        return SnrRange(low, high)


def scores_of(
    measurements: Measurements,
    reference: Reference,
    ranges: Sequence[SnrRange],
    draw: int = 0,
    kinds: Sequence[int] | None = None,
) -> list[float]:
    """The score of each range, of the mixtures with some kinds of noise, by default all."""
    statistics = measurements.of_ranges(ranges, draw)
    return [reference.score(one_range.mean(kinds)) for one_range in statistics.values()]


def find_nearest(measurements: Measurements, reference: Reference) -> Nearest:
    """Search with the first draw, then repeat the ranges around the nearest with the others."""
    scores = search(partial(scores_of, measurements, reference))
    ranges = around(next(iter(scores)))
    draws: dict[SnrRange, list[float]] = {snr_range: [] for snr_range in ranges}
    for draw in range(DRAWS):
        scores_of_draw = scores_of(measurements, reference, ranges, draw)
        for snr_range, score in zip(ranges, scores_of_draw, strict=True):
            draws[snr_range].append(score)
    draws = dict(sorted(draws.items(), key=lambda item: statistics.fmean(item[1])))
    return Nearest(draws, scores)

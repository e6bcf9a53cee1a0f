"""Metrics of localisation: pure functions of what a network says and of what is true.

A class is an azimuth divided by 5 degrees, counter-clockwise, 0 = front, 18 = left. The estimate is
the class with the highest logit. Among equal logits the lower class ranks first, NaN ranks last.
docs/metrics.md has formulas and sources.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_softmax

from ssl_jax.common.angles import signed_degrees
from ssl_jax.config import AZIMUTH_STEP, AZIMUTHS

# classes either side that the published Top-5 takes for a hit (10 degrees)
NEAR_CLASSES = 2
# highest classes that Top-5 looks at
TOP = 5
# degrees about the interaural axis where front and back are not told apart
AXIS_MARGIN = 10
# degrees of the errors whose shares `evaluate` gives
LIMITS = (5, 10)
# metrics in a row of `scores_by_snr`
SNR_SCORES = ("top1", "mean_angular_error", "front_back")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Logits of n mixtures and their true classes.

    Raises
    ------
    ValueError
        For other shapes, labels outside 0..71, or no mixtures at all.
    """

    logits: np.ndarray  # (n, 72)
    labels: np.ndarray  # (n,) of int

    def __post_init__(self):
        logits = np.asarray(self.logits)
        labels = np.asarray(self.labels)
        count = len(labels) if labels.ndim == 1 else 0
        if count == 0 or logits.shape != (count, AZIMUTHS):
            wanted = f"need logits (n, {AZIMUTHS}) and labels (n,)"
            raise ValueError(f"{wanted}, not {logits.shape}, {labels.shape}")
        if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= AZIMUTHS:
            raise ValueError(f"labels must be whole numbers from 0 to {AZIMUTHS - 1}")
        # a frozen record is set in this way; 5 times a label would overflow uint8
        object.__setattr__(self, "logits", logits)
        object.__setattr__(self, "labels", labels.astype(int))

    @cached_property
    def ranked(self) -> np.ndarray:
        """Classes of each mixture, the highest logit first: (n, 72)."""
        return np.argsort(-np.asarray(self.logits, float), axis=1, kind="stable")

    @property
    def estimate(self) -> np.ndarray:
        """The class with the highest logit: (n,)."""
        return self.ranked[:, 0]

    def part(self, which: np.ndarray) -> "Evaluation":
        """The mixtures of a mask (n,), or of their positions."""
        return Evaluation(self.logits[which], self.labels[which])


def class_distance(a, b):
    """Classes between `a` and `b` the short way round the circle, 0..36; NumPy or jnp."""
    half = AZIMUTHS // 2
    return half - abs(half - abs(a - b) % AZIMUTHS)


def class_distances_degrees() -> np.ndarray:
    """Degrees between any two classes the short way round the circle: (72, 72)."""
    classes = np.arange(AZIMUTHS)
    return AZIMUTH_STEP * class_distance(classes[:, None], classes)


def degrees_apart(a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """Degrees between azimuths the short way round the circle, 0..180."""
    # in float64: differences of unsigned numbers would wrap round
    return np.abs(signed_degrees(np.subtract(a, b, dtype=float)))


def front_back_rate(estimate: ArrayLike, truth: ArrayLike) -> float:
    """Share of estimates that took front for back or the reverse.

    These are strictly nearer to the true azimuth's mirror image about the interaural axis than to
    itself (Wightman & Kistler 1989, J. Acoust. Soc. Am. 85, 868-878). Sources within AXIS_MARGIN of
    the axis do not count: their image is too near. Nor do estimates of NaN, where nothing sounded.

    Parameters
    ----------
    estimate, truth : array_like
        Azimuths (n,), degrees.

    Returns
    -------
    float
        Percent; NaN when no source counts.
    """
    estimate = np.asarray(estimate, float)
    truth = np.asarray(truth, float)
    from_axis = np.minimum(degrees_apart(truth, 90), degrees_apart(truth, 270))
    counts = (from_axis > AXIS_MARGIN) & np.isfinite(estimate)
    if not counts.any():
        return float("nan")
    confused = degrees_apart(estimate, 180 - truth) < degrees_apart(estimate, truth)
    return 100 * float(np.mean(confused[counts]))


def in_front(azimuth: ArrayLike) -> np.ndarray:
    """Whether azimuths (...), degrees, are of the frontal half: -90 to 90."""
    return degrees_apart(azimuth, 0) <= 90


def frontal_rmse(estimate: ArrayLike, truth: ArrayLike) -> float:
    """Root of the mean squared circular error of sources in the frontal half.

    The literature allows estimates there alone; restricting them is left to the caller.

    Parameters
    ----------
    estimate, truth : array_like
        Azimuths (n,), degrees.

    Returns
    -------
    float
        Degrees; NaN when no source is in front.
    """
    errors = degrees_apart(estimate, truth)[in_front(truth)]
    return float(np.sqrt(np.mean(errors**2))) if len(errors) else float("nan")


def _percent(hits: np.ndarray) -> float:
    return 100 * float(np.mean(hits))


def top1(evaluation: Evaluation) -> float:
    """Share of mixtures whose estimate is the true class, in percent."""
    return _percent(evaluation.estimate == evaluation.labels)


def top5_as_published(evaluation: Evaluation) -> float:
    """Share with ANY of the five highest classes within two classes of the true one, in percent."""
    apart = class_distance(evaluation.ranked[:, :TOP], evaluation.labels[:, None])
    return _percent((apart <= NEAR_CLASSES).any(axis=1))


def top5(evaluation: Evaluation) -> float:
    """Share with the true class among the five highest, in percent (the usual Top-5)."""
    return _percent((evaluation.ranked[:, :TOP] == evaluation.labels[:, None]).any(axis=1))


def angular_error(evaluation: Evaluation) -> np.ndarray:
    """Degrees on the circle between estimated and true azimuth: (n,) of 0, 5, ... 180."""
    return AZIMUTH_STEP * class_distance(evaluation.estimate, evaluation.labels)


def within(evaluation: Evaluation, degrees: float) -> float:
    """Share estimated no more than `degrees` from the true azimuth, in percent."""
    return _percent(angular_error(evaluation) <= degrees)


def front_back_confusion_rate(evaluation: Evaluation) -> float:
    """`front_back_rate` of the estimated classes, in percent; NaN when no source counts."""
    return front_back_rate(AZIMUTH_STEP * evaluation.estimate, AZIMUTH_STEP * evaluation.labels)


def confusion_matrix(evaluation: Evaluation) -> np.ndarray:
    """Counts (72, 72) of mixtures by true class (rows) and estimated class (columns)."""
    counts = np.zeros((AZIMUTHS, AZIMUTHS), int)
    np.add.at(counts, (evaluation.labels, evaluation.estimate), 1)
    return counts


def cross_entropy(evaluation: Evaluation) -> float:
    """Mean cross-entropy of the softmax of the logits, in nats."""
    log_shares = log_softmax(np.asarray(evaluation.logits, float), axis=1)
    of_truth = log_shares[np.arange(len(evaluation.labels)), evaluation.labels]
    return float(-np.mean(of_truth))


def evaluate(evaluation: Evaluation) -> dict[str, float]:
    """Every metric by its name: loss in nats, errors in degrees, the rest in percent."""
    error = angular_error(evaluation)
    scores = {
        "loss": cross_entropy(evaluation),
        "top1": top1(evaluation),
        "top5_published": top5_as_published(evaluation),
        "top5": top5(evaluation),
        "mean_angular_error": float(error.mean()),
        "median_angular_error": float(np.median(error)),
    }
    for limit in LIMITS:
        scores[f"within_{limit}"] = within(evaluation, limit)
    scores["front_back"] = front_back_confusion_rate(evaluation)
    return scores


def scores_by_snr(evaluation: Evaluation, snr: np.ndarray, width: float = 5.0) -> list[dict]:
    """Scores by SNR: a row for every `width` dB that holds mixtures.

    Parameters
    ----------
    evaluation : Evaluation
    snr : ndarray
        SNR of the same mixtures (n,), dB.
    width : float
        Of a row's range, dB; a range holds its lower end.

    Returns
    -------
    list of dict
        By rising SNR: the range's ends, how many mixtures it holds, and their SNR_SCORES.
    """
    lower_ends = np.floor(np.asarray(snr) / width) * width
    rows = []
    for lower in np.unique(lower_ends):
        inside = lower_ends == lower
        scores = evaluate(evaluation.part(inside))
        row = {"snr_from_db": lower, "snr_to_db": lower + width, "mixtures": int(inside.sum())}
        row |= {name: scores[name] for name in SNR_SCORES}
        rows.append(row)
    return rows


def error_by_azimuth(counts: np.ndarray) -> np.ndarray:
    """Mean error in degrees (72,) of each true class, from a confusion matrix (72, 72).

    A class without mixtures has error 0.
    """
    total_error = (counts * class_distances_degrees()).sum(1)
    return total_error / np.maximum(counts.sum(1), 1)


def nearest_class(azimuth: np.ndarray) -> np.ndarray:
    """The class nearest to azimuths, degrees."""
    return np.round(azimuth / AZIMUTH_STEP).astype(int) % AZIMUTHS


def swapped_class(label: ArrayLike) -> np.ndarray:
    """The class of a source whose ears are swapped: left and right change places."""
    # not -label: it would wrap round where labels are unsigned
    return (AZIMUTHS - np.asarray(label)) % AZIMUTHS


class BatchCounts(NamedTuple):
    """Sums over mixtures, for a running log."""

    loss: jax.Array  # cross-entropy, nats
    top1_hits: jax.Array  # of `top1`
    top5_hits: jax.Array  # of `top5_as_published`


def batch_counts(logits: jax.Array, labels: jax.Array) -> BatchCounts:
    """Sums over one batch; traceable, so nothing is checked.

    Parameters
    ----------
    logits : jax.Array
        (batch, 72)
    labels : jax.Array
        True classes (batch,).

    Returns
    -------
    BatchCounts
        Each ().
    """
    log_shares = jax.nn.log_softmax(logits)
    of_truth = jnp.take_along_axis(log_shares, labels[:, None], axis=1)
    # NaN ranks last, as in `Evaluation.ranked`
    ranked = jnp.where(jnp.isnan(logits), -jnp.inf, logits)
    # sooner than sorted: a near class is among the highest if few classes are above the best near
    classes = jnp.arange(AZIMUTHS)
    is_near = class_distance(classes, labels[:, None]) <= NEAR_CLASSES
    near = jnp.where(is_near, ranked, -jnp.inf)
    best = near.max(axis=1, keepdims=True)
    # of equals the lower class is first
    is_first = classes < near.argmax(axis=1, keepdims=True)
    is_above = (ranked > best) | ((ranked == best) & is_first)
    top5_hits = (is_above.sum(axis=1) < TOP).sum()
    top1_hits = (ranked.argmax(axis=1) == labels).sum()
    return BatchCounts(-of_truth.sum(), top1_hits, top5_hits)

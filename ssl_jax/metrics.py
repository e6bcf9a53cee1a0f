"""Metrics of localisation: pure functions of logits (n, 72) and true classes, labels (n,) of int.
A class is an azimuth divided by 5 degrees, counter-clockwise, 0 = front, 18 = left. The estimate is the class
with the highest logit; among equal logits the lower class ranks first, NaN last. All functions raise
ValueError for other shapes, labels outside 0..71, or no mixtures at all."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_softmax

from ssl_jax.config import AZIMUTH_STEP, AZIMUTHS

NEAR_CLASSES = 2  # classes either side that the published Top-5 takes for a hit (10 degrees)
LEFT, RIGHT = AZIMUTHS // 4, 3 * AZIMUTHS // 4  # classes of the interaural axis: 90 and 270 degrees
AXIS_MARGIN = 10  # degrees about the interaural axis where front and back are not told apart


def _checked(logits: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both as arrays, and each mixture's classes (n, 72), the highest logit first."""
    logits, labels = np.asarray(logits), np.asarray(labels)
    if (
        logits.ndim != 2
        or logits.shape[1] != AZIMUTHS
        or labels.shape != logits.shape[:1]
        or not len(labels)
    ):
        raise ValueError(
            f"need logits (n, {AZIMUTHS}) and labels (n,), not {logits.shape}, {labels.shape}"
        )
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= AZIMUTHS:
        raise ValueError(f"labels must be whole numbers from 0 to {AZIMUTHS - 1}")
    return logits, labels.astype(int), np.argsort(-logits.astype(float), axis=1, kind="stable")


def class_distance(a, b):
    """Classes between `a` and `b` the short way round the circle, 0..36; NumPy or jnp."""
    apart = abs(a - b) % AZIMUTHS
    return apart + (apart > AZIMUTHS // 2) * (AZIMUTHS - 2 * apart)


def degrees_apart(a, b) -> np.ndarray:
    """Degrees between azimuths the short way round the circle, 0..180."""
    return np.abs((np.asarray(a) - b + 180) % 360 - 180)


def top1(logits: ArrayLike, labels: ArrayLike) -> float:
    """Share of mixtures whose estimate is the true class, in percent."""
    return within(logits, labels, 0)


def top5_as_published(logits: ArrayLike, labels: ArrayLike) -> float:
    """Share with ANY of the five highest classes within two classes of the true one, in percent: Top-5 in
    the published tables (run_model.ipynb of github.com/Kenzot007/SoundSourceLocalization)."""
    _, labels, ranked = _checked(logits, labels)
    return 100 * float(
        np.mean((class_distance(ranked[:, :5], labels[:, None]) <= NEAR_CLASSES).any(axis=1))
    )


def top5(logits: ArrayLike, labels: ArrayLike) -> float:
    """Share with the true class among the five highest, in percent (the usual Top-5)."""
    _, labels, ranked = _checked(logits, labels)
    return 100 * float(np.mean((ranked[:, :5] == labels[:, None]).any(axis=1)))


def angular_error(logits: ArrayLike, labels: ArrayLike) -> np.ndarray:
    """Degrees on the circle between estimated and true azimuth of each mixture: (n,) of 0, 5, ... 180."""
    _, labels, ranked = _checked(logits, labels)
    return AZIMUTH_STEP * class_distance(ranked[:, 0], labels)


def within(logits: ArrayLike, labels: ArrayLike, degrees: float) -> float:
    """Share estimated no more than `degrees` from the true azimuth, in percent."""
    return 100 * float(np.mean(angular_error(logits, labels) <= degrees))


def front_back_confusion_rate(logits: ArrayLike, labels: ArrayLike) -> float:
    """Share of estimates that took front for back or the reverse, in percent; NaN when none counts. They are
    strictly nearer to the true azimuth's mirror image about the interaural axis than to itself (Wightman &
    Kistler 1989, J. Acoust. Soc. Am. 85, 868-878). Sources within 10 degrees of the axis are left out."""
    _, labels, ranked = _checked(logits, labels)
    lateral = np.minimum(class_distance(labels, LEFT), class_distance(labels, RIGHT))
    if not (kept := lateral * AZIMUTH_STEP > AXIS_MARGIN).any():
        return float("nan")
    estimate, true = ranked[kept, 0], labels[kept]
    mirror = (AZIMUTHS // 2 - true) % AZIMUTHS
    return 100 * float(np.mean(class_distance(estimate, mirror) < class_distance(estimate, true)))


def confusion_matrix(logits: ArrayLike, labels: ArrayLike) -> np.ndarray:
    """Counts (72, 72) of mixtures by true class (rows) and estimated class (columns)."""
    _, labels, ranked = _checked(logits, labels)
    return np.bincount(labels * AZIMUTHS + ranked[:, 0], minlength=AZIMUTHS**2).reshape(
        AZIMUTHS, AZIMUTHS
    )


def cross_entropy(logits: ArrayLike, labels: ArrayLike) -> float:
    """Mean cross-entropy of the softmax of the logits, in nats."""
    logits, labels, _ = _checked(logits, labels)
    return float(
        -np.mean(log_softmax(logits.astype(float), axis=1)[np.arange(len(labels)), labels])
    )


def evaluate(logits: ArrayLike, labels: ArrayLike) -> dict[str, float]:
    """Every metric of one set of mixtures, by name: loss in nats, errors in degrees, the rest in percent."""
    error = angular_error(logits, labels)
    metrics = {
        "loss": cross_entropy,
        "top1": top1,
        "top5_published": top5_as_published,
        "top5": top5,
    }
    scores = {name: metric(logits, labels) for name, metric in metrics.items()}
    scores |= {
        "mean_angular_error": float(error.mean()),
        "median_angular_error": float(np.median(error)),
    }
    scores |= {f"within_{limit}": within(logits, labels, limit) for limit in (5, 10)}
    return scores | {"front_back": front_back_confusion_rate(logits, labels)}


def scores_by_snr(
    logits: ArrayLike, labels: ArrayLike, snr: np.ndarray, width: float = 5.0
) -> list[dict]:
    """Top-1 and errors by SNR (n,), dB: a row for every `width` dB that holds mixtures."""
    logits, labels, _ = _checked(logits, labels)
    lower, rows = np.floor(np.asarray(snr) / width) * width, []
    for edge in np.unique(lower):
        there = lower == edge
        scores = evaluate(logits[there], labels[there])
        row = {"snr_from_db": edge, "snr_to_db": edge + width, "mixtures": int(there.sum())}
        rows.append(
            row | {score: scores[score] for score in ("top1", "mean_angular_error", "front_back")}
        )
    return rows


def error_by_azimuth(counts: np.ndarray) -> np.ndarray:
    """Mean error in degrees (72,) of each true class, from a confusion matrix (72, 72)."""
    apart = AZIMUTH_STEP * class_distance(np.arange(AZIMUTHS)[:, None], np.arange(AZIMUTHS))
    return (counts * apart).sum(1) / np.maximum(counts.sum(1), 1)


def batch_counts(logits: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Sums over one batch for a running log, each (): cross-entropy in nats, and the hits by `top1` and by
    `top5_as_published`; traceable, so labels (batch,) are not checked."""
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1)
    best = jax.lax.top_k(jnp.where(jnp.isnan(logits), -jnp.inf, logits), 5)[
        1
    ]  # NaN last, as in _checked
    near = class_distance(best, labels[:, None]) <= NEAR_CLASSES  # (batch, 5)
    return -chosen.sum(), (best[:, 0] == labels).sum(), near.any(axis=1).sum()

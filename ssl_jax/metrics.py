"""Metrics of localisation: pure functions of logits (mixtures, 72) and true classes (mixtures,).

A class is an azimuth divided by 5 degrees, counter-clockwise, 0 = front, 18 = left, so classes lie
on a circle. The estimate is the class with the highest logit; among equal logits the lower class
ranks first, so that every figure is a function of its inputs alone. NaN ranks last.

Two figures go by the name of Top-5. The published one (`top5_as_published`) is a hit when ANY of
the five highest classes lies within two classes of the true one; the usual one (`top5`) only when
the true class is among the five.
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import log_softmax

from ssl_jax.config import AZIMUTH_STEP, AZIMUTHS

NEAR_CLASSES = 2  # classes either side that the published Top-5 takes for a hit (10 degrees)
LEFT, RIGHT = AZIMUTHS // 4, 3 * AZIMUTHS // 4  # classes of the interaural axis: 90 and 270 degrees
AXIS_MARGIN = 10  # degrees about the interaural axis where front and back are not told apart


def _checked(logits, labels) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays; ValueError unless (n, 72) and n whole numbers in 0..71, n at least 1."""
    logits, labels = np.asarray(logits), np.asarray(labels)
    if logits.ndim != 2 or logits.shape[1] != AZIMUTHS or labels.shape != logits.shape[:1] or not len(labels):
        raise ValueError(f"need logits (n, {AZIMUTHS}) and labels (n,), not {logits.shape}, {labels.shape}")
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= AZIMUTHS:
        raise ValueError(f"labels must be whole numbers from 0 to {AZIMUTHS - 1}")
    return logits, labels.astype(int)


def _highest(logits: np.ndarray, count: int) -> np.ndarray:
    """The `count` highest classes of each row, best first: (n, 72) to (n, count)."""
    return np.argsort(-logits.astype(float), axis=1, kind="stable")[:, :count]


def class_distance(a, b):
    """Classes between `a` and `b` the short way round the circle, 0..36; NumPy or jnp."""
    apart = abs(a - b) % AZIMUTHS
    return apart + (apart > AZIMUTHS // 2) * (AZIMUTHS - 2 * apart)


def top1(logits, labels) -> float:
    """Share of mixtures whose estimate is the true class, in percent.

    Parameters
    ----------
    logits : array, shape (n, 72)
        Any monotone score per class.
    labels : array of int, shape (n,)
        True classes.

    Returns
    -------
    float
        0..100.

    Raises
    ------
    ValueError
        From every function here, for other shapes, labels outside 0..71, or no mixtures at all.
    """
    logits, labels = _checked(logits, labels)
    return 100 * float(np.mean(_highest(logits, 1)[:, 0] == labels))


def top5_as_published(logits, labels) -> float:
    """Share with ANY of the five highest classes within two classes of the true one, in percent.

    What the published tables call Top-5 (run_model.ipynb of
    github.com/Kenzot007/SoundSourceLocalization); circular. See `top1` for the parameters.
    """
    logits, labels = _checked(logits, labels)
    apart = class_distance(_highest(logits, 5), labels[:, None])  # (n, 5)
    return 100 * float(np.mean((apart <= NEAR_CLASSES).any(axis=1)))


def top5(logits, labels) -> float:
    """Share with the true class among the five highest, in percent (the usual Top-5)."""
    logits, labels = _checked(logits, labels)
    return 100 * float(np.mean((_highest(logits, 5) == labels[:, None]).any(axis=1)))


def angular_error(logits, labels) -> np.ndarray:
    """Degrees on the circle between estimated and true azimuth of each mixture.

    Returns
    -------
    array of int, shape (n,)
        0, 5, ... 180.
    """
    logits, labels = _checked(logits, labels)
    return AZIMUTH_STEP * class_distance(_highest(logits, 1)[:, 0], labels)


def within(logits, labels, degrees: float) -> float:
    """Share estimated no more than `degrees` from the true azimuth, in percent."""
    return 100 * float(np.mean(angular_error(logits, labels) <= degrees))


def front_back_confusion_rate(logits, labels) -> float:
    """Share of estimates that took front for back or back for front, in percent.

    A confusion is an estimate strictly nearer, on the circle, to the mirror image of the true
    azimuth about the interaural axis (180 degrees - azimuth) than to the true azimuth itself,
    whether or not left and right are confused as well.
    Sources within 10 degrees of the interaural axis (80..100 and 260..280, ends included) are left
    out of count and share alike: there the two all but coincide (Wightman & Kistler 1989, J.
    Acoust. Soc. Am. 85, 868-878, count a judgement as reversed by the same comparison).

    Returns
    -------
    float
        0..100, or NaN when no source is left.
    """
    logits, labels = _checked(logits, labels)
    lateral = (
        np.minimum(class_distance(labels, LEFT), class_distance(labels, RIGHT)) * AZIMUTH_STEP
    )  # degrees
    kept = lateral > AXIS_MARGIN
    if not kept.any():
        return float("nan")
    estimate, true = _highest(logits, 1)[kept, 0], labels[kept]
    mirror = (AZIMUTHS // 2 - true) % AZIMUTHS
    return 100 * float(np.mean(class_distance(estimate, mirror) < class_distance(estimate, true)))


def confusion_matrix(logits, labels) -> np.ndarray:
    """Counts of mixtures by true class (rows) and estimated class (columns).

    Returns
    -------
    array of int, shape (72, 72)
    """
    logits, labels = _checked(logits, labels)
    cell = labels * AZIMUTHS + _highest(logits, 1)[:, 0]
    return np.bincount(cell, minlength=AZIMUTHS**2).reshape(AZIMUTHS, AZIMUTHS)


def cross_entropy(logits, labels) -> float:
    """Mean cross-entropy of the softmax of the logits, in nats."""
    logits, labels = _checked(logits, labels)
    chosen = log_softmax(logits.astype(float), axis=1)[np.arange(len(labels)), labels]
    return float(-np.mean(chosen))


def evaluate(logits, labels) -> dict[str, float]:
    """Every metric of one set of mixtures.

    Parameters
    ----------
    logits : array, shape (n, 72)
    labels : array of int, shape (n,)

    Returns
    -------
    dict
        loss (nats); top1, top5_published, top5, within_5, within_10, front_back (percent);
        mean_angular_error, median_angular_error (degrees).
    """
    error = angular_error(logits, labels)
    return {
        "loss": cross_entropy(logits, labels),
        "top1": top1(logits, labels),
        "top5_published": top5_as_published(logits, labels),
        "top5": top5(logits, labels),
        "mean_angular_error": float(error.mean()),
        "median_angular_error": float(np.median(error)),
        "within_5": within(logits, labels, 5),
        "within_10": within(logits, labels, 10),
        "front_back": front_back_confusion_rate(logits, labels),
    }


def scores_by_snr(logits, labels, snr: np.ndarray, width: float = 5.0) -> list[dict]:
    """Top-1 and errors by SNR (n,), dB: a row for every `width` dB that holds mixtures."""
    logits, labels = _checked(logits, labels)
    lower, rows = np.floor(np.asarray(snr) / width) * width, []
    for edge in np.unique(lower):
        z, y = logits[lower == edge], labels[lower == edge]
        row = {"snr_from_db": edge, "snr_to_db": edge + width, "mixtures": len(y), "top1": top1(z, y)}
        row["mean_angular_error"] = float(angular_error(z, y).mean())
        rows.append(row | {"front_back": front_back_confusion_rate(z, y)})
    return rows


def error_by_azimuth(counts: np.ndarray) -> np.ndarray:
    """Mean error in degrees (72,) of each true class, from a confusion matrix (72, 72)."""
    apart = AZIMUTH_STEP * class_distance(np.arange(AZIMUTHS)[:, None], np.arange(AZIMUTHS))
    return (counts * apart).sum(1) / np.maximum(counts.sum(1), 1)


def batch_counts(logits: jax.Array, labels: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Sums over one batch for a running log; traceable, so it may stand inside `jax.jit`.

    Parameters
    ----------
    logits : jax.Array, shape (batch, 72)
    labels : jax.Array of int, shape (batch,)
        Not checked: values are unknown while tracing.

    Returns
    -------
    loss_sum : jax.Array, shape ()
        Summed cross-entropy in nats; divided by the batch it is the loss to minimise.
    top1_hits, top5_hits : jax.Array of int, shape ()
        Hits by `top1` and by `top5_as_published`.
    """
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1)
    # top_k puts the lower index first among equals, as _highest does, but NaN first
    best = jax.lax.top_k(jnp.where(jnp.isnan(logits), -jnp.inf, logits), 5)[1]
    near = class_distance(best, labels[:, None]) <= NEAR_CLASSES  # (batch, 5)
    return -chosen.sum(), (best[:, 0] == labels).sum(), near.any(axis=1).sum()

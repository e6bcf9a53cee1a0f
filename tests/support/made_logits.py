"""Logits and labels: of a random network with some skill, and by hand."""

import math

import numpy as np

from ssl_jax.metrics import Evaluation


def peaked(*azimuths):
    """Logits (72,) whose highest classes are at these azimuths, best first; others far below."""
    logits = np.full(72, -9.0, np.float32)
    for rank, azimuth in enumerate(azimuths):
        logits[azimuth // 5] = 9 - rank
    return logits


def heard(*pairs):
    """The evaluation of mixtures given as (true azimuth, estimated azimuth)."""
    logits = np.stack([peaked(estimate) for _, estimate in pairs])
    return Evaluation(logits, np.array([true // 5 for true, _ in pairs]))


def scene(n, seed):
    """Distinct logits with some skill, so that no metric stands at 0 or 100 percent."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 72, n)
    logits = rng.normal(size=(n, 72)).astype(np.float32)
    near = (labels + rng.integers(-2, 3, n)) % 72
    logits[np.arange(n), near] += rng.uniform(0, 4, n)
    mirrored = rng.random(n) < 0.3
    logits[mirrored, (36 - labels[mirrored]) % 72] += 4
    return logits, labels


def degrees(a, b):
    """Between two classes, as the angle between two directions."""
    cosine = math.cos(math.radians(5 * (a - b)))
    return round(math.degrees(math.acos(max(-1, min(1, cosine)))), 6)

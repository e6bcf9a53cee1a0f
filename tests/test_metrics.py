"""The metrics: plain loops, cases by hand, the seam of the circle, what is refused."""

import math

import jax
import numpy as np
import pytest

from ssl_jax import metrics
from ssl_jax.metrics import angular_error, batch_counts, cross_entropy, evaluate, top1


def peaked(*ranked):
    """Logits whose highest classes are the given ones, best first; the rest far below and equal."""
    logits = np.full((1, 72), -9.0, np.float32)
    logits[0, [azimuth // 5 for azimuth in ranked]] = 9 - np.arange(len(ranked))
    return logits


def scene(n=400, seed=0):
    """Distinct logits with some skill, so that no metric stands at 0 or 100 percent."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 72, n)
    logits = rng.normal(size=(n, 72)).astype(np.float32)
    logits[np.arange(n), (labels + rng.integers(-2, 3, n)) % 72] += rng.uniform(0, 4, n)
    mirrored = rng.random(n) < 0.3
    logits[mirrored, (36 - labels[mirrored]) % 72] += 4
    return logits, labels


def degrees(a, b):
    """Between two classes, as the angle between two directions."""
    return round(math.degrees(math.acos(max(-1, min(1, math.cos(math.radians(5 * (a - b))))))), 6)


def plain(logits, labels):
    """Every metric in plain loops, in degrees."""
    ranked = [(sorted(range(72), key=lambda c: (-row[c], c)), t) for row, t in zip(logits, labels)]
    share = lambda hits: 100 * np.mean(list(hits))  # noqa: E731
    errors = sorted(degrees(best[0], true) for best, true in ranked)
    aside = [(best[0], t) for best, t in ranked if min(degrees(t, 18), degrees(t, 54)) > 10]
    losses = [math.log(sum(map(math.exp, row))) - row[t] for row, t in zip(logits.tolist(), labels)]
    return {
        "loss": np.mean(losses),
        "top1": share(best[0] == true for best, true in ranked),
        "top5_published": share(
            any(degrees(c, true) <= 10 for c in best[:5]) for best, true in ranked
        ),
        "top5": share(true in best[:5] for best, true in ranked),
        "mean_angular_error": sum(errors) / len(errors),
        "median_angular_error": (errors[(len(errors) - 1) // 2] + errors[len(errors) // 2]) / 2,
        "within_5": share(error <= 5 for error in errors),
        "within_10": share(error <= 10 for error in errors),
        "front_back": share(degrees(c, 36 - true) < degrees(c, true) for c, true in aside),
    }


@pytest.mark.parametrize("n, seed, digits", [(1, 3, 9), (50, 1, 9), (400, 0, 9), (400, 0, 0)])
def test_everything_equals_plain_loops(n, seed, digits):
    logits, labels = scene(n, seed)
    logits = np.round(
        logits, digits
    )  # to no digits: a handful of values, so nearly every row has ties
    result, expected = evaluate(logits, labels), plain(logits, labels)
    assert result == pytest.approx(expected, abs=1e-6)
    for kind in (np.int32, np.uint8):
        loss, first, five = (
            float(x) / n for x in jax.jit(batch_counts)(logits, labels.astype(kind))
        )
        assert loss == pytest.approx(expected["loss"], rel=1e-5)  # float32
        assert [100 * first, 100 * five] == pytest.approx(
            [expected["top1"], expected["top5_published"]]
        )
    if n == 400 and digits:  # the scene tells the metrics apart
        shares = {result[name] for name in result if "error" not in name and name != "loss"}
        assert len(shares) == 6 and all(2 < share < 98 for share in shares)
    matrix = np.zeros((72, 72), int)
    np.add.at(matrix, (labels, logits.argmax(1)), 1)
    np.testing.assert_array_equal(metrics.confusion_matrix(logits, labels), matrix)


AXIS = math.nan  # beside the interaural axis front and back are not told apart
BY_HAND = [  # true, estimate, error, confused
    (0, 0, 0, False),
    (0, 355, 5, False),
    (355, 0, 5, False),
    (350, 10, 20, False),
    (10, 350, 20, False),
    (0, 180, 180, True),
    (180, 0, 180, True),
    (90, 270, 180, AXIS),
    (270, 85, 175, AXIS),
    (5, 190, 175, True),
    (45, 90, 45, False),
    (30, 150, 120, True),
    (330, 210, 120, True),
    (150, 30, 120, True),
    (30, 90, 60, False),
    (30, 95, 65, True),
    (30, 85, 55, False),  # 90 is equally far
    (30, 210, 180, True),
    (30, 330, 60, False),  # left taken for right as well, and alone
    (355, 190, 165, True),
    (75, 105, 30, True),
    (105, 80, 25, True),
    (255, 285, 30, True),
    *(
        (t, (540 - t) % 360, abs(2 * t % 360 - 180), AXIS)
        for t in (*range(80, 101, 5), *range(260, 281, 5))
    ),
]


@pytest.mark.parametrize("true, estimate, error, confused", BY_HAND)
def test_angular_error_and_front_back(true, estimate, error, confused):
    logits, labels = peaked(estimate), np.array([true // 5])
    assert angular_error(logits, labels).tolist() == [error]
    assert [metrics.within(logits, labels, limit) for limit in (error, error - 1)] == [100, 0]
    rate = metrics.front_back_confusion_rate
    assert rate(logits, labels) == pytest.approx(100 * confused, nan_ok=True)
    if confused is AXIS:  # left out of count and share alike
        logits = np.concatenate([peaked(0), peaked(180), logits])
        assert rate(logits, np.array([0, 0, true // 5])) == 50


def test_scores_by_snr_are_those_of_each_part():
    logits, labels = scene()
    snr = np.random.default_rng(2).choice([-0.1, 15.0, 19.9, 35.0], len(labels))
    for low, row in zip((-5, 15, 35), metrics.scores_by_snr(logits, labels, snr), strict=True):
        part = (snr >= low) & (snr < low + 5)
        whole = evaluate(logits[part], labels[part]) | {"mixtures": part.sum()}
        assert row == {key: whole.get(key) for key in row} | {
            "snr_from_db": low,
            "snr_to_db": low + 5,
        }


def test_nan_ranks_last_and_large_logits_do_not_overflow():
    result, left = evaluate(np.full((72, 72), np.nan), np.arange(72)), np.array([18])
    assert math.isnan(result["loss"]) and result["top1"] == pytest.approx(100 / 72)  # chance
    one = peaked(90)
    one[0, 3] = np.nan
    assert top1(one, left) == 100 and int(batch_counts(one, left)[1]) == 1
    assert cross_entropy(1000 * peaked(90), left) == 0
    assert cross_entropy(1000 * peaked(90), left - 18) == pytest.approx(18_000)


def test_bad_input_is_refused():
    one, names = (
        (1, 72),
        "evaluate top1 top5 top5_as_published angular_error confusion_matrix cross_entropy",
    )
    bad = [((2, 71), [0, 1]), ((2, 72), [0]), ((72,), 0), ((0, 72), np.zeros(0, int))]
    for shape, labels in [*bad, (one, [72]), (one, [-1]), (one, [0.0])]:
        for name in [*names.split(), "front_back_confusion_rate"]:
            with pytest.raises(ValueError, match="need logits|labels must be"):
                getattr(metrics, name)(np.zeros(shape), np.array(labels))

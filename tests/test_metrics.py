"""The metrics: cases by hand, the seam of the circle, plain loops, symmetries."""

import math

import jax
import numpy as np
import pytest

from ssl_jax.metrics import (
    angular_error,
    batch_counts,
    confusion_matrix,
    cross_entropy,
    evaluate,
    front_back_confusion_rate,
    top1,
    top5,
    top5_as_published,
    within,
)


def peaked(*ranked):
    """Logits whose highest classes are the given ones, best first; the rest far below and equal."""
    logits = np.full((1, 72), -9.0, np.float32)
    for place, azimuth in enumerate(ranked):
        logits[0, azimuth // 5] = 9 - place
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


# ---- plain loops in degrees


def ranking(row):
    return sorted(range(72), key=lambda c: (-row[c], c))


def degrees(a, b):
    """Between two classes, as the angle between two directions."""
    angle = math.radians(5 * (a - b))
    return round(math.degrees(math.acos(max(-1, min(1, math.cos(angle))))), 6)


def plain(logits, labels):
    n = len(labels)
    errors = [degrees(ranking(row)[0], true) for row, true in zip(logits, labels)]
    total, reversed_ = 0, 0
    for row, true in zip(logits, labels):
        if min(degrees(true, 18), degrees(true, 54)) <= 10:
            continue
        total += 1
        reversed_ += degrees(ranking(row)[0], 36 - true) < degrees(ranking(row)[0], true)
    loss = sum(
        math.log(sum(math.exp(v) for v in row)) - row[true] for row, true in zip(logits.tolist(), labels)
    )
    return {
        "loss": loss / n,
        "top1": 100 * sum(ranking(r)[0] == t for r, t in zip(logits, labels)) / n,
        "top5_published": 100
        * sum(any(degrees(c, t) <= 10 for c in ranking(r)[:5]) for r, t in zip(logits, labels))
        / n,
        "top5": 100 * sum(t in ranking(r)[:5] for r, t in zip(logits, labels)) / n,
        "mean_angular_error": sum(errors) / n,
        "median_angular_error": (sorted(errors)[(n - 1) // 2] + sorted(errors)[n // 2]) / 2,
        "within_5": 100 * sum(e <= 5 for e in errors) / n,
        "within_10": 100 * sum(e <= 10 for e in errors) / n,
        "front_back": 100 * reversed_ / total,
    }


@pytest.mark.parametrize("n, seed", [(1, 3), (50, 1), (400, 0)])
def test_evaluate_equals_plain_loops(n, seed):
    logits, labels = scene(n, seed)
    result = evaluate(logits, labels)
    assert result == pytest.approx(plain(logits, labels), abs=1e-6)
    if n == 400:  # the scene tells the metrics apart
        names = ("top1", "top5", "top5_published", "within_5", "within_10", "front_back")
        shares = [result[name] for name in names]
        assert len(set(shares)) == 6 and all(2 < share < 98 for share in shares)


@pytest.mark.parametrize(
    "true, estimate, error",
    [
        (0, 0, 0),
        (0, 355, 5),
        (355, 0, 5),
        (350, 10, 20),
        (10, 350, 20),
        (0, 180, 180),
        (90, 270, 180),
        (5, 190, 175),
        (270, 85, 175),
        (45, 90, 45),
    ],
)
def test_angular_error_goes_the_short_way(true, estimate, error):
    labels = np.array([true // 5])
    assert angular_error(peaked(estimate), labels).tolist() == [error]
    assert within(peaked(estimate), labels, error) == 100
    assert within(peaked(estimate), labels, error - 1) == 0


@pytest.mark.parametrize(
    "ranked, published, standard",
    [
        ((0, 90, 180, 270, 45), True, True),
        ((90, 180, 270, 45, 0), True, True),  # fifth place counts
        ((90, 180, 270, 45, 135, 0), False, False),  # sixth does not
        ((90, 180, 270, 45, 10), True, False),  # two classes away
        ((90, 180, 270, 45, 15), False, False),  # three
        ((90, 180, 270, 45, 350), True, False),  # two classes away over the seam
        ((90, 180, 270, 45, 345), False, False),
    ],
)
def test_both_top_fives_of_a_source_in_front(ranked, published, standard):
    logits, labels = peaked(*ranked), np.array([0])
    assert top5_as_published(logits, labels) == 100 * published
    assert top5(logits, labels) == 100 * standard
    assert [int(x) for x in batch_counts(logits, labels)[1:]] == [ranked[0] == 0, published]


@pytest.mark.parametrize(
    "true, estimate, confused",
    [
        (0, 180, True),
        (180, 0, True),
        (30, 150, True),
        (330, 210, True),
        (150, 30, True),
        (30, 30, False),
        (30, 90, False),
        (30, 95, True),
        (30, 85, False),  # 90 is equally far
        (30, 210, True),
        (30, 330, False),  # left taken for right as well, and alone
        (355, 190, True),
        (5, 350, False),
        (75, 105, True),
        (105, 80, True),
        (255, 285, True),
    ],
)
def test_front_back_by_hand(true, estimate, confused):
    mirror = (180 - true) % 360
    gap = [min(abs(estimate - a) % 360, 360 - abs(estimate - a) % 360) for a in (mirror, true)]
    assert confused == (gap[0] < gap[1])  # the case itself is right
    assert front_back_confusion_rate(peaked(estimate), np.array([true // 5])) == 100 * confused


@pytest.mark.parametrize("true", [80, 85, 90, 95, 100, 260, 265, 270, 275, 280])
def test_sources_near_the_interaural_axis_are_left_out(true):
    alone = front_back_confusion_rate(peaked(180 - true if true < 180 else 540 - true), np.array([true // 5]))
    assert math.isnan(alone)
    logits = np.concatenate([peaked(0), peaked(180), peaked(180 - true)])
    assert front_back_confusion_rate(logits, np.array([0, 0, true // 5])) == 50


def test_confusion_matrix_has_true_classes_in_rows():
    logits, labels = scene()
    matrix = confusion_matrix(logits, labels)
    expected = np.zeros((72, 72), int)
    for row, true in zip(logits, labels):
        expected[true, ranking(row)[0]] += 1
    np.testing.assert_array_equal(matrix, expected)
    assert 100 * np.trace(matrix) / matrix.sum() == top1(logits, labels)


def test_equal_logits_rank_by_class():
    flat = np.zeros((72, 72))
    labels = np.arange(72)
    assert angular_error(flat, labels)[:3].tolist() == [0, 5, 10]  # the estimate is class 0
    assert top5(flat, labels) == pytest.approx(100 * 5 / 72)  # classes 0 to 4
    assert top5_as_published(flat, labels) == pytest.approx(100 * 9 / 72)  # 70 to 6
    assert [int(x) for x in batch_counts(flat, labels)[1:]] == [1, 9]
    assert cross_entropy(flat, labels) == pytest.approx(math.log(72))


def test_ties_among_some_classes_equal_plain_loops():
    logits, labels = scene()
    logits = np.round(logits)  # a handful of values, so nearly every row has ties
    result, expected = evaluate(logits, labels), plain(logits, labels)
    assert result == pytest.approx(expected, abs=1e-6)
    hits = [100 * int(x) / len(labels) for x in batch_counts(logits, labels)[1:]]
    assert hits == pytest.approx([expected["top1"], expected["top5_published"]])


def test_a_diverged_network_scores_by_chance_and_shows_in_the_loss():
    bad = np.full((72, 72), np.nan)
    result = evaluate(bad, np.arange(72))
    assert math.isnan(result["loss"]) and result["top1"] == pytest.approx(100 / 72)
    one = np.concatenate([peaked(90)])
    one[0, 3] = np.nan  # NaN ranks last, not first
    assert top1(one, np.array([18])) == 100 and int(batch_counts(one, np.array([18]))[1]) == 1


def test_large_logits_do_not_overflow():
    assert cross_entropy(1000 * peaked(90), np.array([18])) == 0
    assert cross_entropy(1000 * peaked(90), np.array([0])) == pytest.approx(18_000)


def test_order_of_mixtures_does_not_matter():
    logits, labels = scene()
    order = np.random.default_rng(1).permutation(len(labels))
    assert evaluate(logits[order], labels[order]) == pytest.approx(evaluate(logits, labels))
    shuffled = confusion_matrix(logits[order], labels[order])
    np.testing.assert_array_equal(shuffled, confusion_matrix(logits, labels))


@pytest.mark.parametrize("turn", [1, 18, 36, 71])
def test_turning_the_circle_changes_nothing_but_front_and_back(turn):
    logits, labels = scene()
    turned = evaluate(np.roll(logits, turn, axis=1), (labels + turn) % 72)
    straight = evaluate(logits, labels)
    if turn != 36:  # half a turn keeps the interaural axis in place
        del turned["front_back"], straight["front_back"]
    assert turned == pytest.approx(straight)


@pytest.mark.parametrize("axis", [0, 36], ids=["left-right", "front-back"])
def test_mirroring_the_scene_changes_nothing(axis):
    def mirror(classes):
        return (axis - classes) % 72

    logits, labels = scene()
    mirrored = np.empty_like(logits)
    mirrored[:, mirror(np.arange(72))] = logits
    assert evaluate(mirrored, mirror(labels)) == pytest.approx(evaluate(logits, labels))


@pytest.mark.parametrize("kind", [np.int32, np.uint8])
def test_batch_counts_in_jit_add_up_to_the_metrics(kind):
    logits, labels = scene()
    labels = labels.astype(kind)
    counts = jax.jit(batch_counts)
    loss, first, five = (
        sum(float(x) for x in column)
        for column in zip(*(counts(logits[i : i + 50], labels[i : i + 50]) for i in range(0, 400, 50)))
    )
    assert loss / 400 == pytest.approx(cross_entropy(logits, labels), rel=1e-5)
    assert 100 * first / 400 == pytest.approx(top1(logits, labels))
    assert 100 * five / 400 == pytest.approx(top5_as_published(logits, labels))


@pytest.mark.parametrize(
    "logits, labels",
    [
        (np.zeros((2, 71)), np.array([0, 1])),
        (np.zeros((2, 72)), np.array([0])),
        (np.zeros(72), np.array(0)),
        (np.zeros((0, 72)), np.zeros(0, int)),
        (np.zeros((1, 72)), np.array([72])),
        (np.zeros((1, 72)), np.array([-1])),
        (np.zeros((1, 72)), np.array([0.0])),
    ],
)
def test_bad_input_is_refused(logits, labels):
    for metric in (
        evaluate,
        top1,
        top5,
        top5_as_published,
        angular_error,
        confusion_matrix,
        front_back_confusion_rate,
        cross_entropy,
    ):
        with pytest.raises(ValueError):
            metric(logits, labels)

"""The metrics against plain loops; odd logits; what is refused."""

import math

import jax
import numpy as np
import pytest

from ssl_jax import metrics
from ssl_jax.metrics import Evaluation, batch_counts, cross_entropy, evaluate, top1
from support.made_logits import degrees, peaked, scene

# of float32 sums over a batch
BATCH_TOLERANCE = 1e-5


# ---- against plain loops


def percent(hits):
    return 100 * np.mean(list(hits))


def plain(logits, labels):
    """Every metric in plain loops."""
    ranked = []
    losses = []
    for row, true in zip(logits.tolist(), labels.tolist(), strict=True):
        # among equal logits the lower class first
        ranked.append((sorted(range(72), key=lambda c: (-row[c], c)), true))
        losses.append(math.log(sum(map(math.exp, row))) - row[true])
    errors = sorted(degrees(best[0], true) for best, true in ranked)
    middle = (errors[(len(errors) - 1) // 2] + errors[len(errors) // 2]) / 2
    off_axis = [(best[0], t) for best, t in ranked if min(degrees(t, 18), degrees(t, 54)) > 10]
    near = [any(degrees(c, true) <= 10 for c in best[:5]) for best, true in ranked]
    return {
        "loss": np.mean(losses),
        "top1": percent(best[0] == true for best, true in ranked),
        "top5_published": percent(near),
        "top5": percent(true in best[:5] for best, true in ranked),
        "mean_angular_error": sum(errors) / len(errors),
        "median_angular_error": middle,
        "within_5": percent(error <= 5 for error in errors),
        "within_10": percent(error <= 10 for error in errors),
        "front_back": percent(degrees(c, 36 - t) < degrees(c, t) for c, t in off_axis),
    }


# the last is of a handful of values, so nearly every row has ties
SCENES = [(1, 3, 9), (50, 1, 9), (400, 0, 9), (400, 0, 0)]


@pytest.mark.parametrize("n, seed, digits", SCENES)
def test_evaluation_equals_plain_loops(n, seed, digits):
    logits, labels = scene(n, seed)
    logits = np.round(logits, digits)
    actual = evaluate(Evaluation(logits, labels))
    assert actual == pytest.approx(plain(logits, labels), abs=1e-6)


def test_the_scene_tells_the_metrics_apart():
    scores = evaluate(Evaluation(*scene(400, 0)))
    shares = {scores[name] for name in scores if "error" not in name and name != "loss"}
    assert len(shares) == 6
    assert all(2 < share < 98 for share in shares)


@pytest.mark.parametrize("n, seed, digits", SCENES)
@pytest.mark.parametrize("kind", [np.int32, np.uint8])
def test_counts_of_a_batch_equal_plain_loops(n, seed, digits, kind):
    logits, labels = scene(n, seed)
    logits = np.round(logits, digits)
    expected = plain(logits, labels)
    loss, top1_hits, top5_hits = jax.jit(batch_counts)(logits, labels.astype(kind))
    assert float(loss) / n == pytest.approx(expected["loss"], rel=BATCH_TOLERANCE)
    assert 100 * float(top1_hits) / n == pytest.approx(expected["top1"])
    assert 100 * float(top5_hits) / n == pytest.approx(expected["top5_published"])


# ---- odd logits


def test_unsigned_numbers_do_not_wrap_round():
    assert metrics.degrees_apart(np.uint16(5), np.uint16(355)) == 10
    assert metrics.swapped_class(np.uint8(5)) == 67


def test_an_estimate_of_nan_is_neither_front_nor_back():
    assert metrics.front_back_rate([np.nan, 180], [0, 0]) == 100


def test_nan_ranks_last():
    logits = peaked(90)
    logits[3] = np.nan
    evaluation = Evaluation(logits[None], [18])
    assert top1(evaluation) == 100
    assert int(batch_counts(logits[None], np.array([18]))[1]) == 1


def test_a_network_that_says_nothing_stands_at_chance():
    scores = evaluate(Evaluation(np.full((72, 72), np.nan), np.arange(72)))
    assert math.isnan(scores["loss"])
    assert scores["top1"] == pytest.approx(100 / 72)


def test_large_logits_do_not_overflow():
    logits = 1000 * peaked(90)[None]
    assert cross_entropy(Evaluation(logits, [18])) == 0
    # 9 and -9 thousand
    assert cross_entropy(Evaluation(logits, [0])) == pytest.approx(18_000)


# ---- what is refused


@pytest.mark.parametrize(
    "shape, labels",
    [((2, 71), [0, 1]), ((2, 72), [0]), ((72,), 0), ((0, 72), np.zeros(0, int))],
)
def test_other_shapes_are_refused(shape, labels):
    with pytest.raises(ValueError, match="need logits"):
        Evaluation(np.zeros(shape), labels)


@pytest.mark.parametrize("label", [72, -1, 0.0])
def test_other_labels_are_refused(label):
    with pytest.raises(ValueError, match="labels must be"):
        Evaluation(np.zeros((1, 72)), [label])


def test_labels_may_be_small_numbers():
    """5 times a class is over what uint8 holds."""
    evaluation = Evaluation(peaked(355)[None], np.array([71], np.uint8))
    assert metrics.angular_error(evaluation).tolist() == [0]
    assert metrics.front_back_confusion_rate(evaluation) == 0

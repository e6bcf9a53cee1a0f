"""Learning rates, targets and what a trainer predicts."""

import numpy as np
import pytest

from ssl_jax.runs import RUNS
from ssl_jax.training.microphones import Microphones
from ssl_jax.training.trainer import Trainer, learning_rates, predict_all, target_table

# of learning rates: three digits are published
RATE_TOLERANCE = 5e-4
# of float32 logits near 1, whose sums a CPU orders by their place in the batch
LOGIT_TOLERANCE = 1e-5
# of float32 sums of 72 shares
SUM_TOLERANCE = 1e-6


@pytest.mark.parametrize(
    "run, steps_per_epoch, wanted",
    [
        # published: 1e-3 at epochs 17 and 18, which each start afresh, 9.94e-4 at 19, 9.76e-4 at 20
        ("model2_continued", 10, {0: 1e-3, 9: 1e-3, 10: 9.94e-4, 20: 9.76e-4, 200: 1e-6}),
        # constant
        ("model2", 10, {0: 2e-3, 123: 2e-3}),
        # a linear warm-up of half an epoch, and a cosine step by step
        ("ours", 100, {0: 2e-4, 25: 1.1e-3, 50: 2e-3, 2000: 1e-6}),
    ],
)
def test_learning_rates(run, steps_per_epoch, wanted):
    rates = learning_rates(RUNS[run], steps_per_epoch)
    actual = [float(rates(step)) for step in wanted]
    assert actual == pytest.approx(list(wanted.values()), rel=RATE_TOLERANCE)


def test_a_cosine_after_a_warm_up_falls_at_every_step():
    rates = learning_rates(RUNS["ours"], 100)
    assert 1e-6 < float(rates(1000)) < float(rates(999))


def test_the_published_continuation_starts_afresh_twice():
    assert RUNS["model2_continued"].restart_epochs == (17, 18)


def test_targets_are_shares():
    np.testing.assert_allclose(target_table(5.0).sum(1), 1, rtol=SUM_TOLERANCE)


def test_targets_are_the_same_for_every_class():
    table = target_table(5.0)
    np.testing.assert_allclose(table, np.roll(table, (1, 1), (0, 1)), atol=1e-9)


def test_targets_are_spread_round_the_circle():
    table = target_table(5.0)
    # one standard deviation away on both sides of class 0
    assert table[0, 1] == table[0, 71]
    assert table[0, 1] == pytest.approx(table[0, 0] * np.exp(-0.5), rel=1e-5)


def test_predictions_come_in_the_order_asked_for(tiny, mixtures):
    trainer = Trainer(tiny, 1, mixtures.front)
    numbers = np.array([75, 3, 140])
    evaluation = predict_all(trainer, mixtures, numbers)
    assert evaluation.labels.tolist() == [3, 3, 68]
    backwards = predict_all(trainer, mixtures, numbers[::-1]).logits[::-1]
    np.testing.assert_allclose(evaluation.logits, backwards, atol=LOGIT_TOLERANCE)


def test_predictions_through_unlike_microphones_differ(tiny, mixtures):
    trainer = Trainer(tiny, 1, mixtures.front)
    numbers = np.arange(3)
    plain = predict_all(trainer, mixtures, numbers)
    changed = predict_all(trainer, mixtures, numbers, Microphones(ild_db=2.0))
    assert not np.array_equal(plain.logits, changed.logits)

"""Learning rates, targets, unlike microphones and what a trainer predicts."""

import jax
import numpy as np
import pytest

from ssl_jax.runs import RUNS
from ssl_jax.training.trainer import (
    Microphones,
    Trainer,
    colour_maps,
    learning_rates,
    predict_all,
    target_table,
)

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


@pytest.fixture(scope="module")
def added():
    """What microphones that differ by 1 dB add to 2000 mixtures of silent maps."""
    cues = jax.numpy.zeros((2000, 4, 32, 2), "float16")
    return np.asarray(colour_maps(cues, Microphones(ild_db=1.0), jax.random.key(0)), np.float64)


def test_unlike_microphones_change_ilds_alone(added):
    assert not added[:, [0, 2, 3]].any()
    assert added[:, 1].any()


def test_unlike_microphones_do_not_change_over_time(added):
    assert (added[..., 0] == added[..., 1]).all()


def test_unlike_microphones_have_the_spread_asked_for(added):
    # 8000 draws: the deviation of their root mean square is 0.8 %
    assert np.sqrt(np.mean(added[:, 1] ** 2)) == pytest.approx(1, rel=0.05)


def test_unlike_microphones_leave_the_mean_over_channels(added):
    # in float16 its steps near 3 dB are 2e-3
    assert np.abs(added.mean((2, 3))).max() < 2e-3


def test_curved_microphones_change_levels_alone():
    cues = jax.numpy.zeros((2000, 4, 32, 2), "float16")
    added = np.asarray(colour_maps(cues, Microphones(level_db=3.0), jax.random.key(0)), np.float64)
    assert not added[:, :3].any()
    assert np.sqrt(np.mean(added[:, 3] ** 2)) == pytest.approx(3, rel=0.05)


def test_unlike_microphones_are_others_for_another_key(added):
    cues = jax.numpy.zeros((2000, 4, 32, 2), "float16")
    other = np.asarray(colour_maps(cues, Microphones(ild_db=1.0), jax.random.key(1)), np.float64)
    assert not np.array_equal(added, other)


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

"""Metrics of cases by hand: angular errors, front and back, tables."""

import math

import numpy as np
import pytest

from ssl_jax import metrics
from ssl_jax.metrics import Evaluation
from support.made_logits import degrees, heard, peaked, scene

# front and back are not told apart beside the interaural axis
AXIS = None
BY_HAND = [
    # true, estimate, error, confused
    (0, 0, 0, False),
    (0, 355, 5, False),
    (355, 0, 5, False),
    (350, 10, 20, False),
    (10, 350, 20, False),
    (0, 180, 180, True),
    (180, 0, 180, True),
    (5, 190, 175, True),
    (45, 90, 45, False),
    (30, 150, 120, True),
    (330, 210, 120, True),
    (150, 30, 120, True),
    (355, 190, 165, True),
    (75, 105, 30, True),
    (105, 80, 25, True),
    (255, 285, 30, True),
    # 90 is equally far from 30 and its image, 150
    (30, 85, 55, False),
    (30, 90, 60, False),
    (30, 95, 65, True),
    # left taken for right as well, and alone
    (30, 210, 180, True),
    (30, 330, 60, False),
    # up to 10 degrees from the axis
    (90, 270, 180, AXIS),
    (270, 85, 175, AXIS),
    (80, 100, 20, AXIS),
    (85, 95, 10, AXIS),
    (95, 85, 10, AXIS),
    (100, 80, 20, AXIS),
    (260, 280, 20, AXIS),
    (280, 260, 20, AXIS),
]


@pytest.mark.parametrize("true, estimate, error, confused", BY_HAND)
def test_angular_error(true, estimate, error, confused):
    evaluation = heard((true, estimate))
    assert metrics.angular_error(evaluation).tolist() == [error]
    assert metrics.within(evaluation, error) == 100
    assert metrics.within(evaluation, error - 1) == 0
    assert metrics.degrees_apart(true, estimate) == error


@pytest.mark.parametrize("true, estimate, error, confused", BY_HAND)
def test_front_back_confusion(true, estimate, error, confused):
    # one right, one confused, and the case
    evaluation = heard((0, 0), (0, 180), (true, estimate))
    if confused is AXIS:
        expected = 100 * 1 / 2
    else:
        expected = 100 * (1 + confused) / 3
    assert metrics.front_back_confusion_rate(evaluation) == pytest.approx(expected)
    rate = metrics.front_back_rate([0, 180, estimate], [0, 0, true])
    assert rate == pytest.approx(expected)


def test_front_back_rate_of_azimuths_between_classes():
    # 12.5 and 10.01 degrees from the axis count, 9.99 do not; images at 102.5 and 100.01
    assert metrics.front_back_rate([99.0, 81.0], [77.5, 79.99]) == 50
    assert math.isnan(metrics.front_back_rate([99.0], [80.01]))


def test_front_back_is_not_known_where_no_source_counts():
    assert math.isnan(metrics.front_back_confusion_rate(heard((90, 90), (270, 0))))


def test_frontal_rmse_is_of_sources_in_front():
    """10 and 350 for 0 and 20 degrees, 90 for 90; the source at 95 does not count."""
    rmse = metrics.frontal_rmse([10, 350, 90, 0], [0, 20, 90, 95])
    assert rmse == pytest.approx(((10**2 + 30**2) / 3) ** 0.5)
    assert math.isnan(metrics.frontal_rmse([0], [180]))


def test_the_frontal_half_has_the_sides():
    assert metrics.in_front([0, 90, 270, -90, 91, 269, 180]).tolist() == 4 * [True] + 3 * [False]


def test_two_ways_to_count_top5_by_hand():
    """Five classes: the true one ranks fifth, is two classes off, three off, across the seam."""
    far = (90, 100, 110, 120)
    logits = np.stack([peaked(*far, estimate) for estimate in (200, 210, 215, 355)])
    evaluation = Evaluation(logits, np.array([200, 200, 200, 5]) // 5)
    assert metrics.top5(evaluation) == 25
    assert metrics.top5_as_published(evaluation) == 75


def test_loss_by_hand():
    """The logit of one class is ln 71 above 71 equal ones: it has half of the posterior."""
    logits = np.zeros((1, 72))
    logits[0, 3] = math.log(71)
    assert metrics.cross_entropy(Evaluation(logits, [3])) == pytest.approx(math.log(2))


@pytest.mark.parametrize("a, b, wanted", [(0, 71, 1), (71, 0, 1), (0, 36, 36), (10, 50, 32)])
def test_classes_apart_the_short_way_round(a, b, wanted):
    assert metrics.class_distance(a, b) == wanted


def test_the_table_of_distances_is_that_of_pairs():
    table = metrics.class_distances_degrees()
    assert table.shape == (72, 72)
    for a, b in ((0, 0), (0, 1), (0, 71), (3, 40), (70, 2)):
        assert table[a, b] == pytest.approx(degrees(a, b))


def test_degrees_apart_of_many():
    apart = metrics.degrees_apart([0.0, 10.0, 350.0, -10.0], 359.5)
    np.testing.assert_allclose(apart, [0.5, 10.5, 9.5, 9.5])


# ---- tables


def test_confusion_matrix_has_the_truth_in_rows():
    counts = metrics.confusion_matrix(heard((0, 180), (0, 180), (355, 0)))
    assert counts[0, 36] == 2
    assert counts[71, 0] == 1
    assert counts.sum() == 3


def test_scores_by_snr_by_hand():
    """Ranges of 5 dB hold their lower end; the empty ones between are left out."""
    evaluation = heard((0, 0), (0, 10), (0, 180), (45, 45), (45, 45))
    rows = metrics.scores_by_snr(evaluation, np.array([-0.1, -5.0, 15.0, 19.9, 15.0]))
    assert rows == [
        {
            "snr_from_db": -5,
            "snr_to_db": 0,
            "mixtures": 2,
            "top1": 50,
            "mean_angular_error": 5,
            "front_back": 0,
        },
        {
            "snr_from_db": 15,
            "snr_to_db": 20,
            "mixtures": 3,
            "top1": pytest.approx(200 / 3),
            "mean_angular_error": 60,
            "front_back": pytest.approx(100 / 3),
        },
    ]


def test_scores_by_snr_in_ranges_of_another_width():
    rows = metrics.scores_by_snr(heard((0, 0), (0, 0)), np.array([1.0, 11.0]), width=10)
    assert [(row["snr_from_db"], row["snr_to_db"]) for row in rows] == [(0, 10), (10, 20)]


def test_error_by_azimuth_by_hand():
    counts = np.zeros((72, 72), int)
    # class 0: three right, one opposite
    counts[0, 0] = 3
    counts[0, 36] = 1
    # class 71, at 355 degrees: one at 5
    counts[71, 1] = 1
    errors = metrics.error_by_azimuth(counts)
    assert errors[0] == 45
    assert errors[71] == 10
    # without mixtures
    assert not errors[1:71].any()


def test_error_by_azimuth_is_the_mean_error_of_each_class():
    evaluation = Evaluation(*scene(400, 0))
    errors = metrics.error_by_azimuth(metrics.confusion_matrix(evaluation))
    for label in (0, 17, 71):
        part = evaluation.part(evaluation.labels == label)
        assert errors[label] == pytest.approx(metrics.angular_error(part).mean())

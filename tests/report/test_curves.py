"""Training curves: what is drawn is what the logs say."""

import numpy as np
import pytest

from ssl_jax.report.curves import BEGINNINGS, PARTS, seeds_text, training_curves
from ssl_jax.report.style import plt
from support.artists import check_filled, labels_of, points_of
from support.made_logs import OURS, OURS_WITH_LAST, row_of, write_log

LAST = [1.25, 55.5, 97.0]  # loss, Top-1 and Top-5 of the last clips


@pytest.fixture
def results(results):
    """Model 1 of two seeds; Model 2 to epoch 17, and its continuation from epoch 16."""
    higher = [row_of(epoch, 2.25) for epoch in (1, 2, 3)]
    write_log(results / "mine/model1_seed1.csv", OURS, *higher)
    write_log(results / "mine/model2.csv", OURS, *(row_of(epoch) for epoch in (15, 16, 17)))
    continued = [[*row_of(epoch, 0.5), *LAST] for epoch in (17, 18)]
    write_log(results / "mine/model2_continued.csv", OURS_WITH_LAST, *continued)
    yield results
    plt.close("all")


@pytest.fixture
def model1(results):
    return training_curves(results, "mine", ["model1"])


@pytest.fixture
def model2(results):
    return training_curves(results, "mine", ["model2", "model2_continued"])


def test_lines_are_the_mean_over_seeds(model1):
    top1, top5, loss = model1.axes
    # a seed is 0.25 above the epoch's number, the other 2.25
    assert points_of(top1, "ours, held out") == [(1, 22.25), (2, 23.25), (3, 24.25)]
    assert points_of(top1, "ours, training") == [(1, 12.25), (2, 13.25), (3, 14.25)]
    assert points_of(top5, "ours, held out") == [(1, 82.25), (2, 83.25), (3, 84.25)]
    assert points_of(loss, "ours, training") == [(1, 4.25), (2, 4.25), (3, 4.25)]


def test_the_band_is_the_range_of_seeds(model1):
    bands = model1.axes[0].collections
    assert len(bands) == 2  # training, held out
    heights = bands[1].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (21.25, 25.25)


def test_points_are_the_reported_epochs(model1):
    top1, top5, loss = model1.axes
    assert points_of(top1, "reported, held out") == [(1, 21), (2, 22)]
    assert points_of(top5, "reported, training") == [(1, 71), (2, 72)]
    assert points_of(loss, "reported, held out") == [(1, 2.5), (2, 2.5)]


def test_a_part_has_one_colour_and_a_marker_of_its_own(model2):
    lines = {line.get_label(): line for line in model2.axes[0].lines}
    for part in PARTS.values():
        assert lines[f"ours, {part.label}"].get_color() == part.colour
    assert lines["reported, last clips"].get_color() == lines["ours, last clips"].get_color()
    looks = [(part.colour, part.line, part.marker) for part in PARTS.values()]
    assert all(len(set(look)) == len(PARTS) for look in zip(*looks, strict=True))


def test_the_legend_names_each_part_once(model1, model2):
    texts = [text.get_text() for text in model1.legends[0].get_texts()]
    assert texts == ["ours, training", "reported, training", "ours, held out", "reported, held out"]
    texts = [text.get_text() for text in model2.legends[0].get_texts()]
    assert texts[4:] == ["ours, last clips", "reported, last clips"]
    assert len(texts) == len(set(texts)) < len(labels_of(model2.axes[0]))


def test_the_beginning_of_the_continuation_is_marked_and_named(model1, model2):
    for axis in model2.axes:
        assert [text.get_text() for text in axis.texts] == [BEGINNINGS["model2_continued"]]
        assert any(np.array_equal(line.get_xdata(), [16.5, 16.5]) for line in axis.lines)
    assert not any(axis.texts for axis in model1.axes)


def test_a_continuation_is_joined_to_the_epoch_that_it_goes_on_from(model2):
    joints = [line for line in model2.axes[0].lines if list(line.get_xdata()) == [16, 17]]
    # training and held out; the last clips were not evaluated before
    assert [list(line.get_ydata()) for line in joints] == [[26, 27.5], [36, 37.5]]


def test_no_panel_is_empty_and_the_title_counts_seeds(model1, model2):
    check_filled(model1)
    check_filled(model2)
    assert model1.get_suptitle() == "Model 1, protocol mine: mean and range of 2 seeds"


def test_epochs_that_were_reported_in_part_are_drawn_where_they_are(results):
    row = "epoch,train_top1,eval_top1\n17,60.1,63.7\n18,,64.9\n"
    (results / "reported/model2_continued.csv").write_text(row)
    top1 = training_curves(results, "mine", ["model2", "model2_continued"]).axes[0]
    assert points_of(top1, "reported, last clips") == [(17, 63.7), (18, 64.9)]
    lines = [line for line in top1.lines if line.get_label() == "reported, training"]
    assert [list(line.get_xdata()) for line in lines] == [[5], [17]]  # Model 2's, and this one


@pytest.mark.parametrize(
    "counts, wanted",
    [
        ([1], "1 seed"),
        ([3], "mean and range of 3 seeds"),
        ([1, 3], "mean and range of 1 to 3 seeds"),
    ],
)
def test_seeds_in_words(counts, wanted):
    assert seeds_text(counts) == wanted

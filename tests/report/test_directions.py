"""Confusion, recall and errors over azimuth: what is drawn is what the counts say."""

import numpy as np
import pytest

from ssl_jax.report.directions import RIM, confusion, errors, off_plane_azimuths, recall
from ssl_jax.report.style import plt
from support.artists import check_filled, points_of
from support.runs import refuses

CLOSE = 1e-9  # sums of a few decimals


@pytest.fixture
def folder(tmp_path):
    yield tmp_path / "mine"
    plt.close("all")


def write_counts(folder, name, counts):
    folder.mkdir(parents=True, exist_ok=True)
    np.savetxt(folder / f"{name}_confusion.csv", counts, fmt="%d", delimiter=",")


def right_but_for(wrong):
    """Counts (72, 72) of four mixtures an azimuth, all right, but for {true: estimated} classes."""
    counts = 4 * np.eye(72, dtype=int)
    for true, estimated in wrong.items():
        counts[true] = 0
        counts[true, estimated] = 4
    return counts


def write_by_snr(folder, run, rows):
    lines = ["snr_from_db,snr_to_db,mean_angular_error", *rows]
    (folder / f"{run}_by_snr.csv").write_text("\n".join(lines) + "\n")


def test_confusion_shows_shares_of_each_true_azimuth(folder):
    counts = right_but_for({})
    counts[3] = 0
    counts[3, [3, 33]] = (1, 3)  # 15 degrees: three of four taken for 165
    write_counts(folder, "model1", counts)
    figure = confusion(folder.parent, "mine", "model1")
    check_filled(figure)
    (image,) = figure.axes[0].images
    shares = np.ma.filled(image.get_array(), 0.0)
    assert (shares[3, 3], shares[3, 33], shares[33, 33]) == (25, 75, 100)
    assert shares.sum(axis=1) == pytest.approx(np.full(72, 100), abs=CLOSE)
    assert np.ma.getmaskarray(image.get_array()).sum() == 72 * 72 - 73  # no share is no colour
    assert "288 held-out mixtures" in figure.axes[0].get_title()


def test_a_damaged_confusion_matrix_is_refused(folder):
    folder.mkdir()
    (folder / "model1_confusion.csv").write_text("1,2\n3,4\n")
    refuses("model1_confusion.csv: is not 72 x 72", confusion, folder.parent, "mine", "model1")


def test_recall_stands_beside_the_reported(folder):
    write_counts(folder, "model2_to40_last", right_but_for({2: 4, 3: 4}))
    (folder.parent / "reported").mkdir()
    rows = "".join(f"{5 * k},0.{k:02}\n" for k in range(72))
    (folder.parent / "reported/epoch39_by_class.csv").write_text("azimuth,recall\n" + rows)
    figure = recall(folder.parent, "mine")
    check_filled(figure)
    ours = dict(points_of(figure.axes[0], "ours, epoch 40"))
    assert [azimuth for azimuth, share in ours.items() if share == 0] == [10, 15]
    assert list(ours) == list(range(0, 360, 5)) and set(ours.values()) == {0, 100}
    reported = dict(points_of(figure.axes[0], "reported, epoch 39"))
    assert reported[355] == pytest.approx(71) and list(reported) == list(ours)


def test_a_third_of_the_published_azimuths_are_off_the_plane():
    azimuths = off_plane_azimuths()
    assert len(azimuths) == 24
    assert {0, 70, 90, 180} < set(azimuths.tolist()) and 5 not in azimuths


def numbers_at_rim(axis):
    """The texts about a polar axis by their azimuth in degrees."""
    return {round(np.degrees(text.get_position()[0])): text.get_text() for text in axis.texts}


def test_errors_end_at_the_rim_and_larger_ones_are_numbers(folder):
    write_counts(folder, "model2", right_but_for({0: 36, 2: 4}))  # 180 and 10 degrees off
    write_by_snr(folder, "model2", ["15,20,7", "20,25,4.5"])
    figure = errors(folder.parent, "mine", ["model2"])
    check_filled(figure)
    around, along = figure.axes
    curve, at_rim = around.lines
    wanted = np.zeros(73)
    wanted[[0, 72, 2]] = (RIM, RIM, 10)
    assert curve.get_ydata() == pytest.approx(wanted, abs=CLOSE)
    assert at_rim.get_xydata().tolist() == [[0, RIM]]
    assert around.get_ylim() == (0, RIM)
    assert numbers_at_rim(around) == {0: "180"}
    assert points_of(along, "Model 2") == [(17.5, 7), (22.5, 4.5)]
    levels = [segment.tolist() for segment in along.collections[0].get_segments()]
    assert levels == [[[15, 7], [20, 7]], [[20, 4.5], [25, 4.5]]]


def test_runs_are_told_apart_by_colour_and_marker(folder):
    for run in ("model2", "ours"):
        write_counts(folder, run, right_but_for({}))
        write_by_snr(folder, run, ["15,20,7"])
    figure = errors(folder.parent, "mine", ["model2", "ours"])
    first, second = figure.axes[1].lines
    assert first.get_color() != second.get_color()
    assert first.get_marker() != second.get_marker()
    assert numbers_at_rim(figure.axes[0]) == {}


def test_numbers_of_two_runs_stand_apart(folder):
    for run, estimated in (("model2", 36), ("ours", 18)):
        write_counts(folder, run, right_but_for({0: estimated}))
        write_by_snr(folder, run, ["15,20,7"])
    figure = errors(folder.parent, "mine", ["model2", "ours"])
    first, second = figure.axes[0].texts
    assert (first.get_text(), second.get_text()) == ("180", "90")
    assert RIM < first.get_position()[1] < second.get_position()[1]

"""Figures: drawn from logs and from the front-end, in colour, and always the same bytes."""

import shutil

import matplotlib.image
import numpy as np
import pytest

from ssl_jax.config import FrontEnd, experiment
from ssl_jax.report.figures import (
    confusion,
    draw_all,
    errors,
    recall,
    scene,
    surround,
    training_curves,
)
from support.runs import refuses

LOG = "epoch,epochs,train_loss,train_top1,train_top5,eval_loss,eval_top1,eval_top5,eval_top5_standard,"
LOG += (
    "eval_mean_angular_error\n{0},20,3.0,10,50,2.9,12,55,40,30\n{1},20,2.5,20,60,2.4,22,65,50,20\n"
)


@pytest.fixture
def results(tmp_path):
    """Two epochs of each run, ours and reported."""
    for folder in ("reported", "ours"):
        (tmp_path / folder).mkdir()
        for run, first in (("model1", 1), ("model2", 1), ("model2_continued", 3)):
            (tmp_path / folder / f"{run}.csv").write_text(LOG.format(first, first + 1))
            np.savetxt(
                tmp_path / folder / f"{run}_confusion.csv", 3 * np.eye(72), fmt="%d", delimiter=","
            )
    return tmp_path


def check(draw, *args):
    """The picture is drawn, wide, and not of one colour; its bytes."""
    path = args[-1]
    draw(*args)
    picture = matplotlib.image.imread(path)
    assert picture.shape[1] > 500 and picture[..., :3].std() > 0.05
    return path.read_bytes()


def test_every_figure_is_drawn_and_the_same_twice(results):
    first = check(confusion, results, "ours", "model1", results / "a.png")
    assert (
        check(confusion, results, "ours", "model1", results / "b.png") == first
    )  # same figure, same bytes
    in_part = (
        "epoch,train_top1,eval_top1\n40,60.1,63.7\n58,,64.9\n"  # as later epochs were reported
    )
    for reported in (LOG.format(3, 4), in_part):
        (results / "reported/model2_continued.csv").write_text(reported)
        check(
            training_curves, results, "ours", ["model2", "model2_continued"], results / "curves.png"
        )
    shutil.copy(
        results / "ours/model1_confusion.csv", results / "ours/model2_to40_last_confusion.csv"
    )
    rows = "".join(f"{5 * k},0.{k:02}\n" for k in range(72))
    (results / "reported/epoch39_by_class.csv").write_text("azimuth,recall\n" + rows)
    check(recall, results, "ours", results / "recall.png")
    by_snr = "snr_from_db,snr_to_db,mean_angular_error\n15,20,7\n20,25,4.5\n"
    for run in ("model1", "model2"):
        (results / f"ours/{run}_by_snr.csv").write_text(by_snr)
    check(errors, results, "ours", ["model1", "model2"], results / "errors.png")
    for draw in (surround, scene):
        check(draw, FrontEnd(hop=882), results / f"{draw.__name__}.png")


def test_damaged_confusion_and_missing_logs_are_refused(results, tmp_path):
    for text in ("", "1,2\n3,4\n", "a,b\n", "1,2\n3\n"):
        (results / "ours/model1_confusion.csv").write_text(text)
        refuses(
            "model1_confusion.csv", confusion, results, "ours", "model1", results / "confusion.png"
        )
    refuses(
        "run the train stage first", draw_all, tmp_path / "none", experiment(), tmp_path / "figures"
    )

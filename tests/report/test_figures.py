import matplotlib.image
import numpy as np
import pytest

from ssl_jax.common.errors import InputError
from ssl_jax.config import FrontEnd, experiment
from ssl_jax.report.figures import confusion, draw_all, errors, scene, surround, training_curves

LOG = (
    "epoch,epochs,train_loss,train_top1,train_top5,eval_loss,eval_top1,eval_top5\n"
    "{0},20,3.0,10,50,2.9,12,55\n{1},20,2.5,20,60,2.4,22,65\n"
)


@pytest.fixture
def results(tmp_path):
    """Two epochs of each run, ours and reported."""
    for folder in ("reported", "ours"):
        (tmp_path / folder).mkdir()
        for run, first in (("model1", 1), ("model2", 1), ("model2_continued", 3)):
            (tmp_path / folder / f"{run}.csv").write_text(LOG.format(first, first + 1))
            np.savetxt(tmp_path / folder / f"{run}_confusion.csv", 3 * np.eye(72), fmt="%d", delimiter=",")
    return tmp_path


def coloured(path):
    """The picture is there, wide, and not of one colour."""
    picture = matplotlib.image.imread(path)
    return picture.shape[1] > 500 and picture[..., :3].std() > 0.05


def test_curves_and_confusion_need_only_the_logs(results):
    training_curves(results, "ours", ["model2", "model2_continued"], results / "curves.png")
    confusion(results, "ours", "model1", results / "confusion.png")
    assert coloured(results / "curves.png") and coloured(results / "confusion.png")


def test_errors_over_azimuth_and_snr(results):
    for run in ("model1", "model2"):
        (results / f"ours/{run}_by_snr.csv").write_text(
            "snr_from_db,snr_to_db,mean_angular_error\n15,20,7\n20,25,4.5\n"
        )
    errors(results, "ours", ["model1", "model2"], results / "errors.png")
    assert coloured(results / "errors.png")


def test_what_was_reported_in_part_is_drawn(results):
    (results / "reported/model2_continued.csv").write_text(
        "epoch,train_top1,eval_top1\n40,60.1,63.7\n58,,64.9\n"
    )
    training_curves(results, "ours", ["model2", "model2_continued"], results / "curves.png")
    assert coloured(results / "curves.png")


def test_same_figure_same_bytes(results):
    for name in ("a.png", "b.png"):
        confusion(results, "ours", "model1", results / name)
    assert (results / "a.png").read_bytes() == (results / "b.png").read_bytes()


def test_front_end_figures(tmp_path):
    front = FrontEnd(hop=882)
    surround(front, tmp_path / "surround.png")
    scene(front, tmp_path / "scene.png")
    assert coloured(tmp_path / "surround.png") and coloured(tmp_path / "scene.png")


@pytest.mark.parametrize("text", ["", "1,2\n3,4\n", "a,b\n", "1,2\n3\n"])
def test_damaged_confusion_is_refused(results, text):
    (results / "ours/model1_confusion.csv").write_text(text)
    with pytest.raises(InputError, match="model1_confusion.csv"):
        confusion(results, "ours", "model1", results / "confusion.png")


def test_figures_without_logs_are_refused(tmp_path):
    with pytest.raises(InputError, match="run the train stage first"):
        draw_all(tmp_path, experiment(), tmp_path / "figures")

"""Which figures are drawn of an experiment, and how they are written."""

import numpy as np
import pytest

from ssl_jax.experiments import experiment
from ssl_jax.report import figures
from ssl_jax.report.figures import draw_all, drawings_of
from ssl_jax.report.style import cue_map, plt, save_figure, write_figure
from support.made_logs import OURS, row_of, write_log
from support.runs import refuses

CFS = np.array([4000.0, 1000.0, 250.0])  # Hz


@pytest.fixture
def trained(tmp_path):
    """Logs of the usual runs of the published protocol."""
    for run in ("model1", "model2", "model2_continued"):
        write_log(tmp_path / f"published/{run}.csv", OURS, row_of(1))
    yield tmp_path
    plt.close("all")


def names_of(results):
    return [drawing.name for drawing in drawings_of(results, experiment())]


def test_every_run_has_its_figures(trained):
    assert names_of(trained) == [
        "training_model1",
        "training_model2",
        "confusion_model1",
        "confusion_model2",
        "confusion_model2_continued",
        "surround",
        "scene_snr",
    ]


def test_what_was_measured_beyond_that_is_drawn_too(trained):
    folder = trained / "published"
    for name in ("model2_by_snr", "model2_to40_last_confusion"):
        (folder / f"{name}.csv").write_text("")
    assert names_of(trained)[-4:] == ["errors", "recall_model2_to40", "surround", "scene_snr"]


def test_the_curves_of_a_continuation_stand_beside_those_it_goes_on_from():
    runs = figures.curves_of(["model1", "model2", "model2_to40", "ours"])
    assert runs == [["model1"], ["model2", "model2_to40"]]


def test_part_of_the_runs_has_its_own_curves(tmp_path):
    assert figures.curves_of(["model2"]) == [["model2"]]
    assert figures.curves_of(["ours", "ours_mirrored"]) == [["ours"], ["ours_mirrored"]]
    write_log(tmp_path / "published/ours.csv", OURS, row_of(1))
    assert names_of(tmp_path)[:2] == ["training_ours", "confusion_ours"]


def test_without_the_logs_nothing_is_drawn(tmp_path):
    refuses("run the train stage first", drawings_of, tmp_path, experiment())


@pytest.mark.parametrize("formats", [("png",), ("png", "pdf")])
def test_each_figure_is_written_in_each_format(trained, monkeypatch, formats):
    def draw():
        return plt.figure()

    drawings = [figures.Drawing("a", draw), figures.Drawing("b", draw)]
    monkeypatch.setattr(figures, "drawings_of", lambda *_: drawings)
    draw_all(trained, experiment(), trained / "figures", formats)
    names = sorted(path.name for path in (trained / "figures/published").iterdir())
    assert names == sorted(f"{name}.{kind}" for name in "ab" for kind in formats)
    assert plt.get_fignums() == []


@pytest.mark.parametrize("kind", ["png", "pdf", "svg"])
def test_the_same_figure_gives_the_same_bytes(tmp_path, kind):
    figure, axis = plt.subplots()
    axis.plot([1, 2], [3, 4])
    for name in ("first", "second"):
        write_figure(figure, tmp_path / f"{name}.{kind}")
    plt.close(figure)
    first, second = sorted(path.read_bytes() for path in tmp_path.iterdir())
    assert first == second and len(first) > 1000


def test_a_saved_figure_is_closed_and_another_kind_refused(tmp_path):
    figure = plt.figure()
    save_figure(figure, tmp_path / "a.png")
    assert plt.get_fignums() == []
    refuses("not a name for a picture", write_figure, figure, tmp_path / "a.bmp")


def test_a_cue_map_has_low_frequencies_at_the_bottom_and_masks_what_is_none():
    figure, axis = plt.subplots()
    values = np.array([[1.0, 2.0], [3.0, np.nan], [5.0, 6.0]])
    image = cue_map(axis, values, CFS, 2.0, (0, 6), "magma")
    drawn = image.get_array()
    assert drawn[0].tolist() == [5, 6] and drawn[2].tolist() == [1, 2]
    assert np.ma.getmaskarray(drawn).tolist() == [[False] * 2, [False, True], [False] * 2]
    assert image.get_extent() == [0, 2.0, -0.5, 2.5]
    ticks = dict(
        zip([text.get_text() for text in axis.get_yticklabels()], axis.get_yticks(), strict=True)
    )
    assert ticks["1k"] == pytest.approx(1) and ticks["4k"] == pytest.approx(2)
    assert "8k" not in ticks
    plt.close(figure)

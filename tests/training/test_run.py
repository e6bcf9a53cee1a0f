"""Training runs: they learn, write what they promise, and go on to the same bytes."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from ssl_jax.config import Training
from ssl_jax.database.manifest import Manifest
from ssl_jax.networks.array_file import read_arrays
from ssl_jax.training.checkpoints import checkpoint_path, load_checkpoint
from ssl_jax.training.context import RunFolders, weights_path
from ssl_jax.training.log import read_log
from ssl_jax.training.run import draw_swapped, short_windows, train
from support.runs import outputs, refuses

# of the log's losses and shares: half of the last decimal it gives
LOG_TOLERANCE = 0.006


@pytest.fixture(scope="module")
def learnt(tmp_path_factory, tiny, mixtures):
    """A run of twelve epochs: its folders and final metrics."""
    folder = tmp_path_factory.mktemp("learnt")
    folders = RunFolders(folder / "w", folder / "r")
    metrics = train("m", replace(tiny, epochs=12, learning_rate=3e-3), mixtures, folders)
    return folders, metrics


def test_it_learns(learnt):
    rows = read_log(learnt[0].results / "m.csv")
    assert [row["epoch"] for row in rows] == list(range(1, 13))
    assert rows[-1]["train_loss"] < rows[0]["train_loss"] / 1.5
    assert {row["learning_rate"] for row in rows} == {3e-3}


def test_it_writes_what_it_promises(learnt):
    names = {"m.csv", "m.log", "m_confusion.csv", "m_epoch12.safetensors"}
    assert set(outputs(learnt[0].results)) == names


def test_log_and_metrics_are_of_the_same_weights(learnt):
    folders, metrics = learnt
    last = read_log(folders.results / "m.csv")[-1]
    assert last["eval_top1"] == pytest.approx(metrics["top1"], abs=LOG_TOLERANCE)
    assert last["eval_loss"] == pytest.approx(metrics["loss"], abs=LOG_TOLERANCE)


def test_the_confusion_matrix_is_of_the_held_out_mixtures(learnt):
    folders, metrics = learnt
    counts = np.loadtxt(folders.results / "m_confusion.csv", delimiter=",")
    assert counts.sum() == 16
    assert 100 * np.trace(counts) / 16 == pytest.approx(metrics["top1"])


def test_the_last_weights_are_those_of_the_last_checkpoint(learnt):
    folders = learnt[0]
    content = read_arrays(weights_path(folders.results, "m", 12), "")
    checkpoint = load_checkpoint(checkpoint_path(folders.work, "m", 12))
    assert content.notes == {"run": "m", "epoch": 12}
    wanted = {k: a for k, a in checkpoint.arrays.items() if not k.startswith("moments")}
    assert content.arrays.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(content.arrays[name], array, strict=True)


def test_scores_by_snr_are_written_where_the_manifest_has_snrs(tmp_path, tiny, mixtures):
    manifest = Manifest(None, np.where(np.arange(144) < 72, 2.0, 12.0), [], [])
    folders = RunFolders(tmp_path / "w", tmp_path / "r")
    train("m", replace(tiny, epochs=1), replace(mixtures, manifest=manifest), folders)
    lines = (folders.results / "m_by_snr.csv").read_text().splitlines()
    assert [line.split(",")[:2] for line in lines[1:]] == [["0", "5"], ["10", "15"]]
    assert sum(int(line.split(",")[2]) for line in lines[1:]) == 16


OPTIONS = [
    # with dropout
    {"model": "resnet"},
    {"mirrored": True, "label_spread": 5.0, "coloured": 1.0, "ild_spread": 0.3, "short_share": 0.5},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_a_resumed_run_gives_the_same_bytes(tmp_path, tiny, mixtures, capsys, options):
    """Checkpoint 3 is lost and checkpoint 2 damaged: epochs 2 and 3 must not show it."""
    run = replace(tiny, epochs=3, cosine_epochs=5, **options)
    whole = RunFolders(tmp_path / "a", tmp_path / "a/r")
    broken = RunFolders(tmp_path / "b", tmp_path / "b/r")
    train("m", run, mixtures, whole)
    shutil.copytree(whole.work, broken.work)
    checkpoint_path(broken.work, "m", 3).unlink()
    second = checkpoint_path(broken.work, "m", 2)
    second.write_bytes(second.read_bytes()[:-1])
    shutil.rmtree(broken.results)
    capsys.readouterr()
    train("m", run, mixtures, broken)
    said = capsys.readouterr().err
    assert "epoch-002.safetensors: damaged or not finished: not used" in said
    assert [f"Epoch {epoch}/20: " in said for epoch in (1, 2, 3)] == [False, True, True]
    assert outputs(broken.work) == outputs(whole.work)


def test_the_same_run_twice_gives_the_same_bytes(tmp_path, trained, tiny, mixtures):
    train("m", tiny, mixtures, RunFolders(tmp_path, tmp_path / "r"))
    assert outputs(tmp_path / "m") == outputs(trained / "m")


def test_divergence_is_reported(tmp_path, tiny, mixtures):
    broken = [np.full_like(shard, np.nan) for shard in mixtures.shards]
    folders = RunFolders(tmp_path / "w", tmp_path / "r")
    refuses("diverged", train, "m", tiny, replace(mixtures, shards=broken), folders)


def test_short_windows_are_quarters_at_random():
    config = Training(short_share=0.3)
    windows = short_windows(config, 1, 1000, 100)
    short = [window for window in windows if window != slice(None)]
    # 1000 draws: a deviation of 1.4 %
    assert len(short) == pytest.approx(300, abs=60)
    assert {window.stop - window.start for window in short} == {25}
    starts = {window.start for window in short}
    assert min(starts) >= 0
    assert max(starts) <= 75
    assert len(starts) > 50


def test_short_windows_are_others_every_epoch():
    config = Training(short_share=0.3)
    assert short_windows(config, 1, 50, 100) == short_windows(config, 1, 50, 100)
    assert short_windows(config, 1, 50, 100) != short_windows(config, 2, 50, 100)


def test_half_of_the_mixtures_are_mirrored():
    swapped = draw_swapped(Training(mirrored=True, clips=100), 1)
    # 7200 draws: a deviation of 0.6 %
    assert swapped.shape == (7200,)
    assert swapped.mean() == pytest.approx(0.5, abs=0.03)


def test_without_these_options_all_is_whole():
    assert short_windows(Training(), 1, 10, 100) is None
    assert draw_swapped(Training(), 1) is None

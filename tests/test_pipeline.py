"""The real pipeline, end to end, on a tiny slice of the package's recordings."""

import io
import shutil

import numpy as np
import pytest

from ssl_jax import pipeline
from ssl_jax.command_line import options
from ssl_jax.common.files import read_json, write_json
from ssl_jax.config import Database, FrontEnd, as_settings
from ssl_jax.networks import packed
from support import faulty
from support.made_logs import TIMING
from support.runs import NAME, refused, refuses, restore

TINY = "--hop=882"
LAST_EPOCHS = {"model1": 2, "model2": 2, "model2_continued": 3}
SETTINGS = f"ssl_jax: results/{NAME}/settings.json: "
OTHER_FOLDER = "use another --name or --work, or delete that folder"


def contents(folder, pattern="*"):
    return {path: path.read_bytes() for path in folder.rglob(pattern) if path.is_file()}


def results_of(unbroken, name):
    return unbroken[f"results/{NAME}/{name}"]


@pytest.fixture
def trained(tmp_path, unbroken, monkeypatch):
    """The tiny experiment in an empty folder, its database made and its runs trained."""
    monkeypatch.setattr(options, "experiment", faulty.tiny)
    restore(tmp_path, unbroken)
    # wall times are no part of `unbroken`: they differ from run to run
    write_json(tmp_path / "results" / NAME / "timing.json", TIMING)
    return tmp_path


def test_every_run_leaves_its_log_its_tables_and_its_weights(unbroken):
    expected = {"metrics.json", "settings.json", "model2_continued_last_confusion.csv"}
    for name, epoch in LAST_EPOCHS.items():
        ends = (".csv", ".log", "_confusion.csv", "_by_snr.csv", f"_epoch{epoch}.safetensors")
        expected |= {name + end for end in ends}
    names = {name.split("/")[-1] for name in unbroken if name.startswith("results/")}
    assert names == expected


def test_a_continued_run_says_where_it_begins(unbroken):
    log = results_of(unbroken, "model2_continued.log").decode()
    assert log.startswith("Reduced Learning rate from epoch 1.\nEpoch 2/")


def test_128_mixtures_teach_something(unbroken):
    last = results_of(unbroken, "model2.csv").decode().splitlines()[2]
    # training Top-1: well above chance, 1.39 %
    assert float(last.split(",")[3]) > 2.5


def test_the_store_is_shards_of_cue_maps(unbroken):
    shards = [content for name, content in sorted(unbroken.items()) if name.endswith(".npy")]
    assert [np.load(io.BytesIO(shard)).shape for shard in shards] == [(24, 3, 32, 50)] * 6


def test_all_compares_and_draws_and_once_more_changes_no_byte(trained, call):
    ended = call("all", TINY)
    assert ended.status == 0 and "# Ours beside the reported tables" in ended.out
    results = {path.name for path in (trained / "results" / NAME).iterdir()}
    assert results >= {"comparison.md", "comparison.csv"}
    figures = {path.name for path in (trained / "paper_figures" / NAME).iterdir()}
    assert figures >= {"surround.png", "scene_snr.png", "training_model2.png"}

    before = contents(trained)
    shards = sorted(trained.rglob("*.npy"))
    times = [shard.stat().st_mtime_ns for shard in shards]
    assert call("all", TINY).status == 0 and contents(trained) == before
    assert [shard.stat().st_mtime_ns for shard in shards] == times


@pytest.fixture
def pack(trained, call, monkeypatch):
    """Pack a run as a network of the package, in a folder of the test."""
    monkeypatch.setattr(packed, "_folder", lambda folder: folder or trained / "weights")
    return lambda run: call("pack", TINY, "--as=mine", "--card=card.md", "--run", run)


def test_a_packed_run_scores_what_the_run_scored(trained, pack):
    assert pack("model1").status == 0
    scores = read_json(trained / "results" / NAME / "metrics.json")["model1"]
    assert packed.describe("mine")["metrics"] == pytest.approx(scores)
    card = (trained / "card.md").read_text()
    assert "| `mine` |" in card and f"| {scores['top1']:.2f} |" in card
    assert card.count("\n| 355° |") == 1


def test_a_run_that_is_not_there_cannot_be_packed(pack):
    refused(pack("model9"), "--run model9: unknown")


def test_other_settings_in_the_same_folder_are_refused(trained, call):
    refused(call("all", f"--name={NAME}", "--hop=441"), "front.hop = 882, now 441")


def test_a_refused_call_does_not_use_up_a_name(call, tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in ("voicez", "empty"):
        refused(call("database", "--quick", "--name=mine", "--speech", folder), folder)
    assert (tmp_path / "results/mine/settings.json").exists()


@pytest.mark.parametrize("words", [["--hop=441"], [TINY, "--seed=3"], [TINY, "--hair-cell=roman"]])
def test_results_without_their_work_are_not_mixed_with_others(trained, call, words):
    shutil.rmtree(trained / "work")
    results = trained / "results"
    before = contents(results)
    ended = call("all", f"--name={NAME}", *words)
    refused(ended, f"{SETTINGS}was made with ", OTHER_FOLDER)
    assert len(ended.lines) == 1 and contents(results) == before


def test_results_whose_settings_are_lost_are_refused(trained, call):
    shutil.rmtree(trained / "work")
    (trained / "results" / NAME / "settings.json").unlink()
    before = contents(trained / "results")
    refused(call("all", TINY), f"{SETTINGS}is missing, so nobody knows")
    assert contents(trained / "results") == before


def test_results_of_an_older_version_stay(tmp_path):
    """Their settings lack fields that are newer than they are, which had their defaults then."""
    older = as_settings(database=Database(clips=4), front=FrontEnd(hop=882))
    del older["database"]["other_targets"]
    write_json(tmp_path / "settings.json", {**older, "runs": {"model1": {}}})
    write_json(tmp_path / "metrics.json", {"model1": {"top1": 50.0}})
    settings = as_settings(database=Database(clips=4), front=FrontEnd(hop=882))
    pipeline.check_results(tmp_path, settings, has_store=True)
    assert pipeline.read_trained(tmp_path) == ({"model1": {"top1": 50.0}}, {"model1": {}})
    for says, database, front in (
        ("front.hop = 882, now 441", {}, {"hop": 441}),
        ("database.other_targets = False, now True", {"other_targets": True}, {}),
    ):
        other = {
            "database": settings["database"] | database,
            "front": settings["front"] | front,
        }
        refuses(says, pipeline.check_results, tmp_path, other, has_store=True)

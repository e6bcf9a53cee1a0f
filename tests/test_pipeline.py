"""The real pipeline, end to end, on a tiny slice of the package's recordings."""

import json
import shutil

import numpy as np
import pytest

from ssl_jax import pipeline
from ssl_jax.command_line import options
from ssl_jax.common.files import write_json
from ssl_jax.networks import packed
from support import faulty
from support.runs import NAME, refused, refuses


def contents(folder, pattern="*"):
    return {path: path.read_bytes() for path in folder.rglob(pattern) if path.is_file()}


def test_from_recordings_to_tables_and_again(call, tmp_path, monkeypatch):
    monkeypatch.setattr(options, "experiment", faulty.tiny)
    ended = call("all", "--hop=882")
    out = tmp_path / "results" / NAME
    assert ended.status == 0 and "# Ours beside the reported tables" in ended.out
    expected = {"comparison.md", "comparison.csv", "metrics.json", "settings.json", "timing.json"}
    for name, epoch in (("model1", 2), ("model2", 2), ("model2_continued", 3)):
        ends = (".csv", ".log", "_confusion.csv", "_by_snr.csv", f"_epoch{epoch}.safetensors")
        expected |= {name + end for end in ends}
    expected.add("model2_continued_last_confusion.csv")
    assert {p.name for p in out.iterdir()} == expected
    log = (out / "model2_continued.log").read_text()
    assert log.startswith("Reduced Learning rate from epoch 1.\nEpoch 2/")
    # 128 mixtures teach something: well above chance, 1.39 %
    assert float((out / "model2.csv").read_text().splitlines()[2].split(",")[3]) > 2.5
    drawn = {p.relative_to(tmp_path / "paper_figures").as_posix() for p in tmp_path.rglob("*.png")}
    assert {f"{NAME}/{name}.png" for name in ("surround", "scene_snr", "training_model2")} <= drawn
    shards = sorted((tmp_path / "work" / NAME / "cues").glob("*.npy"))
    assert [np.load(s, mmap_mode="r").shape for s in shards] == [(24, 3, 32, 50)] * 6

    # once more: nothing is redone, every byte stays, the clock's too
    before, changed = contents(tmp_path), [shard.stat().st_mtime_ns for shard in shards]
    assert call("all", "--hop=882").status == 0 and contents(tmp_path) == before
    assert [shard.stat().st_mtime_ns for shard in shards] == changed

    # a trained run goes into the package: what is stored there scores what the run scored
    monkeypatch.setattr(packed, "_folder", lambda folder: folder or tmp_path / "weights")
    words = ["pack", "--hop=882", "--as=mine", "--card=card.md", "--run"]
    assert call(*words, "model1").status == 0
    scores = json.loads((out / "metrics.json").read_text())["model1"]
    assert packed.describe("mine")["metrics"] == pytest.approx(scores)
    card = (tmp_path / "card.md").read_text()
    assert (
        "| `mine` |" in card
        and f"| {scores['top1']:.2f} |" in card
        and card.count("\n| 355° |") == 1
    )
    refused(call(*words, "model9"), "--run model9: unknown")

    # other settings in the same folder are refused, in one line that says which
    again = ("all", f"--name={NAME}")
    refused(call(*again, "--hop=441"), "front.hop = 882, now 441")

    # the results alone, without the work they came from, are not mixed with others either
    shutil.rmtree(tmp_path / "work")
    made, settings = contents(out), "ssl_jax: results/published-hop882/settings.json: "
    for words in (["--hop=441"], ["--hop=882", "--seed=3"], ["--hop=882", "--hair-cell=roman"]):
        ended = call(*again, *words)
        refused(ended, f"{settings}was made with ", "use another --name, or delete that folder")
        assert len(ended.lines) == 1
    (out / "settings.json").unlink()
    refused(call(*again, "--hop=882"), f"{settings}is missing, so nobody knows")
    assert contents(out) == {
        path: text for path, text in made.items() if path.name != "settings.json"
    }


def test_results_of_an_older_version_are_made_again(tmp_path):
    """Their settings lack fields that are newer than they are; those that are there must agree."""
    settings = {"database": {"clips": 4, "seed": 0}, "front": {"hop": 882}}
    write_json(
        tmp_path / "settings.json", {**settings, "database": {"clips": 4}, "runs": {"model1": {}}}
    )
    write_json(tmp_path / "metrics.json", {"model1": {"top1": 50.0}})
    pipeline.check_results(tmp_path, settings)
    assert pipeline.trained_before(tmp_path, settings) == ({}, {})
    refuses(
        "front.hop = 882, now 441",
        pipeline.check_results,
        tmp_path,
        {**settings, "front": {"hop": 441}},
    )

"""The real pipeline, end to end, on a tiny slice of the embedded corpus."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from ssl_jax import __main__ as cli
from ssl_jax import config, weights


@pytest.fixture
def tiny(monkeypatch):
    """What the command line makes an experiment of: 4 clips, one or two epochs of each run."""
    whole = config.experiment

    def small(*options):
        ex = whole(*options)
        runs = {k: replace(r, clips=4, epochs=2, epochs_planned=2) for k, r in ex.runs.items()}
        runs["model2_continued"] = replace(
            runs["model2_continued"], epochs=3, start_epoch=2, restart_epochs=(3,)
        )
        return replace(ex, database=replace(ex.database, clips=4, shard=144), runs=runs)

    monkeypatch.setattr(cli, "experiment", small)


def run(tmp_path, *options):
    folders = [f"--{k}={tmp_path / k}" for k in ("results", "work", "figures")]
    return cli.main(["all", *folders, *options])


def test_from_recordings_to_tables_and_again(tiny, tmp_path, capsys, monkeypatch):
    reported = tmp_path / "results/reported"
    reported.mkdir(parents=True)
    for name in ("model1", "model2", "model2_continued"):
        source = cli.Path(cli.__file__).parents[1] / f"results/reported/{name}.csv"
        (reported / source.name).write_bytes(source.read_bytes())
    assert run(tmp_path, "--hop=882") == 0
    out = tmp_path / "results/embedded-hop882"
    assert "# Ours beside the reported tables" in capsys.readouterr().out
    expected = {"comparison.md", "comparison.csv", "metrics.json", "settings.json", "timing.json"}
    for name, epoch in (("model1", 2), ("model2", 2), ("model2_continued", 3)):
        expected |= {
            f"{name}.csv",
            f"{name}.log",
            f"{name}_confusion.csv",
            f"{name}_by_snr.csv",
            f"{name}_epoch{epoch}.msgpack",
        }
    assert {p.name for p in out.iterdir()} == expected
    assert (
        (out / "model2_continued.log").read_text().startswith("Reduced Learning rate from epoch 2.\nEpoch 3/")
    )
    # 232 mixtures teach something: well above chance, 1.39 %
    assert float((out / "model2.csv").read_text().splitlines()[2].split(",")[3]) > 2.5
    drawn = {p.relative_to(tmp_path / "figures").as_posix() for p in (tmp_path / "figures").rglob("*.png")}
    assert {f"embedded-hop882/{name}.png" for name in ("surround", "scene_snr", "training_model2")} <= drawn
    shards = sorted((tmp_path / "work/embedded-hop882/cues").glob("*.npy"))
    assert [np.load(s, mmap_mode="r").shape for s in shards] == [(144, 3, 32, 50)] * 2

    # once more: nothing is redone, every byte stays, the clock's too
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    changed = {p: p.stat().st_mtime_ns for p in shards}
    assert run(tmp_path, "--hop=882") == 0
    assert {p: p.read_bytes() for p in before} == before
    assert {p: p.stat().st_mtime_ns for p in shards} == changed

    # a trained run goes into the package: what is stored there scores what the run scored
    monkeypatch.setattr(weights, "_folder", lambda folder: tmp_path / "weights" if folder is None else folder)
    words = ["pack", "--hop=882", "--run=model1", "--as=mine", f"--card={tmp_path / 'card.md'}"]
    assert cli.main([*words, *(f"--{k}={tmp_path / k}" for k in ("results", "work"))]) == 0
    scores = json.loads((out / "metrics.json").read_text())["model1"]
    assert weights.describe("mine")["metrics"] == pytest.approx(scores)
    card = (tmp_path / "card.md").read_text()
    assert "| `mine` |" in card and f"| {scores['top1']:.2f} |" in card and card.count("\n| 355° |") == 1
    assert cli.main([*words[:2], "--run=model9", *words[3:]]) == 2

    # other settings in the same folder are refused, in one line that says which
    assert run(tmp_path, "--hop=441", "--name=embedded-hop882") == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("ssl_jax: ") and "front.hop = 882, now 441" in error

    # the results alone, without the work they came from, are not mixed with others either
    shutil.rmtree(tmp_path / "work")
    made = {p: p.read_bytes() for p in out.iterdir()}
    for words in (["--hop=441"], ["--hop=882", "--seed=3"], ["--hop=882", "--hair-cell=none"]):
        assert run(tmp_path, *words, "--name=embedded-hop882") == 2
        error = capsys.readouterr().err
        assert (
            error.startswith(f"ssl_jax: {out / 'settings.json'}: was made with ") and error.count("\n") == 1
        )
        assert error.endswith("use another --name, or delete that folder\n")
    (out / "settings.json").unlink()
    assert run(tmp_path, "--hop=882") == 2
    assert "settings.json: is missing, so nobody knows" in capsys.readouterr().err
    assert {p: p.read_bytes() for p in out.iterdir()} == {
        p: b for p, b in made.items() if p.name != "settings.json"
    }


def test_results_of_an_older_version_are_made_again(tmp_path):
    """Their settings lack fields that are newer than they are; those that are there must agree."""
    settings = {"database": {"clips": 4, "seed": 0}, "front": {"hop": 882}}
    cli.write_json(tmp_path / "settings.json", {**settings, "database": {"clips": 4}, "runs": {"model1": {}}})
    cli.write_json(tmp_path / "metrics.json", {"model1": {"top1": 50.0}})
    cli.check_results(tmp_path, settings)
    assert cli.trained_before(tmp_path, settings) == ({}, {})
    with pytest.raises(cli.InputError, match="front.hop = 882, now 441"):
        cli.check_results(tmp_path, {**settings, "front": {"hop": 441}})

"""The command line, called in this process: help, bad input in one line and status 2, exported mixtures."""

import csv
import json
import re
import subprocess
import time

import pytest
import soundfile

from ssl_jax import __main__ as cli
from ssl_jax.common.errors import InputError
from ssl_jax.config import HAIR_CELLS

STAGES = (
    "all",
    "database",
    "train",
    "figures",
    "report",
    "audit",
    "pack",
    "check",
    "download",
    "growth",
    "localise",
    "render",
)
COMMON = (
    "--data",
    "--protocol",
    "--directions",
    "--hair-cell",
    "--hop",
    "--seed",
    "--quick",
    "--name",
    "--results",
    "--work",
    "--figures",
)
ALONE = {  # stages with options of their own only
    "download": ("--to", "--speech"),
    "audit": (
        "--data",
        "--rows",
        "--clips",
        "--seeds",
        "--seed",
        "--weights",
        "--results",
        "--work",
        "--readme",
    ),
    "check": ("--model", "--clips", "--results"),
    "growth": ("--data", "--devices", "--work", "--results", "--scale"),
    "localise": ("--window", "--step", "--model", "--plot", "--json", "--csv"),
    "render": (
        "--azimuth",
        "--trajectory",
        "--noise",
        "--noise-azimuth",
        "--snr",
        "--hrtf",
        "--start",
        "--seconds",
        "--bits",
        "--plot",
    ),
}
DEVICES = ("--devices", "--coordinator", "--processes", "--process")
OWN = {
    "all": ("--runs", "--seeds", *DEVICES),
    "train": ("--runs", "--seeds", *DEVICES),
    "database": ("--export-wav", "--limit", *DEVICES),
    "report": ("--readme",),
    "pack": ("--run", "--as", "--card"),
}


def refused(outcome, *parts):
    """Status 2, nothing on stdout, and one line on stderr that has all of `parts`."""
    status, out, lines = outcome
    assert status == 2 and out == "" and len(lines) == 1 and lines[0].startswith("ssl_jax: ")
    for part in parts:
        assert str(part) in lines[0]


@pytest.mark.parametrize("stage", STAGES)
def test_help_of_every_stage_lists_its_options(stage, capsys):
    with pytest.raises(SystemExit) as error:
        cli.main([stage, "--help"])
    out = capsys.readouterr().out
    wanted = ALONE.get(stage) or (*COMMON, *OWN.get(stage, ()))
    assert error.value.code == 0
    assert set(re.findall(r"^  (--[a-z-]+)", out, re.MULTILINE)) == set(wanted)


def test_help_lists_every_stage(capsys):
    with pytest.raises(SystemExit) as error:
        cli.main(["--help"])
    assert error.value.code == 0
    assert set(re.findall(r"^    ([a-z]+) ", capsys.readouterr().out, re.MULTILINE)) == set(STAGES)


@pytest.mark.parametrize(
    "words, says",
    [
        ([], "STAGE"),
        (["cook"], "cook"),
        (["train", "--hair-cell", "bald"], HAIR_CELLS[0]),
        (["train", "--directions", "up"], "nearest_azimuth"),
        (["train", "--hop", "half"], "half"),
        (["train", "--limit", "3"], "--limit"),
        (["download"], "--to"),
        (["download", "--to", "x", "--speech", "y"], "dev-clean"),
    ],
)
def test_unknown_words_are_usage_errors(words, says, capsys):
    with pytest.raises(SystemExit) as error:
        cli.main(words)
    assert error.value.code == 2
    assert says in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    "words, says",
    [
        (["--hop", 0], "hop 0"),
        (["--hop", -5], "hop -5"),
        (["--hop", 44_101], "hop 44101"),
        (["--seed", -1], "seed -1"),
        (["--name", "reported"], "reported tables"),
    ],
)
@pytest.mark.parametrize("stage", ["all", "database", "train", "figures", "report"])
def test_settings_out_of_range(call, tmp_path, stage, words, says):
    refused(call(stage, *words), says, "use ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["missing", "empty", "a file"])
@pytest.mark.parametrize("by", ["option", "environment"])
def test_data_that_is_not_there_says_how_to_fetch_it(call, tmp_path, monkeypatch, kind, by):
    data = tmp_path / "corpora"
    if kind == "empty":
        data.mkdir()
    if kind == "a file":
        data.write_text("")
    words = ["--data", data]
    if by == "environment":
        monkeypatch.setenv("SSL_JAX_DATA", str(data))
        words = []
    refused(
        call("database", "--quick", *words), f"ssl_jax: {data}: ", f"python -m ssl_jax download --to {data}"
    )


def test_a_stage_whose_input_is_missing(call):
    refused(call("report"), "results/embedded: no training logs", "run ./reproduce.sh")
    refused(call("figures"), "no log of model1", "run the train stage")
    refused(call("train", "--quick"), "cues-00000.npy: missing or damaged", "run the database stage")


@pytest.mark.parametrize("stage", ["database", "figures", "report"])
def test_a_file_where_the_results_should_go(call, tmp_path, monkeypatch, stage):
    """Refused at once: the work is not begun."""
    monkeypatch.setattr("ssl_jax.database.build.build", lambda *_: pytest.fail("the work was begun"))
    (tmp_path / "taken").write_text("")
    refused(call(stage, "--quick", "--results", tmp_path / "taken"), tmp_path / "taken")


def test_a_file_where_the_mixtures_should_go(call, tmp_path):
    (tmp_path / "taken").write_text("")
    refused(
        call("database", "--quick", "--export-wav", tmp_path / "taken/here"),
        tmp_path / "taken",
        "a file stands where a folder is needed",
    )


@pytest.mark.parametrize("limit", [0, -1])
def test_no_mixtures_asked_for(call, tmp_path, limit):
    refused(
        call("database", "--export-wav", tmp_path / "out", "--limit", limit), f"--limit {limit}", "at least 1"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "error, status, says",
    [
        (InputError("a: two\nlines: do something"), 2, "ssl_jax: a: two lines: do something"),
        (
            PermissionError(13, "Permission denied", "a\nb"),
            2,
            "ssl_jax: a b: permission denied: choose a folder you may write to, or change its rights",
        ),
        (KeyboardInterrupt(), 130, "ssl_jax: interrupted; the same command goes on from here"),
    ],
)
def test_whatever_stops_a_stage_is_one_line(call, monkeypatch, error, status, says):
    def stop(*_):
        raise error

    monkeypatch.setattr(cli, "run_report", stop)
    assert call("report") == (status, "", [says])


def test_all_runs_every_stage_in_order(call, monkeypatch):
    began = []
    for stage in ("report", "figures", "train", "database"):
        monkeypatch.setattr(cli, f"run_{stage}", lambda args, ex, stage=stage: began.append((stage, ex.name)))
    assert call("all", "--quick", "--seed", 5)[0] == 0
    assert began == [(stage, "embedded-quick-seed5") for stage in ("database", "train", "figures", "report")]


def test_exported_mixtures_and_their_manifest(call, tmp_path):
    status, out, err = call("database", "--quick", "--export-wav", "out", "--limit", 2)
    assert (status, out, err) == (0, "", [])
    with open(tmp_path / "out/manifest.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    names = [f"mixture_{int(row['mixture']):05d}_azimuth_{int(row['azimuth']):03d}.wav" for row in rows]
    assert names == ["mixture_00000_azimuth_000.wav", "mixture_00001_azimuth_005.wav"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["manifest.csv", *names]
    for name in names:
        info = soundfile.info(tmp_path / "out" / name)
        assert (info.format, info.subtype, info.samplerate, info.channels) == ("WAV", "PCM_16", 44_100, 2)
        sound = soundfile.read(tmp_path / "out" / name, dtype="int16")[0]
        assert sound.shape == (44_100, 2) and abs(sound.astype(int)).max() == 2**15 - 1
    assert [path.name for path in tmp_path.iterdir()] == ["out"]  # and nothing else was made


def test_the_clock_adds_up_and_keeps_other_stages(tmp_path, monkeypatch):
    now = [10.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    path = tmp_path / "far/timing.json"
    for stage, begun in (("database", False), ("model1", False), ("model1", True)):
        with cli.clock(path, stage, begun):
            now[0] += 2.5
    notes = json.loads(path.read_text())
    seconds = {stage: entry["seconds"] for stage, entry in notes["stages"].items()}
    assert seconds == {"database": 2.5, "model1": 5.0}
    assert all(entry["peak_memory_mb"] > 10 for entry in notes["stages"].values())
    assert notes["commit"] == cli.commit() and notes["machine"] == cli.machine()
    with cli.clock(path, "model1", False):  # results without their work: all was done again
        now[0] += 1
    assert json.loads(path.read_text())["stages"]["model1"]["seconds"] == 1


def test_commit_without_git(monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(subprocess, "run", missing)
    assert cli.commit() == "unknown"

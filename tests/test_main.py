"""The command line, called in this process: help, bad input in one line and status 2, exported mixtures."""

import csv
import json
import re
import subprocess
import sys
import time
from unittest.mock import Mock

import pytest
import soundfile

from ssl_jax import pipeline
from ssl_jax.__main__ import COMMON, OPTIONS, SHELLS, STAGES, main
from ssl_jax.common import progress, provenance
from ssl_jax.common.errors import InputError
from ssl_jax.frontend import HAIR_CELLS
from support import runs


def refused(ended, *says):
    """Status 2, nothing on stdout, and one line on stderr that has all of `says`."""
    assert ended.out == "" and len(ended.lines) == 1, ended
    runs.refused(ended, *says)


@pytest.mark.parametrize("stage", ["", *STAGES])
def test_help_lists_every_stage_and_all_options_of_one(stage, capsys):
    with pytest.raises(SystemExit) as error:
        main([*stage.split(), "--help"])
    out = capsys.readouterr().out
    options = set(re.findall(r"^  (?:-[hoqv],? ?[A-Z]*\S*, )?(--[a-z-]+)", out, re.MULTILINE)) - {
        "--help"
    }
    assert error.value.code == 0
    if stage:
        assert options == {
            name for name in f"{STAGES[stage][2]} {COMMON}".split() if name.startswith("--")
        }
    else:
        assert options == {"--version", "--print-completion"}
        assert list(STAGES) == re.findall(r"^    ([a-z]+)\b", out, re.MULTILINE)
        named = {name for _, _, names in STAGES.values() for name in f"{names} {COMMON}".split()}
        assert named == {name.split("/")[0] for name in OPTIONS}  # none is left over


def test_version_and_a_help_that_is_quick(capsys):
    with pytest.raises(SystemExit) as error:
        main(["--version"])
    assert error.value.code == 0 and re.fullmatch(
        r"ssl_jax \d+\.\d+\.\d+\n", capsys.readouterr().out
    )
    words = [sys.executable, "-X", "importtime", "-m", "ssl_jax", "--help"]
    done = subprocess.run(words, cwd=runs.ROOT, capture_output=True, text=True, check=True)
    imported = set(re.findall(r"\| +(\w+)$", done.stderr, re.MULTILINE))
    assert "argparse" in imported and not {"jax", "flax", "matplotlib", "numpy"} & imported


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_completes_options_and_what_is_missing_is_named(call, shell, capsys, monkeypatch):
    pytest.importorskip("shtab", reason="the extra `completion` is not installed")
    with pytest.raises(SystemExit):
        main(["--print-completion", shell])
    assert SHELLS[shell] in (out := capsys.readouterr().out) and "noise-azimuth" in out
    for gone in ("shtab", "onnx"):
        monkeypatch.setitem(sys.modules, gone, None)
    with pytest.raises(SystemExit, match="2"):
        main(["--print-completion", shell])
    assert "'ssl_jax[completion]'\n" in capsys.readouterr().err
    monkeypatch.delitem(sys.modules, "ssl_jax.networks.onnx_export", raising=False)
    refused(
        call("export", "--to", "a.onnx"), "the package onnx is missing: pip install 'ssl_jax[onnx]'"
    )


def test_what_is_said_and_logged(call, tmp_path, monkeypatch):
    def stage(*_):
        progress.say("a note")
        raise InputError("wrong")

    monkeypatch.setitem(pipeline.STAGES, "report", stage)
    note, last = call("report").lines
    assert (note, last) == ("a note", "ssl_jax: wrong") and call("report", "-q").lines == [last]
    more, *others = call("report", "-v", "--log", "log").lines
    assert "compiled programs in" in more and others == ["a note", last]
    assert call("report", "--quiet", "--log", "log").lines == [last]
    logged = [line.split(" ", 2)[2] for line in (tmp_path / "log").read_text().splitlines()]
    assert logged == [more, "a note", last, "a note", last]
    refused(call("report", "--log", "none/log"), "none/log: no such file or folder")


USAGE = {"STAGE": "", "cook": "cook", "half": "train --hop half", "--limit": "train --limit 3"}
USAGE |= {HAIR_CELLS[0]: "train --hair-cell bald", "nearest_azimuth": "train --directions up"}
USAGE |= {"--to": "download", "dev-clean": "download --to x --speech y"}


@pytest.mark.parametrize("says", USAGE)
def test_unknown_words_are_usage_errors(says, capsys):
    with pytest.raises(SystemExit) as error:
        main(USAGE[says].split())
    assert error.value.code == 2 and says in capsys.readouterr().err.splitlines()[-1]


REFUSED = {f"all --hop {hop}": f"hop {hop}: out of range: use " for hop in (0, -5, 44101)}
REFUSED |= {
    "figures --seed -1": "seed -1: out of range: use ",
    "audit --rows x": "--rows x: unknown",
}
REFUSED |= {"report --name reported": "--name reported: that folder is for reported tables: use "}
REFUSED |= {
    "database --export-wav out --limit 0": "--limit 0: no mixtures asked for: use at least 1"
}
REFUSED |= {"figures": "no log of model1: run the train stage", "audit --clips 1": "too few"}
REFUSED |= {"report": "results/embedded: no training logs: run ./reproduce.sh"}


@pytest.mark.parametrize("words", REFUSED)
def test_bad_words_are_refused_and_nothing_is_made(call, tmp_path, words):
    refused(call(*words.split()), REFUSED[words])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("by", ["option", "environment"])
def test_data_that_is_not_there_says_how_to_fetch_it(call, tmp_path, monkeypatch, by):
    monkeypatch.setattr(pipeline, "build", lambda *_: pytest.fail("the embedded corpus was taken"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for data in (tmp_path / "missing", tmp_path / "empty", tmp_path / "file"):
        if by == "environment":
            monkeypatch.setenv("SSL_JAX_DATA", str(data))
        ended = call("database", "--quick", *(["--data", data] if by == "option" else []))
        refused(ended, f"ssl_jax: {data}: ", f"python -m ssl_jax download --to {data}")


def test_a_file_where_the_results_or_the_mixtures_should_go(call, tmp_path, monkeypatch):
    """Refused at once: the work is not begun."""
    monkeypatch.setattr(pipeline, "build", lambda *_: pytest.fail("the work was begun"))
    (tmp_path / "taken").write_text("")
    for stage in ("database", "figures", "report"):
        refused(call(stage, "--quick", "--results", tmp_path / "taken"), tmp_path / "taken")
    ended = call("database", "--quick", "--export-wav", tmp_path / "taken/here")
    refused(ended, tmp_path / "taken", "a file stands where a folder is needed")


STOPS = [(InputError("a: two\nlines: do something"), 2, "a: two lines: do something")]
STOPS += [
    (
        PermissionError(13, "no", "a\nb"),
        2,
        "a b: permission denied: choose a folder you may write to",
    )
]
STOPS += [(KeyboardInterrupt(), 130, "interrupted; the same command goes on from here")]


@pytest.mark.parametrize("error, status, says", STOPS)
def test_whatever_stops_a_stage_is_one_line(call, monkeypatch, error, status, says):
    monkeypatch.setitem(pipeline.STAGES, "report", Mock(side_effect=error))
    ended = call("report")
    assert (ended.status, ended.out, len(ended.lines)) == (status, "", 1)
    assert ended.lines[0].startswith(f"ssl_jax: {says}")


def test_all_runs_every_stage_in_order(call, monkeypatch):
    began = []
    for stage in ("report", "figures", "train", "database"):
        monkeypatch.setitem(
            pipeline.STAGES, stage, lambda _, ex, stage=stage: began.append((stage, ex.name))
        )
    assert call("all", "--quick", "--seed", 5).status == 0
    assert began == [
        (stage, "embedded-quick-seed5") for stage in ("database", "train", "figures", "report")
    ]


def test_exported_mixtures_and_their_manifest(call, tmp_path):
    assert call("database", "--quick", "--export-wav", "out", "--limit", 2) == (0, "", [])
    rows = list(csv.DictReader((tmp_path / "out/manifest.csv").read_text().splitlines()))
    names = [
        f"mixture_{int(row['mixture']):05d}_azimuth_{int(row['azimuth']):03d}.wav" for row in rows
    ]
    assert names == ["mixture_00000_azimuth_000.wav", "mixture_00001_azimuth_005.wav"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["manifest.csv", *names]
    for name in names:
        sound, fs = soundfile.read(tmp_path / "out" / name, dtype="int16")
        assert fs == 44_100 and sound.shape == (fs, 2) and abs(sound.astype(int)).max() == 2**15 - 1
    assert [path.name for path in tmp_path.iterdir()] == ["out"]  # and nothing else was made


def test_the_clock_adds_up_and_keeps_other_stages(tmp_path, monkeypatch):
    now, path = [10.0], tmp_path / "far/timing.json"
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def seconds(stage, begun, lasts=2.5):
        with provenance.clock(path, stage, begun):
            now[0] += lasts
        notes = json.loads(path.read_text())
        assert notes["commit"] == provenance.commit() and notes["machine"] == provenance.machine()
        assert all(entry["peak_memory_mb"] > 10 for entry in notes["stages"].values())
        return {stage: entry["seconds"] for stage, entry in notes["stages"].items()}

    assert seconds("database", False) == {"database": 2.5}
    assert seconds("model1", False) == {"database": 2.5, "model1": 2.5}
    assert seconds("model1", True) == {"database": 2.5, "model1": 5.0}
    # results without their work: all was done again
    assert seconds("model1", False, 1) == {"database": 2.5, "model1": 1}
    monkeypatch.setattr(subprocess, "run", Mock(side_effect=FileNotFoundError))
    assert provenance.commit() == "unknown"  # no git

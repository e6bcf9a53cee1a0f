"""The command line, called in this process: help, bad input in one line, exported mixtures."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
import soundfile

from ssl_jax import __main__ as cli
from ssl_jax import pipeline
from ssl_jax.__main__ import main, parser
from ssl_jax.command_line.options import PATHS, chosen_experiment
from ssl_jax.common import progress
from ssl_jax.common.errors import InputError
from ssl_jax.frontend import HAIR_CELLS
from support import runs


def refused(ended, *says):
    """Status 2, nothing on stdout, and one line on stderr that has all of `says`."""
    assert ended.out == "" and len(ended.lines) == 1, ended
    runs.refused(ended, *says)


STAGES = (
    *("all", "database", "train", "figures", "report"),
    *("localise", "render", "export"),
    *("scenes", "fingerprint", "audit", "pack", "check", "yardsticks", "benchmark", "growth"),
)
EVERY_STAGE = {"--quiet", "--verbose", "--log"}


def options_in_help(*words, capsys) -> set[str]:
    with pytest.raises(SystemExit) as error:
        main([*words, "--help"])
    assert error.value.code == 0
    text = capsys.readouterr().out
    found = re.findall(r"^  (?:--?\S+(?: [A-Z.,]+)?, )*(--[a-z-]+)", text, re.MULTILINE)
    return set(found) - {"--help"}


def test_help_lists_every_stage(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert tuple(re.findall(r"^    ([a-z]+)\b", text, re.MULTILINE)) == STAGES


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_help_and_the_common_options(stage, capsys):
    assert options_in_help(stage, capsys=capsys) > EVERY_STAGE


@pytest.mark.parametrize("kind", ["speech", "noise", "heads", "targets"])
def test_each_folder_of_sounds_reaches_the_database(kind):
    args = parser().parse_args(["database", "--protocol", "rooms", f"--{kind}", "my/folder"])
    settings = chosen_experiment(args)
    assert vars(settings.folders)[kind] == Path("my/folder")
    assert vars(settings.database)[kind] == "folder"


@pytest.mark.parametrize("stage", ["all", "database", "train", "fingerprint", "audit", "pack"])
def test_every_stage_that_renders_takes_ones_own_sounds(stage, capsys):
    named = options_in_help(stage, capsys=capsys)
    assert named >= {"--speech", "--noise", "--heads", "--noise-kinds"}


def test_every_option_says_what_it_does():
    subparsers = parser()._subparsers._group_actions[0].choices
    for stage, options in subparsers.items():
        silent = [action.dest for action in options._actions if not action.help]
        assert silent == [], stage


def shown_version(capsys) -> str:
    with pytest.raises(SystemExit) as error:
        main(["--version"])
    assert error.value.code == 0
    return capsys.readouterr().out


def test_the_version_is_three_numbers_where_there_is_no_commit(capsys, monkeypatch):
    monkeypatch.setattr(subprocess, "run", Mock(side_effect=FileNotFoundError))
    assert re.fullmatch(r"ssl_jax \d+\.\d+\.\d+\n", shown_version(capsys))


def test_the_version_of_a_checkout_names_its_commit(capsys, monkeypatch):
    monkeypatch.setattr(cli, "commit", lambda: "0123456789-dirty")
    assert shown_version(capsys).endswith(" (commit 0123456789-dirty)\n")


@pytest.mark.parametrize("words", ["--version", "--help", "localise --help"])
def test_output_that_nobody_reads_ends_quietly(words):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "ssl_jax", *words.split()]
    done = subprocess.run(command, cwd=runs.ROOT, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert done.stderr == b""
    assert done.returncode in (0, cli.UNREAD)  # argparse itself may swallow it


def test_help_imports_nothing_that_is_slow():
    words = [sys.executable, "-X", "importtime", "-m", "ssl_jax", "--help"]
    done = subprocess.run(words, cwd=runs.ROOT, capture_output=True, text=True, check=True)
    imported = set(re.findall(r"\| +(\w+)$", done.stderr, re.MULTILINE))
    assert "argparse" in imported and not {"jax", "flax", "matplotlib", "numpy"} & imported


@pytest.mark.parametrize("shell", PATHS)
def test_a_shell_completes_options(shell, capsys):
    pytest.importorskip("shtab", reason="the extra `completion` is not installed")
    with pytest.raises(SystemExit):
        main(["--print-completion", shell])
    out = capsys.readouterr().out
    assert PATHS[shell] in out and "noise-azimuth" in out


def test_completion_without_shtab_names_the_extra(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    with pytest.raises(SystemExit, match="2"):
        main(["--print-completion", "bash"])
    assert "pip install shtab\n" in capsys.readouterr().err


def test_export_without_onnx_names_the_extra(call, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "ssl_jax.networks.onnx_export", raising=False)
    ended = call("export", "--to", "a.onnx")
    refused(ended, "the package onnx is missing: pip install onnx")


NOTE = "a note"
LAST_LINE = "ssl_jax: wrong"


@pytest.fixture
def noted(monkeypatch):
    """The stage `report` says NOTE and stops with LAST_LINE."""

    def stage(*_):
        progress.say(NOTE)
        raise InputError("wrong")

    monkeypatch.setattr(pipeline, "report", stage)


def test_a_stage_says_its_notes_and_why_it_ends(call, noted):
    assert call("report").lines == [NOTE, LAST_LINE]


def test_a_quiet_stage_says_why_it_ends_alone(call, noted):
    assert call("report", "-q").lines == [LAST_LINE]


def test_a_verbose_stage_says_where_compiled_programs_are(call, noted):
    more, *others = call("report", "-v").lines
    assert "compiled programs in" in more and others == [NOTE, LAST_LINE]


def test_the_log_has_what_every_stage_says_quiet_ones_too(call, noted, tmp_path):
    more = call("report", "-v", "--log", "log").lines[0]
    call("report", "--quiet", "--log", "log")
    logged = [line.split(" ", 2)[2] for line in (tmp_path / "log").read_text().splitlines()]
    assert logged == [more, NOTE, LAST_LINE, NOTE, LAST_LINE]


def test_a_log_that_cannot_be_written_is_named(call, noted):
    refused(call("report", "--log", "none/log"), "none/log: no such file or folder")


# what the last line says, by what is wrong
USAGE = {
    "STAGE": "",
    "cook": "cook",
    "half": "train --hop half",
    "--limit": "train --limit 3",
    HAIR_CELLS[0]: "train --hair-cell bald",
    "nearest_azimuth": "train --directions up",
    "use names with commas between": "database --noise-kinds rain,,wind",
}


@pytest.mark.parametrize("says", USAGE)
def test_unknown_words_are_usage_errors(says, capsys):
    with pytest.raises(SystemExit) as error:
        main(USAGE[says].split())
    assert error.value.code == 2 and says in capsys.readouterr().err.splitlines()[-1]


REFUSED = {
    "all --hop 0": "hop 0: out of range: use ",
    "all --hop -5": "hop -5: out of range: use ",
    "all --hop 44101": "hop 44101: out of range: use ",
    "figures --seed -1": "seed -1: out of range: use ",
    "audit --rows x": "--rows x: unknown",
    "audit --clips 1": "too few",
    "report --name reported": "--name reported: that folder is for reported tables: use ",
    "database --export-wav out --limit 0": "--limit 0: no mixtures asked for: use at least 1",
    "figures": "no log of any run: run the train stage",
    "report": "results/published: no training logs: run ./reproduce.sh",
}


@pytest.mark.parametrize("words", REFUSED)
def test_bad_words_are_refused_and_nothing_is_made(call, tmp_path, words):
    refused(call(*words.split()), REFUSED[words])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--speech", "--noise", "--heads"])
def test_a_folder_of_sounds_that_is_not_there_or_empty_is_named(call, tmp_path, option):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "missing", tmp_path / "empty"):
        refused(call("database", "--quick", option, folder), f"ssl_jax: {folder}: ")


def test_a_file_where_the_results_or_the_mixtures_should_go(call, tmp_path, monkeypatch):
    """Refused at once: the work is not begun."""
    monkeypatch.setattr(pipeline, "build", lambda *_: pytest.fail("the work was begun"))
    (tmp_path / "taken").write_text("")
    for stage in ("database", "figures", "report"):
        refused(call(stage, "--quick", "--results", tmp_path / "taken"), tmp_path / "taken")
    ended = call("database", "--quick", "--export-wav", tmp_path / "taken/here")
    refused(ended, tmp_path / "taken", "a file stands where a folder is needed")


DENIED = "a b: permission denied: choose a folder you may write to"
STOPS = [
    (InputError("a: two\nlines: do something"), 2, "a: two lines: do something"),
    (PermissionError(13, "no", "a\nb"), 2, DENIED),
    (BrokenPipeError(32, "no", "a"), 2, "a: no"),
    (KeyboardInterrupt(), 130, "interrupted"),
]


@pytest.mark.parametrize("error, status, says", STOPS)
def test_whatever_stops_a_stage_is_one_line(call, monkeypatch, error, status, says):
    monkeypatch.setattr(pipeline, "report", Mock(side_effect=error))
    ended = call("report")
    assert (ended.status, ended.out, len(ended.lines)) == (status, "", 1)
    assert ended.lines[0].startswith(f"ssl_jax: {says}")


@pytest.mark.parametrize("stage, resumes", [("database", True), ("figures", False)])
def test_an_interrupted_stage_says_whether_it_goes_on(call, monkeypatch, stage, resumes):
    monkeypatch.setattr(pipeline, "run_experiment", Mock(side_effect=KeyboardInterrupt))
    ended = call(stage)
    assert ended.status == 130
    assert ("goes on from here" in ended.lines[0]) is resumes


def test_all_runs_every_stage_in_order(call, monkeypatch):
    began = []
    monkeypatch.setattr(pipeline, "run_stage", lambda stage, ex, _: began.append((stage, ex.name)))
    assert call("all", "--quick", "--seed", 5).status == 0
    names = ("database", "train", "figures", "report")
    assert began == [(stage, "published-quick-seed5") for stage in names]


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


def test_a_platform_that_is_not_there_is_one_line(tmp_path):
    env = os.environ | {"JAX_PLATFORMS": "cuda"}
    words = [sys.executable, "-m", "ssl_jax", "report"]
    done = subprocess.run(words, cwd=runs.ROOT, capture_output=True, text=True, env=env)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("ssl_jax: JAX_PLATFORMS=cuda: JAX has no such device here")

"""What is noted of a stage, and the commit that made it."""

import json
import subprocess
import time
from unittest.mock import Mock

import pytest

from ssl_jax.common import commit as commit_module
from ssl_jax.common import provenance


@pytest.fixture
def record(tmp_path, monkeypatch):
    """Record a stage that lasts so many seconds; all seconds noted so far, by stage."""
    now = [10.0]
    path = tmp_path / "far/timing.json"
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def record(stage, lasts, **state):
        with provenance.record_stage(path, stage, **state):
            now[0] += lasts
        notes = json.loads(path.read_text())
        for entry in notes["stages"].values():
            assert entry["commit"] == provenance.commit()
            assert entry["machine"] == provenance.machine()
            assert entry["peak_memory_mb"] > 10
        return {stage: entry["seconds"] for stage, entry in notes["stages"].items()}

    return record


def test_stages_are_recorded_beside_one_another(record):
    assert record("database", 2.5, resumed=False) == {"database": 2.5}
    assert record("model1", 3, resumed=False) == {"database": 2.5, "model1": 3}


def test_stages_keep_what_made_them(tmp_path, monkeypatch):
    path = tmp_path / "timing.json"
    for stage, made_by in (("database", "a"), ("model1", "b")):
        monkeypatch.setattr(provenance, "commit", lambda made_by=made_by: made_by)
        monkeypatch.setattr(provenance, "machine", lambda made_by=made_by: f"abacus {made_by}")
        with provenance.record_stage(path, stage, resumed=False):
            pass
    timing = json.loads(path.read_text())
    stages = ("database", "model1", "ours")
    assert [provenance.note_of(timing, stage, "commit") for stage in stages] == [
        "a",
        "b",
        "unknown",
    ]
    machines = [provenance.note_of(timing, stage, "machine") for stage in stages]
    assert machines == ["abacus a", "abacus b", "unknown"]


def test_the_seconds_of_a_resumed_stage_add_up(record):
    record("model1", 2.5, resumed=False)
    assert record("model1", 2.5, resumed=True) == {"model1": 5}


def test_a_stage_done_anew_replaces_a_copied_note(record):
    record("model1", 2.5, resumed=False)
    assert record("model1", 1, resumed=False) == {"model1": 1}


def test_a_complete_stage_keeps_its_note(record):
    record("model1", 2.5, resumed=False)
    assert record("model1", 1, resumed=True, complete=True) == {"model1": 2.5}


def test_a_complete_stage_that_was_never_noted_is_noted(record):
    """As where a run was killed after its last checkpoint."""
    record("database", 2.5, resumed=False)
    noted = record("model1", 1, resumed=True, complete=True)
    assert noted == {"database": 2.5, "model1": 1}


def test_a_package_inside_another_checkout_has_no_commit(tmp_path, monkeypatch):
    """As where somebody's own repository has it in an environment below."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    package = tmp_path / "env/ssl_jax/common"
    package.mkdir(parents=True)
    (package.parent / "__main__.py").write_text("")
    as_them = ["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*as_them, "commit", "--quiet", "--allow-empty", "-m", "theirs"], check=True)
    monkeypatch.setattr(commit_module, "__file__", str(package / "commit.py"))
    assert provenance.commit() == "unknown"


def test_without_git_the_commit_is_unknown(monkeypatch):
    monkeypatch.setattr(subprocess, "run", Mock(side_effect=FileNotFoundError))
    assert provenance.commit() == "unknown"

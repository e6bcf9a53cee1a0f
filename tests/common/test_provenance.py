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
        assert notes["commit"] == provenance.commit() and notes["machine"] == provenance.machine()
        assert all(entry["peak_memory_mb"] > 10 for entry in notes["stages"].values())
        return {stage: entry["seconds"] for stage, entry in notes["stages"].items()}

    return record


def test_stages_are_recorded_beside_one_another(record):
    assert record("database", 2.5, resumed=False) == {"database": 2.5}
    assert record("model1", 3, resumed=False) == {"database": 2.5, "model1": 3}


def test_stages_keep_the_commits_that_made_them(tmp_path, monkeypatch):
    path = tmp_path / "timing.json"
    old = {"stages": {"database": {"seconds": 1, "peak_memory_mb": 20}}, "commit": "a"}
    path.write_text(json.dumps(old))
    monkeypatch.setattr(provenance, "commit", lambda: "b")
    with provenance.record_stage(path, "model1", resumed=False):
        pass
    timing = json.loads(path.read_text())
    assert timing["commit"] == "b"
    assert [provenance.commit_of(timing, stage) for stage in timing["stages"]] == ["a", "b"]
    assert provenance.commit_of(old, "database") == "a"


def test_the_seconds_of_a_resumed_stage_add_up(record):
    record("model1", 2.5, resumed=False)
    assert record("model1", 2.5, resumed=True) == {"model1": 5}


def test_a_stage_done_anew_replaces_a_copied_note(record):
    record("model1", 2.5, resumed=False)
    assert record("model1", 1, resumed=False) == {"model1": 1}


def test_a_complete_stage_keeps_its_note(record):
    record("model1", 2.5, resumed=False)
    assert record("model1", 1, resumed=True, complete=True) == {"model1": 2.5}


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

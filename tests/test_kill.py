"""Same settings, same machine: same bytes, however often the run was killed on its way."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
STAGES = ("cues", "model1", "model2", "model2_continued", "results")


@pytest.fixture
def start(compile_once):
    """Start stages in a process of their own under a folder, to be killed at a moment, or not (see killed.py)."""
    env = os.environ | {
        "PYTHONPATH": str(ROOT), "JAX_COMPILATION_CACHE_DIR": str(compile_once),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    env.pop("SSL_JAX_DATA", None)

    def run(folder, stages, *options, kill=None, tiny=True):
        folders = [f"--{k}={folder / k}" for k in ("results", "work", "figures")]
        words = [sys.executable, ROOT / "tests/killed.py", json.dumps({"tiny": tiny, "kill": kill}), *stages, "--",
                 *folders, *options]
        done = subprocess.run(words, env=env, capture_output=True, text=True)
        ends = [-signal.SIGKILL, -signal.SIGXFSZ] if kill else [0]
        assert done.returncode in ends, done.stderr
        return done

    return run


def outputs(folder):
    """Every file but wall times, which the report's heading repeats, and the number of the process with the lock."""
    there = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*")
             if p.is_file() and p.name not in ("timing.json", "lock")}
    return {name: re.sub(rb"wall time: .* GiB", b"", content) if name.endswith("comparison.md") else content
            for name, content in there.items()}


def same(folder, whole):
    """The same files, and the same bytes in each."""
    there = outputs(folder)
    assert set(there) == set(whole)
    assert [name for name in whole if there[name] != whole[name]] == []


def moments(seed, stages, last, seconds, first=0):
    """A kill in each of `stages`: within, before or some time after the nth write there, up to its `last`."""
    rng = np.random.default_rng(seed)
    whens = [("within", "before", rng.uniform(0, seconds))[(first + i) % 3] for i in range(len(stages))]
    return [[stage, int(rng.integers(1, last[stage] + 1)), when] for stage, when in zip(stages, whens, strict=True)]


def test_killed_in_every_stage_and_run_again_gives_the_same_bytes(tmp_path, start):
    options = (tmp_path / "killed", ("database", "train"), "--hop=882")
    start(tmp_path / "whole", *options[1:])
    whole = outputs(tmp_path / "whole")
    names = {f"work/embedded-hop882/{name}" for name in (
        "manifest.csv", "cues/store.json", *(f"cues/cues-{s:05d}.{end}" for s in range(6) for end in ("npy", "sha256")),
        *(f"{run}/epoch-00{epoch}.{end}" for run, first in (("model1", 1), ("model2", 1), ("model2_continued", 2))
          for epoch in (first, first + 1) for end in ("msgpack", "sha256")))}
    assert names <= set(whole) and not any(name.endswith(".part") for name in whole)
    # a stage's writes: 2 of its settings, then 4 of every shard or epoch that is still to be made
    last = {"cues": 8, "model1": 9, "model2": 9, "model2_continued": 9, "results": 6}
    for kill in moments(1, STAGES, last, seconds=0.03):
        start(*options, kill=kill)
    start(*options)
    same(tmp_path / "killed", whole)


@pytest.mark.slow
@pytest.mark.parametrize("round", range(3))
def test_the_real_pipeline_killed_ten_times(tmp_path_factory, tmp_path, start, round):
    """30 kills in all, three times through every stage of `python -m ssl_jax all --quick`."""
    def prepare(folder):
        shutil.copytree(ROOT / "results/reported", folder / "results/reported")
        return folder, ("all",), "--quick"

    shared = tmp_path_factory.getbasetemp() / "unbroken"  # made in the first round
    if not shared.exists():
        start(*prepare(shared), tiny=False)
    options = prepare(tmp_path)
    last = {"cues": 6, "model1": 6, "model2": 6, "model2_continued": 6, "results": 8, "figures": 8, "report": 3}
    stages = ("cues",) * 3 + STAGES[1:4] + ("results",) * 2 + ("figures", "report")
    for kill in moments((2, round), stages, last, seconds=0.5, first=round):
        start(*options, kill=kill, tiny=False)
    start(*options, tiny=False)
    same(tmp_path, outputs(shared))

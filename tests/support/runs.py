"""Experiments in a process of their own, under faults or unbroken, and what they leave behind."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).parents[2]
STAGES = ("cues", "model1", "model2", "model2_continued", "results")
NAME = "embedded-hop882"  # of the tiny experiment's folders under results/ and work/


class Ended(NamedTuple):
    """How a call of the command line ended."""

    status: int
    out: str
    lines: list[str]  # of stderr


class Disk(NamedTuple):
    """A small file system that one process and who is let in can see."""

    folder: Path  # of it, inside
    outside: Path  # the same, for other processes
    inside: tuple  # a command that lets one in


def command(compiled: Path, folder: Path, runs, *options, tiny=True) -> tuple[list, dict]:
    """Words and environment of a process that does what `start` says."""
    env = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
        "JAX_COMPILATION_CACHE_DIR": str(compiled),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    env.pop("SSL_JAX_DATA", None)
    words = [
        sys.executable,
        ROOT / "tests/support/faulty.py",
        json.dumps({"tiny": tiny, "runs": runs}),
        *(f"--{k}={folder / k}" for k in ("results", "work", "figures")),
        *options,
    ]
    return words, env


def start(compiled: Path, folder: Path, runs, *options, tiny=True, inside=()) -> list[Ended]:
    """Call the command line, once for each of `runs`, on folders of its own under `folder`.

    Parameters
    ----------
    compiled : Path
        Compiled programs are kept there.
    runs : list of (fault or None, stages)
        See faulty.py; the process is to end with the last one's status, or to be killed by it.
    inside : words
        A command to start it with.
    """
    words, env = command(compiled, folder, runs, *options, tiny=tiny)
    done = subprocess.run([*inside, *words], env=env, capture_output=True, text=True)
    *whole, rest = re.split("^==== run ended with status (.*)\n", done.stderr, flags=re.MULTILINE)
    ended = [
        Ended(int(status), done.stdout, text.splitlines())
        for text, status in zip(whole[::2], whole[1::2], strict=True)
    ]
    fault = runs[-1][0]
    if fault and fault["do"] == "kill":
        assert done.returncode in (-signal.SIGKILL, -signal.SIGXFSZ), done.stderr
    else:
        assert len(ended) == len(runs) and done.returncode == ended[-1].status and rest == "", done.stderr
    assert "the fault never came" not in done.stderr and "left behind" not in done.stderr, done.stderr
    return ended


def outputs(folder):
    """Every file but wall times, which the report's heading repeats, and the number of the process with the lock."""
    there = {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and p.name not in ("timing.json", "lock")
    }
    return {
        name: re.sub(rb"wall time: .* GiB", b"", content) if name.endswith("comparison.md") else content
        for name, content in there.items()
    }


def same(folder, whole):
    """The same files, and the same bytes in each."""
    there = outputs(folder)
    assert set(there) == set(whole)
    assert [name for name in whole if there[name] != whole[name]] == []


def refused(ended, *says):
    """Status 2 and, after the progress, one line of the program's own that has all of `says`."""
    assert ended.status == 2, ended
    assert [line.startswith("ssl_jax: ") for line in ended.lines] == [False] * (len(ended.lines) - 1) + [
        True
    ], ended
    assert not any("Traceback" in line for line in ended.lines), ended
    for part in says:
        assert str(part) in ended.lines[-1], ended


def moments(rng: np.random.Generator, stages, last) -> list[tuple[str, int]]:
    """A moment in each of `stages`: one of its writes, up to the `last`."""
    return [(stage, int(rng.integers(1, last[stage] + 1))) for stage in stages]

"""Experiments in a process of their own, under faults or unbroken, and what they leave behind."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from ssl_jax.common.errors import InputError

ROOT = Path(__file__).parents[2]
STAGES = ("cues", "model1", "model2", "model2_continued", "results")
NAME = "published-hop882"  # of the tiny experiment's folders under results/ and work/
FULL = ": the disk is full: free some space and run the same command again"
# of a call of the command line; the lines are of stderr
Ended = namedtuple("Ended", "status out lines")
# a small file system: its folder, the same for other processes, a command that lets one in
Disk = namedtuple("Disk", "folder outside inside")


def command(compiled: Path, folder: Path, runs, *options) -> tuple[list, dict]:
    """Words and environment of a process that does what `start` says."""
    env = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    env["JAX_COMPILATION_CACHE_DIR"] = str(compiled or "")
    folders = [f"--{k}={folder / k}" for k in ("results", "work", "figures")]
    program = ROOT / "tests/support/faulty.py"
    return [sys.executable, program, json.dumps(runs), *folders, *options], env


def start(compiled: Path, folder: Path, runs, *options, inside=()) -> list[Ended]:
    """Call the command line, once for each of `runs`, on folders of its own under `folder`.

    `compiled` keeps compiled programs. `runs` are pairs of a fault, or None, and stages (see
    faulty.py); the last of them ends the process with its status. `inside` is a command to start it
    with.
    """
    words, env = command(compiled, folder, runs, *options)
    done = subprocess.run([*inside, *words], env=env, capture_output=True, text=True)
    *whole, rest = re.split("^==== run ended with status (.*)\n", done.stderr, flags=re.MULTILINE)
    pairs = zip(whole[::2], whole[1::2], strict=True)
    ended = [Ended(int(status), done.stdout, text.splitlines()) for text, status in pairs]
    assert len(ended) == len(runs) and rest == "", done.stderr
    assert done.returncode == ended[-1].status, done.stderr
    for (fault, _), one in zip(runs, ended, strict=True):
        is_killed = one.status in (-signal.SIGKILL, -signal.SIGXFSZ)
        assert is_killed == (fault is not None and fault["do"] == "kill"), done.stderr
    assert "the fault never came" not in done.stderr, done.stderr
    assert "left behind" not in done.stderr, done.stderr
    return ended


def outputs(folder):
    """Every file but locks and wall times."""
    files = (p for p in folder.rglob("*") if p.is_file() and p.name not in ("timing.json", "lock"))
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def restore(folder, files, *lost):
    """Put the files of a whole experiment into a folder, without those that `lost` names."""
    for name, content in files.items():
        if not any(part in name for part in lost):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)


def same(folder, whole):
    """The same files, and the same bytes in each."""
    there = outputs(folder)
    assert set(there) == set(whole)
    assert [name for name in whole if there[name] != whole[name]] == []


def free_address():
    """HOST:PORT where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def refused(ended, *says):
    """Status 2 and, after the progress, one line of the program's own that has all of `says`."""
    assert ended.status == 2 and not any("Traceback" in line for line in ended.lines), ended
    ours = [line.startswith("ssl_jax: ") for line in ended.lines]
    assert ours[-1] and sum(ours) == 1, ended
    assert all(str(part) in ended.lines[-1] for part in says), ended


def refuses(says, call, *args, **fields):
    """The call raises InputError: one line in which the regular expression `says` is found."""
    with pytest.raises(InputError, match=says) as error:
        call(*args, **fields)
    assert "\n" not in str(error.value)


def refused_call(call, *args, says):
    """The same, of a line that begins with the first argument, a path, and then has `says`."""
    refuses(rf"\A{re.escape(str(args[0]))}: .*{re.escape(says)}", call, *args)


def moments(rng: np.random.Generator, stages, last) -> list[tuple[str, int]]:
    """A moment in each of `stages`: one of its writes, up to the `last`."""
    return [(stage, int(rng.integers(1, last[stage] + 1))) for stage in stages]

"""The front-end needs few packages, folders import only those below, and nothing needs Linux."""

import ast
import os
import subprocess
import sys

import pytest

from support.runs import ROOT, command, outputs

FLOORS = (
    *("common", "frontend", "sounds", "database", "networks", "training", "report"),
    *("recordings", "studies", "command_line"),
)
PURE = """
import sys
others = {"soundfile", "h5py", "flax", "optax", "matplotlib", "rich", "filelock", "safetensors"}
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in others:
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import numpy as np
from ssl_jax.frontend import auditory_model, binaural_feature, streaming
cues = binaural_feature.get_cues_clean(np.ones((1000, 2), np.float32), 8000)
assert cues.itd.shape == (32, 12)
ours = {name for name in sys.modules if name.startswith("ssl_jax.")}
assert all(name.startswith("ssl_jax.frontend") for name in ours), ours
"""
ELSEWHERE = """
import os, pathlib, runpy, sys
gone_there = "preadv pread sched_getaffinity statvfs process_cpu_count posix_fallocate".split()
for gone in gone_there:
    if hasattr(os, gone):
        delattr(os, gone)
sys.modules["fcntl"] = sys.modules["resource"] = None  # an import then fails
whole = pathlib.Path.read_text
def read_text(path, *words, **more):
    if str(path).startswith("/proc"):
        raise FileNotFoundError(path)
    return whole(path, *words, **more)
pathlib.Path.read_text = read_text
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_the_front_end_needs_no_other_package():
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", PURE], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def imported(path):
    """Modules of the package that a file imports anywhere, without their `ssl_jax.`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("ssl_jax"):
            names = [node.module]
            # from ssl_jax or from one of its folders: modules are what is imported
            if node.module == "ssl_jax" or node.module.removeprefix("ssl_jax.") in FLOORS:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name.removeprefix("ssl_jax.") for name in names)


def imports_between_folders():
    """(file, its folder, folder it imports from) of every import within the package."""
    for path in (ROOT / "ssl_jax").rglob("*.py"):
        home = path.relative_to(ROOT / "ssl_jax").parts[0]
        for name in imported(path):
            yield path.name, home, name.split(".")[0]


def test_a_folder_imports_only_those_below_it():
    upwards = []
    for file, home, floor in imports_between_folders():
        if home in FLOORS and floor in FLOORS and FLOORS.index(floor) > FLOORS.index(home):
            upwards.append(f"{file} imports {floor}")
    assert upwards == []


def test_the_front_end_imports_nothing_else_of_the_package():
    homes = {floor for _, home, floor in imports_between_folders() if home == "frontend"}
    assert homes == {"frontend"}


def test_nothing_but_the_command_line_imports_a_study():
    homes = {home for _, home, floor in imports_between_folders() if floor == "studies"}
    assert homes <= {"studies", "command_line"}


@pytest.mark.skipif(sys.platform != "linux", reason="takes away what only Linux has")
def test_the_pipeline_runs_without_what_only_linux_has(tmp_path, compile_once, unbroken):
    """The tiny experiment (see support/faulty.py) gives the same cue store and logs."""
    stages = ("database", "train --runs model2")
    words, env = command(compile_once, tmp_path, [(None, stages)], "--hop=882")
    words[1:1] = ["-c", ELSEWHERE]
    done = subprocess.run([*map(str, words)], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    there = outputs(tmp_path)
    # metrics and settings are of all runs, and one is trained here
    alike = [name for name in there if "/cues/" in name or "model2" in name or "manifest" in name]
    assert len(alike) > 15 and [name for name in alike if there[name] != unbroken[name]] == []

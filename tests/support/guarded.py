"""Readers of files from outside, run in a process that may crash, hang or ask for too much memory.

usage: guarded.py, then lines of JSON [READER, PATH] on standard input; an answer each on standard output

A C library can end or hold up the whole process, which no handler in it survives: so the test that asks watches the
clock and the end of this one. From the first answer on the system gives it 1 GiB more address space and no more.
"""

import contextlib
import json
import os
import resource
import select
import subprocess
import sys
from pathlib import Path

import numpy as np

from ssl_jax.config import Database, FrontEnd

MORE_MEMORY = 2**30  # bytes of address space, which only what asks for memory in vain uses up
MORE_USED = 3 * 2**27  # bytes; HDF5 says only that it failed when it did not get more
SECONDS = 20  # per file; a sound one takes a few hundredths
MAX_BYTES = 200_000  # of an archive's content
COLUMNS = ("mixture", "speaker")
STORE = {"database": Database(clips=1, shard=72), "front": FrontEnd(channels=1, fs=100, hop=100)}


class Failure(Exception):
    """What a reader must not do."""


class Guarded:
    """The other process, started when it is needed."""

    process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def _answer(self, question, seconds):
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            return f"it takes over {seconds} s"
        return self.process.stdout.readline().strip() or f"it ends the process: {self.process.wait()}"

    def read(self, reader: str, path: Path) -> str:
        """ "read" or "refused"; Failure for all else."""
        if self.process is None:
            here = Path(__file__)
            env = os.environ | {
                "PYTHONPATH": str(here.parents[2]),
                "MALLOC_ARENA_MAX": "1",
                "JAX_PLATFORMS": "cpu",
            }
            self.process = subprocess.Popen(
                [sys.executable, str(here)], env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            assert self._answer(["", ""], 300) == "ready"
        answer = self._answer([reader, str(path)], SECONDS)
        if answer not in ("read", "refused"):
            if not answer.startswith("fault: "):  # it cannot go on
                self.__exit__()
            raise Failure(f"{reader}: {answer}")
        return answer


def sofa(path):
    for fs in (None, 8_000):
        head = read_sofa(path, fs)
        directions = len(head.hrirs)
        assert head.hrirs.shape[1] == 2 and head.azimuth.shape == head.elevation.shape == (directions,)
        assert all(np.isfinite(x).all() for x in (head.hrirs, head.azimuth, head.elevation))


def sound(path):
    samples, fs = files.read_sound(path)
    blocks = sum(len(block) for block in files.sound_blocks(path, 4096))
    assert samples.ndim == 2 and len(samples) == blocks and np.isfinite(samples).all() and fs > 0


def table(path):
    assert all(isinstance(row[c], str) for row in files.read_csv(path, COLUMNS) for c in COLUMNS)


def manifest(path):
    found = read_manifest(path, 4)
    assert found.snr.shape == (4,) and len(found.speaker) == 4 and np.isfinite(found.snr).all()


def document(path):
    files.read_json(path)


def checkpoint(path):
    content = load_checkpoint(path)
    with contextlib.suppress(files.InputError):  # names the array: who calls knows the file
        from_named("x", {"a": np.zeros(3, np.float32)}, content["arrays"])


def network(path):
    model, front = load_weights(path.stem, path.parent)
    assert front.fs > 0 and hasattr(model, "classify")


def published(path):
    load_published(path)


def shard(path):
    (cues,) = CueStore(path.parent, STORE["database"], STORE["front"]).read()
    assert cues.shape == (72, 3, 1, 1) and cues.dtype == np.float16


def archive(path):
    goal, root = path.parent / "goal", path.parents[3]
    before = set(root.rglob("*"))
    try:
        extract(path, goal, MAX_BYTES)
    finally:
        made = set(root.rglob("*")) - before
        assert all(
            p.is_relative_to(goal) and (p.is_file() or p.is_dir()) and not p.is_symlink() for p in made
        )
        assert sum(p.stat().st_size for p in made if p.is_file()) <= MAX_BYTES


READERS = (sofa, sound, table, manifest, document, checkpoint, network, published, shard, archive)


def judged(reader, path) -> str:
    """What became of one file."""
    try:
        try:
            reader(path)
            return "read"
        except OSError as error:  # the command line makes a line of it
            raise files.InputError(files.os_error_message(error)) from error
    except files.InputError as error:
        message, cause = str(error), error
        while cause := cause.__context__:
            if isinstance(cause, MemoryError):
                return f"fault: asks for over 1 GiB more memory: {message}"
        if "\n" in message or reader is not archive and str(path.parent) not in message:
            return f"fault: not one line that names the file: {message!r}"
        return "refused"
    except BaseException as error:
        return f"fault: {type(error).__name__}: {' '.join(str(error).split())}"


if __name__ == "__main__":
    from ssl_jax import files
    from ssl_jax.database.build import CueStore
    from ssl_jax.database.recipes import read_manifest
    from ssl_jax.networks.packed import load_weights
    from ssl_jax.networks.three_branch import build_model
    from ssl_jax.sounds.archives import extract
    from ssl_jax.sounds.sofa import read_sofa
    from ssl_jax.studies.published_weights import load_published
    from ssl_jax.training.checkpoints import from_named, load_checkpoint

    answers, sys.stdout = sys.stdout, sys.stderr
    build_model("three_branch", 0)  # the first one compiles
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MORE_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    readers = {reader.__name__: reader for reader in READERS} | {"": None}
    for line in sys.stdin:
        name, path = json.loads(line)
        answer = judged(readers[name], Path(path)) if name else "ready"
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used > MORE_USED // 1024:
            answer = f"it takes over {MORE_USED >> 20} MiB more memory: {answer}"
        print(answer, file=answers, flush=True)

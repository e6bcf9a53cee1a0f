"""Readers of files from outside, run in a process that may crash, hang or ask for too much memory.

usage: guarded.py, then lines of JSON [READER, PATH] on standard input; an answer to each on
standard output

A C library can end or hold up the whole process, which no handler in it survives. So the test that
asks watches the clock and the end of this one. From the first answer on it may have 1 GiB more
address space.
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

from ssl_jax.common import files
from ssl_jax.common.errors import InputError, os_error_message
from ssl_jax.config import Database, FrontEnd
from ssl_jax.database import cue_store
from ssl_jax.database.manifest import read_manifest
from ssl_jax.networks import packed, registry, serialisation
from ssl_jax.sounds import reading
from ssl_jax.sounds.sofa import read_sofa
from ssl_jax.studies.published_weights import load_published
from ssl_jax.training.checkpoints import load_checkpoint

MORE_MEMORY = 2**30  # bytes of address space, which only what asks for memory in vain uses up
MORE_USED = 3 * 2**27  # bytes; HDF5 says only that it failed when it did not get more
SECONDS = 20  # per file; a sound one takes a few hundredths
COLUMNS = ("mixture", "speaker")
STORE = {"database": Database(clips=1, shard=72), "front": FrontEnd(channels=1, fs=100, hop=100)}


class Guarded:
    """The other process, started when it is needed."""

    process = None

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def _answer(self, question, seconds):
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            return f"it takes over {seconds} s"
        answer = self.process.stdout.readline().strip()
        return answer or f"it ends the process: {self.process.wait()}"

    def read(self, reader: str, path: Path) -> str:
        """Have it read a file: "read" or "refused"; AssertionError for all else."""
        if self.process is None:
            root = str(Path(__file__).parents[2])
            env = os.environ | {"PYTHONPATH": root, "MALLOC_ARENA_MAX": "1", "JAX_PLATFORMS": "cpu"}
            look = dict(env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self.process = subprocess.Popen([sys.executable, __file__], **look)
            assert self._answer(["", ""], 300) == "ready"
        answer = self._answer([reader, str(path)], SECONDS)
        # after a fault the process can go on, after anything else it cannot
        if answer not in ("read", "refused") and not answer.startswith("fault: "):
            self.stop()
        assert answer in ("read", "refused"), f"{reader}: {answer}"
        return answer


def sofa(path):
    for fs in (None, 8_000):
        head = read_sofa(path, fs)
        assert head.hrirs.shape[1] == 2
        assert len(head.hrirs) == len(head.azimuth) == len(head.elevation)
        assert all(np.isfinite(x).all() for x in (head.hrirs, head.azimuth, head.elevation))


def sound(path):
    samples, fs = reading.read_sound(path)
    blocks = sum(len(block) for block in reading.sound_blocks(path, 4096))
    assert samples.ndim == 2 and len(samples) == blocks and np.isfinite(samples).all() and fs > 0


def table(path):
    assert all(isinstance(row[c], str) for row in files.read_csv(path, COLUMNS) for c in COLUMNS)


def manifest(path):
    content = read_manifest(path, 4)
    assert content.snr.shape == (4,) and len(content.speaker) == 4
    assert np.isfinite(content.snr).all()


def checkpoint(path):
    content = load_checkpoint(path)
    with contextlib.suppress(InputError):  # names the array: who calls knows the file
        serialisation.from_named("x", {"a": np.zeros(3, np.float32)}, content.arrays)


def shard(path):
    (rows,) = cue_store.CueStore(path.parent, STORE["database"], STORE["front"]).read()
    assert len(rows) == 72
    assert {(row.shape, row.dtype.name) for row in rows} == {((3, 1, 1), "float16")}


def network(path):
    model, _ = packed.load_weights(path.stem, path.parent)
    assert model.classify is not None


READERS = {
    "sofa": sofa,
    "sound": sound,
    "table": table,
    "manifest": manifest,
    "document": files.read_json,
    "checkpoint": checkpoint,
    "shard": shard,
    "network": network,
    "published": load_published,
}


def judged(name, path) -> str:
    """What became of one file."""
    try:
        READERS[name](path)
    except (InputError, OSError) as error:
        return fault_of_refusal(error, path) or "refused"
    except BaseException as error:
        return f"fault: {type(error).__name__}: {' '.join(str(error).split())}"
    return "read"


def fault_of_refusal(error, path) -> str:
    """What is wrong with the way in which a file is refused, or nothing."""
    # the command line makes a line of an operating system's error
    message = os_error_message(error) if isinstance(error, OSError) else str(error)
    cause = error
    while cause is not None:
        if isinstance(cause, MemoryError):
            return f"fault: asks for over 1 GiB more memory: {message}"
        cause = cause.__context__
    if "\n" in message or str(path.parent) not in message:
        return f"fault: not one line that names the file: {message!r}"
    return ""


def peak_memory_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def limit_memory() -> None:
    """Let this process have MORE_MEMORY of address space beside what it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MORE_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def answer_questions(questions, answers) -> None:
    """Read the file of each line, and say what became of it."""
    used_kb = peak_memory_kb()
    for line in questions:
        name, path = json.loads(line)
        answer = judged(name, Path(path)) if name else "ready"
        if peak_memory_kb() - used_kb > MORE_USED // 1024:
            answer = f"it takes over {MORE_USED >> 20} MiB more memory: {answer}"
        print(answer, file=answers, flush=True)


if __name__ == "__main__":
    answers = sys.stdout
    sys.stdout = sys.stderr  # what a reader prints is no answer
    registry.build_model("three_branch", 0, FrontEnd())  # the first one compiles
    limit_memory()
    answer_questions(sys.stdin, answers)

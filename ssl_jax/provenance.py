"""What made a number: the commit, the machine, the time and memory it took."""

import contextlib
import ctypes
import os
import platform
import resource
import subprocess
import time
from pathlib import Path

from .files import read_json, require_writable, write_json


def commit() -> str:
    """The commit this code stands at, "-dirty" when the package differs from it, or "unknown"."""
    def git(*words):
        return subprocess.run(["git", "-C", str(Path(__file__).parent), *words], capture_output=True,
                              text=True, check=True, timeout=20).stdout.strip()
    try:
        return git("rev-parse", "--short=10", "HEAD") + "-dirty" * bool(git("status", "--porcelain", "."))
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def machine() -> str:
    """The processor and what JAX computes on, in words."""
    import jax

    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, IndexError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = [l.split(":", 1)[1].strip() for l in lines if l.startswith("model name")][0]
    kinds = sorted({d.device_kind for d in jax.devices()})
    return f"{len(os.sched_getaffinity(0))} cores of {name}; JAX {jax.__version__} on {', '.join(kinds)}"


@contextlib.contextmanager
def clock(path: Path, stage: str, begun: bool, done: bool = False):
    """Note a stage's wall time and peak memory in a file of their own.

    Where all was done before, the note stays as it is: it names the commit that made the numbers. Where the
    stage was begun before, times add up; a note without the work it speaks of came with the results.
    """
    began = time.monotonic()
    require_writable(path.parent)  # now, not after hours of work, is the time to fail
    yield
    if done and path.exists():
        return
    notes = read_json(path) if path.exists() else {}
    stages = notes.setdefault("stages", {})
    before = begun and stages.get(stage) or {"seconds": 0, "peak_memory_mb": 0}
    notes |= {"commit": commit(), "machine": machine()}
    stages[stage] = {
        "seconds": round(before["seconds"] + time.monotonic() - began, 1),
        "peak_memory_mb": max(before["peak_memory_mb"],
                              resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024),
    }
    write_json(path, notes)


def keep_memory() -> None:
    """Have glibc keep freed buffers instead of giving them back to the system.

    A filterbank's outputs are large and made afresh for every batch; touching new pages each time
    would take as long as computing them. Elsewhere than on glibc nothing happens.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(-3, 2**30)  # M_MMAP_THRESHOLD, bytes
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD, bytes

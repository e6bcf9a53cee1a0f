"""What made a number: the commit, the machine, the time and memory it took."""

import contextlib
import platform
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import jax

from ssl_jax.common.commit import commit
from ssl_jax.common.devices import cpu_count, is_main_process
from ssl_jax.common.files import read_json, require_writable, write_json


def machine() -> str:
    """The processor and what JAX computes on, in words."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, IndexError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")][0]
    kinds = sorted({d.device_kind for d in jax.devices()})
    return f"{cpu_count()} cores of {name}; JAX {jax.__version__} on {', '.join(kinds)}"


def peak_memory_mb() -> int:
    """The most memory that this process ever had, in MiB; 0 where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (2**20 if sys.platform == "darwin" else 2**10)  # macOS counts bytes, Linux kB


@contextlib.contextmanager
def record_stage(path: Path, stage: str, *, resumed: bool, complete: bool = False):
    """Have the main process note a stage's time, memory, commit and machine in a file.

    If the stage resumes, its seconds are added to those noted before; what was cut off has noted
    none. If its outputs were complete already, the note stays. If the note belongs to outputs that
    are not there, it was copied from another machine and is replaced.
    """
    began = time.monotonic()
    if is_main_process():
        require_writable(path.parent)  # fail now, not after hours of work
    yield
    if not is_main_process():
        return
    notes = read_json(path) if path.exists() else {}
    stages = notes.setdefault("stages", {})
    if complete and stage in stages:
        return
    seconds = time.monotonic() - began
    memory = peak_memory_mb()
    if resumed and stage in stages:
        seconds += stages[stage]["seconds"]
        memory = max(memory, stages[stage]["peak_memory_mb"])
    stages[stage] = {
        "seconds": round(seconds, 1),
        "peak_memory_mb": memory,
        "commit": commit(),
        "machine": machine(),
    }
    write_json(path, notes)


def note_of(timing: dict, stage: str, what: str) -> str:
    """The "commit" or the "machine" of a stage in what `record_stage` notes."""
    return timing.get("stages", {}).get(stage, {}).get(what, "unknown")


def notes_of(timing: dict, stages: Iterable[str], what: str) -> str:
    """The commits or the machines of some stages, each once."""
    return ", ".join(dict.fromkeys(note_of(timing, stage, what) for stage in stages))

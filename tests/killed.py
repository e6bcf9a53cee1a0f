"""Run the command line in a process of its own, and have the system kill it while it writes.

usage: killed.py {"tiny": ..., "kill": [stage, nth, when] or null} STAGE... -- OPTION...

The moment is counted in what is written, not in time, so that it lies in the stage that is meant on any machine: at
the nth opening or renaming of a file of that stage, "before" it happens, so many seconds later, or "within" the next
file, of which ten bytes are written. Before and later by SIGKILL, within by the limit on a file's size: no handler
runs, nothing is flushed, closed or undone.
"""

import json
import os
import resource
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path

from ssl_jax import __main__ as cli
from ssl_jax import config

STAGES = ("cues", "model1", "model2", "model2_continued")  # folders under work/NAME


def stage_of(path: str) -> str:
    """The stage that writes a file, after its folder or its own name."""
    folder = Path(path).parent.name
    if folder in STAGES:
        return folder
    if path.endswith(".png.part") or ".png." in path:
        return "figures"
    return "report" if "comparison" in path else "results" if "results" in Path(path).parts else ""


def kill_at(stage: str, nth: int, when: str | float) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it, and a write fails with an error instead
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    count = 0

    def watch(event, args):
        nonlocal count
        written = event == "os.rename" or event == "open" and isinstance(args[1], str) and args[1][0] in "wax"
        if written and stage_of(str(args[0])) == stage:
            count += 1
            if count != nth:
                return
            if when == "before":
                die()
            elif when == "within":
                resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
            else:
                threading.Timer(when, die).start()

    sys.addaudithook(watch)


def tiny(*options):
    """What the command line makes an experiment of: 2 clips in shards of a batch, two epochs of each run.

    128 mixtures to train on and 16 held out are whole batches, and Model 1 differs from Model 2 in its seed alone, so
    that few programs are to be compiled.
    """
    ex = config.experiment(*options)
    runs = {k: replace(r, clips=2, epochs=2, epochs_planned=2, evaluation_share=1 / 9) for k, r in ex.runs.items()}
    runs["model1"] = replace(runs["model2"], seed=runs["model2"].seed + 1)
    runs["model2_continued"] = replace(runs["model2_continued"], epochs=3, start_epoch=1, restart_epochs=(2, 3))
    return replace(ex, database=replace(ex.database, clips=2, shard=24), runs=runs)


if __name__ == "__main__":
    asked, words = json.loads(sys.argv[1]), sys.argv[2:]
    if asked["tiny"]:
        cli.experiment = tiny
    if asked["kill"]:
        kill_at(*asked["kill"])
    stages, options = words[: words.index("--")], words[words.index("--") + 1 :]
    for stage in stages:
        if status := cli.main([*stage.split(), *options]):
            sys.exit(status)

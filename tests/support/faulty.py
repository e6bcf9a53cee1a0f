"""Run the tiny experiment in a process of its own, and have something break while it writes.

usage: faulty.py [[FAULT or null, [STAGE...]], ...] OPTION...

Every pair is one call of the command line's stages, all of them in this process; a kill that others
follow is in a copy of it. What a fault took away is given back after its run, but for what it
deleted. A line of stderr, END and the exit status, ends each.

A fault is {"do": one of FAULTS, "at": [stage, nth], ...}: it happens at the nth opening or renaming
of a file of that stage, on any machine the same; with "at": null, before the run.
"""

import ctypes
import json
import os
import shutil
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path

# the pipeline is here so that copies of this process need not import it
from ssl_jax import __main__ as cli
from ssl_jax import (
    experiments,
    pipeline,  # noqa: F401
)
from ssl_jax.command_line import options as command_line_options

STAGES = ("cues", "model1", "model2", "model2_continued")  # folders under work/NAME
END = "==== run ended with status "
MS_RDONLY, MS_REMOUNT, MS_BIND, MNT_DETACH = 1, 32, 4096, 2  # of mount(2)


def stage_of(path: str) -> str:
    """The stage that writes a file, after its folder or its own name."""
    folder = Path(path).parent.name
    if folder in STAGES:
        return folder
    return "results" if "results" in Path(path).parts else ""


def kill(when: str | float) -> None:
    """End this process at once, nothing flushed or closed.

    "before" what it is about to write, so many seconds later, or "within" the next file, at the
    tenth byte, by the limit on a file's size.
    """
    if when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    elif when == "within":
        import resource  # here, as other systems than Unix have none

        # Python ignores it, and a write would fail instead
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
    else:
        threading.Timer(when, os.kill, (os.getpid(), signal.SIGKILL)).start()


def fill(disk: str, left: int = 0):
    """Fill a small disk but for so many blocks: the next file that is larger fails midway."""
    filler = Path(disk) / "filler"
    space = os.statvfs(disk)
    with open(filler, "xb", buffering=0) as stream:
        if space.f_bavail > left:
            os.posix_fallocate(stream.fileno(), 0, (space.f_bavail - left) * space.f_frsize)
    return filler.unlink


def readonly(what: str):
    """Mount a folder on itself, read-only: that binds root too, and files stay open."""
    libc = ctypes.CDLL(None, use_errno=True)
    name = os.fsencode(what)

    def call(function, *words):
        if function(*words):
            raise OSError(ctypes.get_errno(), "cannot mount", what)

    call(libc.mount, name, name, None, ctypes.c_ulong(MS_BIND), None)
    call(libc.mount, None, name, None, ctypes.c_ulong(MS_BIND | MS_REMOUNT | MS_RDONLY), None)
    return lambda: call(libc.umount2, name, MNT_DETACH)


def vanish(what: str) -> None:
    """Delete a file or a folder."""
    if Path(what).is_dir():
        shutil.rmtree(what)
    else:
        os.unlink(what)


def cut(what: str) -> None:
    """Cut a file in half."""
    os.truncate(what, Path(what).stat().st_size // 2)


FAULTS = {"kill": kill, "fill": fill, "readonly": readonly, "vanish": vanish, "cut": cut}


class Watch:
    """Counts what is written, and has a fault happen at its moment: a lasting audit hook."""

    def __init__(self):
        self.fault = self.undo = None
        sys.addaudithook(self)

    def __call__(self, event, args):
        if self.fault is None or self.fault["at"] is None:
            return
        renamed = event == "os.rename"
        opened = event == "open" and isinstance(args[1], str) and args[1][0] in "wax"
        if (renamed or opened) and stage_of(str(args[0])) == self.fault["at"][0]:
            self.count += 1
            if self.count == self.fault["at"][1]:
                self.happen()

    def happen(self):
        """Have the fault happen, once."""
        fault = self.fault
        self.fault = None  # what it opens itself does not count
        about = {name: value for name, value in fault.items() if name not in ("do", "at")}
        self.undo = FAULTS[fault["do"]](**about)

    def run(self, fault: dict | None, stages: list[str], options: list[str]) -> int:
        """The exit status of the first stage that fails under a fault, or 0."""
        self.fault = fault
        self.undo = None
        self.count = 0
        if fault and fault["at"] is None:
            self.happen()
        status = 0
        for stage in stages:
            status = cli.main([*stage.split(), *options])
            if status:
                break
        if self.undo:
            self.undo()
        if self.fault:
            stage = self.fault["at"][0]
            print(f"the fault never came: {self.count} writes in {stage}", file=sys.stderr)
        # in a read-only folder nothing can be deleted; a later run does
        if not fault or fault["do"] != "readonly":
            report_parts(options)
        print(f"{END}{status}", file=sys.stderr, flush=True)
        return status


def run_and_die(watch: Watch, fault: dict, stages: list[str], options: list[str]) -> int:
    """The exit status of a copy of this process that runs under a kill: minus the signal's number.

    A copy need not import everything again. None can be made once JAX has threads.
    """
    child = os.fork()
    if child == 0:
        os._exit(watch.run(fault, stages, options))
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    print(f"{END}{code}", file=sys.stderr, flush=True)
    return code


def report_parts(options: list[str]) -> None:
    """A line for every unfinished file that is left behind in the folders of the options."""
    for folder in [option.partition("=")[2] for option in options if "/" in option]:
        for part in Path(folder).rglob(".*.part"):
            print(f"left behind: {part}", file=sys.stderr)


def tiny(options):
    """Make a small experiment: 2 clips in shards of a batch, two epochs of each run.

    128 mixtures to train on and 16 held out are whole batches, and Model 1 is Model 2 with another
    seed: few programs are to be compiled.
    """
    ex = experiments.experiment(options)
    few = {"clips": 2, "epochs": 2, "epochs_planned": 2, "evaluation_share": 1 / 9}
    runs = {name: replace(run, **few) for name, run in ex.runs.items()}
    runs["model1"] = replace(runs["model2"], seed=runs["model2"].seed + 1)
    later = {"epochs": 3, "start_epoch": 1, "restart_epochs": (2, 3)}
    runs["model2_continued"] = replace(runs["model2_continued"], **later)
    return replace(ex, database=replace(ex.database, clips=2, shard=24), runs=runs)


if __name__ == "__main__":
    command_line_options.experiment = tiny
    watch = Watch()
    *others, last = json.loads(sys.argv[1])
    for fault, stages in others:
        run = run_and_die if fault and fault["do"] == "kill" else Watch.run
        run(watch, fault, stages, sys.argv[2:])
    sys.exit(watch.run(*last, sys.argv[2:]))

"""Whole commands, as somebody waits for them: each in a process of its own."""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import read_json
from ssl_jax.common.progress import track
from ssl_jax.common.provenance import commit_of
from ssl_jax.report.tables import markdown_table
from ssl_jax.runs import MAIN_RUNS

# a checkout is found in its own folder alone
PACKAGE_PARENT = Path(__file__).parents[2]
REPRODUCTION = ("database", *MAIN_RUNS)  # stages of ./reproduce.sh that timing.json notes


@dataclass(frozen=True)
class Command:
    """A command line, without the program's name."""

    title: str
    words: tuple[str, ...]
    sound_s: float = 0.0  # how long the sound is that it works on


@dataclass(frozen=True)
class Waited:
    """What a command took."""

    title: str
    sound_s: float
    first_s: float  # programs may be compiled
    again_s: float  # the compiled programs are kept in the user's cache folder
    peak_memory_mb: int  # the second time


def render_and_localise(title: str, seconds: int) -> tuple[Command, Command]:
    """A voice in rain, carried once around the head, and where it comes from."""
    scene = "render voice:27 --trajectory 0:360 --noise noise:rain --noise-azimuth 200"
    wav = f"{seconds}s.wav"
    render = (*scene.split(), "--seconds", str(seconds), "-o", wav)
    localise = ("localise", wav, "--csv", f"{seconds}s.csv")
    return (
        Command(f"`render`, {title}", render, seconds),
        Command(f"`localise`, {title}", localise, seconds),
    )


COMMANDS = (
    Command("start-up: `--version`", ("--version",)),
    *render_and_localise("two seconds", 2),
    *render_and_localise("a minute", 60),
    *render_and_localise("ten minutes", 600),
)


def run_once(words: tuple[str, ...], folder: Path) -> tuple[float, int]:
    """Seconds and MiB at most of a command, run in a folder; InputError where it fails."""
    line = [sys.executable, "-m", "ssl_jax", *words]
    paths = [str(PACKAGE_PARENT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    with tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        process = subprocess.Popen(line, cwd=folder, env=environment, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        # wait4 has collected the process, so Popen is not to wait for it
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            said = output.read().decode(errors="replace").strip().splitlines() or ["nothing"]
            raise InputError(f"ssl_jax {' '.join(words)}: failed: it says: {said[-1]}")
    return seconds, usage.ru_maxrss // 2**10


def time_commands(commands: tuple[Command, ...] = COMMANDS) -> list[Waited]:
    """Run each command twice, all in one temporary folder: later ones take what earlier ones made.

    Raises
    ------
    InputError
        Where a command fails.
    """
    waited = []
    with tempfile.TemporaryDirectory() as folder:
        for command in track(commands, "whole commands", total=len(commands)):
            first_s, _ = run_once(command.words, Path(folder))
            again_s, memory = run_once(command.words, Path(folder))
            waited.append(Waited(command.title, command.sound_s, first_s, again_s, memory))
    return waited


def commands_section(waited: list[Waited]) -> str:
    """The commands as a table."""
    rows = []
    for row in waited:
        speed = f"{row.sound_s / row.again_s:.0f}" if row.sound_s else ""
        cells = [f"{row.first_s:.1f}", f"{row.again_s:.1f}", speed, f"{row.peak_memory_mb:,}"]
        rows.append([row.title, *cells])
    head = ["command", "first time, s", "again, s", "times real time", "most memory, MiB"]
    return (
        "## Whole commands\n\nEach in a process of its own. The first time may compile; the user's "
        f"cache folder keeps compiled programs.\n\n{markdown_table(head, rows)}"
    )


def reproduction_section(results: Path) -> str:
    """What the stages of ./reproduce.sh took; empty where it has not run.

    `results` is the folder of the experiment.
    """
    path = results / "timing.json"
    if not path.exists():
        return ""
    timing = read_json(path)
    stages = timing["stages"]
    noted = [stage for stage in REPRODUCTION if stage in stages]
    rows = []
    for stage in noted:
        minutes = stages[stage]["seconds"] / 60
        memory = f"{stages[stage]['peak_memory_mb']:,}"
        rows.append([f"`{stage}`", f"{minutes:.1f}", memory, commit_of(timing, stage)])
    total = sum(stages[stage]["seconds"] for stage in noted) / 60
    most = max(stages[stage]["peak_memory_mb"] for stage in noted)
    rows.append(["together", f"{total:.1f}", f"{most:,}", ""])
    head = ["stage", "minutes", "most memory, MiB", "commit"]
    return (
        f"## ./reproduce.sh\n\nAs it noted in {path.as_posix()} on {timing['machine']}. Start-up, "
        f"figures and report come on top.\n\n{markdown_table(head, rows)}"
    )

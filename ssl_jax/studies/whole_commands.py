"""Whole commands, as somebody waits for them: each in a process of its own."""

import math
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import read_json
from ssl_jax.common.progress import track
from ssl_jax.common.provenance import note_of, notes_of
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


SCENE_S = 12  # as long as the voice lasts
SCENE = "render voice:27 --trajectory 0:360 --noise noise:rain --noise-azimuth 200 -o scene.wav"
MAKE = (
    Command("start-up: `--version`", ("--version",)),
    Command(f"`render`, {SCENE_S} s", (*SCENE.split(), "--seconds", str(SCENE_S)), SCENE_S),
)
LOCALISE = (
    Command(f"`localise`, {SCENE_S} s", ("localise", "scene.wav", "--csv", "scene.csv"), SCENE_S),
    Command("`localise`, a minute", ("localise", "60.wav", "--csv", "60.csv"), 60),
    Command("`localise`, ten minutes", ("localise", "600.wav", "--csv", "600.csv"), 600),
)


def run_once(words: tuple[str, ...], folder: Path) -> float:
    """Seconds of a command, run in a folder; InputError where it fails."""
    line = [sys.executable, "-m", "ssl_jax", *words]
    paths = [str(PACKAGE_PARENT), *filter(None, [os.environ.get("PYTHONPATH")])]
    # the benchmark itself holds most of a GPU's memory: a command takes what it needs
    as_needed = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    environment = as_needed | os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    with tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        done = subprocess.run(line, cwd=folder, env=environment, stdout=output, stderr=output)
        seconds = time.perf_counter() - began
        if done.returncode:
            output.seek(0)
            said = output.read().decode(errors="replace").strip().splitlines() or ["nothing"]
            raise InputError(f"ssl_jax {' '.join(words)}: failed: it says: {said[-1]}")
    return seconds


def time_commands(commands: tuple[Command, ...], folder: Path) -> list[Waited]:
    """Run each command twice in a folder: later ones take what earlier ones made.

    Raises
    ------
    InputError
        Where a command fails.
    """
    waited = []
    for command in track(commands, "whole commands", total=len(commands)):
        first_s = run_once(command.words, folder)
        again_s = run_once(command.words, folder)
        waited.append(Waited(command.title, command.sound_s, first_s, again_s))
    return waited


def repeat_scene(folder: Path, seconds: int) -> None:
    """Write scene.wav over and over into SECONDS.wav of the same folder."""
    scene, fs = soundfile.read(folder / "scene.wav", dtype="int16")
    samples = seconds * fs
    times = math.ceil(samples / len(scene))
    soundfile.write(folder / f"{seconds}.wav", np.tile(scene, (times, 1))[:samples], fs)


def time_all() -> list[Waited]:
    """Start-up, a scene rendered, and recordings localised that repeat it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        waited = time_commands(MAKE, folder)
        for seconds in (60, 600):
            repeat_scene(folder, seconds)
        return waited + time_commands(LOCALISE, folder)


def commands_section(waited: list[Waited]) -> str:
    """The commands as a table."""
    rows = []
    for row in waited:
        speed = f"{row.sound_s / row.again_s:.0f}" if row.sound_s else ""
        rows.append([row.title, f"{row.first_s:.1f}", f"{row.again_s:.1f}", speed])
    head = ["command", "first time, s", "again, s", "times real time"]
    about = (
        "Each in a process of its own, which takes a GPU's memory as it needs it. The first time "
        "may compile; the user's cache folder keeps compiled programs."
    )
    return f"## Whole commands\n\n{about}\n\n{markdown_table(head, rows)}"


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
        rows.append([f"`{stage}`", f"{minutes:.1f}", memory, note_of(timing, stage, "commit")])
    total = sum(stages[stage]["seconds"] for stage in noted) / 60
    most = max(stages[stage]["peak_memory_mb"] for stage in noted)
    rows.append(["together", f"{total:.1f}", f"{most:,}", ""])
    machines = notes_of(timing, noted, "machine")
    head = ["stage", "minutes", "most memory, MiB", "commit"]
    return (
        f"## ./reproduce.sh\n\nAs it noted in {path.as_posix()} on {machines}. Start-up, "
        f"figures and report come on top.\n\n{markdown_table(head, rows)}"
    )

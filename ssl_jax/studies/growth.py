"""How time and memory grow with the database and with the devices.

Each is measured in a process of its own.
"""

import hashlib
import itertools
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

from ssl_jax.common.devices import data_mesh, keep_memory, start
from ssl_jax.common.errors import InputError
from ssl_jax.common.files import lock_folder, read_json, write_json
from ssl_jax.common.progress import say
from ssl_jax.common.provenance import commit, machine, peak_memory_mb
from ssl_jax.config import AZIMUTHS
from ssl_jax.database.build import build
from ssl_jax.database.cue_store import CueStore
from ssl_jax.experiments import experiment
from ssl_jax.report.tables import markdown_table
from ssl_jax.sounds.sources import load_sounds
from ssl_jax.studies.pages import show_page
from ssl_jax.training.batches import Mixtures
from ssl_jax.training.context import RunFolders
from ssl_jax.training.log import read_log
from ssl_jax.training.run import train

PARTS = (8, 4, 2, 1)  # of the whole database, each by its reciprocal
DATABASE = "database"  # what is measured of each size, and names of its fields
TRAIN = "train"
TITLES = {DATABASE: "database", TRAIN: "an epoch of Model 2"}


@dataclass(frozen=True)
class GrowthOptions:
    """What a user chooses of the stage `growth`."""

    devices: tuple[int, ...] = (1, 2)
    clips: tuple[int, ...] = ()  # sizes to measure; () for PARTS of the whole database
    work: Path = Path("work")
    page: Path | None = None  # to write, with the measurements as JSON beside it


@dataclass(frozen=True)
class Task:
    """One cell of the table: what a fresh process does."""

    stage: str  # DATABASE or TRAIN
    clips: int
    devices: int
    folder: Path  # of the store


def measure(task: Task) -> dict:
    """Make a store of so many clips, or train Model 2 on it for an epoch.

    Returns
    -------
    Seconds, the most MB of this process, and what came out: the checksum of the store, or losses.
    """
    start(task.devices)
    keep_memory()
    mesh = data_mesh(task.devices)
    if mesh.size != task.devices:
        raise InputError(f"--devices {task.devices}: there are {mesh.size}: ask for no more")
    began = time.monotonic()
    outcome = make_store(task, mesh) if task.stage == DATABASE else train_epoch(task, mesh)
    return {
        "seconds": round(time.monotonic() - began, 1),
        "peak_memory_mb": peak_memory_mb(),
        "machine": machine(),
        "commit": commit(),
        **outcome,
    }


def store_of(task: Task) -> CueStore:
    """The published database with so many clips."""
    ex = experiment()
    database = replace(ex.database, clips=task.clips)
    return CueStore(task.folder / "cues", database, ex.front)


def make_store(task: Task, mesh) -> dict:
    """Make the store; its checksum."""
    store = store_of(task)
    sounds = load_sounds(experiment().folders, store.config, store.front.fs)
    build(task.folder, store.config, store.front, sounds, mesh)
    digest = hashlib.sha256()
    for shard in range(store.shards):
        digest.update(store.path(shard).read_bytes())
    return {"sha256": digest.hexdigest()}


def train_epoch(task: Task, mesh) -> dict:
    """Train Model 2 on the store; its losses."""
    run = replace(experiment().runs["model2"], clips=task.clips, epochs=1)
    results = task.folder / "results"
    train("model2", run, Mixtures.of(store_of(task)), RunFolders(task.folder, results), mesh)
    row = read_log(results / "model2.csv")[0]
    return {name: value for name, value in row.items() if name.endswith("loss")}


def measure_all(options: GrowthOptions) -> list[dict]:
    """A row for each size and number of devices, the smaller first.

    The work folder keeps finished rows; they are not measured again.
    """
    folder = options.work / "growth"
    rows_path = folder / "rows.json"
    whole = experiment().database.clips
    sizes = options.clips or tuple(whole // part for part in PARTS)
    with lock_folder(folder):
        rows = read_json(rows_path) if rows_path.exists() else []
        for clips, devices in itertools.product(sizes, options.devices):
            if not any(is_of(row, clips, devices) for row in rows):
                rows.append(measure_row(clips, devices, folder / "store"))
                write_json(rows_path, rows)
    asked = [row for row in rows if row["devices"] in options.devices]
    asked = [row for row in asked if row["mixtures"] // AZIMUTHS in sizes]
    return sorted(asked, key=lambda row: (row["devices"], row["mixtures"]))


def is_of(row: dict, clips: int, devices: int) -> bool:
    """Is a row of that size, on so many devices?"""
    return row["mixtures"] == clips * AZIMUTHS and row["devices"] == devices


def measure_row(clips: int, devices: int, folder: Path) -> dict:
    """Measure both stages, each in a fresh process, on a store that is deleted afterwards."""
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was cut off
    row: dict = {"mixtures": clips * AZIMUTHS, "devices": devices}
    for stage, title in TITLES.items():
        say(f"{row['mixtures']:,} mixtures, {devices} devices: {title}")
        with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
            row[stage] = fresh.submit(measure, Task(stage, clips, devices, folder)).result()
    shutil.rmtree(folder)
    return row


def table(rows: list[dict]) -> str:
    """The measurements as Markdown; the same store has the same checksum."""
    head = ["mixtures", "devices"]
    for title in TITLES.values():
        head += [f"{title}, s", "ms a mixture", "peak memory, MB"]
    head += ["store", "loss after an epoch, training / evaluation"]
    lines = []
    for row in rows:
        line = [f"{row['mixtures']:,}", str(row["devices"])]
        for stage in TITLES:
            seconds = row[stage]["seconds"]
            line += [f"{seconds:,.1f}", f"{1e3 * seconds / row['mixtures']:.2f}"]
            line.append(f"{row[stage]['peak_memory_mb']:,}")
        line.append(row[DATABASE]["sha256"][:8])
        line.append("{train_loss:.4f} / {eval_loss:.4f}".format(**row[TRAIN]))
        lines.append(line)
    return markdown_table(head, lines)


def introduction(rows: list[dict]) -> str:
    """What was measured, and what made the numbers."""
    cells = [row[stage] for row in rows for stage in TITLES]
    machines = ", ".join(sorted({cell["machine"] for cell in cells}))
    commits = ", ".join(sorted({cell["commit"] for cell in cells}))
    return (
        "The published experiment, seed 0, with so many of its clips; every cell a process of its "
        f"own, compilation included. {machines}; commit {commits}; `ssl_jax growth`.\n"
    )


def run_growth(options: GrowthOptions) -> None:
    """The stage `growth`: measure what is missing, print the table, write the page asked for."""
    rows = measure_all(options)
    if options.page is not None:
        write_json(options.page.with_suffix(".json"), rows)
    show_page(options.page, introduction(rows), table(rows))

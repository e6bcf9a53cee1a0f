"""How time and memory grow with the database and with the devices, each measured in a process of its own."""

import hashlib
import itertools
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

from ssl_jax.common.devices import data_mesh, keep_memory, start
from ssl_jax.common.errors import InputError
from ssl_jax.common.files import lock_folder, read_json, write_json
from ssl_jax.common.progress import say
from ssl_jax.common.provenance import commit, machine, peak_memory_mb
from ssl_jax.config import AZIMUTHS, experiment
from ssl_jax.database.build import build
from ssl_jax.database.cue_store import CueStore
from ssl_jax.database.recipes import load_sounds
from ssl_jax.report.logs import CORPORA
from ssl_jax.report.tables import markdown_table, write_page
from ssl_jax.training.batches import Mixtures
from ssl_jax.training.context import RunFolders
from ssl_jax.training.log import read_log
from ssl_jax.training.run import train

PARTS = (8, 4, 2, 1)  # of the whole database, each by its reciprocal
STAGES = {"database": "database", "train": "an epoch of Model 2"}


def measure(stage: str, data: Path | None, clips: int, devices: int, folder: Path) -> dict:
    """Make a store of so many clips, or train Model 2 on it: s, most MB of a fresh process, what came out."""
    start(devices)
    keep_memory()
    ex, mesh, began = experiment(data is not None), data_mesh(devices), time.monotonic()
    if mesh.size != devices:
        raise InputError(f"--devices {devices}: there are {mesh.size}: ask for no more")
    database = replace(ex.database, clips=clips)
    store = CueStore(folder / "cues", database, ex.front)
    if stage == "database":
        build(folder, database, ex.front, load_sounds(data, database, ex.front.fs), mesh)
    else:
        run = replace(ex.runs["model2"], clips=clips, epochs=1)
        train("model2", run, Mixtures.of(store), RunFolders(folder, folder / "results"), mesh)
    found: dict = {
        "seconds": round(time.monotonic() - began, 1),
        "peak_memory_mb": peak_memory_mb(),
    }
    found |= {"machine": machine(), "commit": commit()}
    if stage == "train":
        row = read_log(folder / "results/model2.csv")[0]
        return found | {k: v for k, v in row.items() if k.endswith("loss")}
    digest = hashlib.sha256()
    for shard in range(store.shards):
        digest.update(store.path(shard).read_bytes())
    return found | {"sha256": digest.hexdigest()}


def measure_all(data: Path | None, devices: list[int], work: Path, path: Path) -> list[dict]:
    """A row for each size and number of devices; `path` keeps them, and what it has is not done again."""
    ex, folder = experiment(data is not None), work / "growth"
    rows = read_json(path) if path.exists() else []
    with lock_folder(folder):
        for part, count in itertools.product(PARTS, devices):
            clips = ex.database.clips // part
            row = {"corpus": ex.name, "mixtures": clips * AZIMUTHS, "devices": count}
            if any(row.items() <= before.items() for before in rows):
                continue
            shutil.rmtree(folder / "store", ignore_errors=True)  # of a run that was cut off
            for stage, title in STAGES.items():
                say(f"{row['mixtures']:,} mixtures, {count} devices: {title}")
                with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
                    row[stage] = fresh.submit(
                        measure, stage, data, clips, count, folder / "store"
                    ).result()
            rows.append(row)
            write_json(path, rows)
        shutil.rmtree(folder / "store", ignore_errors=True)
    rows.sort(key=lambda row: (row["devices"], row["mixtures"]))
    return [row for row in rows if row["corpus"] == ex.name]


def table(rows: list[dict]) -> str:
    """The measurements as Markdown; the same store has the same checksum."""
    times = [
        head
        for name in STAGES.values()
        for head in (f"{name}, s", "ms a mixture", "peak memory, MB")
    ]
    head, lines = (
        ["mixtures", "devices", *times, "store", "loss after an epoch, training / evaluation"],
        [],
    )
    for row in rows:
        line = [f"{row['mixtures']:,}", str(row["devices"])]
        for seconds, memory in (
            (row[stage]["seconds"], row[stage]["peak_memory_mb"]) for stage in STAGES
        ):
            line += [f"{seconds:,.1f}", f"{1e3 * seconds / row['mixtures']:.2f}", f"{memory:,}"]
        losses = "{train_loss:.4f} / {eval_loss:.4f}".format(**row["train"])
        lines.append([*line, row["database"]["sha256"][:8], losses])
    return markdown_table(head, lines)


def run_growth(args) -> None:
    """The stage `growth`: measure what is missing, write growth.json and .md, and print the table."""
    path, option = args.results / "benchmark/growth.json", " --data DIR" if args.data else ""
    rows = measure_all(args.data, args.devices, args.work, path)
    cells, corpus = [row[stage] for row in rows for stage in STAGES], CORPORA[rows[0]["corpus"]]
    machines, commits = (
        ", ".join(sorted({cell[k] for cell in cells})) for k in ("machine", "commit")
    )
    about = f"{corpus[0].upper()}{corpus[1:]}, seed 0, the experiment's settings with so many of its clips; "
    about += "every cell a process of its own, compilation included. "
    about += f"{machines}; commit {commits}; `ssl_jax growth{option}`.\n"
    write_page(path.with_suffix(".md"), about, table(rows))

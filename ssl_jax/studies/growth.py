"""How time and memory grow with the database and with the devices, each measured in a process of its own."""

import hashlib
import itertools
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

from rich.filesize import decimal

from ssl_jax.common.devices import data_mesh, keep_memory, start
from ssl_jax.common.errors import InputError
from ssl_jax.common.files import lock_folder, read_json, write_json, write_text
from ssl_jax.common.progress import say
from ssl_jax.common.provenance import commit, machine, peak_memory_mb
from ssl_jax.config import AZIMUTHS, FrontEnd, experiment
from ssl_jax.database.build import build
from ssl_jax.database.cue_store import CueStore
from ssl_jax.database.recipes import load_sounds
from ssl_jax.report.logs import CORPORA
from ssl_jax.report.style import OURS, REPORTED, STYLE, plt, save_figure
from ssl_jax.report.tables import markdown_table, put_section
from ssl_jax.training.batches import Mixtures
from ssl_jax.training.log import read_log
from ssl_jax.training.run import train

PARTS = (8, 4, 2, 1)  # of the whole database, each by its reciprocal
STAGES = {"database": "database", "train": "an epoch of Model 2"}
HOURS = 1_000_000  # of mixtures, each of one second, whose costs are worked out
EPOCHS = 20  # of Model 2 (published)
FLEETS = (1, 8, 64, 512, 4096)  # accelerators whose needed rate is listed


def measure(stage: str, data: Path | None, clips: int, devices: int, folder: Path) -> dict:
    """Make a store of so many clips, or train one epoch of Model 2 on it: seconds, MB, and what came out.

    For a fresh process: memory is the most that it ever had.
    """
    start(devices)
    keep_memory()
    ex, mesh, began = experiment(data is not None), data_mesh(devices), time.monotonic()
    if mesh.size != devices:
        raise InputError(f"--devices {devices}: there are {mesh.size}: ask for no more")
    database = replace(ex.database, clips=clips)
    store = CueStore(folder / "cues", database, ex.front)
    if stage == "database":
        sounds = load_sounds(data, database, ex.front.fs)
        build(folder, database, ex.front, sounds, mesh)
        seconds = time.monotonic() - began
        paths, digest = [store.path(shard) for shard in range(store.shards)], hashlib.sha256()
        for path in paths:
            digest.update(path.read_bytes())
        found = {"sha256": digest.hexdigest(), "bytes": sum(path.stat().st_size for path in paths)}
    else:
        run, name = replace(ex.runs["model2"], clips=clips, epochs=1), f"devices{devices}"
        train(name, run, Mixtures.of(store), folder, folder / "results", mesh)
        seconds = time.monotonic() - began
        log = read_log(folder / f"results/{name}.csv")[0]
        found = {k: v for k, v in log.items() if k.endswith("loss")}
    made_on = {"machine": machine(), "commit": commit()}
    return {"seconds": round(seconds, 1), "peak_memory_mb": peak_memory_mb(), **found, **made_on}


def measure_all(
    data: Path | None, devices: list[int], work: Path, path: Path, clips: int | None = None
) -> dict:
    """Every cell that `path` does not have yet; it is written after each, so a run cut off goes on.

    `clips` are those of the whole database, instead of the experiment's.
    """
    ex = experiment(data is not None)
    clips = clips or ex.database.clips
    cells = read_json(path) if path.exists() else {}
    folder = work / "growth"
    store = folder / "store"
    with lock_folder(folder):
        for part, count, stage in itertools.product(PARTS, devices, STAGES):
            mixtures = clips // part * AZIMUTHS
            key = f"{ex.name}/{mixtures}/{count}/{stage}"
            if key in cells:
                continue
            # from nothing, also after a run that was cut off
            shutil.rmtree(store if stage == "database" else store / f"devices{count}", ignore_errors=True)
            if stage != "database" and not (store / "manifest.csv").exists():
                raise InputError(f"{path}: has a database whose store is gone: delete the file")
            say(f"{mixtures:,} mixtures, {count} devices: {STAGES[stage]}")
            with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
                cell = fresh.submit(measure, stage, data, clips // part, count, store).result()
            about = {"mixtures": mixtures, "devices": count, "stage": stage, "corpus": ex.name}
            cells[key] = about | cell
            write_json(path, cells)
        shutil.rmtree(store, ignore_errors=True)
    return cells


def rows_of(cells: dict, corpus: str) -> list[dict]:
    """A dict of both stages' cells for every number of mixtures and devices that has both."""
    pairs: dict[tuple, dict] = {}
    for cell in cells.values():
        if cell["corpus"] == corpus:
            pairs.setdefault((cell["devices"], cell["mixtures"]), {})[cell["stage"]] = cell
    return [pair for _, pair in sorted(pairs.items()) if len(pair) == len(STAGES)]


def _alike(rows: list[dict], field: str) -> dict:
    """The rows by number of "devices" or "mixtures", in order."""
    groups: dict[int, list] = {}
    for row in sorted(rows, key=lambda row: row["database"][field]):
        groups.setdefault(row["database"][field], []).append(row)
    return groups


def table(rows: list[dict]) -> str:
    """The measurements as Markdown; the same store has the same checksum."""
    head, lines = ["mixtures", "devices"], []
    for name in STAGES.values():
        head += [f"{name}, s", "ms a mixture", "peak memory, MB"]
    for row in rows:
        made, trained = (row[stage] for stage in STAGES)
        line = [f"{made['mixtures']:,}", str(made["devices"])]
        for cell in (made, trained):
            each = 1e3 * cell["seconds"] / cell["mixtures"]
            line += [f"{cell['seconds']:,.1f}", f"{each:.2f}", f"{cell['peak_memory_mb']:,}"]
        losses = f"{trained['train_loss']:.4f} / {trained['eval_loss']:.4f}"
        lines.append([*line, made["sha256"][:8], losses])
    return markdown_table([*head, "store", "loss after an epoch, training / evaluation"], lines)


def draw(rows: list[dict], path: Path) -> None:
    """Time over mixtures on logarithmic axes beside a straight line, and memory."""
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
        for stage, colour in zip(STAGES, (OURS, REPORTED), strict=True):
            for (devices, some), mark in zip(_alike(rows, "devices").items(), ("o-", "s--", "^:", "d-.")):
                cells = [row[stage] for row in some]
                count, seconds = ([cell[k] for cell in cells] for k in ("mixtures", "seconds"))
                look = {"color": colour, "label": f"{STAGES[stage]}, devices: {devices}", "ms": 4}
                left.loglog(count, seconds, mark, **look)
                right.plot(count, [cell["peak_memory_mb"] / 1024 for cell in cells], mark, **look)
                line = [seconds[0] * n / count[0] for n in count]
                label = "proportional" if stage == "train" and mark == "o-" else None
                left.loglog(count, line, color="0.75", lw=4, zorder=0, label=label)
        left.set(title="Time", xlabel="mixtures", ylabel="s")
        right.set(title="Peak memory", xlabel="mixtures", ylabel="GiB", xlim=(0, None), ylim=(0, None))
        sizes = list(_alike(rows, "mixtures"))
        left.set_xticks(sizes, [f"{size:,}" for size in sizes])
        left.minorticks_off()
        left.legend(fontsize=7)
        save_figure(figure, path)


def run_growth(args) -> None:
    """The stage `growth`: measure what is missing, write growth.json, .md and .png, and print the table."""
    folder, data = args.results / "benchmark", args.data
    cells = measure_all(data, args.devices, args.work, folder / "growth.json")
    corpus = experiment(data is not None).name
    rows = rows_of(cells, corpus)
    found = [sorted({cell[k] for row in rows for cell in row.values()}) for k in ("machine", "commit")]
    machines, commits = map(", ".join, found)
    how = "the experiment's settings with so many of its clips; every cell a process of its own"
    command = f"`ssl_jax growth{' --data DIR' if data else ''}`"
    text = f"{CORPORA[corpus]}, seed 0, {how}, compilation included. {machines}; commit {commits}; {command}."
    text = f"{text[0].upper()}{text[1:]}\n\n{table(rows)}"
    write_text(folder / "growth.md", text)
    draw(rows, folder / "growth.png")
    if args.scale:
        whole = list(_alike(rows, "mixtures").values())[-1]
        fastest = [min((row[stage] for row in whole), key=lambda cell: cell["seconds"]) for stage in STAGES]
        put_section(args.scale, "scale", costs(*fastest))
    print(text)


def costs(made: dict, trained: dict) -> str:
    """Markdown of what HOURS of mixtures take, from the fastest cell of either stage."""
    mixtures, front = HOURS * 3600, FrontEnd()
    cue_bytes = made["bytes"] / made["mixtures"]
    making, training = (cell["seconds"] / cell["mixtures"] for cell in (made, trained))  # s a mixture
    making_hours, epoch_hours = mixtures * making / 3600, mixtures * training / 3600
    every_sample = 3 * front.channels * front.fs * 2
    lines = [
        f"cue store, hop 441|{decimal(round(mixtures * cue_bytes))}|{cue_bytes:,.0f} bytes a mixture",
        f"cue store, hop 1|{decimal(mixtures * every_sample)}|{every_sample:,} bytes a mixture",
        f"16-bit stereo sound instead|{decimal(mixtures * front.fs * 4)}|2 x {front.fs:,} of 2 bytes",
        f"making it|{making_hours:,.0f} machine-hours|{1e3 * making:.2f} ms a mixture measured",
        f"an epoch of Model 2|{epoch_hours:,.0f} machine-hours|{1e3 * training:.2f} ms a mixture measured",
        f"both, {EPOCHS} epochs|{making_hours + EPOCHS * epoch_hours:,.0f} machine-hours|",
        f"machines that make it in a day|{making_hours / 24:,.0f}|of the kind measured",
    ]
    head = ["of a million hours (3.6e9 mixtures)", "value", "from"]
    rates = {n: mixtures / 86_400 / n for n in FLEETS}  # mixtures a second
    fleet = [[f"{n:,}", f"{rate:,.0f}", f"{rate * making:,.1f}"] for n, rate in rates.items()]
    needed = ["H100s, or others", "mixtures a second each must make", "times the machine measured"]
    where = f"{made['machine']}, with {made['mixtures']:,} mixtures ({made['corpus']}, seed 0)"
    devices = f"made on {made['devices']} devices, trained on {trained['devices']}; commit {made['commit']}"
    command = "`ssl_jax growth --data DIR --scale docs/scale.md`"
    return (
        f"Measured on {where}, {devices}; {command}.\n\n"
        f"{markdown_table(head, [line.split('|') for line in lines])}\n"
        f"To make the database in a day:\n\n{markdown_table(needed, fleet)}"
    )

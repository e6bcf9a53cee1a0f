"""How time and memory grow with the database and with the devices, each measured in a process of its own."""

import hashlib
import resource
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

from .config import AZIMUTHS, experiment, fingerprint
from .corpora import load_corpus
from .cue_store import CueStore
from .database import build
from .devices import data_mesh, start
from .figures import OURS, REPORTED, STYLE, plt
from .files import InputError, atomic_write, locked, read_json, write_json
from .hrtf import load_heads
from .pictures import save_picture
from .progress import console
from .provenance import commit, keep_memory, machine
from .recipes import manifest_csv, recipes_of
from .report import CORPORA, markdown_table, put_section, read_log
from .scale import costs
from .trainer import Mixtures
from .training import train

PARTS = (8, 4, 2, 1)  # of the whole database, each by its reciprocal
STAGES = {"database": "database", "train": "an epoch of Model 2"}


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
        corpus, heads = load_corpus(data, clips, ex.front.fs), load_heads(data, database.direction_rule, ex.front.fs)
        build(folder, database, ex.front, corpus, heads, mesh)
        seconds = time.monotonic() - began
        recipes, held_out = recipes_of(database, corpus, heads)  # once more, to know what of it was this
        for _ in manifest_csv(recipes, corpus, heads, held_out):
            pass
        recipe_seconds = time.monotonic() - began - seconds
        digest = hashlib.sha256()
        for shard in range(store.shards):
            digest.update(store.path(shard).read_bytes())
        found = {"recipe_seconds": round(recipe_seconds, 3), "sha256": digest.hexdigest(),
                 "bytes": sum(store.path(shard).stat().st_size for shard in range(store.shards)),
                 "manifest_bytes": (folder / "manifest.csv").stat().st_size}
    else:
        run = replace(ex.runs["model2"], clips=clips, epochs=1)
        settings = fingerprint(database=database, front=ex.front)
        name = f"devices{devices}"
        train(name, run, settings, Mixtures(store.read()), folder, folder / "results", mesh=mesh)
        seconds = time.monotonic() - began
        found = {k: v for k, v in read_log(folder / f"results/{name}.csv")[0].items() if k.endswith("loss")}
    return {"seconds": round(seconds, 1),
            "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, **found,
            "machine": machine(), "commit": commit()}


def measure_all(data: Path | None, devices: list[int], work: Path, path: Path, clips: int | None = None) -> dict:
    """Every cell that `path` does not have yet; it is written after each, so a run cut off goes on.

    Parameters
    ----------
    clips : int, optional
        Of the whole database, instead of the experiment's.
    """
    ex = experiment(data is not None)
    clips = clips or ex.database.clips
    cells = read_json(path) if path.exists() else {}
    folder = work / "growth"
    with locked(folder):
        for part in PARTS:
            for count in devices:
                for stage in STAGES:
                    key = f"{ex.name}/{clips // part * AZIMUTHS}/{count}/{stage}"
                    if key in cells:
                        continue
                    # from nothing, also after a run that was cut off
                    part_of = "store" if stage == "database" else f"store/devices{count}"
                    shutil.rmtree(folder / part_of, ignore_errors=True)
                    if stage != "database" and not (folder / "store/manifest.csv").exists():
                        raise InputError(f"{path}: has a database whose store is gone: delete the file")
                    console.print(f"{clips // part * AZIMUTHS:,} mixtures, {count} devices: {STAGES[stage]}",
                                  highlight=False)
                    with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
                        cell = fresh.submit(measure, stage, data, clips // part, count, folder / "store").result()
                    cells[key] = {"mixtures": clips // part * AZIMUTHS, "devices": count, "stage": stage,
                                  "corpus": ex.name, **cell}
                    write_json(path, cells)
        shutil.rmtree(folder / "store", ignore_errors=True)
    return cells


def rows_of(cells: dict, corpus: str) -> list[dict]:
    """A dict of both stages' cells for every number of mixtures and devices that has both."""
    pairs: dict[tuple, dict] = {}
    for cell in cells.values():
        if cell["corpus"] == corpus:
            pairs.setdefault((cell["mixtures"], cell["devices"]), {})[cell["stage"]] = cell
    return [pairs[key] for key in sorted(pairs, key=lambda key: (key[1], key[0])) if len(pairs[key]) == len(STAGES)]


def number_of(devices: int) -> str:
    return f"{devices} device{'s' * (devices > 1)}"


def table(rows: list[dict]) -> str:
    """The measurements as Markdown, with what they say about growth and about the devices."""
    head = ["mixtures", "devices"]
    for name in STAGES.values():
        head += [f"{name}, s", "ms a mixture", "peak memory, MB"]
    lines, notes = [], []
    for row in rows:
        line = [f"{row['database']['mixtures']:,}", str(row["database"]["devices"])]
        for stage in STAGES:
            cell = row[stage]
            line += [f"{cell['seconds']:,.1f}", f"{1e3 * cell['seconds'] / cell['mixtures']:.2f}",
                     f"{cell['peak_memory_mb']:,}"]
        lines.append(line)
    for devices in sorted({row["database"]["devices"] for row in rows}):
        alike = [row for row in rows if row["database"]["devices"] == devices]  # fewest mixtures first
        few, most = alike[0], alike[-1]
        times = most["database"]["mixtures"] / few["database"]["mixtures"]
        said = [f"{STAGES[stage]} {most[stage]['seconds'] / few[stage]['seconds']:.2f} times the time and "
                f"{most[stage]['peak_memory_mb'] / few[stage]['peak_memory_mb']:.3f} times the memory"
                for stage in STAGES]
        notes.append(f"- {number_of(devices)}: {times:.3g} times the mixtures take for the {said[0]}, for {said[1]}.")
    for mixtures in sorted({row["database"]["mixtures"] for row in rows}):
        alike = [row for row in rows if row["database"]["mixtures"] == mixtures]
        if len(alike) > 1:
            same = len({row["database"]["sha256"] for row in alike}) == 1
            apart = {k: max(row["train"][k] for row in alike) - min(row["train"][k] for row in alike)
                     for k in ("train_loss", "eval_loss")}
            which = " and ".join(str(row["database"]["devices"]) for row in alike)
            notes.append(f"- {mixtures:,} mixtures on {which} devices: "
                         f"{'the same' if same else 'DIFFERENT'} bytes in the store; losses after an epoch "
                         f"{apart['train_loss']:.4f} (training) and {apart['eval_loss']:.4f} (evaluation) apart.")
    return markdown_table(head, lines) + "\n" + "\n".join(notes) + "\n"


def draw(rows: list[dict], path: Path) -> None:
    """Time over mixtures on logarithmic axes beside a straight line, and memory."""
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
        for stage, colour in zip(STAGES, (OURS, REPORTED), strict=True):
            marks = zip(sorted({row[stage]["devices"] for row in rows}), ("o-", "s--", "^:", "d-."), strict=False)
            for devices, mark in marks:
                cells = [row[stage] for row in rows if row[stage]["devices"] == devices]
                count = [cell["mixtures"] for cell in cells]
                look = {"color": colour, "label": f"{STAGES[stage]}, {number_of(devices)}", "ms": 4}
                left.loglog(count, [cell["seconds"] for cell in cells], mark, **look)
                right.plot(count, [cell["peak_memory_mb"] / 1024 for cell in cells], mark, **look)
            first = min((row[stage] for row in rows), key=lambda cell: (cell["devices"], cell["mixtures"]))
            most = max(row[stage]["mixtures"] for row in rows)
            left.loglog([first["mixtures"], most], [first["seconds"], first["seconds"] * most / first["mixtures"]],
                        color="0.75", lw=4, zorder=0, label="proportional" if stage == "train" else None)
        left.set(title="Time", xlabel="mixtures", ylabel="s")
        right.set(title="Peak memory", xlabel="mixtures", ylabel="GiB", xlim=(0, None), ylim=(0, None))
        sizes = sorted({row["train"]["mixtures"] for row in rows})
        left.set_xticks(sizes, [f"{size:,}" for size in sizes])
        left.minorticks_off()
        left.legend(fontsize=7)
        save_picture(figure, path)


def growth(data: Path | None, devices: list[int], work: Path, folder: Path, scale: Path | None = None) -> str:
    """Measure what is missing, write growth.json, growth.md and growth.png into `folder`, and return the table.

    `scale` names a page whose section "scale" gets what a million hours would cost.
    """
    cells = measure_all(data, devices, work, folder / "growth.json")
    corpus = experiment(data is not None).name
    rows = rows_of(cells, corpus)
    machines, commits = ({cell[k] for row in rows for cell in row.values()} for k in ("machine", "commit"))
    text = (f"{CORPORA[corpus]}, seed 0, the experiment's settings with so many of its clips; every cell a process of "
            f"its own, compilation included. {'; '.join(sorted(machines))}; commit {', '.join(sorted(commits))}; "
            f"`python -m ssl_jax growth{' --data DIR' * (data is not None)}`.\n\n{table(rows)}")
    text = text[0].upper() + text[1:]
    with atomic_write(folder / "growth.md", "w") as stream:
        stream.write(text)
    draw(rows, folder / "growth.png")
    if scale:
        whole = [row for row in rows if row["database"]["mixtures"] == rows[-1]["database"]["mixtures"]]
        fastest = {stage: min((row[stage] for row in whole), key=lambda cell: cell["seconds"]) for stage in STAGES}
        put_section(scale, "scale", costs(fastest))
    return text

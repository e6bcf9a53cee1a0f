"""The audit: what the published tables do not say, one measured comparison for each question.

Every row is trained as Model 1 was (100 clips, 12 epochs), but for a cosine that takes its learning
rate down, so that the last epoch's evaluation has settled: at the published constant rate it swings
by several points from epoch to epoch. The first row of a table is the published setting.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .checkpoints import checkpoint_path, load_checkpoint
from .config import AZIMUTHS, RUNS, Database, FrontEnd, Training, experiment, fingerprint
from .corpora import load_corpus
from .cue_store import CueStore
from .database import build
from .evaluation import evaluate
from .files import read_csv, read_json, write_json
from .hrtf import load_heads
from .published_weights import load_published
from .recipes import draw_held_out, read_manifest
from .trainer import Mixtures, Trainer, predict_all
from .training import logged, split, train

LAST_CLIPS = 560  # the notebook later evaluates on clips 561 to 700
PUBLISHED_EPOCHS = {"model1": 12, "model2": 20}  # checkpoints in the public repository


@dataclass(frozen=True)
class Variant:
    """One trained row: a cue store, what is held out of it, and a network."""

    label: str
    store: str  # of `stores`
    apart: tuple[str, ...] = ()  # held out by these within the store, see config.KEPT_APART
    network: str = "three_branch"
    like: str = "model1"  # run whose batch and optimiser it takes


@dataclass(frozen=True)
class Question:
    """Rows that answer one question; the first is what the others are compared with."""

    title: str
    variants: tuple[Variant, ...]


PUBLISHED = Variant("as published", "published")

QUESTIONS = {
    "directions": Question("Nearest azimuth at any elevation, against the horizontal plane", (
        PUBLISHED, Variant("horizontal plane", "horizontal"))),
    "splits": Question("What training and evaluation share", (
        PUBLISHED,
        Variant("no clip in both", "published", ("clip",)),
        Variant("no speaker in both", "published", ("speaker",)),
        Variant("no noise file in both", "noise"),
        Variant("no head in both", "head"),
        Variant("no speaker, noise file or head in both", "disjoint"))),
    "haircells": Question("Hair cell", (
        PUBLISHED, Variant("half-wave rectification", "halfwave"), Variant("Roman (square root of half-wave)", "roman"),
        Variant("Bernstein (power 0.23, half-wave, 425 Hz)", "bernstein"))),
    "hops": Question("Samples between cue values, and frames under a kernel", (
        PUBLISHED, Variant("hop 441, kernel 1", "published", network="three_branch_kernel1"),
        Variant("hop 210, kernel 5", "hop210"), Variant("hop 105, kernel 5", "hop105"))),
    "storage": Question("Mixtures stored in 16 bits, against floats", (
        PUBLISHED, Variant("floats", "float"))),
    "snr": Question("SNR of each noise: 15-40 dB, against 0-15 dB", (
        PUBLISHED, Variant("0-15 dB", "low_snr"))),
    "protocols": Question("The published protocol, against the clean one", (
        PUBLISHED, Variant("clean: horizontal plane, Roman's hair cell, nothing in both", "clean"))),
    "ablation_published": Question("Our network and its parts, published protocol", ()),
    "ablation_clean": Question("Our network and its parts, clean protocol", ()),
}


def ablation(store: str) -> tuple[Variant, ...]:
    """Our network, each of its parts left out, and the published network trained the same way."""
    parts = {"ours": "ours", "ours_raw_cues": "without phases: ITD, ILD and IC as they are",
             "ours_ungated": "without the gate by IC", "ours_single_frames": "without convolutions over time",
             "ours_mean_pooling": "without attention over frames", "ours_no_dropout": "without dropout",
             "three_branch": "the tables' network, trained as ours"}
    return tuple(Variant(label, store, network=network, like="ours") for network, label in parts.items())


def questions() -> dict[str, Question]:
    """All of them, by the name that `--rows` takes."""
    return {name: replace(q, variants=q.variants or ablation(name.split("_")[1])) for name, q in QUESTIONS.items()}


def stores(data: bool, clips: int, seed: int) -> dict[str, tuple[Database, FrontEnd]]:
    """Settings of every cue store in use."""
    published, clean = (experiment(data, protocol=name, seed=seed) for name in ("published", "clean"))
    base, front = replace(published.database, clips=clips), published.front
    return {
        "published": (base, front),
        "clean": (replace(clean.database, clips=clips), clean.front),
        "horizontal": (replace(base, direction_rule="horizontal"), front),
        "noise": (replace(base, disjoint=("noise",)), front),
        "head": (replace(base, disjoint=("head",)), front),
        "disjoint": (replace(base, disjoint=("speaker", "noise", "head")), front),
        **{cell: (base, replace(front, hair_cell=cell)) for cell in ("halfwave", "roman", "bernstein")},
        **{f"hop{hop}": (base, replace(front, hop=hop)) for hop in (210, 105)},
        "float": (replace(base, bits=0), front),
        "low_snr": (replace(base, snr_low=0.0, snr_high=15.0), front),
    }


def training_of(variant: Variant, clips: int, seed: int) -> Training:
    """How a row is trained."""
    like = RUNS[variant.like]
    return replace(like, model=variant.network, clips=clips, seed=seed, epochs=12, epochs_planned=12, cosine_epochs=12)


class Audit:
    """Trains and keeps what was measured in results/audit.json, one entry a row and seed.

    Parameters
    ----------
    data : Path or None
        Publishers' corpora; None for the embedded one.
    clips, seeds : int
    work, results : Path
    described : dict
        Machine and commit, kept with every entry.
    """

    def __init__(self, data: Path | None, clips: int, seeds: int, seed: int, work: Path, results: Path,
                 described: dict):
        self.data, self.clips, self.seeds, self.seed = data, clips, range(seed, seed + seeds), seed
        self.name = "audit" if data is not None else "audit-embedded"  # of its files
        self.work, self.path, self.described = work / self.name, results / f"{self.name}.json", described
        self.results = results
        self.stores = stores(data is not None, clips, seed)
        self.measured = read_json(self.path) if self.path.exists() else {}

    def key(self, variant: Variant, seed: int) -> str:
        parts = [variant.store, "+".join(variant.apart) or "-", variant.network, variant.like, f"clips{self.clips}"]
        return "/".join([*parts, f"seed{seed}", *([f"database-seed{self.seed}"] if self.seed else [])])

    def measure(self, key: str, work: Callable[[], dict]) -> dict:
        """An entry of the file, made if it is not there yet."""
        if key not in self.measured:
            self.measured[key] = {**work(), **self.described}
            write_json(self.path, self.measured)
        return self.measured[key]

    def store(self, name: str) -> CueStore:
        """A cue store with every shard in place."""
        database, front = self.stores[name]
        corpus = load_corpus(self.data, database.clips, front.fs)
        return build(self.work / name, database, front, corpus, load_heads(self.data, database.direction_rule, front.fs))

    def held_out(self, variant: Variant, store: CueStore) -> np.ndarray | None:
        manifest = read_manifest(self.work / variant.store / "manifest.csv", store.count)
        if not variant.apart:
            return manifest.held_out
        return draw_held_out(replace(store.config, disjoint=variant.apart), manifest.speaker[::AZIMUTHS])

    def row(self, variant: Variant) -> list[dict]:
        """Metrics of a row, one dict a seed."""
        todo = [seed for seed in self.seeds if self.key(variant, seed) not in self.measured]
        if todo:
            store = self.store(variant.store)
            mixtures, held_out = Mixtures(store.read()), self.held_out(variant, store)
            settings = fingerprint(database=store.config, front=store.front)
            folder = self.work / variant.store
            for seed in todo:
                name = "-".join([variant.network, *variant.apart, f"seed{seed}"])

                def trained():
                    config = training_of(variant, self.clips, seed)
                    scores = train(name, config, settings, mixtures, folder, folder / "results", held_out)
                    last = read_csv(folder / "results" / f"{name}.csv", ("train_top1",))[-1]
                    return {**scores, "train_top1": float(last["train_top1"])}

                self.measure(self.key(variant, seed), trained)
        return [self.measured[self.key(variant, seed)] for seed in self.seeds]

    def whole(self):
        """The whole published database and its Model 2 where they are there, else None."""
        ex = experiment(self.data is not None, protocol="published", seed=self.seed)
        store = CueStore(self.work.parent / ex.name / "cues", ex.database, ex.front)
        start = checkpoint_path(self.work.parent / ex.name, "model2", 16)
        if not start.exists() or not store.path(store.shards - 1).exists():
            return None
        store.open()
        return ex, store

    def switched_set(self) -> dict | None:
        """The continuation with and without a switch of the evaluation set, on the whole database."""
        key = f"switch/seed{self.seed}"
        if key in self.measured or (there := self.whole()) is None:
            return self.measured.get(key)
        ex, store = there
        work = self.work.parent / ex.name
        mixtures, last = Mixtures(store.read()), np.arange(store.count) >= LAST_CLIPS * AZIMUTHS
        random = np.isin(np.arange(store.count), split(ex.runs["model2"])[1])

        def scores(run, epoch, held_out):
            trainer = Trainer(ex.runs["model2"], 1)
            trainer.load(load_checkpoint(checkpoint_path(work, run, epoch))["arrays"], with_optimiser=False)
            return evaluate(*predict_all(trainer, mixtures, np.flatnonzero(held_out)))["top1"]

        def measured():
            settings = fingerprint(database=ex.database, front=ex.front)
            train("model2_switched", ex.runs["model2_continued"], settings, mixtures, work, self.work / "switched", last)
            logs = {run: {row["epoch"]: row for row in logged(load_checkpoint(checkpoint_path(work, run, 20)))}
                    for run in ("model2", "model2_continued", "model2_switched")}
            found = {"epoch 16, same set": scores("model2", 16, random), "epoch 16, clips 561-700": scores("model2", 16, last),
                     "epoch 16, train": logs["model2"][16]["train_top1"]}
            for run, rows in logs.items():
                for epoch in range(17, 21):
                    found |= {f"{run} {epoch} eval": rows[epoch]["eval_top1"], f"{run} {epoch} train": rows[epoch]["train_top1"]}
            return found

        return self.measure(key, measured)

    def published_weights(self, folder: Path | None) -> dict:
        """The published checkpoints in `folder`, scored on the mixtures that our Model 2 is evaluated on."""
        there, found = self.whole(), {}
        for run, epoch in PUBLISHED_EPOCHS.items():
            key, label = f"published_weights/{run}", f"{run}, epoch {epoch}"
            path = folder and folder / f"weights_{run}_epoch{epoch}.npz"
            if path is None or not path.exists() or there is None:
                if key in self.measured:
                    found[label] = self.measured[key]
                continue
            ex, store = there

            def measured(path=path, ex=ex, store=store):
                mixtures = Mixtures(store.read())
                trainer = Trainer(ex.runs["model2"], 1)
                trainer.take(load_published(path))
                return evaluate(*predict_all(trainer, mixtures, split(ex.runs["model2"])[1]))

            found[label] = self.measure(key, measured)
        return found

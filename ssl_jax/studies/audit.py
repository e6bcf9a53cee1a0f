"""The audit: what the published tables do not say, one comparison for each question. Rows are trained as
Model 1 was, but for a cosine: at the published constant rate the last evaluation swings by several points."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ssl_jax.common.files import read_csv, read_json, write_json
from ssl_jax.config import AZIMUTHS, RUNS, Database, FrontEnd, Training, experiment
from ssl_jax.database.build import build
from ssl_jax.database.cue_store import CueStore
from ssl_jax.database.recipes import draw_parts, load_sounds, read_manifest
from ssl_jax.metrics import evaluate
from ssl_jax.studies.fingerprint import EVENTS, STATIONARY
from ssl_jax.studies.published_weights import load_checkpoints
from ssl_jax.training.batches import Mixtures
from ssl_jax.training.checkpoints import checkpoint_path, load_checkpoint
from ssl_jax.training.context import RunFolders
from ssl_jax.training.run import train
from ssl_jax.training.trainer import Trainer, predict_all

LAST_CLIPS = 560  # the notebook later evaluates on clips 561 to 700


class Variant(NamedTuple):
    """One trained row: a cue store, what is held out of it, and a network."""

    label: str
    store: str  # of `stores`
    apart: tuple[str, ...] = ()  # held out by these within the store, see config.SPLIT_BY
    network: str = "three_branch"
    like: str = "model1"  # run whose batch and optimiser it takes


PUBLISHED = Variant("as published", "published")
QUESTIONS: dict[
    str, tuple[str, list]
] = {  # title, and fields of each variant beside the published one
    "directions": (
        "Nearest azimuth at any elevation, against the horizontal plane",
        [("horizontal plane", "horizontal")],
    ),
    "splits": (
        "What training and evaluation share",
        [
            ("no clip in both", "published", ("clip",)),
            ("no speaker in both", "published", ("speaker",)),
            ("no noise file in both", "noise"),
            ("no head in both", "head"),
            ("no speaker, noise file or head in both", "disjoint"),
        ],
    ),
    "haircells": (
        "Hair cell",
        [
            ("half-wave rectification", "halfwave"),
            ("Roman (square root of half-wave)", "roman"),
            ("Bernstein (power 0.23, half-wave, 425 Hz)", "bernstein"),
        ],
    ),
    "hops": (
        "Frames under a kernel",
        [("kernels on one frame, as at hop 1", "published", (), "three_branch_held")],
    ),
    "storage": ("Mixtures stored in 16 bits, against floats", [("floats", "float")]),
    "snr": (
        "SNR of each noise",
        [("15 to 40 dB, as the published code says", "code"), ("0 to 15 dB", "noisier")],
    ),
    "noises": (
        "Kind of noise",
        [("stationary classes alone", "stationary"), ("events alone", "events")],
    ),
    "protocols": (
        "The published protocol, against the clean one at the same noise level",
        [("clean: horizontal plane, Roman's hair cell, nothing in both", "clean")],
    ),
}
DATABASES: dict[str, dict] = {  # what a cue store changes of the published one
    "horizontal": {"direction_rule": "horizontal"},
    "float": {"bits": 0},
    "noise": {"disjoint": ("noise",)},
    "head": {"disjoint": ("head",)},
    "disjoint": {"disjoint": ("speaker", "noise", "head")},
    "code": {"snr_low": 15.0, "snr_high": 40.0},
    "noisier": {"snr_low": 0.0, "snr_high": 15.0},
    "stationary": {"noise": STATIONARY},
    "events": {"noise": EVENTS},
}
PARTS = {  # our network, each of its parts left out, and the published network trained the same way
    "phase": "ours",
    "phase_raw_cues": "without phases: ITD, ILD and IC as they are",
    "phase_ungated": "without the gate by IC",
    "phase_single_frames": "without convolutions over time",
    "phase_mean_pooling": "without attention over frames",
    "phase_no_dropout": "without dropout",
    "three_branch": "the tables' network, trained as ours",
}


def questions() -> dict[str, tuple[str, list[Variant]]]:
    """Title and rows of each, by the name that `--rows` takes; the others are compared with the first."""
    found = {}
    for key, (title, rows) in QUESTIONS.items():
        found[key] = title, [PUBLISHED, *(Variant(*row) for row in rows)]
    for store in ("published", "clean"):
        parts = [Variant(label, store, (), name, "ours") for name, label in PARTS.items()]
        found[f"ablation_{store}"] = f"Our network and its parts, {store} protocol", parts
    return found


def stores(data: bool, clips: int, seed: int) -> dict[str, tuple[Database, FrontEnd]]:
    """Settings of every cue store in use."""
    published, clean = (
        experiment(data, protocol=name, seed=seed) for name in ("published", "clean")
    )
    base, front = replace(published.database, clips=clips), published.front
    same: dict = {"clips": clips, "snr_low": base.snr_low, "snr_high": base.snr_high}
    found = {"published": (base, front), "clean": (replace(clean.database, **same), clean.front)}
    found |= {c: (base, replace(front, hair_cell=c)) for c in ("halfwave", "roman", "bernstein")}
    return found | {name: (replace(base, **changes), front) for name, changes in DATABASES.items()}


def training_of(variant: Variant, clips: int, seed: int) -> Training:
    """How a row is trained."""
    settled: dict = {"epochs": 12, "epochs_planned": 12, "cosine_epochs": 12}
    return replace(RUNS[variant.like], model=variant.network, clips=clips, seed=seed, **settled)


class Audit:
    """Trains rows of so many clips with seeds from `seed` on, and keeps all in results/audit.json, each with
    `described` (machine and commit). Without `data` the corpus is the embedded."""

    def __init__(
        self, data, clips: int, seeds: int, seed: int, work: Path, results: Path, described: dict
    ):
        self.data, self.clips, self.seeds, self.seed = data, clips, range(seed, seed + seeds), seed
        self.name = "audit" if data is not None else "audit-embedded"  # of its files
        self.work, self.path, self.described = (
            work / self.name,
            results / f"{self.name}.json",
            described,
        )
        self.results, self.command = results, f"`ssl_jax audit{' --data DIR' if data else ''}"
        self.stores = stores(data is not None, clips, seed)
        self.measured = read_json(self.path) if self.path.exists() else {}

    def key(self, variant: Variant, seed: int) -> str:
        """The name of a row's entry."""
        apart, of_database = (
            "+".join(variant.apart) or "-",
            f"/database-seed{self.seed}" if self.seed else "",
        )
        row = f"{variant.store}/{apart}/{variant.network}/{variant.like}"
        return f"{row}/clips{self.clips}/seed{seed}{of_database}"

    def found(self, variant: Variant) -> list[dict]:
        """The entries of a row that there are, one a seed."""
        return [
            self.measured[k]
            for seed in self.seeds
            if (k := self.key(variant, seed)) in self.measured
        ]

    def keep(self, key: str, scores: dict) -> None:
        """Put what was measured into the file, and by what."""
        self.measured[key] = {**scores, **self.described}
        write_json(self.path, self.measured)

    def mixtures(self, variant: Variant) -> Mixtures:
        """A row's mixtures, every shard in place, split as the row has it."""
        (config, front), folder = self.stores[variant.store], self.work / variant.store
        store = build(folder, config, front, load_sounds(self.data, config, front.fs))
        manifest = read_manifest(folder / "manifest.csv", store.count)
        if variant.apart:
            apart = replace(config, disjoint=variant.apart)
            manifest = manifest._replace(part=draw_parts(apart, manifest.speaker[::AZIMUTHS]))
        return Mixtures.of(store, manifest)

    def row(self, variant: Variant) -> None:
        """Measure a row with every seed that is not there yet."""
        todo = [seed for seed in self.seeds if self.key(variant, seed) not in self.measured]
        if not todo:
            return
        mixtures, folder = self.mixtures(variant), self.work / variant.store
        for seed in todo:
            name = "-".join([variant.network, *variant.apart, f"seed{seed}"])
            scores = train(
                name,
                training_of(variant, self.clips, seed),
                mixtures,
                RunFolders(folder, folder / "results"),
            )
            last = read_csv(folder / "results" / f"{name}.csv", ("train_top1",))[-1]
            self.keep(self.key(variant, seed), scores | {"train_top1": float(last["train_top1"])})

    def switched_set(self, wanted: bool) -> list[dict] | None:
        """The log of a continuation on clips 1-560 alone, or None; measured if `wanted` and all is there."""
        ex = experiment(self.data is not None, protocol="published", seed=self.seed)
        key, work = f"switch/seed{self.seed}", self.work.parent / ex.name
        store = CueStore(work / "cues", ex.database, ex.front)
        needed = checkpoint_path(work, "model2", 16), store.path(store.shards - 1)
        if wanted and key not in self.measured and all(path.exists() for path in needed):
            manifest = read_manifest(work / "manifest.csv", store.count)
            last = manifest._replace(part=np.arange(store.count) >= LAST_CLIPS * AZIMUTHS)
            run = replace(ex.runs["model2_continued"], last_share=0.0)
            train(
                "model2_switched",
                run,
                Mixtures.of(store, last),
                RunFolders(work, self.work / "switched"),
            )
            checkpoint = load_checkpoint(checkpoint_path(work, "model2_switched", run.epochs))
            rows = checkpoint.log if checkpoint else []
            self.keep(key, {"log": [row.columns() for row in rows]})
        return self.measured[key]["log"] if key in self.measured else None

    def published_weights(self, folder: Path | None) -> dict:
        """Scores of published checkpoints on mixtures that they never heard, by (name, store). Their kernels
        span five samples, which hold the same cues: here, five times the same frame."""
        models, clips = load_checkpoints(folder) if folder else {}, f"/clips{self.clips}"
        for store in ("published", "code") if models else ():
            mixtures = self.mixtures(Variant("", store))
            as_at_hop_1 = replace(RUNS["model2"], model="three_branch_held")
            trainer, every = (
                Trainer(as_at_hop_1, 1, mixtures.front),
                np.arange(self.clips * AZIMUTHS),
            )
            for name, model in models.items():
                key = f"published_weights/{name}/{store}{clips}"
                if key not in self.measured:
                    trainer.set_model(model)
                    self.keep(key, evaluate(predict_all(trainer, mixtures, every)))
        keys = [
            k
            for k in sorted(self.measured)
            if k.startswith("published_weights/") and k.endswith(clips)
        ]
        return {tuple(key.split("/")[1:3]): self.measured[key] for key in keys}

"""The audit: what the published tables do not say, measured row by row."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import read_csv, read_json, sha256_of, write_json
from ssl_jax.config import AZIMUTHS, EVALUATION, TRAINING
from ssl_jax.database.build import build
from ssl_jax.database.cue_store import CueStore
from ssl_jax.database.manifest import read_manifest
from ssl_jax.database.parts import part_of_mixtures
from ssl_jax.metrics import evaluate
from ssl_jax.runs import RUNS
from ssl_jax.sounds.hrtf import Heads
from ssl_jax.sounds.sources import Sounds, load_sounds
from ssl_jax.studies.audit_rows import (
    AuditOptions,
    Store,
    Variant,
    chosen_experiment,
    stores,
    training_of,
)
from ssl_jax.studies.published_weights import checkpoint_files, load_checkpoints
from ssl_jax.training.batches import Mixtures
from ssl_jax.training.checkpoints import checkpoint_path
from ssl_jax.training.context import RunFolders
from ssl_jax.training.log import read_log
from ssl_jax.training.run import train
from ssl_jax.training.trainer import Trainer, predict_all

SWITCHED = "model2_switched"
# stores that published checkpoints are scored on: the inferred noise level, and the code's
STORES_OF_WEIGHTS = ("published", "snr15to40")


def first_heads(heads: Heads, count: int) -> Heads:
    """The first `count` heads; InputError where there are fewer."""
    if len(heads.names) < count:
        raise InputError(
            f"{len(heads.names)} heads: the row of {count} heads needs more: "
            "leave it out with --rows, or add SOFA files to --heads"
        )
    return replace(
        heads,
        names=heads.names[:count],
        hrirs=heads.hrirs[:count],
        elevations=heads.elevations[:count],
    )


def sounds_of(store: Store) -> Sounds:
    """What the mixtures of a store are made of."""
    sounds = load_sounds(store.folders, store.database, store.front.fs)
    if store.first_heads is None:
        return sounds
    return replace(sounds, heads=first_heads(sounds.heads, store.first_heads))


def split_by(mixtures: Mixtures, apart: tuple[str, ...]) -> Mixtures:
    """The same mixtures, split so that the parts share nothing of `apart` (of SPLIT_BY)."""
    if not apart:
        return mixtures
    manifest = mixtures.manifest
    assert manifest is not None  # a store has one
    config = replace(mixtures.database, disjoint=apart)
    part = part_of_mixtures(config, manifest.speaker[::AZIMUTHS])
    return replace(mixtures, manifest=replace(manifest, part=part))


class Audit:
    """Measures rows, and keeps each in a JSON file under results/ with what made it.

    Parameters
    ----------
    options : what to measure, and where
    made_by : machine and commit, kept with every row
    """

    def __init__(self, options: AuditOptions, made_by: dict[str, str]):
        self.options = options
        self.made_by = made_by
        self.published = chosen_experiment(options, "published")
        # own sounds and seeds have files of their own, as they have folders
        self.name = "audit" + self.published.name.removeprefix("published")
        self.folder = options.work / self.name
        # of the stores and trainings: as many clips each
        self.rows_folder = self.folder / f"clips{options.clips}"
        self.path = options.results / f"{self.name}.json"
        self.stores = stores(options)
        self.seeds = range(options.seed, options.seed + options.seeds)
        self.measured = read_json(self.path) if self.path.exists() else {}

    def key(self, variant: Variant, seed: int) -> str:
        """The name of a row's entry in the file."""
        apart = "+".join(variant.apart) or "-"
        row = f"{variant.store}/{apart}/{variant.network}/{variant.like}"
        return f"{row}/clips{self.options.clips}/seed{seed}"

    def entries(self, variant: Variant) -> dict[int, dict]:
        """What is measured of a row, by seed."""
        keys = {seed: self.key(variant, seed) for seed in self.seeds}
        return {seed: self.measured[key] for seed, key in keys.items() if key in self.measured}

    def keep(self, key: str, scores: dict) -> None:
        """Put what was measured into the file, and what made it."""
        self.measured[key] = {**scores, **self.made_by}
        write_json(self.path, self.measured)

    def mixtures(self, name: str) -> Mixtures:
        """The mixtures of a store, which is built where it is not there."""
        store = self.stores[name]
        folder = self.rows_folder / name
        cues = build(folder, store.database, store.front, sounds_of(store))
        return Mixtures.of(cues, read_manifest(folder / "manifest.csv", cues.count))

    def measure_rows(self, variants: Iterable[Variant]) -> None:
        """Measure what is missing of the rows whose sounds are there, store by store."""
        missing = [v for v in variants if len(self.entries(v)) < len(self.seeds)]
        for name in self.stores:
            rows = [variant for variant in missing if variant.store == name]
            if rows:
                mixtures = self.mixtures(name)
                for variant in rows:
                    self.train_row(variant, split_by(mixtures, variant.apart))

    def train_row(self, variant: Variant, mixtures: Mixtures) -> None:
        """Train a row with every seed that is missing, and keep its scores."""
        work = self.rows_folder / variant.store
        results = work / "results"
        for seed in self.seeds:
            key = self.key(variant, seed)
            if key in self.measured:
                continue
            name = "-".join([variant.network, variant.like, *variant.apart, f"seed{seed}"])
            config = training_of(variant, self.options.clips, seed)
            scores = train(name, config, mixtures, RunFolders(work, results))
            last_epoch = read_csv(results / f"{name}.csv", ("train_top1",))[-1]
            self.keep(key, scores | {"train_top1": float(last_epoch["train_top1"])})

    @property
    def switch_key(self) -> str:
        """The name of the entry of `measure_switch`."""
        return f"switch/seed{self.options.seed}"

    def measure_switch(self) -> None:
        """Train the continuation of Model 2 on all clips but the last, and evaluate on these.

        Nothing happens unless `./reproduce.sh` has left its cue store and Model 2's epoch 16.
        """
        work = self.options.work / self.published.name
        store = CueStore(work / "cues", self.published.database, self.published.front)
        start = checkpoint_path(work, "model2", RUNS["model2_continued"].start_epoch)
        if not start.exists() or not store.path(store.shards - 1).exists():
            return
        if self.switch_key in self.measured:
            return
        manifest = read_manifest(work / "manifest.csv", store.count)
        continued = self.published.runs["model2_continued"]
        mixtures = Mixtures.of(store, manifest)
        part = np.full(store.count, TRAINING)
        part[mixtures.last(continued)] = EVALUATION
        mixtures = replace(mixtures, manifest=replace(manifest, part=part))
        config = replace(continued, last_share=0.0)
        results = self.folder / "switched"
        train(SWITCHED, config, mixtures, RunFolders(work, results))
        self.keep(self.switch_key, {"log": read_log(results / f"{SWITCHED}.csv")})

    def switched_log(self) -> list[dict]:
        """The log of `measure_switch`, a row an epoch; none where it is not measured."""
        return self.measured.get(self.switch_key, {}).get("log", [])

    def weights_key(self, checkpoint: str, store: str) -> str:
        """The name of a checkpoint's entry on the mixtures of a store."""
        return f"published_weights/{checkpoint}/{store}/clips{self.options.clips}"

    def measure_weights(self, folder: Path) -> None:
        """Score the published checkpoints of a folder on mixtures that they never heard.

        Their kernels span five samples, which hold the same cues: here, one frame.
        """
        checksums = {name: sha256_of(path) for name, path in checkpoint_files(folder).items()}
        models = load_checkpoints(folder)
        every = np.arange(self.options.clips * AZIMUTHS)
        for store in STORES_OF_WEIGHTS:
            keys = {name: self.weights_key(name, store) for name in models}
            # another file of the same name is measured anew
            missing = [
                name
                for name, key in keys.items()
                if self.measured.get(key, {}).get("sha256") != checksums[name]
            ]
            if not missing:
                continue
            mixtures = self.mixtures(store)
            # the weights are those of the usual network, the graph holds a frame under all taps
            config = replace(RUNS["model2"], model="three_branch_held")
            trainer = Trainer(config, 1, mixtures.front)
            for name in missing:
                trainer.set_model(models[name])
                scores = evaluate(predict_all(trainer, mixtures, every))
                self.keep(keys[name], {**scores, "sha256": checksums[name]})

    def weights_scores(self) -> dict[str, dict[str, dict]]:
        """What is measured of published checkpoints: scores by checkpoint and store."""
        scores: dict[str, dict[str, dict]] = {}
        for key, entry in sorted(self.measured.items()):
            kind, _, rest = key.partition("/")
            if kind != "published_weights":
                continue
            checkpoint, store, _ = rest.rsplit("/", 2)  # a checkpoint may lie in a folder
            if key == self.weights_key(checkpoint, store):
                scores.setdefault(checkpoint, {})[store] = entry
        return scores

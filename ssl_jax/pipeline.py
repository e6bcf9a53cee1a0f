"""The four stages of ./reproduce.sh on one experiment: database, train, figures, report."""

import contextlib
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ssl_jax.common.devices import barrier, by_main_process, data_mesh, is_main_process
from ssl_jax.common.errors import InputError
from ssl_jax.common.files import (
    compare_settings,
    lock_folder,
    read_json,
    remove_stale_parts,
    settle_settings,
    write_json,
)
from ssl_jax.common.provenance import record_stage
from ssl_jax.config import Database, FrontEnd, Training, as_settings
from ssl_jax.database.build import build, export_wav
from ssl_jax.database.cue_store import CueStore
from ssl_jax.database.manifest import read_manifest
from ssl_jax.experiments import Experiment
from ssl_jax.report.comparison import write_report
from ssl_jax.report.readme import update_readme
from ssl_jax.runs import seeded_runs
from ssl_jax.sounds.sources import load_sounds
from ssl_jax.training.batches import Mixtures
from ssl_jax.training.checkpoints import checkpoint_path
from ssl_jax.training.context import RunFolders
from ssl_jax.training.run import train

STAGES = ("database", "train", "figures", "report")


@dataclass(frozen=True)
class Folders:
    """Where an experiment writes; each gets a folder of the experiment's name."""

    results: Path = Path("results")
    work: Path = Path("work")
    figures: Path = Path("paper_figures")


@dataclass(frozen=True)
class Plan:
    """Which stages of an experiment to carry out, and what of them."""

    stages: tuple[str, ...] = STAGES
    runs: tuple[str, ...] = ()  # to train, () for the experiment's usual ones
    seeds: int = 1  # of each run
    devices: int | None = None  # to train on
    readme: Path | None = None  # gets the table of last epochs and the number to cite
    formats: tuple[str, ...] = ("png",)  # of every figure
    folders: Folders = field(default_factory=Folders)


def check_results(results: Path, settings: dict, *, has_store: bool) -> None:
    """Make the results folder ours, or raise InputError, which names the setting that differs.

    Settings alone, without a store or a log, are of a call that was refused, and count for nothing.
    """
    path = results / "settings.json"
    is_made_with_them = has_store or any(results.glob("*.csv"))
    if not path.exists():
        settle_settings(path, settings, outputs="*.csv")
    elif is_made_with_them:
        compare_settings(path, settings, as_settings(database=Database(), front=FrontEnd()))
    else:
        write_json(path, settings)


def read_trained(results: Path) -> tuple[dict, dict]:
    """Metrics and settings of the runs that earlier calls trained here."""
    settings_path = results / "settings.json"
    metrics_path = results / "metrics.json"
    if not settings_path.exists() or not metrics_path.exists():
        return {}, {}
    return read_json(metrics_path), read_json(settings_path).get("runs", {})


def make_database(ex: Experiment, folders: Folders) -> None:
    """Render every mixture and store its cue maps."""
    results = folders.results / ex.name
    store = CueStore(folders.work / ex.name / "cues", ex.database, ex.front)
    have_shard = [store.path(shard).exists() for shard in range(store.shards)]
    settings = as_settings(database=ex.database, front=ex.front)
    check = partial(check_results, has_store=any(have_shard))
    by_main_process(check, results, settings)
    timing = results / "timing.json"
    with record_stage(timing, "database", resumed=any(have_shard), complete=all(have_shard)):
        sounds = load_sounds(ex.folders, ex.database, ex.front.fs)
        build(folders.work / ex.name, ex.database, ex.front, sounds)


def export_mixtures(ex: Experiment, folder: Path, limit: int) -> None:
    """Write the first `limit` mixtures as WAV files; InputError where that is none."""
    if limit < 1:
        raise InputError(f"--limit {limit}: no mixtures asked for: use at least 1")
    sounds = load_sounds(ex.folders, ex.database, ex.front.fs)
    export_wav(folder, limit, ex.database, ex.front, sounds)


def runs_of(ex: Experiment, plan: Plan) -> dict[str, Training]:
    """The runs to train; InputError for one that the experiment does not have, or for no seed."""
    if plan.seeds < 1:
        raise InputError(f"--seeds {plan.seeds}: no run asked for: use at least 1")
    return seeded_runs(ex.runs, plan.runs or ex.usual_runs, plan.seeds)


def train_runs(ex: Experiment, plan: Plan) -> None:
    """Train what is not trained yet, and keep logs, metrics and settings under results/."""
    work = plan.folders.work / ex.name
    results = plan.folders.results / ex.name
    runs = runs_of(ex, plan)
    store = CueStore(work / "cues", ex.database, ex.front)
    with barrier():
        mixtures = Mixtures.of(store, read_manifest(work / "manifest.csv", store.count))
    settings = mixtures.settings
    check = partial(check_results, has_store=True)
    by_main_process(check, results, settings)
    metrics, run_settings = read_trained(results)
    mesh = data_mesh() if plan.devices else None
    for name, config in runs.items():
        epochs = range(config.start_epoch + 1, config.epochs + 1)
        have_epoch = [checkpoint_path(work, name, epoch).exists() for epoch in epochs]
        timing = results / "timing.json"
        with record_stage(timing, name, resumed=any(have_epoch), complete=have_epoch[-1]):
            metrics[name] = train(name, config, mixtures, RunFolders(work, results), mesh)
        run_settings[name] = as_settings(run=config)["run"]
        by_main_process(write_json, results / "metrics.json", metrics)
        by_main_process(write_json, results / "settings.json", {**settings, "runs": run_settings})


def draw_figures(ex: Experiment, folders: Folders, formats: tuple[str, ...]) -> None:
    """Draw every figure of the experiment, in each of the formats."""
    # here: only this stage waits for matplotlib
    from ssl_jax.report.figures import draw_all

    draw_all(folders.results, ex, folders.figures, formats)


def report(ex: Experiment, folders: Folders, readme: Path | None) -> None:
    """Write the comparison with the reported tables and print it."""
    print(write_report(folders.results, ex.name))
    if readme is not None:
        update_readme(readme, folders.results)


def run_stage(stage: str, ex: Experiment, plan: Plan) -> None:
    """Carry out one of STAGES."""
    if stage == "database":
        make_database(ex, plan.folders)
    elif stage == "train":
        train_runs(ex, plan)
    elif is_main_process():
        if stage == "figures":
            draw_figures(ex, plan.folders, plan.formats)
        else:
            report(ex, plan.folders, plan.readme)


def run_experiment(ex: Experiment, plan: Plan) -> None:
    """Carry out the planned stages, with the work folder locked while it changes."""
    if "train" in plan.stages:
        # a wrong run is refused before anything is rendered
        runs_of(ex, plan)
    with contextlib.ExitStack() as stack:
        if {"database", "train"} & set(plan.stages):
            with barrier():
                if is_main_process():
                    stack.enter_context(lock_folder(plan.folders.work / ex.name))
                    for folder in vars(plan.folders).values():
                        remove_stale_parts(folder / ex.name)
        for stage in plan.stages:
            run_stage(stage, ex, plan)
        # at exit JAX would not wait for the main process long enough
        with barrier():
            pass

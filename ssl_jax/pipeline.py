"""The four stages of ./reproduce.sh on one experiment: database, train, figures, report."""

import contextlib
import json
from pathlib import Path

from ssl_jax.common.devices import barrier, by_main_process, data_mesh, is_main_process
from ssl_jax.common.errors import InputError
from ssl_jax.common.files import (
    check_settings,
    lock_folder,
    read_json,
    remove_stale_parts,
    write_json,
)
from ssl_jax.common.provenance import clock
from ssl_jax.config import Experiment, experiment, fingerprint, seeded_runs
from ssl_jax.database.build import build, export_wav
from ssl_jax.database.cue_store import CueStore
from ssl_jax.database.recipes import load_sounds, read_manifest
from ssl_jax.report.comparison import update_readme, write_report
from ssl_jax.training.batches import Mixtures
from ssl_jax.training.checkpoints import checkpoint_path
from ssl_jax.training.context import RunFolders
from ssl_jax.training.run import train


def experiment_of(args) -> Experiment:
    options = (
        args.directions,
        args.hair_cell,
        args.hop,
        args.seed,
        args.quick,
        args.name,
        args.protocol,
    )
    return experiment(args.data is not None, *options, args.snr_range)


def check_results(results: Path, settings: dict) -> None:
    """Make the results folder ours, or raise InputError, which names the setting that differs."""
    check_settings(results / "settings.json", settings, made="*.csv", older=True)


def trained_before(results: Path, settings: dict) -> tuple[dict, dict]:
    """Metrics and settings of the runs that earlier calls trained here on the same mixtures."""
    notes, metrics = results / "settings.json", results / "metrics.json"
    before = read_json(notes) if notes.exists() and metrics.exists() else {}
    if {k: before.get(k) for k in settings} != json.loads(json.dumps(settings)):
        return {}, {}
    return read_json(metrics), before.get("runs", {})


def run_database(args, ex: Experiment) -> None:
    if args.export_wav:
        if args.limit < 1:
            raise InputError(f"--limit {args.limit}: no mixtures asked for: use at least 1")
        sounds = load_sounds(args.data, ex.database, ex.front.fs)
        return export_wav(args.export_wav, args.limit, ex.database, ex.front, sounds)
    store, results = (
        CueStore(args.work / ex.name / "cues", ex.database, ex.front),
        args.results / ex.name,
    )
    by_main_process(check_results, results, fingerprint(database=ex.database, front=ex.front))
    made = [store.path(shard).exists() for shard in range(store.shards)]
    with clock(results / "timing.json", "database", any(made), all(made)):
        build(
            args.work / ex.name,
            ex.database,
            ex.front,
            load_sounds(args.data, ex.database, ex.front.fs),
        )


def run_train(args, ex: Experiment) -> None:
    if args.seeds < 1:
        raise InputError(f"--seeds {args.seeds}: no run asked for: use at least 1")
    runs = seeded_runs(ex.runs, args.runs or ex.usual_runs, args.seeds)
    work, results = args.work / ex.name, args.results / ex.name
    store = CueStore(work / "cues", ex.database, ex.front)
    with barrier():
        mixtures = Mixtures.of(store, read_manifest(work / "manifest.csv", store.count))
    settings = mixtures.settings
    by_main_process(check_results, results, settings)
    metrics, before = trained_before(results, settings)
    for name, run in runs.items():
        epochs = range(run.start_epoch + 1, run.epochs + 1)
        made = [checkpoint_path(work, name, epoch).exists() for epoch in epochs]
        with clock(results / "timing.json", name, any(made), made[-1]):
            folders = RunFolders(work, results)
            metrics[name] = train(
                name, run, mixtures, folders, data_mesh() if args.devices else None
            )
        before[name] = fingerprint(run=run)["run"]
        by_main_process(write_json, results / "metrics.json", metrics)
        by_main_process(write_json, results / "settings.json", {**settings, "runs": before})


def run_figures(args, ex: Experiment) -> None:
    from ssl_jax.report.figures import draw_all  # matplotlib, for this stage alone

    draw_all(args.results, ex, args.figures)


def run_report(args, ex: Experiment) -> None:
    print(write_report(args.results, ex.name))
    if args.readme:
        update_readme(args.readme, args.results)


STAGES = {
    "database": run_database,
    "train": run_train,
    "figures": run_figures,
    "report": run_report,
}


def run_experiment(args) -> None:
    """Carry out one stage, or all of them, with the work folder locked."""
    ex = experiment_of(args)
    if args.stage == "all":
        seeded_runs(
            ex.runs, args.runs or ex.usual_runs, args.seeds
        )  # refused before anything is rendered
    with contextlib.ExitStack() as held:
        if args.stage in ("all", "database", "train") and not args.export_wav:
            with barrier():
                if is_main_process():
                    held.enter_context(lock_folder(args.work / ex.name))
                    for folder in (args.work, args.results, args.figures):
                        remove_stale_parts(folder / ex.name)
        for name in STAGES if args.stage == "all" else [args.stage]:
            if is_main_process() or name in ("database", "train"):
                STAGES[name](args, ex)
        with barrier():  # at exit JAX would not wait for the main process long enough
            pass

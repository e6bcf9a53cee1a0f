"""python -m ssl_jax STAGE: the stages of the experiment, one after the other or each by itself."""

import contextlib
import json
import os
import sys
import traceback
from pathlib import Path

from .config import Experiment, experiment, fingerprint, seeded_runs
from .files import InputError, error_reason, locked, os_error_message, read_json, sweep, write_json
from .options import parser
from .provenance import clock, commit, keep_memory, machine
from .recordings import run_localise, run_render


def load_sounds(args, ex: Experiment):
    """The corpus and the heads that the options ask for."""
    from .corpora import load_corpus
    from .hrtf import load_heads

    corpus = load_corpus(args.data, ex.database.clips, ex.front.fs)
    return corpus, load_heads(args.data, ex.database.direction_rule, ex.front.fs)


def run_database(args, ex: Experiment) -> None:
    from .cue_store import CueStore
    from .database import build, export_wav
    from .devices import by_first

    if getattr(args, "export_wav", None):
        if args.limit < 1:
            raise InputError(f"--limit {args.limit}: no mixtures asked for: use at least 1")
        export_wav(args.export_wav, args.limit, ex.database, ex.front, *load_sounds(args, ex))
        return
    store = CueStore(args.work / ex.name / "cues", ex.database, ex.front)
    by_first(check_results, args.results / ex.name, settings_of(ex))
    made = [store.path(shard).exists() for shard in range(store.shards)]
    with timed(args.results / ex.name, "database", any(made), all(made)):
        build(args.work / ex.name, ex.database, ex.front, *load_sounds(args, ex))


def timed(results: Path, *stage):
    """Note what a stage took, in the first process."""
    from .devices import is_first

    return clock(results / "timing.json", *stage) if is_first() else contextlib.nullcontext()


def settings_of(ex: Experiment) -> dict:
    return fingerprint(database=ex.database, front=ex.front)


def check_results(results: Path, settings: dict) -> None:
    """Make the results folder ours, or check that it is: InputError names the setting that differs."""
    from .cue_store import check_settings

    check_settings(results / "settings.json", settings, made="*.csv", older=True)


def trained_before(results: Path, settings: dict) -> tuple[dict, dict]:
    """Metrics and settings of the runs that earlier calls trained here on the same mixtures."""
    notes, metrics = results / "settings.json", results / "metrics.json"
    if notes.exists() and metrics.exists():
        before = read_json(notes)
        if {k: before.get(k) for k in settings} == json.loads(json.dumps(settings)):
            return read_json(metrics), before.get("runs", {})
    return {}, {}


def run_train(args, ex: Experiment) -> None:
    from .checkpoints import checkpoint_path
    from .cue_store import CueStore
    from .devices import by_first, data_mesh, together
    from .recipes import read_manifest
    from .trainer import Mixtures
    from .training import train

    if args.seeds < 1:
        raise InputError(f"--seeds {args.seeds}: no run asked for: use at least 1")
    work, results = args.work / ex.name, args.results / ex.name
    store = CueStore(work / "cues", ex.database, ex.front)
    settings = settings_of(ex)
    with together():
        mixtures = Mixtures(store.read())
        manifest = read_manifest(work / "manifest.csv", store.count)
    runs = seeded_runs(ex.runs, args.runs, args.seeds)
    by_first(check_results, results, settings)
    metrics, before = trained_before(results, settings)
    mesh = data_mesh() if args.devices else None
    for name, run in runs.items():
        made = [checkpoint_path(work, name, epoch).exists() for epoch in range(run.start_epoch + 1, run.epochs + 1)]
        with timed(results, name, any(made), made[-1]):
            metrics[name] = train(name, run, settings, mixtures, work, results,
                                  manifest.held_out, manifest.snr, mesh)
        before[name] = fingerprint(run=run)["run"]
        by_first(write_json, results / "metrics.json", metrics)
        by_first(write_json, results / "settings.json", {**settings, "runs": before})


def run_figures(args, ex: Experiment) -> None:
    from .figures import draw_all

    draw_all(args.results, ex, args.figures)


def run_report(args, ex: Experiment) -> None:
    from .report import README_RUNS, update_readme, write_report

    print(write_report(args.results, ex.name))
    if getattr(args, "readme", None):
        there = [name for name in README_RUNS if (args.results / name / "settings.json").exists()]
        update_readme(args.readme, args.results, there)


def run_pack(args, ex: Experiment) -> None:
    from .model_card import pack_run, write_card

    metrics = pack_run(ex, args.run, args.packed, args.work, args.results)["metrics"]
    write_card(args.card)
    print(f"{args.packed}: Top-1 {metrics['top1']:.2f} %, mean error {metrics['mean_angular_error']:.2f} degrees as packed; "
          f"{args.card} says more")


def run_check(args) -> None:
    from .unseen_heads import score_heads, write_scores

    if not 1 <= args.clips <= 70:
        raise InputError(f"--clips {args.clips}: out of range: use 1 to 70")
    found = score_heads(args.files, args.model, args.clips)
    print(write_scores(found, args.results / "unseen_heads.md", machine(), commit(), args.clips))


def run_audit(args) -> None:
    """Measure what is asked for and not measured yet, and write all there is."""
    from .audit import Audit, questions
    from .audit_report import HOW_TO_READ, audit_header, summary, write_audit
    from .report import put_section

    asked, known = questions(), (*questions(), "switch", "weights")
    for row in args.rows or ():
        if row not in known:
            raise InputError(f"--rows {row}: unknown: use {', '.join(known)}")
    if args.clips < 5 or args.seeds < 1:
        raise InputError("--clips and --seeds: too few: use at least 5 clips and 1 seed")
    audit = Audit(args.data, args.clips, args.seeds, args.seed, args.work, args.results,
                  {"machine": machine(), "commit": commit()})
    with locked(audit.work):
        for name, question in asked.items():
            if args.rows is None or name in args.rows:
                for variant in question.variants:
                    audit.row(variant)
        asked_too = args.rows is None or "switch" in args.rows
        switch = audit.switched_set() if asked_too else audit.measured.get(f"switch/seed{args.seed}")
        weights = audit.published_weights(args.weights)
    options = "--data DIR " * (args.data is not None)
    print(write_audit(audit, asked, weights, switch, audit_header(audit), options))
    if args.readme:
        put_section(args.readme, "audit", f"{audit_header(audit)} {HOW_TO_READ}\n\n{summary(asked, audit)}")


def run(args) -> None:
    """Carry out one stage, or all of them."""
    from .devices import is_first, start, together

    if args.stage == "download":
        from .download import download_all

        return download_all(args.to, args.speech)
    keep_memory()
    if args.stage in ("localise", "render"):
        return run_localise(args) if args.stage == "localise" else run_render(args)
    if args.stage == "growth":
        from .growth import growth

        print(growth(args.data, args.devices, args.work, args.results / "benchmark", args.scale))
        return
    start(*(getattr(args, name, None) for name in ("devices", "coordinator", "processes", "process")))
    if args.stage == "benchmark":
        from .benchmark import benchmark

        print(benchmark(args.results / "benchmark", machine(), commit()))
        return
    if args.stage in ("audit", "check"):
        {"audit": run_audit, "check": run_check}[args.stage](args)
        return
    ex = experiment(args.data is not None, args.directions, args.hair_cell, args.hop, args.seed,
                    args.quick, args.name, args.protocol)
    if ex.name == "reported":
        raise InputError("--name reported: that folder holds the reported tables: use another name")
    stages = {"database": run_database, "train": run_train, "figures": run_figures, "report": run_report}
    if args.stage == "pack":
        stages = {"pack": run_pack}
    with contextlib.ExitStack() as held:
        if args.stage in ("all", "database", "train") and not getattr(args, "export_wav", None):
            with together():
                if is_first():
                    held.enter_context(locked(args.work / ex.name))
                    for folder in (args.work, args.results, args.figures):
                        sweep(folder / ex.name)
        for name in stages if args.stage == "all" else [args.stage]:
            if is_first() or name in ("database", "train"):
                stages[name](args, ex)
        with together():  # or the first process would be waited for on the way out, and not for long
            pass


def main(argv=None) -> int:
    """Exit status 0, 2 for bad input (one line on stderr), 130 when interrupted."""
    args, status = parser().parse_args(argv), 2
    several = getattr(args, "coordinator", None) is not None
    try:
        run(args)
        sys.stdout.flush()
        return 0
    except InputError as error:
        message = str(error)
    except OSError as error:
        message = os_error_message(error)
        try:
            sys.stdout.flush()
        except OSError:  # what cannot be printed: Python would try once more on its way out, and say so
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        message, status = "interrupted; the same command goes on from here", 130
    except Exception as error:  # a regular exit would wait for the other processes, and they for this one
        if not several:
            raise
        if not isinstance(error, RuntimeError):  # which is what JAX raises where another process is gone
            traceback.print_exc()
        message = f"this process or another failed ({error_reason(error)[:200]}): see what all say, and run all again"
    print(f"ssl_jax: {' '.join(message.split())}", file=sys.stderr, flush=True)
    if several:
        from .devices import leave

        leave(status, args.process)
    return status


if __name__ == "__main__":
    sys.exit(main())

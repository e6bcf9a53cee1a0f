"""python -m ssl_jax STAGE: the stages of the experiment, one after the other or each by itself."""

import argparse
import contextlib
import json
import os
import sys
from pathlib import Path

from .config import DIRECTION_RULES, HAIR_CELLS, MAIN_RUNS, RUNS, Experiment, experiment, fingerprint, seeded_runs
from .files import InputError, locked, os_error_message, read_json, sweep, write_json
from .provenance import clock, commit, keep_memory, machine
from .recordings import add_stages, run_localise, run_render


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m ssl_jax", description=__doc__)
    stages = top.add_subparsers(dest="stage", metavar="STAGE", required=True)

    def stage(name, text):
        return stages.add_parser(name, help=text, description=text)

    everything = {
        "all": "every stage below but download: what ./reproduce.sh runs",
        "database": "recipes, rendered mixtures and their cue maps",
        "train": "Model 1, Model 2 and its learning-rate-drop continuation",
        "figures": "every figure of the README, from results/ (and a scene rendered afresh)",
        "report": "comparison of results/ with the reported tables",
        "pack": "put a trained run into the package, for localise, and write docs/model-card.md",
    }
    for name, text in everything.items():
        options = stage(name, text)
        options.add_argument("--data", type=Path, default=os.environ.get("SSL_JAX_DATA") or None, metavar="DIR",
                             help="publishers' corpora (see download) instead of the embedded one; "
                                  "also $SSL_JAX_DATA")
        options.add_argument("--protocol", choices=("published", "clean"),
                             help="published: nearest azimuth at any elevation, no hair cell, split by mixture "
                                  "(default with --data); clean: horizontal plane, Roman's hair cell, no speaker, "
                                  "noise file or head in both training and evaluation")
        options.add_argument("--directions", choices=DIRECTION_RULES,
                             help="which HRIR stands for an azimuth, instead of the protocol's rule")
        options.add_argument("--hair-cell", choices=HAIR_CELLS,
                             help="instead of the protocol's")
        options.add_argument("--hop", type=int, help="samples between cue values (default 441, 10 ms)")
        options.add_argument("--seed", type=int, default=0, help="of the whole run (default 0)")
        options.add_argument("--quick", action="store_true",
                             help="100 clips x 72 directions and 3 epochs of each run")
        options.add_argument("--name", help="of the folders under results/ and work/ "
                                            "(default: corpus and what differs from its defaults)")
        options.add_argument("--results", type=Path, default=Path("results"), help="(default %(default)s)")
        options.add_argument("--work", type=Path, default=Path("work"),
                             help="for the cue store and checkpoints (default %(default)s)")
        options.add_argument("--figures", type=Path, default=Path("paper_figures"),
                             help="where figures go (default %(default)s)")
        if name in ("all", "train"):
            options.add_argument("--runs", nargs="+", choices=RUNS, default=MAIN_RUNS, metavar="RUN",
                                 help=f"of {', '.join(RUNS)} (default: {' '.join(MAIN_RUNS)})")
            options.add_argument("--seeds", type=int, default=1, metavar="N",
                                 help="train every run N times, on the same mixtures: seeds and means go to the report")
        if name == "database":
            options.add_argument("--export-wav", type=Path, metavar="DIR",
                                 help="write mixtures as 16-bit WAV there and stop")
            options.add_argument("--limit", type=int, default=72, help="how many of them (default %(default)s)")
        if name == "pack":
            options.add_argument("--run", required=True, help="which run's last weights")
            options.add_argument("--as", dest="packed", required=True, metavar="NAME", help="their name in the package")
            options.add_argument("--card", type=Path, default=Path("docs/model-card.md"), help="(default %(default)s)")
        if name == "report":
            options.add_argument("--readme", type=Path, metavar="FILE",
                                 help="also put the comparisons of the default and the published run into FILE")
    options = stage("audit", "what the reported tables do not say: results/audit.md, one measured row for each question")
    options.add_argument("--data", type=Path, default=os.environ.get("SSL_JAX_DATA") or None, metavar="DIR",
                         help="publishers' corpora instead of the embedded one; also $SSL_JAX_DATA")
    options.add_argument("--rows", nargs="+", metavar="ROW",
                         help="only these: directions, splits, haircells, hops, storage, snr, protocols, "
                              "ablation_published, ablation_clean, switch, weights (default: all)")
    options.add_argument("--clips", type=int, default=100, help="of a trained row (default %(default)s, as Model 1)")
    options.add_argument("--seeds", type=int, default=2, help="trainings of each row (default %(default)s)")
    options.add_argument("--seed", type=int, default=0, help="the first of them, and the database's (default 0)")
    options.add_argument("--weights", type=Path, metavar="DIR", help="published checkpoints to score on our database")
    options.add_argument("--results", type=Path, default=Path("results"), help="(default %(default)s)")
    options.add_argument("--work", type=Path, default=Path("work"), help="for cue stores and checkpoints, "
                         "3 GB with every row (default %(default)s)")
    options.add_argument("--readme", type=Path, metavar="FILE", help="also put a summary into FILE")
    options = stage("check", "score the packed networks on the heads of any SOFA files: results/unseen_heads.md")
    options.add_argument("files", nargs="+", type=Path, metavar="FILE.sofa")
    options.add_argument("--model", nargs="+", metavar="NAME", help="packed networks (default: all)")
    options.add_argument("--clips", type=int, default=10, help="seconds of speech, each from 72 azimuths "
                                                                    "(default %(default)s)")
    options.add_argument("--results", type=Path, default=Path("results"), help="(default %(default)s)")
    options = stage("benchmark", "speed of every stage beside its peers and the machine's floor")
    options.add_argument("--results", type=Path, default=Path("results"),
                         help="the tables go to its folder benchmark (default %(default)s)")
    options = stage("download", "fetch LibriSpeech, ESC-50 and 20 CIPIC heads from their publishers")
    options.add_argument("--to", type=Path, required=True, metavar="DIR")
    options.add_argument("--speech", choices=("train-clean-100", "dev-clean"), default="train-clean-100",
                         help="LibriSpeech subset; dev-clean is smaller (default %(default)s)")
    add_stages(stage)
    return top


def load_sounds(args, ex: Experiment):
    """The corpus and the heads that the options ask for."""
    from .corpora import load_corpus
    from .hrtf import load_heads

    corpus = load_corpus(args.data, ex.database.clips, ex.front.fs)
    return corpus, load_heads(args.data, ex.database.direction_rule, ex.front.fs)


def run_database(args, ex: Experiment) -> None:
    from .database import CueStore, build, export_wav

    if getattr(args, "export_wav", None):
        if args.limit < 1:
            raise InputError(f"--limit {args.limit}: no mixtures asked for: use at least 1")
        export_wav(args.export_wav, args.limit, ex.database, ex.front, *load_sounds(args, ex))
        return
    store = CueStore(args.work / ex.name / "cues", ex.database, ex.front)
    check_results(args.results / ex.name, settings_of(ex))
    made = [store.path(shard).exists() for shard in range(store.shards)]
    with clock(args.results / ex.name / "timing.json", "database", any(made), all(made)):
        build(args.work / ex.name, ex.database, ex.front, *load_sounds(args, ex))


def settings_of(ex: Experiment) -> dict:
    return fingerprint(database=ex.database, front=ex.front)


def check_results(results: Path, settings: dict) -> None:
    """Make the results folder ours, or check that it is: InputError names the setting that differs."""
    from .database import check_settings

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
    from .database import CueStore
    from .recipes import read_manifest
    from .trainer import Mixtures
    from .training import train

    if args.seeds < 1:
        raise InputError(f"--seeds {args.seeds}: no run asked for: use at least 1")
    work, results = args.work / ex.name, args.results / ex.name
    store = CueStore(work / "cues", ex.database, ex.front)
    settings = settings_of(ex)
    mixtures = Mixtures(store.read())
    manifest = read_manifest(work / "manifest.csv", store.count)
    runs = seeded_runs(ex.runs, args.runs, args.seeds)
    check_results(results, settings)
    metrics, before = trained_before(results, settings)
    for name, run in runs.items():
        made = [checkpoint_path(work, name, epoch).exists() for epoch in range(run.start_epoch + 1, run.epochs + 1)]
        with clock(results / "timing.json", name, any(made), made[-1]):
            metrics[name] = train(name, run, settings, mixtures, work, results,
                                  manifest.held_out, manifest.snr)
        before[name] = fingerprint(run=run)["run"]
        write_json(results / "metrics.json", metrics)
        write_json(results / "settings.json", {**settings, "runs": before})


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
    import jax

    if args.stage == "download":
        from .download import download_all

        return download_all(args.to, args.speech)
    keep_memory()
    if args.stage in ("localise", "render"):
        return run_localise(args) if args.stage == "localise" else run_render(args)
    with contextlib.suppress(RuntimeError):  # already initialised: leave the devices as they are
        jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))
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
            held.enter_context(locked(args.work / ex.name))
            for folder in (args.work, args.results, args.figures):
                sweep(folder / ex.name)
        for name in stages if args.stage == "all" else [args.stage]:
            stages[name](args, ex)


def main(argv=None) -> int:
    """Exit status 0, 2 for bad input (one line on stderr), 130 when interrupted."""
    args = parser().parse_args(argv)
    try:
        run(args)
        sys.stdout.flush()
    except InputError as error:
        print(f"ssl_jax: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"ssl_jax: {' '.join(os_error_message(error).split())}", file=sys.stderr)
        try:
            sys.stdout.flush()
        except OSError:  # what cannot be printed: Python would try once more on its way out, and say so
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2
    except KeyboardInterrupt:
        print("ssl_jax: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""results/audit.md (audit-embedded.md for that corpus): what was measured, compared numbers side by side."""

import statistics
from pathlib import Path

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import lock_folder, read_csv, read_json, write_text
from ssl_jax.common.provenance import commit, machine
from ssl_jax.config import AZIMUTH_STEP, MAIN_RUNS
from ssl_jax.metrics import error_by_azimuth
from ssl_jax.report.comparison import CORPORA, TITLES, read_confusion
from ssl_jax.report.tables import DEGREES, EVALUATED, SCORES, markdown_table, score_cells
from ssl_jax.studies.audit import Audit, Question, questions

# azimuths whose nearest CIPIC direction lies off the horizontal plane; those on the right mirror them
OFF_PLANE = [0, 50, 60, 70, 75, 85, 90, 95, 105, 110, 120, 130, 180]
OFF_PLANE += [230, 240, 250, 255, 265, 270, 275, 285, 290, 300, 310]
HOW_TO_READ = """\
Shares in percent. Top-5* as the published code counts it. Trained rows are of 100 clips, as Model 1, with a
cosine down to nothing over 12 epochs instead of its constant rate. "As published": nearest azimuth, split by
mixture, no hair cell, a value every 441 samples, kernels of 5 frames, 16 bits, SNR 15-40 dB; every other row
changes what it names. A share of 1,440 evaluation mixtures near 50 % has a standard error of 1.3 points:
between two rows of one seed, less than about 4 points is no finding.
"""
SWITCHED = {
    "model2": "rate not reduced, same fifth",
    "model2_continued": "rate reduced, same fifth",
    "model2_switched": "rate reduced, trained on clips 1-560, evaluated on 561-700",
}
SNR_COLUMNS = ("snr_from_db", "snr_to_db", "mixtures", "top1", "mean_angular_error", "front_back")


def spread(values: list[float], unit: str = "") -> str:
    """Mean, and standard deviation where there are several: "43.10 ± 0.52"."""
    mean = f"{statistics.fmean(values):.2f}"
    return (f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean) + unit


def question_section(name: str, question: Question, audit: Audit) -> str:
    """One table: a row a variant, with the change in Top-1 and mean error from the first."""
    rows, first = [], None
    for variant in question.variants:
        seeds = audit.found(variant)
        if seeds:
            means = {score: statistics.fmean(s[score] for s in seeds) for score in SCORES}
            first, change = first or means, ""
            if first is not means:
                error = means["mean_angular_error"] - first["mean_angular_error"]
                change = f"{means['top1'] - first['top1']:+.2f}, {error:+.2f}°"
            cells = [spread([s[score] for s in seeds], "°" if score in DEGREES else "") for score in SCORES]
            rows.append([variant.label, *cells, change])
    if not rows:
        return ""
    table = markdown_table(["", *SCORES.values(), "change: Top-1, mean error"], rows)
    return f"## {question.title}\n\n{audit.command} --rows {name}`\n\n{table}"


def runs_section(results: Path, name: str, runs: tuple[str, ...]) -> str:
    """Of the trained runs of the whole database: every score, by SNR, on and off the plane."""
    scores, by_snr, by_azimuth, off = [], [], [], np.isin(np.arange(0, 360, AZIMUTH_STEP), OFF_PLANE)
    home = results / name
    metrics = read_json(home / "metrics.json") if (home / "metrics.json").exists() else {}
    for run, title in TITLES.items():
        if run in metrics:
            scores.append([title, *score_cells(metrics[run])])
    for run in runs:
        if (path := home / f"{run}_by_snr.csv").exists():
            for row in read_csv(path, SNR_COLUMNS):
                low, high, count, top1, error, confused = (row[column] for column in SNR_COLUMNS)
                between = f"{float(low):g}-{float(high):g}"
                by_snr.append([between, TITLES[run], count, top1, f"{error}°", confused])
        if (path := home / f"{run}_confusion.csv").exists():
            e = error_by_azimuth(read_confusion(path))
            hardest = ", ".join(f"{AZIMUTH_STEP * c}° ({e[c]:.1f}°)" for c in np.argsort(-e)[:6])
            by_azimuth.append([TITLES[run], f"{e[~off].mean():.2f}°", f"{e[off].mean():.2f}°", hardest])
    tables = (
        ("Top-5 as counted, against the usual one, and errors", ["", *map(SCORES.get, EVALUATED)], scores),
        (
            "By the lower SNR of the two noises",
            "dB,run,mixtures,Top-1,mean error,front-back".split(","),
            by_snr,
        ),
        ("By azimuth", ["run", "48 azimuths on the plane", "24 off it", "hardest"], by_azimuth),
    )
    rerun = "`./reproduce.sh` with the options of that run"
    parts = []
    for title, head, rows in tables:
        if rows:
            parts.append(f"## {title} ({name})\n\n{rerun}\n\n{markdown_table(head, rows)}")
    return "\n".join(parts)


def switch_section(found: dict | None, audit: Audit) -> str:
    """How much of the reported step at epoch 17 is the rate, how much the evaluation set."""
    title = "## The evaluation set at the continuation\n\n"
    title += f"{audit.command} --rows switch`, after `./reproduce.sh` with the same data\n\n"
    if not found:
        return title + "Not measured: Model 2 of the whole published database is not there.\n"
    before, after = (
        {row["epoch"]: row for row in read_csv(audit.results / f"reported/{run}.csv", ("eval_top1",))}
        for run in MAIN_RUNS[1:]
    )
    start, step = float(before["16"]["eval_top1"]), float(after["17"]["eval_top1"])
    same, last = found["epoch 16, same set"], found["epoch 16, clips 561-700"]
    rows = [
        ["reported, epoch 16", before["16"]["train_top1"], f"{start:.2f}", ""],
        ["reported, continued, epoch 17", after["17"]["train_top1"], f"{step:.2f}", f"{step - start:+.2f}"],
        ["ours, epoch 16, the same random fifth", f"{found['epoch 16, train']:.2f}", f"{same:.2f}", ""],
        ["ours, epoch 16, clips 561-700 (the set alone)", "", f"{last:.2f}", f"{last - same:+.2f}"],
    ]
    for epochs, when in ((range(17, 18), "epoch 17"), (range(17, 21), "mean of epochs 17-20")):
        for run, label in SWITCHED.items():
            means = {}
            for part in ("train", "eval"):
                means[part] = statistics.fmean(found[f"{run} {epoch} {part}"] for epoch in epochs)
            cells = [f"{means['train']:.2f}", f"{means['eval']:.2f}", f"{means['eval'] - same:+.2f}"]
            rows.append([f"ours, {label}, {when}", *cells])
    return title + markdown_table(["", "train Top-1", "evaluation Top-1", "from epoch 16"], rows)


def weights_section(found: dict, audit: Audit, name: str) -> str:
    """The published checkpoints on our database beside ours."""
    title = "## The published weights on our database\n\n"
    title += f"{audit.command} --rows weights --weights DIR`, DIR with "
    title += "weights_model1_epoch12.npz and weights_model2_epoch20.npz of the public repository\n\n"
    if not found:
        return title + "Not measured: no published weights given, or the whole database is not there.\n"
    rows = [[f"published weights, {label}", *score_cells(scores)] for label, scores in found.items()]
    path = audit.results / name / "metrics.json"
    metrics = read_json(path) if path.exists() else {}
    rows += [[f"ours, {TITLES[run]}", *score_cells(metrics[run])] for run in MAIN_RUNS if run in metrics]
    return title + markdown_table(["", *(SCORES[s] for s in EVALUATED)], rows)


def audit_header(audit: Audit) -> str:
    """Corpus, seeds, machines and commits of everything measured."""
    entries = audit.measured.values()
    machines, commits = (sorted({entry[k] for entry in entries}) for k in ("machine", "commit"))
    corpus, seeds = CORPORA["librispeech-esc10-cipic" if audit.data else "embedded"], map(str, audit.seeds)
    made = f"device: {'; '.join(machines)}; commit: {', '.join(commits)}"
    return f"Corpus: {corpus}; clips of a trained row: {audit.clips}; seeds: {', '.join(seeds)}; {made}."


def write_audit(audit: Audit, asked: dict[str, Question], weights: dict, switch: dict | None) -> str:
    """Write results/audit.md, or that of the embedded corpus, and return its text."""
    results, name = audit.results, "librispeech-esc10-cipic" if audit.data else "embedded-published"
    runs = (*MAIN_RUNS, "ours", "ours_mirrored")
    parts = [
        "# Audit: what the tables do not say\n",
        audit_header(audit) + "\n",
        HOW_TO_READ,
        runs_section(results, name, runs),
        switch_section(switch, audit),
        *(question_section(key, question, audit) for key, question in asked.items()),
        "Hop 1, the published spacing, would be 17 MB a mixture: not measured.\n",
        weights_section(weights, audit, name),
    ]
    text = "\n".join(part for part in parts if part)
    write_text(results / f"{audit.name}.md", text)
    return text


def run_audit(args) -> None:
    """The stage `audit`: measure what is asked for and not measured yet, and write all there is."""
    asked = questions()
    for row in args.rows or ():
        if row not in (*asked, "switch", "weights"):
            raise InputError(f"--rows {row}: unknown: use {', '.join((*asked, 'switch', 'weights'))}")
    if args.clips < 5 or args.seeds < 1:
        raise InputError("--clips and --seeds: too few: use at least 5 clips and 1 seed")
    made = {"machine": machine(), "commit": commit()}
    audit = Audit(args.data, args.clips, args.seeds, args.seed, args.work, args.results, made)
    with lock_folder(audit.work):
        for name, question in asked.items():
            if args.rows is None or name in args.rows:
                for variant in question.variants:
                    audit.row(variant)
        asked_too = args.rows is None or "switch" in args.rows
        switch = audit.switched_set() if asked_too else audit.measured.get(f"switch/seed{args.seed}")
        weights = audit.published_weights(args.weights)
    print(write_audit(audit, asked, weights, switch))

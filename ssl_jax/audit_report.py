"""results/audit.md (audit-embedded.md for that corpus): what the audit measured, the compared numbers side by side."""

import statistics
from pathlib import Path

import numpy as np

from .audit import Audit, Question
from .config import AZIMUTH_STEP, AZIMUTHS
from .files import atomic_write, read_csv, read_json
from .report import CORPORA, TITLES, error_by_azimuth, markdown_table, read_confusion

SCORES = {
    "train_top1": "train Top-1", "top1": "Top-1", "top5_published": "Top-5*", "top5": "Top-5, standard",
    "mean_angular_error": "mean error", "median_angular_error": "median error", "within_5": "within 5°",
    "within_10": "within 10°", "front_back": "front-back",
}
EVALUATED = list(SCORES)[1:]  # what `evaluate` gives
DEGREES = ("mean_angular_error", "median_angular_error")
# azimuths where the nearest CIPIC direction lies off the horizontal plane
OFF_PLANE = (0, 50, 60, 70, 75, 85, 90, 95, 105, 110, 120, 130, 180, 230, 240, 250, 255, 265, 270, 275, 285, 290,
             300, 310)


HOW_TO_READ = (
    "Trained rows are of 100 clips, as Model 1, with a cosine down to nothing over 12 epochs instead of its constant "
    "rate. \"As published\": nearest azimuth, split by mixture, no hair cell, a value every 441 samples, kernels of 5 "
    "frames, 16 bits, SNR 15-40 dB; every other row changes what it names. A share of 1,440 evaluation mixtures near 50 % "
    "has a standard error of 1.3 points: between two rows of one seed, less than about 4 points is no finding."
)


def spread(values: list[float], unit: str = "") -> str:
    """Mean, and standard deviation where there are several: "43.10 ± 0.52"."""
    mean = f"{statistics.fmean(values):.2f}"
    return (f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean) + unit


def score_cells(metrics: dict) -> list[str]:
    """What `evaluate` gives, in the order of SCORES after its first, as cells of a table."""
    return [f"{metrics[score]:.2f}" + "°" * (score in DEGREES) for score in EVALUATED]


def question_section(name: str, question: Question, audit: Audit, options: str) -> str:
    """One table: a row a variant, with the change in Top-1 and mean error from the first."""
    rows, first = [], None
    for variant in question.variants:
        seeds = [audit.measured[key] for seed in audit.seeds if (key := audit.key(variant, seed)) in audit.measured]
        if not seeds:
            continue
        means = {score: statistics.fmean(s[score] for s in seeds) for score in SCORES}
        first = first or means
        change = "" if first is means else (f"{means['top1'] - first['top1']:+.2f}, "
                                            f"{means['mean_angular_error'] - first['mean_angular_error']:+.2f}°")
        cells = [spread([s[score] for s in seeds], "°" * (score in DEGREES)) for score in SCORES]
        rows.append([variant.label, *cells, change])
    if not rows:
        return ""
    head = ["", *SCORES.values(), "change: Top-1, mean error"]
    return (f"## {question.title}\n\n`python -m ssl_jax audit {options}--rows {name}`\n\n"
            + markdown_table(head, rows))


def metrics_section(results: Path, name: str) -> str:
    """Top-5 as counted and as usual, and errors in degrees, of the trained runs of the whole database."""
    path = results / name / "metrics.json"
    if not path.exists():
        return ""
    metrics = read_json(path)
    rows = [[title, *score_cells(metrics[run])]
            for run, title in TITLES.items() if run in metrics]
    return (f"## Top-5 as counted, against the usual one, and errors in degrees ({name})\n\n"
            "`./reproduce.sh` with the options of that run\n\n" + markdown_table(["", *(SCORES[s] for s in EVALUATED)], rows))


def snr_section(results: Path, name: str, runs: tuple[str, ...]) -> str:
    """Scores by the lower SNR of the two noises."""
    tables = {run: read_csv(path, ("snr_from_db", "snr_to_db", "mixtures", "top1", "mean_angular_error", "front_back"))
              for run in runs if (path := results / name / f"{run}_by_snr.csv").exists()}
    if not tables:
        return ""
    rows = [[f"{float(r['snr_from_db']):g}-{float(r['snr_to_db']):g}", TITLES[run], r["mixtures"], r["top1"],
             r["mean_angular_error"] + "°", r["front_back"]] for run, table in tables.items() for r in table]
    return (f"## By SNR: the lower of the two noises' ({name})\n\n`./reproduce.sh` with the options of that run\n\n"
            + markdown_table(["dB", "run", "mixtures", "Top-1", "mean error", "front-back"], rows))


def azimuth_section(results: Path, name: str, runs: tuple[str, ...]) -> str:
    """Mean error of every azimuth, those with directions off the plane marked."""
    errors = {run: error_by_azimuth(read_confusion(path)) for run in runs
              if (path := results / name / f"{run}_confusion.csv").exists()}
    if not errors:
        return ""
    off = np.isin(np.arange(AZIMUTHS) * AZIMUTH_STEP, OFF_PLANE)
    summary = [[TITLES[run], f"{e[~off].mean():.2f}°", f"{e[off].mean():.2f}°",
                ", ".join(f"{AZIMUTH_STEP * c}° ({e[c]:.1f}°)" for c in np.argsort(-e)[:6])] for run, e in errors.items()]
    rows = [[f"{AZIMUTH_STEP * c}{'*' * bool(off[c])}", *(f"{e[c]:.2f}" for e in errors.values())] for c in range(AZIMUTHS)]
    return (f"## By azimuth ({name})\n\n`./reproduce.sh` with the options of that run. A star marks the 24 azimuths whose "
            "nearest CIPIC direction lies off the horizontal plane.\n\n"
            + markdown_table(["run", "48 azimuths on the plane", "24 off it", "hardest"], summary)
            + "\n<details><summary>Every azimuth: mean error in degrees</summary>\n\n"
            + markdown_table(["azimuth", *(TITLES[run] for run in errors)], rows) + "\n</details>\n")


def switch_section(found: dict | None, reported: Path, options: str) -> str:
    """How much of the reported step at epoch 17 is the rate, how much the evaluation set."""
    title = ("## The evaluation set at the continuation\n\n"
             f"`python -m ssl_jax audit {options}--rows switch`, after `./reproduce.sh` with the same data\n\n")
    if not found:
        return title + "Not measured: Model 2 of the whole published database is not there.\n"
    before, dropped = (read_csv(reported / f"{run}.csv", ("epoch", "train_top1", "eval_top1"))
                       for run in ("model2", "model2_continued"))
    at = {row["epoch"]: row for row in before} | {f"{row['epoch']} dropped": row for row in dropped}
    mean = {f"{run} {part}": statistics.fmean(found[f"{run} {epoch} {part}"] for epoch in range(17, 21))
            for run in ("model2", "model2_continued", "model2_switched") for part in ("train", "eval")}
    start = found["epoch 16, same set"]
    rows = [
        ["reported, epoch 16", at["16"]["train_top1"], at["16"]["eval_top1"], ""],
        ["reported, continued, epoch 17", at["17 dropped"]["train_top1"], at["17 dropped"]["eval_top1"],
         f"{float(at['17 dropped']['eval_top1']) - float(at['16']['eval_top1']):+.2f}"],
        ["ours, epoch 16, the same random fifth", f"{found['epoch 16, train']:.2f}", f"{start:.2f}", ""],
        ["ours, epoch 16, clips 561-700 instead (the set alone)", "", f"{found['epoch 16, clips 561-700']:.2f}",
         f"{found['epoch 16, clips 561-700'] - start:+.2f}"],
        ["ours, continued, epoch 17, the same fifth (the rate alone)", f"{found['model2_continued 17 train']:.2f}",
         f"{found['model2_continued 17 eval']:.2f}", f"{found['model2_continued 17 eval'] - start:+.2f}"],
        ["ours, continued on clips 1-560, epoch 17, clips 561-700 (both)", f"{found['model2_switched 17 train']:.2f}",
         f"{found['model2_switched 17 eval']:.2f}", f"{found['model2_switched 17 eval'] - start:+.2f}"],
        *([f"ours, epochs 17-20, {label} (mean)", f"{mean[run + ' train']:.2f}", f"{mean[run + ' eval']:.2f}",
           f"{mean[run + ' eval'] - start:+.2f}"] for run, label in
          (("model2", "rate not reduced, same fifth"), ("model2_continued", "rate reduced, same fifth"),
           ("model2_switched", "rate reduced, set switched"))),
    ]
    return title + markdown_table(["", "train Top-1", "evaluation Top-1", "from epoch 16"], rows)


def weights_section(found: dict, results: Path, name: str, options: str) -> str:
    """The published checkpoints on our database beside ours."""
    title = ("## The published weights on our database\n\n"
             f"`python -m ssl_jax audit {options}--rows weights --weights DIR`, DIR with the public repository's "
             "checkpoints as weights_model1_epoch12.npz and weights_model2_epoch20.npz\n\n")
    if not found:
        return title + "Not measured: no published weights given, or the whole published database is not there.\n"
    rows = [[f"published weights, {label}", *score_cells(scores)]
            for label, scores in found.items()]
    metrics = read_json(results / name / "metrics.json") if (results / name / "metrics.json").exists() else {}
    rows += [[f"ours, {TITLES[run]}", *score_cells(metrics[run])]
             for run in ("model1", "model2", "model2_continued") if run in metrics]
    return title + markdown_table(["", *(SCORES[s] for s in EVALUATED)], rows)


def summary(questions: dict[str, Question], audit: Audit) -> str:
    """One short table of every trained row, for the README."""
    rows = []
    for question in questions.values():
        seeds = {v: [audit.measured[k] for seed in audit.seeds if (k := audit.key(v, seed)) in audit.measured]
                 for v in question.variants}
        lines = [(v, *(spread([s[score] for s in found]) for score in ("train_top1", "top1", "mean_angular_error")))
                 for v, found in seeds.items() if found]
        if len(lines) < 2:
            continue  # nothing to compare with
        rows += [[question.title if i == 0 else "", v.label, train, top1, f"{error}°"]
                 for i, (v, train, top1, error) in enumerate(lines)]
    return markdown_table(["question", "row", "train Top-1", "Top-1", "mean error"], rows)


def write_audit(audit: Audit, questions: dict[str, Question], weights: dict, switch: dict | None, header: str,
                options: str) -> str:
    """Write results/audit.md, or that of the embedded corpus, and return its text."""
    results, name = audit.results, "librispeech-esc10-cipic" if audit.data else "embedded-published"
    runs = ("model1", "model2", "model2_continued", "ours", "ours_mirrored")
    parts = [
        "# Audit: what the tables do not say\n", header + "\n",
        f"Shares in percent. Top-5* as the published code counts it. {HOW_TO_READ}\n",
        metrics_section(results, name), snr_section(results, name, runs), azimuth_section(results, name, runs),
        switch_section(switch, results / "reported", options),
        *(question_section(key, question, audit, options) for key, question in questions.items()),
        "Hop 1, the published spacing, would be 17 MB a mixture: not measured.\n",
        weights_section(weights, results, name, options),
    ]
    text = "\n".join(part for part in parts if part)
    with atomic_write(results / f"{audit.name}.md", "w") as stream:
        stream.write(text)
    return text


def audit_header(audit: Audit) -> str:
    """Corpus, seeds, machines and commits of everything measured."""
    entries = audit.measured.values()
    machines, commits = ({entry[field] for entry in entries} for field in ("machine", "commit"))
    corpus = CORPORA["librispeech-esc10-cipic" if audit.data else "embedded"]
    return (f"Corpus: {corpus}; clips of a trained row: {audit.clips}; seeds: {', '.join(map(str, audit.seeds))}; "
            f"device: {'; '.join(sorted(machines))}; commit: {', '.join(sorted(commits))}.")

"""results/audit.md (audit-embedded.md for that corpus): what was measured, compared numbers side by side."""

import statistics
from pathlib import Path

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import lock_folder, read_csv, read_json, write_text
from ssl_jax.common.provenance import commit, machine
from ssl_jax.config import AZIMUTH_STEP, AZIMUTHS, MAIN_RUNS
from ssl_jax.metrics import error_by_azimuth
from ssl_jax.report.comparison import PUBLISHED
from ssl_jax.report.logs import CORPORA, TITLES, logs_of_seeds, read_confusion, read_reported
from ssl_jax.report.tables import DEGREES, EVALUATED, SCORES, markdown_table, score_cells
from ssl_jax.studies.audit import Audit, Question, questions

# azimuths whose nearest CIPIC direction lies off the horizontal plane; those on the right mirror them
OFF_PLANE = [0, 50, 60, 70, 75, 85, 90, 95, 105, 110, 120, 130, 180]
OFF_PLANE += [230, 240, 250, 255, 265, 270, 275, 285, 290, 300, 310]
HOW_TO_READ = """\
Shares in percent, mean ± standard deviation over seeds. Top-5* as the published code counts it. Trained rows
are of 100 clips, as Model 1, with a cosine down to nothing over 12 epochs instead of its constant rate. "As
published": nearest azimuth, split by mixture, no hair cell, a value every 441 samples, kernels of 5 frames,
16 bits, SNR {low:g} to {high:g} dB; every other row changes what it names. A seed draws weights, split and
order, not the mixtures. A change smaller than twice its standard deviation is no finding.
"""
SNR_COLUMNS = ("snr_from_db", "snr_to_db", "mixtures", "top1", "mean_angular_error", "front_back")


def spread(values: list[float], unit: str = "", digits: str = ".2f") -> str:
    """Mean, and standard deviation where there are several: "43.10 ± 0.52"."""
    mean = f"{statistics.fmean(values):{digits}}"
    return (f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean) + unit


def question_section(name: str, question: Question, audit: Audit) -> str:
    """One table: a row a variant, with the change in Top-1 and mean error from the first, and its spread."""
    rows, first = [], None
    for variant in question.variants:
        if seeds := audit.found(variant):
            cells = [spread([s[score] for s in seeds], "°" if score in DEGREES else "") for score in SCORES]
            first, changes = first or seeds, []
            for score, unit in (("top1", ""), ("mean_angular_error", "°")) if first is not seeds else ():
                changes.append(spread([a[score] - b[score] for a, b in zip(seeds, first)], unit, "+.2f"))
            rows.append([variant.label, *cells, ", ".join(changes)])
    if len(rows) < 2:
        return ""
    table = markdown_table(["", *SCORES.values(), "change: Top-1, mean error"], rows)
    return f"## {question.title}\n\n{audit.command} --rows {name}`\n\n{table}"


def runs_section(results: Path, name: str, runs: tuple[str, ...]) -> str:
    """Of the trained runs of the whole database: every score, by SNR, on and off the plane."""
    home, off = results / name, np.isin(np.arange(0, 360, AZIMUTH_STEP), OFF_PLANE)
    metrics, by_snr, by_azimuth = home / "metrics.json", [], []
    metrics = read_json(metrics) if metrics.exists() else {}
    scores = [[title, *score_cells(metrics[run])] for run, title in TITLES.items() if run in metrics]
    for run in runs:
        if (path := home / f"{run}_by_snr.csv").exists():
            for row in read_csv(path, SNR_COLUMNS):
                low, high, count, top1, error, confused = (row[c] for c in SNR_COLUMNS)
                cells = count, top1, f"{error}°", confused
                by_snr.append([f"{float(low):g}-{float(high):g}", TITLES[run], *cells])
        if (path := home / f"{run}_confusion.csv").exists():
            e = error_by_azimuth(read_confusion(path))
            hardest = ", ".join(f"{AZIMUTH_STEP * c}° ({e[c]:.1f}°)" for c in np.argsort(-e)[:6])
            by_azimuth.append([TITLES[run], f"{e[~off].mean():.2f}°", f"{e[off].mean():.2f}°", hardest])
    scores_head = ["", *(SCORES[score] for score in EVALUATED)]
    snr_head = ["dB", "run", "mixtures", "Top-1", "mean error", "front-back"]
    tables = (
        ("Top-5 as counted, against the usual one, and errors", scores_head, scores),
        ("By the lower SNR of the two noises", snr_head, by_snr),
        ("By azimuth", ["run", "48 azimuths on the plane", "24 off it", "hardest"], by_azimuth),
    )
    rerun = f"({name})\n\n`./reproduce.sh` with the options of that run\n\n"
    return "\n".join(
        f"## {title} {rerun}{markdown_table(head, rows)}" for title, head, rows in tables if rows
    )


def switch_section(switched: list[dict] | None, audit: Audit, name: str) -> str:
    """Which evaluation the reported step at epoch 17 resembles; the mark is evaluation above training."""
    how = f"{audit.command} --rows switch`, after `./reproduce.sh` with the same data"
    title = f"## The evaluation set at the continuation\n\n{how}\n\n"
    if not switched:
        return title + "Not measured: Model 2 of the whole published database is not there.\n"
    rows = []

    def add(whose: str, log, part: str, epochs: tuple[int, ...]) -> None:
        for row in log:
            if row["epoch"] in epochs and f"{part}_top1" in row:
                train, evaluated = row["train_top1"], row[f"{part}_top1"]
                shares = f"{train:.2f}", f"{evaluated:.2f}", f"{evaluated - train:+.2f}"
                rows.append([f"{whose}, epoch {row['epoch']:g}", *shares])

    after = {"model2": (16,), "model2_continued": (17, 20), "model2_to40": (40,)}
    for run, epochs in after.items():
        part = "last" if run != "model2" else "eval"
        add("reported", read_reported(audit.results, run).values(), part, epochs)
    for part, label in (("last", "clips 561-700"), ("eval", "held out")):
        for run, epochs in after.items():
            for log in logs_of_seeds(audit.results, name, run)[:1]:
                add(f"ours, same four fifths trained on, {label}", log, part, epochs)
    add("ours, clips 1-560 trained on, clips 561-700", switched, "eval", (17, 20))
    return title + markdown_table(["", "train Top-1", "evaluation Top-1", "above training"], rows)


def weights_section(found: dict, audit: Audit) -> str:
    """The published checkpoints on our database, at both noise levels, beside the reported evaluation."""
    heard = f"{audit.clips * AZIMUTHS:,} mixtures, all new to them; Top-1 (Top-5*)"
    how = f"{audit.command} --rows weights --weights DIR`: {heard}"
    title, rows, stores = f"## The published weights on our database\n\n{how}\n\n", [], ("published", "code")
    if not found:
        return title + "Not measured: no published weights given.\n"
    for name in sorted({name for name, _ in found}):
        run, _, epoch = name.rpartition("_epoch")
        reported = read_reported(audit.results, run).get(float(epoch), {})
        beside = reported.get("eval_top1", reported.get("last_top1"))
        cells = ("{top1:.2f} ({top5_published:.2f})".format(**found[name, store]) for store in stores)
        rows.append([name, "" if beside is None else f"{beside:.2f}", *cells])
    names = ("{0.snr_low:g} to {0.snr_high:g} dB".format(audit.stores[store][0]) for store in stores)
    return title + markdown_table(["checkpoint", "reported", *names], rows)


def write_audit(audit: Audit, asked: dict[str, Question], weights: dict, switch: list[dict] | None) -> str:
    """Write results/audit.md, or that of the embedded corpus, and return its text."""
    name, published = PUBLISHED if audit.data else "embedded-published", audit.stores["published"][0]
    entries = audit.measured.values()
    machines, commits = (sorted({entry[k] for entry in entries}) for k in ("machine", "commit"))
    about = f"clips of a trained row: {audit.clips}; seeds: {', '.join(map(str, audit.seeds))}"
    about += f"; device: {'; '.join(machines)}; commit: {', '.join(commits)}"
    parts = [
        f"# Audit: what the tables do not say\n\nCorpus: {CORPORA[published.corpus]}; {about}.\n",
        HOW_TO_READ.format(low=published.snr_low, high=published.snr_high),
        runs_section(audit.results, name, (*MAIN_RUNS, "ours", "ours_mirrored")),
        switch_section(switch, audit, name),
        *(question_section(key, question, audit) for key, question in asked.items()),
        "Hop 1, the published spacing, would be 17 MB a mixture: not measured.\n",
        weights_section(weights, audit),
    ]
    text = "\n".join(part for part in parts if part)
    write_text(audit.results / f"{audit.name}.md", text)
    return text


def run_audit(args) -> None:
    """The stage `audit`: measure what is asked for and not measured yet, and write all there is."""
    asked = questions()
    known = (*asked, "switch", "weights")
    for row in args.rows or ():
        if row not in known:
            raise InputError(f"--rows {row}: unknown: use {', '.join(known)}")
    if args.clips < 5 or args.seeds < 1:
        raise InputError("--clips and --seeds: too few: use at least 5 clips and 1 seed")
    made, wanted = {"machine": machine(), "commit": commit()}, known if args.rows is None else args.rows
    audit = Audit(args.data, args.clips, args.seeds, args.seed, args.work, args.results, made)
    with lock_folder(audit.work):
        for variant in (v for name, question in asked.items() if name in wanted for v in question.variants):
            audit.row(variant)
        switch = audit.switched_set("switch" in wanted)
        weights = audit.published_weights(args.weights)
    print(write_audit(audit, asked, weights, switch))

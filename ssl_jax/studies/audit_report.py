"""results/audit.md (audit-embedded.md for that corpus): what was measured, compared numbers side by side."""

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import lock_folder, read_csv, read_json
from ssl_jax.common.provenance import commit, machine
from ssl_jax.config import AZIMUTH_STEP, AZIMUTHS, MAIN_RUNS
from ssl_jax.metrics import class_distance, error_by_azimuth
from ssl_jax.report.comparison import PUBLISHED
from ssl_jax.report.logs import CORPORA, TITLES, logs_of_seeds, read_confusion, read_reported
from ssl_jax.report.tables import (
    DEGREES,
    SCORES,
    markdown_table,
    score_cells,
    snr_cells,
    spread,
    write_page,
)
from ssl_jax.studies.audit import Audit, Variant, questions

# azimuths whose nearest CIPIC direction lies off the horizontal plane; those on the right mirror them
OFF_PLANE = [0, 50, 60, 70, 75, 85, 90, 95, 105, 110, 120, 130, 180]
HOW_TO_READ = """\
Shares in percent, mean ± standard deviation over seeds. Top-5* as the published code counts it. Trained rows
are of 100 clips, as Model 1, with a cosine down to nothing over 12 epochs instead of its constant rate. "As
published": nearest azimuth, split by mixture, no hair cell, a value every 441 samples, kernels of 5 frames,
16 bits, SNR {low:g} to {high:g} dB; every other row changes what it names. A seed draws weights, split and
order, not the mixtures. A change smaller than twice its standard deviation is no finding.
"""
SNR_COLUMNS = ("snr_from_db", "snr_to_db", "mixtures", "top1", "mean_angular_error", "front_back")


def question_section(name: str, title: str, variants: list[Variant], audit: Audit) -> str:
    """One table: a row a variant, with the change in Top-1 and mean error from the first, and its spread."""
    rows, first = [], None
    for variant in variants:
        if seeds := audit.found(variant):
            cells = [
                spread([s[score] for s in seeds], "°" if score in DEGREES else "")
                for score in SCORES
            ]
            first, changes = first or seeds, []
            for score, unit in (
                (("top1", ""), ("mean_angular_error", "°")) if first is not seeds else ()
            ):
                changes.append(
                    spread([a[score] - b[score] for a, b in zip(seeds, first)], unit, "+.2f")
                )
            rows.append([variant.label, *cells, ", ".join(changes)])
    if len(rows) < 2:
        return ""
    table = markdown_table(["", *SCORES.values(), "change: Top-1, mean error"], rows)
    return f"## {title}\n\n{audit.command} --rows {name}`\n\n{table}"


def runs_section(audit: Audit, name: str, runs: tuple[str, ...]) -> str:
    """Of the trained runs of the whole database: every score, by SNR, on and off the plane."""
    home = audit.results / name
    off = np.isin(AZIMUTH_STEP * class_distance(np.arange(AZIMUTHS), 0), OFF_PLANE)
    metrics = read_json(path) if (path := home / "metrics.json").exists() else {}
    scores = [["", *list(SCORES.values())[1:]]]  # of the evaluation
    scores += [
        [title, *score_cells(metrics[run])] for run, title in TITLES.items() if run in metrics
    ]
    by_snr = [["dB", "run", "mixtures", "Top-1", "mean error", "front-back"]]
    by_azimuth = [["run", "48 azimuths on the plane", "24 off it", "hardest"]]
    for run in runs:
        if (path := home / f"{run}_by_snr.csv").exists():
            for row in read_csv(path, SNR_COLUMNS):
                edges, *cells = snr_cells(row[column] for column in SNR_COLUMNS)
                by_snr.append([edges, TITLES[run], *cells])
        if (path := home / f"{run}_confusion.csv").exists():
            e = error_by_azimuth(read_confusion(path))
            hardest = ", ".join(f"{AZIMUTH_STEP * c}° ({e[c]:.1f}°)" for c in np.argsort(-e)[:6])
            by_azimuth.append(
                [TITLES[run], f"{e[~off].mean():.2f}°", f"{e[off].mean():.2f}°", hardest]
            )
    tables = {"Top-5 as counted, against the usual one, and errors": scores}
    tables |= {"By the lower SNR of the two noises": by_snr, "By azimuth": by_azimuth}
    shown = {
        title: markdown_table(rows[0], rows[1:]) for title, rows in tables.items() if len(rows) > 1
    }
    how = f"({name})\n\n`./reproduce.sh` with the options of that run"
    return "\n".join(f"## {title} {how}\n\n{table}" for title, table in shown.items())


def switch_section(switched: list[dict] | None, audit: Audit, name: str) -> str:
    """Which evaluation the reported step at epoch 17 resembles; the mark is evaluation above training."""
    how = f"{audit.command} --rows switch`, after `./reproduce.sh` with the same data"
    title = f"## The evaluation set at the continuation\n\n{how}\n\n"
    if not switched:
        return title + "Not measured: Model 2 of the whole published database is not there.\n"
    after = {"model2": (16,), "model2_continued": (17, 20), "model2_to40": (40,)}
    rows, logs = [], list[tuple]()
    for run, epochs in after.items():
        part = "last" if run != "model2" else "eval"
        logs.append(("reported", read_reported(audit.results, run).values(), part, epochs))
    for part, label in (("last", "clips 561-700"), ("eval", "held out")):
        for run, epochs in after.items():
            for log in logs_of_seeds(audit.results, name, run)[:1]:
                logs.append((f"ours, same four fifths trained on, {label}", log, part, epochs))
    logs.append(("ours, clips 1-560 trained on, clips 561-700", switched, "eval", (17, 20)))
    for whose, log, part, epochs in logs:
        for row in log:
            if row["epoch"] in epochs and f"{part}_top1" in row:
                train, evaluated = row["train_top1"], row[f"{part}_top1"]
                shares = f"{train:.2f}", f"{evaluated:.2f}", f"{evaluated - train:+.2f}"
                rows.append([f"{whose}, epoch {row['epoch']:g}", *shares])
    return title + markdown_table(["", "train Top-1", "evaluation Top-1", "above training"], rows)


def weights_section(found: dict, audit: Audit) -> str:
    """The published checkpoints on our database, at both noise levels, beside the reported evaluation."""
    heard = f"{audit.clips * AZIMUTHS:,} mixtures, all new to them; Top-1 (Top-5*)"
    how = f"{audit.command} --rows weights --weights DIR`: {heard}"
    title, rows, stores = (
        f"## The published weights on our database\n\n{how}\n\n",
        [],
        ("published", "code"),
    )
    if not found:
        return title + "Not measured: no published weights given.\n"
    for name in sorted({name for name, _ in found}):
        run, _, epoch = name.rpartition("_epoch")
        reported = read_reported(audit.results, run).get(float(epoch), {})
        beside = reported.get("eval_top1", reported.get("last_top1"))
        cells = (
            "{top1:.2f} ({top5_published:.2f})".format(**found[name, store]) for store in stores
        )
        rows.append([name, "" if beside is None else f"{beside:.2f}", *cells])
    names = (
        "{0.snr_low:g} to {0.snr_high:g} dB".format(audit.stores[store][0]) for store in stores
    )
    return title + markdown_table(["checkpoint", "reported", *names], rows)


def run_audit(args) -> None:
    """The stage `audit`: measure what is asked for and not measured yet, and write all there is."""
    asked = questions()
    known = (*asked, "switch", "weights")
    for row in args.rows or ():
        if row not in known:
            raise InputError(f"--rows {row}: unknown: use {', '.join(known)}")
    if args.clips < 5 or args.seeds < 1:
        raise InputError("--clips and --seeds: too few: use at least 5 clips and 1 seed")
    made, wanted = (
        {"machine": machine(), "commit": commit()},
        known if args.rows is None else args.rows,
    )
    audit = Audit(args.data, args.clips, args.seeds, args.seed, args.work, args.results, made)
    with lock_folder(audit.work):
        for variant in (
            v for name, (_, variants) in asked.items() if name in wanted for v in variants
        ):
            audit.row(variant)
        switch = audit.switched_set("switch" in wanted)
        weights = audit.published_weights(args.weights)
    name, published = PUBLISHED if args.data else "embedded-published", audit.stores["published"][0]
    machines, commits = (
        sorted({row[k] for row in audit.measured.values()}) for k in ("machine", "commit")
    )
    about = f"clips of a trained row: {audit.clips}; seeds: {', '.join(map(str, audit.seeds))}"
    about += f"; device: {'; '.join(machines)}; commit: {', '.join(commits)}"
    parts = [
        f"# Audit: what the tables do not say\n\nCorpus: {CORPORA[published.corpus]}; {about}.\n",
        HOW_TO_READ.format(low=published.snr_low, high=published.snr_high),
        runs_section(audit, name, (*MAIN_RUNS, "ours", "ours_mirrored")),
        switch_section(switch, audit, name),
        *(question_section(key, *question, audit) for key, question in asked.items()),
        "Hop 1, the published spacing, would be 17 MB a mixture: not measured.\n",
        weights_section(weights, audit),
    ]
    write_page(audit.results / f"{audit.name}.md", *filter(None, parts))

"""The page of the audit, results/audit.md: what was measured, compared numbers side by side."""

import re
from dataclasses import dataclass
from pathlib import Path

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import lock_folder
from ssl_jax.common.provenance import commit, machine
from ssl_jax.config import AZIMUTHS, Database
from ssl_jax.report.logs import logs_of_seeds, read_reported
from ssl_jax.report.tables import DEGREES, SCORES, markdown_table, mean_and_deviation
from ssl_jax.sounds.noises import files_of_kinds
from ssl_jax.studies.audit import STORES_OF_WEIGHTS, Audit
from ssl_jax.studies.audit_rows import ESC10, QUESTIONS, AuditOptions, Question, Variant
from ssl_jax.studies.audit_runs import runs_section
from ssl_jax.studies.pages import command_line, show_page
from ssl_jax.studies.published_weights import checkpoint_files

SWITCH = "switch"  # beside the names of QUESTIONS, what --rows takes
WEIGHTS = "weights"
LAST_REPORTED_EPOCH = 40  # of Model 2, continued
FEWEST_CLIPS = 5  # one of them evaluates
HOW_TO_READ = """\
Shares are in percent, mean ± standard deviation over seeds. Top-5* counts as the published code
does. A row trains the network of the tables on the mixtures of {clips} clips, as Model 1, but with
a cosine over 12 epochs instead of a constant rate. "As published" means: nearest azimuth, split by
mixture, no hair cell, a cue value every 441 samples, kernels of 5 frames, 16 bits, SNR {low:g} to
{high:g} dB. Every other row changes what it names and nothing else. A seed draws weights, split and
order; the mixtures stay. A change below twice its standard deviation is no finding.
"""
HOP_1 = "Hop 1, the published spacing, would take 17 MB a mixture: not measured.\n"


def command(audit: Audit, row: str) -> str:
    """What measures a row, for the page."""
    options = audit.options
    words = command_line("audit", vars(options.folders), options.noise_kinds, options.seed)
    return f"`{words} --rows {row}`"


def question_section(name: str, question: Question, audit: Audit) -> str:
    """One table: a row for each variant that is measured, and how it differs from the first.

    Empty where there is nothing to compare.
    """
    first, *_ = question.variants
    reference = audit.entries(first)
    rows = []
    for variant in question.variants:
        entries = audit.entries(variant)
        if entries:
            change = "" if variant is first else change_cell(entries, reference)
            rows.append([variant.label, *mean_cells(list(entries.values())), change])
    if len(rows) < 2:
        return ""
    table = markdown_table(["", *SCORES.values(), "change: Top-1, mean error"], rows)
    return f"## {question.title}\n\n{command(audit, name)}\n\n{table}"


def mean_cells(entries: list[dict]) -> list[str]:
    """Every score over seeds."""
    cells = []
    for score in SCORES:
        unit = "°" if score in DEGREES else ""
        cells.append(mean_and_deviation([entry[score] for entry in entries], unit))
    return cells


def change_cell(entries: dict[int, dict], reference: dict[int, dict]) -> str:
    """How Top-1 and mean error differ, seed by seed, over the seeds that both have."""
    seeds = sorted(entries.keys() & reference.keys())
    if not seeds:
        return ""
    changes = []
    for score, unit in (("top1", ""), ("mean_angular_error", "°")):
        differences = [entries[seed][score] - reference[seed][score] for seed in seeds]
        changes.append(mean_and_deviation(differences, unit, "+.2f"))
    return ", ".join(changes)


@dataclass(frozen=True)
class Curve:
    """One log, which of its evaluations is looked at, and at which epochs."""

    label: str
    log: list[dict]
    part: str  # "eval": held out; "last": the last clips
    epochs: tuple[int, ...]

    def rows(self) -> list[list[str]]:
        """Cells of the chosen epochs: Top-1 of training and evaluation, and their difference."""
        rows = []
        for row in self.log:
            if row["epoch"] in self.epochs and f"{self.part}_top1" in row:
                train = row["train_top1"]
                evaluated = row[f"{self.part}_top1"]
                shares = [f"{train:.2f}", f"{evaluated:.2f}", f"{evaluated - train:+.2f}"]
                rows.append([f"{self.label}, epoch {row['epoch']:g}", *shares])
        return rows


def curves_around_the_switch(audit: Audit) -> list[Curve]:
    """Reported and our logs about the continuation, evaluated on different mixtures."""
    epochs_of = {"model2": (16,), "model2_continued": (17, 20), "model2_to40": (40,)}
    curves = []
    for run, epochs in epochs_of.items():
        reported = list(read_reported(audit.options.results, run).values())
        part = "eval" if run == "model2" else "last"
        curves.append(Curve("reported", reported, part, epochs))
    for part, mixtures in (("last", "clips 561-700"), ("eval", "held out")):
        for run, epochs in epochs_of.items():
            label = f"ours, same four fifths trained on, {mixtures}"
            logs = logs_of_seeds(audit.options.results, audit.published.name, run)
            if logs:
                curves.append(Curve(label, logs[0], part, epochs))
    label = "ours, clips 1-560 trained on, clips 561-700"
    curves.append(Curve(label, audit.switched_log(), "eval", (17, 20)))
    return curves


def switch_section(audit: Audit) -> str:
    """Which evaluation the reported step at epoch 17 resembles.

    The mark is an evaluation above training.
    """
    title = (
        "## The evaluation set at the continuation\n\n"
        f"{command(audit, SWITCH)}, after `./reproduce.sh` with the same sounds\n\n"
    )
    if not audit.switched_log():
        return title + "Not measured.\n"
    rows = [row for curve in curves_around_the_switch(audit) for row in curve.rows()]
    return title + markdown_table(["", "train Top-1", "evaluation Top-1", "above training"], rows)


def reported_top1(results: Path, checkpoint: str) -> str:
    """The reported evaluation of a checkpoint; empty where there is none."""
    run, epoch = run_and_epoch(checkpoint)
    row = read_reported(results, run).get(float(epoch), {})
    top1 = row.get("eval_top1", row.get("last_top1"))
    return "" if top1 is None else f"{top1:.2f}"


def run_and_epoch(checkpoint: str) -> tuple[str, int]:
    """The run and epoch that a checkpoint's name tells; ("", 0) where it tells none.

    Ours are RUN_epochK. The reproduced repository's are [FOLDER/]epoch_K: of Model 1 where the
    folder begins with model1, else of Model 2, or with epoch 40 of its continuation.
    """
    ours = re.fullmatch(r"(.+)_epoch(\d+)", checkpoint)
    if ours:
        return ours[1], int(ours[2])
    path = Path(checkpoint)
    published = re.fullmatch(r"epoch_(\d+)", path.name)
    if published is None:
        return "", 0
    epoch = int(published[1])
    if path.parent.name.startswith("model1"):
        return "model1", epoch
    return "model2_to40" if epoch == LAST_REPORTED_EPOCH else "model2", epoch


def weights_section(audit: Audit) -> str:
    """The published checkpoints on our database, at both noise levels, beside what was reported."""
    scores = audit.weights_scores()
    mixtures = f"{audit.options.clips * AZIMUTHS:,} mixtures, all new to them; Top-1 (Top-5*)"
    title = (
        "## The published weights on our database\n\n"
        f"{command(audit, WEIGHTS)}, with `--weights DIR`: {mixtures}\n\n"
    )
    if not scores:
        return title + "Not measured.\n"
    rows = []
    for checkpoint, by_store in scores.items():
        cells = [checkpoint, reported_top1(audit.options.results, checkpoint)]
        for store in STORES_OF_WEIGHTS:
            if store in by_store:
                cells.append("{top1:.2f} ({top5_published:.2f})".format(**by_store[store]))
            else:
                cells.append("")
        rows.append(cells)
    ranges = [snr_range(audit.stores[store].database) for store in STORES_OF_WEIGHTS]
    return title + markdown_table(["checkpoint", "reported", *ranges], rows)


def snr_range(database: Database) -> str:
    """The SNR range of a database in words."""
    return f"{database.snr_low:g} to {database.snr_high:g} dB"


def introduction(audit: Audit) -> str:
    """What the rows are of, and what made them."""
    options = audit.options
    sounds = [f"{kind} {name}" for kind, name in options.folders.names().items()]
    machines = sorted({entry["machine"] for entry in audit.measured.values()})
    commits = sorted({entry["commit"] for entry in audit.measured.values()})
    facts = {
        "Sounds": ", ".join(sounds),
        "clips of a trained row": str(options.clips),
        "seeds": ", ".join(map(str, audit.seeds)),
        "device": "; ".join(machines),
        "commit": ", ".join(commits),
    }
    listed = "; ".join(f"{name}: {fact}" for name, fact in facts.items())
    return f"# Audit: what the tables do not say\n\n{listed}.\n"


def page(audit: Audit) -> list[str]:
    """The sections of results/audit.md that have something to show."""
    published = audit.stores["published"].database
    sections = [
        introduction(audit),
        HOW_TO_READ.format(
            clips=audit.options.clips, low=published.snr_low, high=published.snr_high
        ),
        runs_section(audit.options.results / audit.published.name),
        switch_section(audit),
    ]
    for name, question in QUESTIONS.items():
        sections.append(question_section(name, question, audit))
    sections += [HOP_1, weights_section(audit)]
    return [section for section in sections if section]


def chosen_rows(options: AuditOptions) -> tuple[str, ...]:
    """The names of what to measure.

    Raises
    ------
    InputError
        For an unknown row, a row without what it needs, or too few clips or seeds.
    """
    known = (*QUESTIONS, SWITCH, WEIGHTS)
    for row in options.rows:
        if row not in known:
            raise InputError(f"--rows {row}: unknown: use {', '.join(known)}")
    if WEIGHTS in options.rows and options.weights is None:
        raise InputError(f"--rows {WEIGHTS}: no checkpoints to score: add --weights DIR")
    if options.clips < FEWEST_CLIPS or options.seeds < 1:
        raise InputError(
            f"--clips {options.clips} --seeds {options.seeds}: too few: "
            f"use at least {FEWEST_CLIPS} clips and 1 seed"
        )
    if options.rows:
        return options.rows
    usual = [name for name, question in QUESTIONS.items() if question.usual]
    return (*usual, SWITCH, WEIGHTS)


def run_audit(options: AuditOptions) -> None:
    """The stage `audit`: measure what is asked for and not measured yet, and write all there is."""
    rows = chosen_rows(options)
    # a wrong folder is to fail before hours of rows
    if options.weights is not None:
        checkpoint_files(options.weights)
    if options.compare_noise is not None:
        files_of_kinds(options.compare_noise, ESC10)
    audit = Audit(options, {"machine": machine(), "commit": commit()})
    variants: list[Variant] = []
    for name in rows:
        if name in QUESTIONS:
            variants += QUESTIONS[name].variants
    with lock_folder(audit.folder):
        audit.measure_rows(variants)
        if SWITCH in rows:
            audit.measure_switch()
        if WEIGHTS in rows and options.weights is not None:
            audit.measure_weights(options.weights)
    show_page(audit.path.with_suffix(".md"), *page(audit))

"""Two sections of the README: ours beside the reported tables, and the number to cite."""

import re
from dataclasses import dataclass
from pathlib import Path

from ssl_jax import version
from ssl_jax.common.errors import InputError
from ssl_jax.common.files import read_json
from ssl_jax.common.progress import say
from ssl_jax.common.provenance import note_of
from ssl_jax.report.comparison import PART_TITLES, TOP5, last_clips_note, seeds_cell
from ssl_jax.report.conditions import conditions_line, read_conditions
from ssl_jax.report.logs import TITLES, logs_of_seeds, metrics_of_seeds, read_reported
from ssl_jax.report.tables import markdown_table, mean_and_deviation, put_section


@dataclass(frozen=True)
class ReadmeRow:
    """A row of the README's table: the last epoch of a run, over its seeds."""

    protocol: str  # folder under results/
    run: str
    part: str = "eval"  # of comparison.PART_TITLES
    with_reported: bool = True  # the reported tables are about the same mixtures


README_ROWS = (
    ReadmeRow("published", "model1"),
    ReadmeRow("published", "model2"),
    ReadmeRow("published", "model2_continued", part="last"),
    ReadmeRow("published", "model2_continued"),
    ReadmeRow("published", "model2_to40", part="last"),
    ReadmeRow("published", "model2_to40"),
    ReadmeRow("published", "ours", with_reported=False),
    ReadmeRow("published-code", "model2"),
    ReadmeRow("clean", "model2", with_reported=False),
    ReadmeRow("clean", "ours_mirrored", with_reported=False),
)
HEAD = ("protocol", "run", "evaluated on", "seeds", "train Top-1", "evaluation Top-1", "Top-5*")
# conditions that stand only there
IN_COMPARISON = ("mixtures", "hop", "seeds", "wall time", "peak memory")
CITED_PROTOCOL = "clean"
CITED_RUN = "ours_mirrored"
CITED_SCORES = {
    "top1": ("Top-1", " %"),
    "mean_angular_error": ("mean angular error", "°"),
    "front_back": ("front-back confusions", " %"),
}
CITATION = "CITATION.cff"


@dataclass(frozen=True)
class Citation:
    """What CITATION.cff says of the package."""

    title: str
    author: str
    year: str


def results_section(results: Path) -> str:
    """The README's table. Rows whose logs are not there are left out.

    Raises
    ------
    InputError
        Where no log is there.
    """
    lines = []
    protocols = []
    on_last_clips = None  # the protocol of rows that are
    for row in README_ROWS:
        cells = readme_cells(results, row)
        if cells is None:
            say(f"{results / row.protocol}: no log of {row.run}: the README's table lacks its row")
            continue
        lines.append(cells)
        if row.part == "last":
            on_last_clips = row.protocol
        if row.protocol not in protocols:
            protocols.append(row.protocol)
    if not lines:
        raise InputError(f"{results}: no training logs of any protocol: run ./reproduce.sh first")
    intro = ["In percent: ours, mean ± standard deviation over seeds (reported).", TOP5]
    notes = []
    for protocol in protocols:
        conditions = read_conditions(results, protocol)
        link = f"[`{protocol}`](results/{protocol}/comparison.md)"
        notes.append(f"- {link}: {conditions_line(conditions, without=IN_COMPARISON)}")
    if on_last_clips is not None:
        intro.append(last_clips_note(results, on_last_clips))
    return "\n".join([" ".join(intro) + "\n", markdown_table(HEAD, lines), *notes])


def readme_cells(results: Path, row: ReadmeRow) -> list[str] | None:
    """The cells of a row; None where its run was not trained or not evaluated on that part."""
    lasts = [log[-1] for log in logs_of_seeds(results, row.protocol, row.run)]
    columns = ("train_top1", f"{row.part}_top1", f"{row.part}_top5")
    if not lasts or not all(column in last for last in lasts for column in columns):
        return None
    epoch = lasts[0]["epoch"]
    reported = read_reported(results, row.run).get(epoch, {}) if row.with_reported else {}
    cells = [
        f"`{row.protocol}`",
        f"{TITLES[row.run]}, epoch {int(epoch)}",
        PART_TITLES[row.part],
        str(len(lasts)),
    ]
    for column in columns:
        cells.append(seeds_cell([last[column] for last in lasts], column, reported.get(column)))
    return cells


def cite_section(results: Path, citation: Citation) -> str:
    """The number to cite, what it is of, and a BibTeX entry.

    Raises
    ------
    InputError
        Where the run that is cited was not trained.
    """
    metrics = metrics_of_seeds(results, CITED_PROTOCOL, CITED_RUN)
    if not metrics:
        raise InputError(
            f"{results / CITED_PROTOCOL}: no metrics of {CITED_RUN}: train it first, "
            f"./reproduce.sh --protocol {CITED_PROTOCOL} --runs {CITED_RUN}"
        )
    title = TITLES[CITED_RUN]
    cited = {}
    for score, (_, unit) in CITED_SCORES.items():
        if any(score not in scores for scores in metrics):
            path = results / CITED_PROTOCOL / "metrics.json"
            raise InputError(f"{path}: {CITED_RUN} lacks {score}: delete it and train again")
        cited[score] = mean_and_deviation([scores[score] for scores in metrics], unit)
    commit = note_of(read_json(results / CITED_PROTOCOL / "timing.json"), CITED_RUN, "commit")
    heading = (
        f"**The number to cite: {cited['top1']} Top-1** ({title}, protocol `{CITED_PROTOCOL}`), "
        "on speakers, heads and noise files that were not in training. "
        f"Mean ± standard deviation over seeds; ssl_jax {version()}, "
        f"commit {commit}."
    )
    head = ["network", "seeds", *(score_title for score_title, _ in CITED_SCORES.values())]
    table = markdown_table(head, [[title, str(len(metrics)), *cited.values()]])
    box = "".join(f"> {line}\n" for line in [heading, "", *table.splitlines()])
    return box.replace("> \n", ">\n") + "\n" + bibtex(citation, commit)


def bibtex(citation: Citation, commit: str) -> str:
    """A BibTeX entry of the package, as a block of code."""
    return (
        "```bibtex\n"
        f"@software{{ssl_jax_{citation.year},\n"
        f"  title   = {{{{{citation.title}}}}},\n"
        f"  author  = {{{{{citation.author}}}}},\n"
        f"  year    = {{{citation.year}}},\n"
        f"  version = {{{version()}}},\n"
        f"  note    = {{commit {commit}}}\n"
        "}\n"
        "```"
    )


def read_citation(path: Path) -> Citation:
    """The package's own entry of a CITATION.cff.

    Raises
    ------
    InputError
        For a file that is not there or lacks a title, a date or an author.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file: put the README beside it")
    text = path.read_text(encoding="utf-8")
    patterns = (
        r'^title: "(.+)"$',
        r"^authors:\n  - name: (.+)$",
        r"^date-released: (\d{4})-\d\d-\d\d$",
    )
    matches = [re.search(pattern, text, flags=re.MULTILINE) for pattern in patterns]
    facts = [match[1] for match in matches if match]
    if len(facts) < len(patterns):
        raise InputError(f"{path}: lacks title, authors or date-released: put them back")
    return Citation(*facts)


def update_readme(readme: Path, results: Path) -> None:
    """Put both sections between the README's markers; the second where its runs were trained."""
    table = results_section(results)
    cite = None
    if metrics_of_seeds(results, CITED_PROTOCOL, CITED_RUN):
        cite = cite_section(results, read_citation(readme.with_name(CITATION)))
    # both are known before either is written
    put_section(readme, "results", table)
    if cite is not None:
        put_section(readme, "cite", cite)
    else:
        say(f"{results / CITED_PROTOCOL}: no {CITED_RUN}: the number to cite stays as it is")

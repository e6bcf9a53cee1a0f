"""The report on made-up logs: differences, blanks, the README; and the reported tables as they are."""

import csv
import json
import shutil

import pytest

from ssl_jax.config import MAIN_RUNS, RUNS
from ssl_jax.report import comparison
from ssl_jax.report.comparison import readme_section, write_report
from ssl_jax.report.logs import EXTRA, LAST, MEASURES, REPORTED_RUNS, TITLES, compare
from ssl_jax.training.log import read_log
from support.runs import ROOT, refuses

REPORTED = ROOT / "ssl_jax/data/reported"
COLUMNS = MEASURES | EXTRA  # of a run that evaluates on its held-out mixtures alone
OURS = ("epoch", "epochs", *COLUMNS)
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
DATABASE = dict(
    corpus="embedded", clips=10, direction_rule="horizontal", seed=3, snr_low=0, snr_high=7.5
)
SETTINGS = {"database": DATABASE, "front": {"hair_cell": "roman", "hop": 441}}
STAGES = {
    "a": {"seconds": 90, "peak_memory_mb": 512},
    "b": {"seconds": 60.0, "peak_memory_mb": 2048},
}
TIMING = {"machine": "an abacus", "commit": "0123456789", "stages": STAGES}


def write_log(path, columns, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(",".join(map(str, line)) + "\n" for line in (columns, *rows)))


def numbers(epoch, shift=0.0, *extra):
    """A row of a log: losses near 3 and 2.5, shares that tell measure and epoch."""
    row = (3.0, 10 + epoch, 70 + epoch, 2.5, 20 + epoch, 80 + epoch)
    return [epoch, 20, *(value + shift for value in row), *extra]


@pytest.fixture
def results(tmp_path):
    """Model 1: three epochs of ours, the first two reported; Model 2: one of each; only reported: a third."""
    for run, epochs in (("model1", (1, 2)), ("model2", (5,)), ("model2_continued", (20,))):
        write_log(tmp_path / f"reported/{run}.csv", OURS[:-2], *map(numbers, epochs))
    write_log(
        tmp_path / "mine/model1.csv", OURS, *(numbers(k, 0.25, 60.5, 12.25) for k in (1, 2, 3))
    )
    write_log(tmp_path / "mine/model2.csv", OURS, numbers(5, -0.5, 61.5, 11.25))
    for name, content in (("settings", SETTINGS), ("timing", TIMING)):
        (tmp_path / f"mine/{name}.json").write_text(json.dumps(content))
    return tmp_path


def cells(text):
    """Of each line of a Markdown table but the second."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:1] + lines[2:]]


def written(results):
    """What comparison.csv says of a run's epoch and measure: ours, reported, difference."""
    write_report(results, "mine")
    _, *rows = csv.reader((results / "mine/comparison.csv").read_text().splitlines())
    return {(run, int(epoch), measure): tuple(numbers) for run, epoch, measure, *numbers in rows}


def test_differences_and_blanks_of_the_csv(results):
    rows = written(results)
    assert len(rows) == 4 * len(COLUMNS)
    for key, wanted in {
        ("model1", 2, "eval_top1"): ("22.25", "22.00", "+0.25"),
        ("model1", 1, "train_loss"): ("3.2500", "3.0000", "+0.2500"),
        ("model2", 5, "eval_top5"): ("84.50", "85.00", "-0.50"),
        ("model1", 3, "eval_top1"): ("23.25", "", ""),  # not reported for this epoch
        ("model1", 1, "eval_top5_standard"): ("60.50", "", ""),  # nor this for any
    }.items():
        assert rows[key] == wanted
    for ours, reported, difference in rows.values():
        assert reported == "" or float(ours) - float(reported) == pytest.approx(
            float(difference), abs=1e-9
        )


def test_markdown_says_what_the_csv_says(results):
    rows, tables = written(results), compare(results, "mine")
    for run, table in tables.items():
        head, *lines = cells(comparison.epochs_table(table))
        assert head == ["epoch", *COLUMNS.values()] and len(lines) == len(table)
        for epoch, *found in lines:
            for measure, cell in zip(COLUMNS, found, strict=True):
                digits = 3 if "loss" in measure else 2
                ours, reported, difference = rows[run, int(epoch), measure]
                wanted = f"{float(ours):.{digits}f}" + "\u00b0" * ("error" in measure)
                if reported:
                    wanted += f" ({float(reported):.{digits}f}, {float(difference):+.{digits}f})"
                assert cell == wanted
    lines = [(line[0], line[5]) for line in cells(comparison.last_epochs_table(tables))[1:]]
    assert lines == [("Model 1, epoch 3", "23.25"), ("Model 2, epoch 5", "24.50 (25.00, -0.50)")]


def test_the_report_says_how_the_numbers_were_made(results):
    text = write_report(results, "mine")
    assert (results / "mine/comparison.md").read_text(encoding="utf-8") == text
    facts = (
        "the embedded corpus|720 mixtures|5 heads, each scaled to 4|0 to 7.5 dB|horizontal|roman|"
    )
    facts += (
        "441 samples|seed: 3|an abacus|2.5 minutes|2.0 GiB|0123456789|## Model 1\n|## Model 2\n"
    )
    missing = [fact for fact in (*facts.split("|"), comparison.FOOTNOTE) if fact not in text]
    assert missing == [] and "reduced" not in text


def test_seeds_are_summed_up_beside_the_reported(results):
    for seed, better in ((1, 2.0), (2, 4.0)):
        write_log(
            results / f"mine/model1_seed{seed}.csv", OURS, numbers(3, 0.25 + better, 60.5, 12.25)
        )
    (results / "mine/model1_seed_of_something.csv").write_text("not a log")
    table = comparison.seeds_table(results, "mine")
    assert "| Model 1, epoch 3 | 3 |" in table and f"{23.25 + 2:.2f} \u00b1 2.00" in table
    assert "Model 2" not in table and table in write_report(results, "mine")


def test_logs_that_are_none_and_notes_of_an_unfinished_run(results):
    refuses(
        f"{results / 'other'}: no training logs: run ./reproduce.sh", write_report, results, "other"
    )
    for path in (results / "mine/settings.json", results / "mine/timing.json"):
        good = path.read_text()
        path.unlink()
        refuses("to its end", write_report, results, "mine")
        for content in ("{}", "[]", "null", '{"stages": {}}', "not json"):
            path.write_text(content)
            says = "not valid JSON" if content == "not json" else "to its end"
            refuses(says, write_report, results, "mine")
        path.write_text(good)
    rows, ones = {"": "has no epochs", "1,2,3": "cut short"}, ",1" * 9
    rows |= dict.fromkeys((f"x{ones}", f"1{ones},1,1,1"), "something else than numbers")
    rows |= dict.fromkeys((f"nan{ones}", f"1.5{ones}"), "no whole number")
    cases = {",".join(OURS[:-2]) + "\n": "no column 'eval_top5_standard'"}
    for content, says in (
        cases | {",".join(OURS) + "\n" + row: says for row, says in rows.items()}
    ).items():
        (results / "mine/model1.csv").write_text(content)
        refuses(says, write_report, results, "mine")


def test_the_readme_table_has_a_row_per_reported_run_and_a_column_per_name(results):
    names = ["mine", "other", "third"]
    for name in names[1:]:
        shutil.copytree(results / "mine", results / name)
    (results / "third/model2.csv").unlink()
    section = readme_section(results, names)
    head, *rows = cells(section)
    assert head == ["", "reported", *(f"[{name}](results/{name}/comparison.md)" for name in names)]
    titles = [TITLES[run] for run in (*MAIN_RUNS, MAIN_RUNS[2])]
    assert [row[0].rpartition(", epoch")[0] for row in rows] == titles
    assert rows[0][1:] == ["12.00 / 22.00 / 82.00"] + ["13.25 / 23.25 / 83.25"] * 3
    assert rows[1][1:] == ["15.00 / 25.00 / 85.00"] + ["14.50 / 24.50 / 84.50"] * 2 + [""]
    assert rows[2][1] == "30.00 / 40.00 / 100.00" and rows[2][2:] == rows[3][2:] == [""] * 3
    notes = [line for line in section.splitlines() if line.startswith("- ")]
    assert notes == [
        f"- `{name}`: {comparison.header(results, name, brief=True)}" for name in names
    ]


def test_the_readme_keeps_all_but_what_stands_between_the_markers(results, monkeypatch):
    monkeypatch.setattr(comparison, "README_RUNS", ("mine", "not there"))
    readme, section = results / "README.md", readme_section(results, ["mine"])
    page = "# \u00c4 title\n\nbefore\n{}\n{}\n{}\nafter\n"
    readme.write_text(page.format(BEGIN, "old table", END), encoding="utf-8")
    for _ in range(2):  # a second time changes nothing
        comparison.update_readme(readme, results)
        assert readme.read_text(encoding="utf-8") == page.format(BEGIN, section, END)
    for text in ("", BEGIN, END, f"{END}\n{BEGIN}\n", f"{BEGIN}{BEGIN}{END}", f"{BEGIN}{END}{END}"):
        readme.write_text(text)
        refuses("put them back", comparison.update_readme, readme, results)
        assert readme.read_text() == text
    readme.write_bytes(b"\xff\xfe")
    refuses("UTF-8", comparison.update_readme, readme, results)


PUBLISHED = (  # the first and the last epoch
    ("model1", 1, 3.5827, 5.90, 63.85, 3.1251, 10.28, 76.11),
    ("model1", 12, 2.2040, 30.05, 90.03, 2.6638, 19.38, 84.38),
    ("model2", 1, 2.9714, 13.36, 77.45, 2.6607, 19.13, 81.98),
    ("model2", 20, 1.6008, 45.39, 95.31, 1.6856, 43.49, 94.51),
    ("model2_continued", 17, 1.5311, 47.5, 95.82, 1.3605, 53.53, 96.86),
    ("model2_continued", 20, 1.4637, 49.70, 96.25, 1.3067, 54.98, 97.44),
)


def test_the_reported_tables_are_whole():
    reported = {path.stem for path in REPORTED.glob("model*.csv")}
    assert set(REPORTED_RUNS) == reported < set(TITLES) == set(RUNS)
    for first, last in zip(PUBLISHED[::2], PUBLISHED[1::2]):
        rows = read_log(REPORTED / f"{first[0]}.csv")
        assert [row["epoch"] for row in rows] == list(range(first[1], last[1] + 1))
        assert {row["epochs"] for row in rows} == {40.0 if first[0] == "model2_continued" else 20.0}
        for row, published in ((rows[0], first), (rows[-1], last)):
            assert tuple(row[measure] for measure in MEASURES) == published[2:]
    # what the public repository reports later
    later = [
        row for run in ("model2_to40", "model2_to60") for row in read_log(REPORTED / f"{run}.csv")
    ]
    assert [row["epoch"] for row in later] == [*range(21, 41), 58, 60]
    assert (later[19]["train_top1"], later[19]["eval_top1"], later[20]["eval_top1"]) == (
        60.10,
        63.74,
        64.96,
    )


def test_the_continuation_is_compared_on_its_last_clips(results):
    row, seen = numbers(20, 0.5, 61.5, 11.25), (1.25, 55.5, 97.0)
    write_log(results / "mine/model2_continued.csv", (*OURS, *LAST), [*row, *seen])
    rows = written(results)
    assert rows["model2_continued", 20, "last_top1"] == ("55.50", "40.00", "+15.50")
    assert rows["model2_continued", 20, "eval_top1"] == ("40.50", "", "")  # held out: not reported
    table = {line[0]: line[1:] for line in cells(comparison.agreement_table(results, "mine"))[1:]}
    assert table[TITLES["model1"]] == ["1 to 2", "1", "held out", "0.25", "0.25", "0.25"]
    assert table[TITLES["model2_continued"]] == [
        "20 to 20",
        "1",
        "last clips",
        "15.50",
        "3.00",
        "0.50",
    ]

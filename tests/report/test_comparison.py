"""The report: differences, blanks, the README's markers, on made-up logs; and the reported tables as they are."""

import csv
import io
import json
from pathlib import Path

import pytest

from ssl_jax import report
from ssl_jax.common.errors import InputError
from ssl_jax.config import RUNS

ROOT = Path(__file__).parent.parent
REPORTED = ROOT / "results/reported"
COLUMNS = ("epoch", "epochs", *report.MEASURES)
SETTINGS = {
    "database": {"corpus": "embedded", "clips": 10, "direction_rule": "horizontal", "seed": 3},
    "front": {"hair_cell": "roman", "hop": 441},
}
TIMING = {
    "machine": "an abacus",
    "commit": "0123456789",
    "stages": {
        "database": {"seconds": 90, "peak_memory_mb": 512},
        "model1": {"seconds": 60.0, "peak_memory_mb": 2048},
    },
}


def write_log(path, rows, columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(",".join(map(str, line)) for line in [columns, *rows]) + "\n")


def numbers(epoch, shift=0.0, extra=()):
    """A row of a log: losses near 3 and 2.5, shares that tell measure and epoch."""
    return [
        epoch,
        20,
        3.0 + shift,
        10 + epoch + shift,
        70 + epoch + shift,
        2.5 + shift,
        20 + epoch + shift,
        80 + epoch + shift,
        *extra,
    ]


@pytest.fixture
def results(tmp_path):
    """Model 1: three epochs of ours, the first two reported; Model 2: one of each; no continuation."""
    write_log(tmp_path / "reported/model1.csv", [numbers(1), numbers(2)], COLUMNS)
    write_log(tmp_path / "reported/model2.csv", [numbers(5)], COLUMNS)
    ours = (*COLUMNS, *report.EXTRA)
    write_log(tmp_path / "mine/model1.csv", [numbers(k, 0.25, (60.5, 12.25)) for k in (1, 2, 3)], ours)
    write_log(tmp_path / "mine/model2.csv", [numbers(5, -0.5, (61.5, 11.25))], ours)
    (tmp_path / "mine/settings.json").write_text(json.dumps(SETTINGS))
    (tmp_path / "mine/timing.json").write_text(json.dumps(TIMING))
    return tmp_path


def test_epochs_are_matched_by_number(results):
    tables = report.compare(results, "mine")
    assert list(tables) == ["model1", "model2"]
    assert [row["ours"]["epoch"] for row in tables["model1"]] == [1, 2, 3]
    assert [row["reported"] and row["reported"]["epoch"] for row in tables["model1"]] == [1, 2, None]


def comparison(results):
    report.write_report(results, "mine")
    rows = csv.DictReader(io.StringIO((results / "mine/comparison.csv").read_text()))
    return {
        (r["run"], int(r["epoch"]), r["measure"]): (r["ours"], r["reported"], r["difference"]) for r in rows
    }


def test_differences_and_blanks_of_the_csv(results):
    rows = comparison(results)
    assert len(rows) == 4 * (len(report.MEASURES) + len(report.EXTRA))
    assert rows["model1", 2, "eval_top1"] == ("22.25", "22.00", "+0.25")
    assert rows["model1", 1, "train_loss"] == ("3.2500", "3.0000", "+0.2500")
    assert rows["model2", 5, "eval_top5"] == ("84.50", "85.00", "-0.50")
    assert rows["model1", 3, "eval_top1"] == ("23.25", "", "")  # not reported for this epoch
    assert rows["model1", 1, "eval_top5_standard"] == ("60.50", "", "")  # nor this for any
    for ours, reported, difference in rows.values():
        assert reported == "" or float(ours) - float(reported) == pytest.approx(float(difference), abs=1e-9)


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def test_markdown_says_what_the_csv_says(results):
    rows, tables = comparison(results), report.compare(results, "mine")
    for run in tables:
        head, _, *lines = report.epochs_table(tables[run]).splitlines()
        assert cells(head) == ["epoch", *report.MEASURES.values(), *report.EXTRA.values()]
        assert len(lines) == len(tables[run])
        for line in lines:
            epoch, *found = cells(line)
            for measure, cell in zip((*report.MEASURES, *report.EXTRA), found, strict=True):
                digits = 3 if "loss" in measure else 2
                ours, reported, difference = rows[run, int(epoch), measure]
                wanted = f"{float(ours):.{digits}f}" + "\u00b0" * ("error" in measure)
                if reported:
                    wanted += f" ({float(reported):.{digits}f}, {float(difference):+.{digits}f})"
                assert cell == wanted


def test_the_last_epoch_of_each_run(results):
    lines = report.last_epochs_table(report.compare(results, "mine")).splitlines()[2:]
    assert [cells(line)[0] for line in lines] == ["Model 1, epoch 3", "Model 2, epoch 5"]
    assert cells(lines[0])[5] == "23.25" and cells(lines[1])[5] == "24.50 (25.00, -0.50)"


def test_the_report_says_how_the_numbers_were_made(results):
    text = report.write_report(results, "mine")
    assert (results / "mine/comparison.md").read_text(encoding="utf-8") == text
    for part in (
        "the embedded corpus",
        "720 mixtures",
        "virtual heads",
        "horizontal",
        "roman",
        "441 samples",
        "seed: 3",
        "an abacus",
        "2.5 minutes",
        "2.0 GiB",
        "0123456789",
        report.FOOTNOTE,
    ):
        assert part in text
    assert "## Model 1\n" in text and "## Model 2\n" in text and "reduced" not in text


def refused(call, *args, says):
    with pytest.raises(InputError) as error:
        call(*args)
    assert says in str(error.value) and "\n" not in str(error.value)


def test_no_logs_name_the_folder_and_the_remedy(results):
    folder = results / "other"
    refused(report.write_report, results, "other", says=f"{folder}: no training logs: run ./reproduce.sh")


@pytest.mark.parametrize(
    "content, says",
    [
        ("", "no column 'epoch'"),
        (",".join(COLUMNS) + "\n", "no column 'eval_top5_standard'"),
        (",".join((*COLUMNS, *report.EXTRA)) + "\n", "has no epochs"),
        ("{numbers}x", "something else than numbers"),
        ("{numbers}1,2,3", "cut short"),
        ("{numbers}nan" + ",1" * 9, "no whole number"),
        ("{numbers}1.5" + ",1" * 9, "no whole number"),
        ("{numbers}1" + ",1" * 12, "something else than numbers"),
    ],
)
def test_logs_that_are_none(results, content, says):
    head = ",".join((*COLUMNS, *report.EXTRA)) + "\n"
    text = content.replace("{numbers}x", head + "x" + ",1" * 9).replace("{numbers}", head)
    (results / "mine/model1.csv").write_text(text)
    refused(report.write_report, results, "mine", says=says)


@pytest.mark.parametrize("file", ["settings.json", "timing.json"])
@pytest.mark.parametrize("content", [None, "{}", "[]", "null", '{"stages": {}}', "not json"])
def test_notes_of_an_unfinished_run(results, file, content):
    (results / "mine" / file).unlink()
    if content is not None:
        (results / "mine" / file).write_text(content)
    refused(
        report.write_report, results, "mine", says="not valid JSON" if content == "not json" else "to its end"
    )


BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


def test_the_readme_keeps_all_but_what_stands_between_the_markers(results):
    readme = results / "README.md"
    readme.write_text(f"# \u00c4 title\n\nbefore\n{BEGIN}\nold table\n{END}\nafter\n", encoding="utf-8")
    for _ in range(2):  # a second time changes nothing
        report.update_readme(readme, results, ["mine"])
        text = readme.read_text(encoding="utf-8")
        section = report.readme_section(results, ["mine"])
        assert text == f"# \u00c4 title\n\nbefore\n{BEGIN}\n{section}\n{END}\nafter\n"
    assert "### mine\n" in section and section.count("<details>") == section.count("</details>") == 2
    assert BEGIN not in section and END not in section


@pytest.mark.parametrize(
    "text", ["", BEGIN, END, f"{END}\n{BEGIN}\n", f"{BEGIN}{BEGIN}{END}", f"{BEGIN}{END}{END}"]
)
def test_wrong_markers_leave_the_readme_as_it_is(results, text):
    (results / "README.md").write_text(text)
    refused(report.update_readme, results / "README.md", results, ["mine"], says="put them back")
    assert (results / "README.md").read_text() == text


def test_a_readme_of_unknown_encoding(results):
    (results / "README.md").write_bytes(b"\xff\xfe")
    refused(report.update_readme, results / "README.md", results, ["mine"], says="UTF-8")


# epochs; the first and last row as published
PUBLISHED = {
    "model1": (
        range(1, 13),
        [3.5827, 5.90, 63.85, 3.1251, 10.28, 76.11],
        [2.2040, 30.05, 90.03, 2.6638, 19.38, 84.38],
    ),
    "model2": (
        range(1, 21),
        [2.9714, 13.36, 77.45, 2.6607, 19.13, 81.98],
        [1.6008, 45.39, 95.31, 1.6856, 43.49, 94.51],
    ),
    "model2_continued": (
        range(17, 21),
        [1.5311, 47.5, 95.82, 1.3605, 53.53, 96.86],
        [1.4637, 49.70, 96.25, 1.3067, 54.98, 97.44],
    ),
}


@pytest.mark.parametrize("run", PUBLISHED)
def test_the_reported_tables_are_whole(run):
    epochs, first, last = PUBLISHED[run]
    rows = report.read_log(REPORTED / f"{run}.csv")
    assert [row["epoch"] for row in rows] == list(epochs)
    assert {row["epochs"] for row in rows} == {40.0 if run == "model2_continued" else 20.0}
    for row, wanted in ((rows[0], first), (rows[-1], last)):
        assert [row[measure] for measure in report.MEASURES] == wanted


def test_every_run_has_its_reported_table():
    assert set(report.REPORTED) == {path.stem for path in REPORTED.glob("*.csv")} < set(report.TITLES)
    assert set(report.TITLES) == set(RUNS)


def test_what_the_public_repository_reports_later():
    assert report.read_log(REPORTED / "model2_to40.csv") == [
        {"epoch": 40, "train_top1": 60.10, "eval_top1": 63.74}
    ]
    assert report.read_log(REPORTED / "model2_to60.csv") == [
        {"epoch": 58, "eval_top1": 64.96},
        {"epoch": 60, "train_top1": 61.42, "eval_top1": 64.49},
    ]


def test_seeds_are_summed_up_beside_the_reported(results):
    text = (results / "mine/model1.csv").read_text()
    for seed, better in ((1, 2.0), (2, 4.0)):
        head, *rows = text.splitlines()
        last = rows[-1].split(",")
        last[head.split(",").index("eval_top1")] = str(
            float(last[head.split(",").index("eval_top1")]) + better
        )
        (results / f"mine/model1_seed{seed}.csv").write_text(
            "\n".join([head, *rows[:-1], ",".join(last)]) + "\n"
        )
    (results / "mine/model1_seed_of_something.csv").write_text("not a log")
    lasts = report.last_epochs_of_seeds(results, "mine")
    assert list(lasts) == ["model1"] and len(lasts["model1"]) == 3
    first = lasts["model1"][0]["eval_top1"]
    table = report.seeds_table(results, "mine")
    assert "| 3 |" in table and f"{first + 2:.2f} ± 2.00" in table
    assert table in report.write_report(results, "mine") and table in report.readme_section(results, ["mine"])

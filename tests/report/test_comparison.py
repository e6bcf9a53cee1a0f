"""comparison.csv and comparison.md from made-up logs: differences, blanks, agreement, seeds."""

import csv
import json

import pytest

from ssl_jax.report import comparison
from ssl_jax.report.comparison import TOP5, write_report
from ssl_jax.report.logs import COLUMNS, EVERY_LOG, LAST_CLIPS, OURS_ALONE, TITLES, compare
from support.made_logs import OURS, OURS_WITH_LAST, REPORTED_COLUMNS, cells, row_of, write_log
from support.runs import refuses

MEASURED = (*EVERY_LOG, *OURS_ALONE)  # of a run that evaluates on its held-out mixtures alone
EXACT = 1e-9  # both sides are the same decimals


def comparison_rows(results):
    """What comparison.csv says of a run's epoch and measure: ours, reported, difference."""
    write_report(results, "mine")
    _, *rows = csv.reader((results / "mine/comparison.csv").read_text().splitlines())
    return {(run, int(epoch), measure): tuple(numbers) for run, epoch, measure, *numbers in rows}


@pytest.mark.parametrize(
    "key, wanted",
    [
        (("model1", 2, "eval_top1"), ("22.25", "22.00", "+0.25")),
        (("model1", 1, "train_loss"), ("3.2500", "3.0000", "+0.2500")),
        (("model2", 5, "eval_top5"), ("84.50", "85.00", "-0.50")),
        # not reported of this epoch, nor this of any
        (("model1", 3, "eval_top1"), ("23.25", "", "")),
        (("model1", 1, "eval_top5_standard"), ("60.50", "", "")),
    ],
)
def test_the_csv_has_differences_and_blanks(results, key, wanted):
    assert comparison_rows(results)[key] == wanted


def test_the_csv_has_a_line_for_each_epoch_and_measure(results):
    rows = comparison_rows(results)
    assert len(rows) == 4 * len(MEASURED)
    for ours, reported, difference in rows.values():
        if reported:
            assert float(ours) - float(reported) == pytest.approx(float(difference), abs=EXACT)


def test_the_table_of_epochs_says_what_the_csv_says(results):
    rows = comparison_rows(results)
    for run, epochs in compare(results, "mine").items():
        head, *lines = cells(comparison.epochs_table(epochs))
        assert head == ["epoch", *(COLUMNS[measure] for measure in MEASURED)]
        assert len(lines) == len(epochs)
        for number, *line in lines:
            for measure, cell in zip(MEASURED, line, strict=True):
                ours, reported, difference = rows[run, int(number), measure]
                first, *brackets = cell.replace("°", "").split(" ", 1)
                assert float(first) == pytest.approx(float(ours), abs=5e-3)  # fewer digits
                assert bool(brackets) == bool(reported)
                if reported and "loss" not in measure:
                    assert brackets == [f"({reported}, {difference})"]


def test_the_table_of_last_epochs_has_a_row_for_each_run(results):
    lines = cells(comparison.last_epochs_table(compare(results, "mine")))[1:]
    assert [(line[0], line[5]) for line in lines] == [
        ("Model 1, epoch 3", "23.25"),
        ("Model 2, epoch 5", "24.50 (25.00, -0.50)"),
    ]


def test_the_page_is_written_and_says_how_the_numbers_were_made(results):
    text = write_report(results, "mine")
    assert (results / "mine/comparison.md").read_text(encoding="utf-8") == text
    wanted = ["720", "0 to 7.5 dB", "an abacus", "2.5 minutes", comparison.EACH_CELL, TOP5]
    wanted += [f"## {TITLES['model1']}\n", f"## {TITLES['model2']}\n"]
    assert [fact for fact in wanted if fact not in text] == []
    assert TITLES["model2_continued"] not in text


def test_the_last_clips_are_named_where_something_was_evaluated_on_them(results):
    assert '"Last clips"' not in write_report(results, "mine")
    write_log(results / "mine/model2_continued.csv", OURS_WITH_LAST, [*row_of(20), 1.0, 50.0, 90.0])
    assert '"Last clips" are clips 9 to 10. Some of their mixtures' in write_report(results, "mine")
    settings = json.loads((results / "mine/settings.json").read_text())
    settings["database"] |= {"disjoint": [], "clips": 700}
    (results / "mine/settings.json").write_text(json.dumps(settings))
    wanted = '"Last clips" are clips 561 to 700. 80 % of their mixtures were in training.'
    assert wanted in write_report(results, "mine")


def test_seeds_are_summed_up_beside_the_reported(results):
    write_log(results / "reported/model1.csv", REPORTED_COLUMNS, row_of(3))
    for seed, better in ((1, 2.0), (2, 4.0)):
        rows = [row_of(epoch, 0.25 + better) for epoch in (1, 2, 3)]
        write_log(results / f"mine/model1_seed{seed}.csv", OURS, *rows)
    (results / "mine/model1_seed_of_something.csv").write_text("not a log")
    table = comparison.seeds_table(results, "mine")
    head, *lines = cells(table)
    assert [line[:2] for line in lines] == [["Model 1, epoch 3", "3"]]
    assert lines[0][head.index("eval Top-1")] == "25.25 ± 2.00 (23.00)"
    assert table in write_report(results, "mine")


def test_a_single_seed_has_no_table(results):
    assert comparison.seeds_table(results, "mine") == ""


def test_agreement_is_the_mean_distance_over_the_reported_epochs(results):
    table = {line[0]: line[1:] for line in cells(comparison.agreement_table(results, "mine"))[1:]}
    assert table[TITLES["model1"]] == ["1 to 2", "1", "held out", "0.25", "0.25", "0.25"]
    assert table[TITLES["model2"]] == ["5 to 5", "1", "held out", "0.50", "0.50", "0.50"]


def test_agreement_is_of_the_mean_over_seeds(results):
    """A seed above the reported and one as far below it agree with it together."""
    below = [row_of(epoch, -0.25) for epoch in (1, 2, 3)]
    write_log(results / "mine/model1_seed1.csv", OURS, *below)
    agreement = comparison.agreement_of(results, "mine", "model1")
    assert agreement.seeds == 2
    assert set(agreement.differences) == {"eval_top1", "eval_top5", "train_top1"}
    assert list(agreement.differences.values()) == pytest.approx([0.0] * 3, abs=EXACT)


def test_the_continuation_is_compared_on_its_last_clips(results):
    row = [*row_of(20, 0.5), 1.25, 55.5, 97.0]
    write_log(results / "mine/model2_continued.csv", (*OURS, *LAST_CLIPS), row)
    rows = comparison_rows(results)
    assert rows["model2_continued", 20, "last_top1"] == ("55.50", "40.00", "+15.50")
    assert rows["model2_continued", 20, "eval_top1"] == ("40.50", "", "")  # held out: not reported
    table = {line[0]: line[1:] for line in cells(comparison.agreement_table(results, "mine"))[1:]}
    wanted = ["20 to 20", "1", "last clips", "15.50", "3.00", "0.50"]
    assert table[TITLES["model2_continued"]] == wanted


def test_a_folder_without_logs_is_refused(results):
    says = f"{results / 'other'}: no training logs: run ./reproduce.sh"
    refuses(says, write_report, results, "other")

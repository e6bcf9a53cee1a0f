"""Logs are read, ours of every seed and the reported ones; damaged ones are refused."""

import json

import numpy as np
import pytest

from ssl_jax.report.logs import (
    EVERY_LOG,
    REPORTED_RUNS,
    TITLES,
    logs_of_seeds,
    metrics_of_seeds,
    read_confusion,
    read_reported,
)
from ssl_jax.runs import RUNS
from ssl_jax.training.log import read_log
from support.made_logs import OURS, row_of, write_log
from support.runs import ROOT, refuses

REPORTED = ROOT / "ssl_jax/data/reported"
# the first and the last epoch of each reported table
FIRST_AND_LAST = {
    "model1": (
        (1, 3.5827, 5.90, 63.85, 3.1251, 10.28, 76.11),
        (12, 2.2040, 30.05, 90.03, 2.6638, 19.38, 84.38),
    ),
    "model2": (
        (1, 2.9714, 13.36, 77.45, 2.6607, 19.13, 81.98),
        (20, 1.6008, 45.39, 95.31, 1.6856, 43.49, 94.51),
    ),
    "model2_continued": (
        (17, 1.5311, 47.5, 95.82, 1.3605, 53.53, 96.86),
        (20, 1.4637, 49.70, 96.25, 1.3067, 54.98, 97.44),
    ),
}
NUMBERS = ",".join(["1"] * (len(OURS) - 1))


def test_every_run_has_a_title_and_every_reported_table_is_there():
    assert set(TITLES) == set(RUNS)
    assert {path.stem for path in REPORTED.glob("model*.csv")} == set(REPORTED_RUNS)


@pytest.mark.parametrize("run", FIRST_AND_LAST)
def test_the_reported_tables_are_whole(run):
    rows = read_log(REPORTED / f"{run}.csv")
    first, last = FIRST_AND_LAST[run]
    assert [row["epoch"] for row in rows] == list(range(first[0], last[0] + 1))
    for row, published in ((rows[0], first), (rows[-1], last)):
        assert tuple(row[column] for column in EVERY_LOG) == published[1:]


def test_later_epochs_are_reported_in_part():
    to_40 = read_log(REPORTED / "model2_to40.csv")
    to_60 = read_log(REPORTED / "model2_to60.csv")
    assert [row["epoch"] for row in to_40] == list(range(21, 41))
    assert (to_40[-1]["train_top1"], to_40[-1]["eval_top1"]) == (60.10, 63.74)
    assert to_60 == [
        {"epoch": 58.0, "eval_top1": 64.96},
        {"epoch": 60.0, "train_top1": 61.42, "eval_top1": 64.49},
    ]


def test_the_reported_continuation_is_of_its_last_clips(results):
    row = read_reported(results, "model2_continued")[20.0]
    assert row["last_top1"] == 40.0 and "eval_top1" not in row


def test_nothing_was_reported_of_our_own_runs(results):
    assert read_reported(results, "ours") == {}


def test_twins_are_read_in_the_order_of_their_seeds(results):
    for seed in (10, 9):
        rows = [row_of(epoch, seed) for epoch in (1, 2, 3)]
        write_log(results / f"mine/model1_seed{seed}.csv", OURS, *rows)
    logs = logs_of_seeds(results, "mine", "model1")
    assert [log[0]["eval_top1"] for log in logs] == [21.25, 30.0, 31.0]


def test_a_run_that_is_not_there_has_no_logs(results):
    write_log(results / "mine/ours_seed1.csv", OURS, row_of(1))
    assert logs_of_seeds(results, "mine", "ours") == []


def test_a_twin_of_other_epochs_is_refused(results):
    write_log(results / "mine/model1_seed1.csv", OURS, row_of(1))
    refuses("model1_seed1.csv: has other epochs", logs_of_seeds, results, "mine", "model1")


@pytest.mark.parametrize(
    "lines, says",
    [
        ([",".join(OURS[:-2])], "no column 'eval_top5_standard'"),
        ([",".join(OURS)], "has no epochs"),
        ([",".join(OURS), "1,2,3"], "cut short"),
        ([",".join(OURS), f"x,{NUMBERS}"], "something else than numbers"),
        ([",".join(OURS), f"1,{NUMBERS},1"], "something else than numbers"),
        ([",".join(OURS), f"nan,{NUMBERS}"], "no whole number"),
        ([",".join(OURS), f"1.5,{NUMBERS}"], "no whole number"),
    ],
)
def test_damaged_logs_are_refused(results, lines, says):
    (results / "mine/model1.csv").write_text("\n".join(lines) + "\n")
    refuses(says, logs_of_seeds, results, "mine", "model1")


def test_metrics_are_of_a_run_and_its_twins(results):
    metrics = {"ours_seed2": {"top1": 3}, "ours": {"top1": 1}, "ours_mirrored": {"top1": 9}}
    metrics |= {"ours_seed1": {"top1": 2}, "ours_seed_x": {"top1": 9}}
    (results / "mine/metrics.json").write_text(json.dumps(metrics))
    assert metrics_of_seeds(results, "mine", "ours") == [{"top1": 1}, {"top1": 2}, {"top1": 3}]
    assert metrics_of_seeds(results, "mine", "deep") == []
    assert metrics_of_seeds(results, "other", "ours") == []


def test_metrics_of_something_else_are_refused(results):
    (results / "mine/metrics.json").write_text("[]")
    refuses("holds no metrics", metrics_of_seeds, results, "mine", "ours")


def test_a_confusion_matrix_is_read(tmp_path):
    counts = np.arange(72 * 72).reshape(72, 72)
    np.savetxt(tmp_path / "a.csv", counts, fmt="%d", delimiter=",")
    np.testing.assert_array_equal(read_confusion(tmp_path / "a.csv"), counts)


@pytest.mark.parametrize("text", ["", "1,2\n3,4\n", "a,b\n", "1,2\n3\n"])
def test_a_damaged_confusion_matrix_is_refused(tmp_path, text):
    path = tmp_path / "model1_confusion.csv"
    path.write_text(text)
    refuses("model1_confusion.csv", read_confusion, path)

"""The log in the published lines, as CSV, and back."""

from dataclasses import replace

import pytest

from ssl_jax.training.log import EpochRow, csv_text, log_text, read_log
from support.runs import refuses

ROW = EpochRow(
    epoch=1,
    epochs=20,
    train_loss=3.58271,
    train_top1=5.9,
    train_top5=63.85,
    eval_loss=3.1251,
    eval_top1=10.28,
    eval_top5=76.11,
    eval_top5_standard=40.0,
    eval_mean_angular_error=12.345,
    learning_rate=9.94e-4,
)
LAST = replace(ROW, last_loss=1.5, last_top1=50.0, last_top5=90.0)
# the first line of the published log of Model 2
LINE = (
    "Epoch 1/20: Train Loss=3.5827, Top-1=5.90%, Top-5=63.85% | "
    "Evaluation Loss=3.1251, Top-1=10.28%, Top-5=76.11%"
)


def test_log_has_the_published_format(tiny):
    assert log_text(tiny, [ROW]) == LINE + "\n"


def test_log_says_what_it_continues(tiny):
    continued = replace(tiny, start_from="model2", start_epoch=16)
    assert log_text(continued, [ROW]) == f"Reduced Learning rate from epoch 16.\n{LINE}\n"


def test_log_has_the_last_clips_where_there_are_some(tiny):
    last = " | Last clips: Loss=1.5000, Top-1=50.00%, Top-5=90.00%"
    assert log_text(tiny, [LAST]) == f"{LINE}{last}\n"


def test_csv_has_a_column_a_field():
    header, cells = csv_text([ROW.columns()]).splitlines()
    assert header == (
        "epoch,epochs,train_loss,train_top1,train_top5,eval_loss,eval_top1,eval_top5,"
        "eval_top5_standard,eval_mean_angular_error,learning_rate"
    )
    assert cells == "1,20,3.5827,5.90,63.85,3.1251,10.28,76.11,40.00,12.35,0.000994"


def test_csv_is_read_back(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(csv_text([LAST.columns()]))
    (row,) = read_log(path, ("last_top1",))
    assert row["epoch"] == 1
    assert row["last_top1"] == 50
    # two decimals
    assert row["eval_mean_angular_error"] == pytest.approx(12.345, abs=0.006)


def test_blank_cells_of_a_reported_log_are_left_out(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("epoch,eval_top1\n17,\n18,53.0\n")
    assert read_log(path) == [{"epoch": 17}, {"epoch": 18, "eval_top1": 53}]


@pytest.mark.parametrize(
    "text, says",
    [
        ("epoch,a\n1,x\n", "something else than numbers"),
        ("epoch,a\n1.5,1\n", "no whole number"),
        ("epoch,a\n", "has no epochs"),
        ("epoch,a\n,1\n", "has no epochs"),
    ],
)
def test_another_table_is_refused(tmp_path, text, says):
    path = tmp_path / "a.csv"
    path.write_text(text)
    refuses(f"a.csv: .*{says}", read_log, path)


def test_blank_cells_of_a_column_that_is_needed_are_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("epoch,train_top1\n1,5\n2,\n")
    refuses("a.csv: has blank cells under train_top1", read_log, path, ("train_top1",))


@pytest.mark.parametrize("row", [ROW, LAST])
def test_a_row_is_made_again_from_its_columns(row):
    assert EpochRow.from_columns(row.columns()) == row


@pytest.mark.parametrize(
    "change", [{"epoch": 1.0}, {"epoch": "1"}, {"train_loss": None}, {"loss": 1.0}]
)
def test_columns_of_something_else_are_refused(change):
    with pytest.raises(TypeError):
        EpochRow.from_columns(ROW.columns() | change)

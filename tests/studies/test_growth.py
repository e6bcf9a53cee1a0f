"""How time and memory grow: real processes at a tiny size, and a table of what was measured."""

import json

import pytest

from ssl_jax.studies import growth
from ssl_jax.studies.growth import DATABASE, TRAIN, GrowthOptions

WHO = {"machine": "an abacus", "commit": "abc"}
MADE = {"seconds": 45.0, "peak_memory_mb": 1000, "sha256": "0123456789", **WHO}
TRAINED = {"seconds": 36.0, "peak_memory_mb": 900, "train_loss": 2.002, "eval_loss": 3.0, **WHO}


def row_of(mixtures, devices):
    return {"mixtures": mixtures, "devices": devices, DATABASE: MADE, TRAIN: TRAINED}


def test_each_cell_is_measured_in_a_process_of_its_own(tmp_path):
    """Real ones, of one clip; this process's own memory would count in neither."""
    (row,) = growth.measure_all(GrowthOptions(devices=(1,), clips=(1,), work=tmp_path))
    assert row["mixtures"] == 72 and row["devices"] == 1
    assert len(row[DATABASE]["sha256"]) == 64
    assert 1 < row[TRAIN]["train_loss"] < 10 and 1 < row[TRAIN]["eval_loss"] < 10
    for stage in (DATABASE, TRAIN):
        assert row[stage]["seconds"] > 0 and 100 < row[stage]["peak_memory_mb"] < 24_000
        assert row[stage]["machine"] and row[stage]["commit"]
    assert not (tmp_path / "growth/store").exists()
    assert json.loads((tmp_path / "growth/rows.json").read_text()) == [row]


def test_a_run_cut_off_measures_only_what_is_missing(tmp_path, monkeypatch):
    asked = []

    def measure_row(clips, devices, folder):
        asked.append((clips, devices))
        if len(asked) == 2:
            raise KeyboardInterrupt
        return row_of(72 * clips, devices)

    monkeypatch.setattr(growth, "measure_row", measure_row)
    options = GrowthOptions(devices=(1, 2), clips=(1, 2), work=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        growth.measure_all(options)
    rows = growth.measure_all(options)
    assert asked == [(1, 1), (1, 2), (1, 2), (2, 1), (2, 2)]
    assert [(row["devices"], row["mixtures"]) for row in rows] == [
        (1, 72),
        (1, 144),
        (2, 72),
        (2, 144),
    ]
    assert growth.measure_all(options) == rows and len(asked) == 5


def test_a_store_cut_off_is_made_again(tmp_path, monkeypatch):
    (tmp_path / "store").mkdir()
    (tmp_path / "store/half").write_text("")
    begun = []

    class Here:
        """In place of the pool of processes."""

        def __init__(self, *_):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def submit(self, _, task):
            begun.append(task.folder.exists())
            task.folder.mkdir(exist_ok=True)
            return self

        def result(self):
            return MADE

    monkeypatch.setattr(growth, "ProcessPoolExecutor", Here)
    growth.measure_row(1, 1, tmp_path / "store")
    assert begun == [False, True]  # the training finds the store
    assert not (tmp_path / "store").exists()


def test_the_table_says_what_was_measured():
    line = "| 14,400 | 2 | 45.0 | 3.12 | 1,000 | 36.0 | 2.50 | 900 | 01234567 | 2.0020 / 3.0000 |"
    assert line in growth.table([row_of(14_400, 2)])


def test_a_page_is_written_only_where_asked(call, tmp_path, monkeypatch):
    monkeypatch.setattr(growth, "measure_all", lambda options: [row_of(14_400, 2)])
    ended = call("growth")
    assert ended.status == 0 and "an abacus; commit abc" in ended.out
    assert list(tmp_path.iterdir()) == []
    assert call("growth", "--write").status == 0
    page = tmp_path / "results/benchmark/growth.md"
    assert page.read_text().strip() == ended.out.strip()
    assert json.loads(page.with_suffix(".json").read_text()) == [row_of(14_400, 2)]

"""How time and memory grow: each cell is measured once, and the page says what the cells say."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from ssl_jax.studies.scale import amount, costs

from ssl_jax import growth
from ssl_jax.config import AZIMUTHS


def cell(stage, mixtures, devices, seconds, **more):
    return {
        "mixtures": mixtures,
        "devices": devices,
        "stage": stage,
        "corpus": "embedded",
        "seconds": seconds,
        "peak_memory_mb": 1000,
        "machine": "a machine",
        "commit": "abc",
        **more,
    }


@pytest.fixture
def cells():
    """Two sizes on one and two devices; twice the mixtures take 1.5 times the time."""
    found = {}
    for mixtures, seconds in ((7200, 60.0), (14_400, 90.0)):
        for devices in (1, 2):
            found[f"{mixtures}/{devices}/d"] = cell(
                "database",
                mixtures,
                devices,
                seconds / devices,
                sha256=str(mixtures),
                bytes=19_200 * mixtures,
                recipe_seconds=2e-5 * mixtures,
                manifest_bytes=150 * mixtures,
            )
            found[f"{mixtures}/{devices}/t"] = cell(
                "train", mixtures, devices, 36.0, train_loss=2 + 0.001 * devices, eval_loss=3.0
            )
    found["other"] = {**cell("train", 1, 1, 1.0), "corpus": "another"}
    return found


@pytest.mark.slow
def test_a_store_and_an_epoch_are_measured(tmp_path):
    """Real ones, of one clip."""
    made = growth.measure("database", None, 1, 1, tmp_path)
    trained = growth.measure("train", None, 1, 1, tmp_path)
    assert made["bytes"] == pytest.approx(AZIMUTHS * 3 * 32 * 100 * 2, rel=1e-3)
    assert 1 < trained["train_loss"] < 10 and 1 < trained["eval_loss"] < 10
    for found in (made, trained):
        assert (
            found["seconds"] > 0
            and 100 < found["peak_memory_mb"] < 24_000
            and found["machine"]
            and found["commit"]
        )


def test_a_run_cut_off_measures_only_what_is_missing(tmp_path, monkeypatch):
    asked = []

    def measure(stage, data, clips, devices, folder):
        if len(asked) == 5:
            raise KeyboardInterrupt
        asked.append((stage, clips, devices))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "manifest.csv").write_text("")
        return {"seconds": 1.0}

    monkeypatch.setattr(growth, "measure", measure)
    monkeypatch.setattr(growth, "ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1))
    path = tmp_path / "growth.json"
    with pytest.raises(KeyboardInterrupt):
        growth.measure_all(None, [1, 2], tmp_path, path, clips=16)
    before = asked[:]
    asked.clear()
    asked.extend([None] * 6)
    cells = growth.measure_all(None, [1, 2], tmp_path, path, clips=16)
    whole = [
        (stage, clips, devices)
        for clips in (2, 4, 8, 16)
        for devices in (1, 2)
        for stage in ("database", "train")
    ]
    # the store of a training that was not measured is still there
    assert before == whole[:5] and asked[6:] == whole[5:] and len(cells) == len(whole)
    assert not (tmp_path / "growth/store").exists()


def test_the_table_says_how_much_more_is_taken(cells):
    text = growth.table(growth.rows_of(cells, "embedded"))
    assert "| 14,400 | 2 | 45.0 | 3.12 | 1,000 | 36.0 | 2.50 | 1,000 |" in text
    assert (
        "1 device: 2 times the mixtures take for the database 1.50 times the time and 1.000 times the mem"
        in text
    )
    assert (
        "7,200 mixtures on 1 and 2 devices: the same bytes in the store; losses after an epoch 0.0010 (tr"
        in text
    )
    cells["7200/2/d"]["sha256"] = "x"
    assert "DIFFERENT bytes" in growth.table(growth.rows_of(cells, "embedded"))


def test_the_figure_is_drawn(cells, tmp_path):
    growth.draw(growth.rows_of(cells, "embedded"), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_costs_of_a_million_hours(cells):
    text = costs(growth.rows_of(cells, "embedded")[-1])  # 3.125 ms a mixture to make, 2.5 to train on
    assert "| 69.1 TB |" in text and "| 540 GB |" in text and "| 3,125 machine-hours |" in text
    assert (
        "| 2,500 machine-hours |" in text and "| 20.0 hours |" in text and "| 53,125 machine-hours |" in text
    )
    assert "| 7.68 MB/s |" in text and "| 22.1 GB | of cues |" in text
    assert "| 8 | 5,208 | 16.3 |" in text and "| 26,042 a second |" in text


@pytest.mark.parametrize(
    "value, text", [(0.5, "0.5 B"), (999, "999 B"), (1e3, "1 kB"), (69.12e12, "69.1 TB"), (3e16, "30 PB")]
)
def test_amount(value, text):
    assert amount(value, "B") == text

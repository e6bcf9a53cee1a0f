"""How time and memory grow: each cell is measured once, and the page says what the cells say."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from ssl_jax.config import AZIMUTHS
from ssl_jax.studies import growth


@pytest.fixture
def cells():
    """Two sizes on one and two devices; twice the mixtures take 1.5 times the time."""
    made_on = {"corpus": "embedded", "peak_memory_mb": 1000, "machine": "a machine", "commit": "abc"}
    found = {"other": made_on | {"stage": "train", "mixtures": 1, "devices": 1, "corpus": "another"}}
    for mixtures, seconds in ((7200, 60.0), (14_400, 90.0)):
        for devices in (1, 2):
            about = made_on | {"mixtures": mixtures, "devices": devices}
            made = {"seconds": seconds / devices, "sha256": str(mixtures), "bytes": 19_200 * mixtures}
            trained = {"seconds": 36.0, "train_loss": 2 + 0.001 * devices, "eval_loss": 3.0}
            found[f"{mixtures}/{devices}/d"] = about | made | {"stage": "database"}
            found[f"{mixtures}/{devices}/t"] = about | trained | {"stage": "train"}
    return found


@pytest.mark.slow
def test_a_store_and_an_epoch_are_measured(tmp_path):
    """Real ones, of one clip."""
    made, trained = (growth.measure(stage, None, 1, 1, tmp_path) for stage in growth.STAGES)
    assert made["bytes"] == pytest.approx(AZIMUTHS * 3 * 32 * 100 * 2, rel=1e-3)  # a header
    assert 1 < trained["train_loss"] < 10 and 1 < trained["eval_loss"] < 10
    for found in (made, trained):
        assert found["seconds"] > 0 and 100 < found["peak_memory_mb"] < 24_000
        assert found["machine"] and found["commit"]


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
    words = (None, [1, 2], tmp_path, tmp_path / "growth.json", 16)
    with pytest.raises(KeyboardInterrupt):
        growth.measure_all(*words)
    whole = [(stage, c, d) for c in (2, 4, 8, 16) for d in (1, 2) for stage in growth.STAGES]
    assert asked == whole[:5]
    asked.append(None)  # the store of a training that was not measured is still there
    assert len(growth.measure_all(*words)) == len(whole) and asked[6:] == whole[5:]
    assert not (tmp_path / "growth/store").exists()


def test_the_table_the_figure_and_the_costs_say_what_the_cells_say(cells, tmp_path):
    rows = growth.rows_of(cells, "embedded")
    assert [cell["devices"] for row in rows for cell in row.values()] == [1] * 4 + [2] * 4
    line = "| 14,400 | 2 | 45.0 | 3.12 | 1,000 | 36.0 | 2.50 | 1,000 | 14400 | 2.0020 / 3.0000 |"
    assert line in growth.table(rows)
    growth.draw(rows, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    last = rows[-1]  # 3.125 ms a mixture to make, 2.5 to train on
    text = growth.costs(last["database"], last["train"])
    hours = [f"{hours} machine-hours" for hours in ("3,125", "2,500", "53,125")]
    for cell in ("69.1 TB", *hours, "8 | 5,208 | 16.3"):
        assert f"| {cell} |" in text

"""How time and memory grow: each size is measured once, and the table says what was measured."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from ssl_jax.config import experiment
from ssl_jax.studies import growth


@pytest.mark.slow
def test_a_store_and_an_epoch_are_measured(tmp_path):
    """Real ones, of one clip."""
    made, trained = (growth.measure(stage, None, 1, 1, tmp_path) for stage in growth.STAGES)
    assert len(made["sha256"]) == 64
    assert 1 < trained["train_loss"] < 10 and 1 < trained["eval_loss"] < 10
    for found in (made, trained):
        assert found["seconds"] > 0 and 100 < found["peak_memory_mb"] < 24_000
        assert found["machine"] and found["commit"]


def test_a_run_cut_off_measures_only_what_is_missing(tmp_path, monkeypatch):
    asked, clips = [], experiment(False).database.clips

    def measure(stage, data, clips, devices, folder):
        assert folder.exists() == (stage == "train")
        folder.mkdir(parents=True, exist_ok=True)
        asked.append((stage, clips, devices))
        if len(asked) == 4:
            raise KeyboardInterrupt
        return {"seconds": 1.0}

    monkeypatch.setattr(growth, "measure", measure)
    monkeypatch.setattr(growth, "ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1))
    words = (None, [1, 2], tmp_path, tmp_path / "growth.json")
    with pytest.raises(KeyboardInterrupt):
        growth.measure_all(*words)
    whole = [(s, clips // part, d) for part in (8, 4, 2, 1) for d in (1, 2) for s in growth.STAGES]
    rows = growth.measure_all(*words)
    assert asked == whole[:4] + whole[2:]  # the store of an unfinished row is made again
    sizes = sorted((d, 72 * c) for _, c, d in whole[::2])
    assert [(row["devices"], row["mixtures"]) for row in rows] == sizes
    assert growth.measure_all(*words) == rows and len(asked) == len(whole) + 2
    assert not (tmp_path / "growth/store").exists()


def test_the_table_says_what_was_measured():
    made = {"seconds": 45.0, "peak_memory_mb": 1000, "sha256": "0123456789"}
    trained = {"seconds": 36.0, "peak_memory_mb": 900, "train_loss": 2.002, "eval_loss": 3.0}
    row = {
        "corpus": "embedded",
        "mixtures": 14_400,
        "devices": 2,
        "database": made,
        "train": trained,
    }
    line = "| 14,400 | 2 | 45.0 | 3.12 | 1,000 | 36.0 | 2.50 | 900 | 01234567 | 2.0020 / 3.0000 |"
    assert line in growth.table([row])

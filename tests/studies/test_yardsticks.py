"""The network for recordings on the evaluation part of a small database of rooms, and on a head."""

import shutil
from dataclasses import replace

from ssl_jax.config import experiment
from ssl_jax.database.build import build
from ssl_jax.database.recipes import load_sounds
from ssl_jax.sounds.hrtf import KEMAR
from ssl_jax.studies import yardsticks


def test_every_part_is_scored_and_two_talkers_found(call, tmp_path, monkeypatch):
    usual = experiment(protocol="rooms")
    ex = replace(usual, database=replace(usual.database, clips=6, shard=72, rooms=30))
    build(
        tmp_path / "work" / ex.name,
        ex.database,
        ex.front,
        load_sounds(None, ex.database, ex.front.fs),
    )
    monkeypatch.setattr(yardsticks, "experiment_of", lambda args: ex)
    monkeypatch.setattr(yardsticks, "SCENES", 2)
    (tmp_path / "heads").mkdir()
    shutil.copy(KEMAR, tmp_path / "heads")
    assert call("yardsticks", "--heads", tmp_path / "heads", "--clips=1").status == 0
    text = (tmp_path / "results/yardsticks.md").read_text()
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    assert [row[1] for row in rows[:3]] == [KEMAR.stem, KEMAR.stem, "evaluation part, rooms"]
    within = {
        row[1]: float(row[5].rstrip(" %")) for row in rows if row[5] != "-"
    }  # 10 degrees; chance: 7
    assert within["evaluation part, free field"] > 40 and within["evaluation part, rooms"] > 40
    assert "2 scenes on MIT_KEMAR_normal_pinna: both within 10°" in text

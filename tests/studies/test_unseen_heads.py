"""Scores of the packed networks on the head of a SOFA file."""

from ssl_jax.networks.packed import default_weights
from ssl_jax.sounds.hrtf import KEMAR
from support.runs import refused


def test_a_head_is_scored_and_written_down(call, tmp_path):
    name = default_weights()
    ended = call("check", KEMAR, "--model", name, "--clips=1")
    assert ended.status == 0
    text = (tmp_path / "results/unseen_heads.md").read_text()
    rows = [line.strip("| ").split(" | ") for line in text.splitlines()[-2:]]
    assert [row[:4] for row in rows] == [
        [f"`{name}`", KEMAR.stem, "72", w] for w in ("1 s", "0.25 s")
    ]
    assert float(rows[0][5].rstrip(" %")) > 60  # within 10 degrees; chance: 7
    assert text.strip() == ended.out.strip()
    refused(call("check", KEMAR, "--clips=71"), "--clips 71: out of range")

"""Scores of the packed networks on the head of a SOFA file."""

from ssl_jax.networks.packed import default_weights
from ssl_jax.sounds.hrtf import KEMAR
from support.runs import refused


def test_a_head_is_scored_and_written_down(call, tmp_path):
    name = default_weights()
    ended = call("check", KEMAR, "--model", name, "--clips=1")
    assert ended.status == 0
    text = (tmp_path / "results/unseen_heads.md").read_text()
    network, head, *_, within_10, _ = text.splitlines()[-1].strip("| ").split(" | ")
    assert (network, head) == (f"`{name}`", KEMAR.stem) and float(within_10) > 60  # chance: 7
    assert text.strip() == ended.out.strip()
    refused(call("check", KEMAR, "--clips=71"), "--clips 71: out of range")

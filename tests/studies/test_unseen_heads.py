"""Scores of the packed networks on the head of a SOFA file."""

from ssl_jax.networks.packed import default_weights
from ssl_jax.sounds.hrtf import KEMAR
from ssl_jax.studies.unseen_heads import score_heads, write_scores


def test_a_head_is_scored_and_written_down(tmp_path):
    name = default_weights()
    found = score_heads([KEMAR], [name], clips=1)
    ((key, metrics),) = found.items()
    assert key == (name, KEMAR.stem) and metrics["within_10"] > 60  # chance: 7
    text = write_scores(found, tmp_path / "u.md", "an abacus; abc", 1)
    assert f"{metrics['top1']:.2f}" in text and (tmp_path / "u.md").read_text() == text

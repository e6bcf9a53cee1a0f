"""The audit: what its rows change, what it keeps, and the tables it writes."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ssl_jax.common.provenance import commit
from ssl_jax.config import as_settings
from ssl_jax.metrics import error_by_azimuth
from ssl_jax.networks.registry import NETWORKS
from ssl_jax.report.logs import read_confusion
from ssl_jax.studies import audit as audit_module
from ssl_jax.studies.audit import PUBLISHED, Audit, Variant, questions, stores, training_of
from ssl_jax.studies.audit_report import (
    SCORES,
    question_section,
    spread,
    switch_section,
    weights_section,
)
from support.runs import ROOT, refuses

DESCRIBED = {"machine": "an abacus", "commit": "abc"}
CHANGES = {  # what a store changes of the published one
    "published": set(),
    "clean": {"direction_rule", "hair_cell", "disjoint"},
    "horizontal": {"direction_rule"},
    "float": {"bits"},
    "code": {"snr_low", "snr_high"},
    "noisier": {"snr_low"},
    **dict.fromkeys(("stationary", "events"), {"noise"}),
    **dict.fromkeys(("noise", "head", "disjoint"), {"disjoint"}),
    **dict.fromkeys(("halfwave", "roman", "bernstein"), {"hair_cell"}),
}


def test_every_row_changes_what_it_says_and_nothing_else():
    made = {name: as_settings(d=d, f=front) for name, (d, front) in stores(True, 100, 0).items()}
    fields = {name: store["d"] | store["f"] for name, store in made.items()}
    before = fields["published"]
    assert {
        name: {k for k in before if values[k] != before[k]} for name, values in fields.items()
    } == CHANGES
    for _, variants in questions().values():
        assert len(variants) > 1
        for variant in variants:
            assert variant.store in made and variant.network in NETWORKS
            run = training_of(variant, 100, 3)
            assert (run.clips, run.epochs, run.seed, run.start_from) == (100, 12, 3, "")


def audit_of(tmp_path, clips=100, seeds=2, described=DESCRIBED, results=None):
    return Audit(None, clips, seeds, 0, tmp_path / "work", results or tmp_path, described)


def test_two_numbers_side_by_side(tmp_path):
    audit, other = audit_of(tmp_path), Variant("other", "horizontal")
    for variant, values in ((PUBLISHED, (40.0, 42.0)), (other, (50.0, 53.0))):
        for seed, value in zip(audit.seeds, values):
            audit.measured[audit.key(variant, seed)] = {**dict.fromkeys(SCORES, value), **DESCRIBED}
    variants = [PUBLISHED, other, Variant("not run", "head")]
    lines = question_section("x", "T", variants, audit).splitlines()
    assert "--rows x" in lines[2] and len(lines) == 4 + 2 + 2
    assert "41.00 ± 1.41" in lines[-2] and "51.50 ± 2.12" in lines[-1]
    assert "+10.50 ± 0.71, +10.50 ± 0.71°" in lines[-1]
    assert "not run" not in "".join(lines) and spread([3.0], "°") == "3.00°"


def test_what_was_measured_is_kept_and_not_measured_again(tmp_path, monkeypatch):
    audit = audit_of(tmp_path, seeds=1)
    audit.keep(audit.key(PUBLISHED, 0), {"top1": 1.5})
    again = audit_of(tmp_path, seeds=1, described={"machine": "other", "commit": "def"})
    monkeypatch.setattr(again, "mixtures", lambda _: pytest.fail("measured again"))
    again.row(PUBLISHED)
    assert again.found(PUBLISHED) == [{"top1": 1.5, **DESCRIBED}]


def test_error_by_azimuth_goes_round_the_circle(tmp_path):
    counts = np.eye(72, dtype=int) * 3
    counts[0, [71, 1]] = 1  # 5 degrees off either way, of five mixtures
    counts[10] = 0
    assert error_by_azimuth(counts).tolist() == [2, *[0] * 71]
    (tmp_path / "c.csv").write_text("1,2\n")
    refuses("c.csv: is not 72 x 72", read_confusion, tmp_path / "c.csv")


def test_the_switch_of_the_evaluation_set_as_a_table(tmp_path):
    audit = audit_of(tmp_path, results=ROOT / "results")
    switched = [
        {"epoch": epoch, "train_top1": 40.0, "eval_top1": 41.0 + epoch} for epoch in range(17, 21)
    ]
    text = switch_section(switched, audit, "no such run")
    assert "| reported, epoch 17 | 47.50 | 53.53 | +6.03 |" in text  # the mark: above training
    assert "clips 561-700, epoch 20 | 40.00 | 61.00 | +21.00 |" in text and "epoch 18" not in text
    assert "Not measured" in switch_section(None, audit, "no such run")


def test_published_weights_stand_beside_their_reported_evaluation(tmp_path):
    audit = audit_of(tmp_path, results=ROOT / "results")
    names = ("model2_epoch16", "model2_continued_epoch17", "other_epoch3")
    rows = [(name, store) for name in names for store in ("published", "code")]
    text = weights_section(dict.fromkeys(rows, {"top1": 38.4, "top5_published": 90.0}), audit)
    for name, reported in zip(names, ("42.00", "53.53", "")):
        assert f"| {name} | {reported} | 38.40 (90.00) | 38.40 (90.00) |" in text
    assert "15 to 40 dB" in text and "Not measured" in weights_section({}, audit)


def test_from_recordings_to_an_audit_table(call, tmp_path, monkeypatch):
    """One real row on the embedded corpus: 5 clips, 2 epochs."""
    by_clip = ("Splits", [Variant("by clip", "published", ("clip",))])
    monkeypatch.setattr(audit_module, "QUESTIONS", {"splits": by_clip})
    monkeypatch.setattr(audit_module, "PUBLISHED", by_clip[1][0])  # so that one row is trained
    short = {"epochs": 2, "cosine_epochs": 2}
    monkeypatch.setattr(
        audit_module, "training_of", lambda *words: replace(training_of(*words), **short)
    )
    (tmp_path / "results").mkdir()
    ended = call("audit", "--clips=5", "--seeds=1", "--rows=splits")
    assert ended.status == 0
    text = (tmp_path / "results/audit-embedded.md").read_text()
    assert text.strip() == ended.out.strip() and "| by clip |" in text
    ((key, entry),) = json.loads((tmp_path / "results/audit-embedded.json").read_text()).items()
    assert key == "published/clip/three_branch/model1/clips5/seed0" and entry["commit"] == commit()
    assert 0 <= entry["top1"] <= entry["top5"] <= 100

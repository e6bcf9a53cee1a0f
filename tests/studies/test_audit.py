"""The audit: what its rows change, what it keeps, and the tables it writes."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ssl_jax import __main__ as cli
from ssl_jax import audit as audit_module
from ssl_jax.common.errors import InputError
from ssl_jax.config import fingerprint
from ssl_jax.networks.three_branch import NETWORKS
from ssl_jax.report.comparison import error_by_azimuth, read_confusion
from ssl_jax.studies.audit import PUBLISHED, Audit, Question, Variant, questions, stores, training_of
from ssl_jax.studies.audit_report import SCORES, question_section, spread, switch_section

DESCRIBED = {"machine": "an abacus", "commit": "abc"}


def changed(one, other):
    """Fields in which two (Database, FrontEnd) differ."""
    a, b = (fingerprint(database=s[0], front=s[1]) for s in (one, other))
    return {field for part in a for field in a[part] if a[part][field] != b[part][field]}


def test_every_row_changes_what_it_says_and_nothing_else():
    all_of_them = stores(True, 100, 0)
    wanted = {
        "published": set(),
        "clean": {"direction_rule", "hair_cell", "disjoint"},
        "horizontal": {"direction_rule"},
        "float": {"bits"},
        "low_snr": {"snr_low", "snr_high"},
        **dict.fromkeys(("noise", "head", "disjoint"), {"disjoint"}),
        **dict.fromkeys(("halfwave", "roman", "bernstein"), {"hair_cell"}),
        **dict.fromkeys(("hop210", "hop105"), {"hop"}),
    }
    assert {name: changed(all_of_them["published"], s) for name, s in all_of_them.items()} == wanted
    for question in questions().values():
        assert len(question.variants) > 1
        for variant in question.variants:
            assert variant.store in all_of_them and variant.network in NETWORKS
            run = training_of(variant, 100, 3)
            assert (run.clips, run.epochs, run.seed, run.start_from) == (100, 12, 3, "")


def measured_audit(tmp_path, scores, seeds=2):
    audit = Audit(None, 100, seeds, 0, tmp_path / "work", tmp_path, DESCRIBED)
    for variant, values in scores.items():
        for seed, value in zip(audit.seeds, values):
            audit.measured[audit.key(variant, seed)] = {**dict.fromkeys(SCORES, value), **DESCRIBED}
    return audit


def test_two_numbers_side_by_side(tmp_path):
    other = Variant("other", "horizontal")
    audit = measured_audit(tmp_path, {PUBLISHED: (40.0, 42.0), other: (50.0, 53.0)})
    lines = question_section(
        "x", Question("T", (PUBLISHED, other, Variant("not run", "head"))), audit, ""
    ).splitlines()
    assert "--rows x" in lines[2] and len(lines) == 4 + 2 + 2
    assert "41.00 ± 1.41" in lines[-2] and "51.50 ± 2.12" in lines[-1] and "+10.50, +10.50°" in lines[-1]
    assert "not run" not in "".join(lines)
    assert spread([3.0], "°") == "3.00°"


def test_what_was_measured_is_kept_and_not_measured_again(tmp_path):
    first = Audit(None, 5, 1, 0, tmp_path / "work", tmp_path, DESCRIBED)
    assert first.measure("a/row", lambda: {"top1": 1.5}) == {"top1": 1.5, **DESCRIBED}
    again = Audit(None, 5, 1, 0, tmp_path / "work", tmp_path, {"machine": "other", "commit": "def"})
    assert again.measure("a/row", lambda: pytest.fail("measured again"))["commit"] == "abc"


def test_error_by_azimuth_goes_round_the_circle(tmp_path):
    counts = np.eye(72, dtype=int) * 3
    counts[0, [71, 1]] = 1  # 5 degrees off either way, of five mixtures
    counts[10] = 0
    np.savetxt(tmp_path / "c.csv", counts, fmt="%d", delimiter=",")
    error = error_by_azimuth(read_confusion(tmp_path / "c.csv"))
    assert error[0] == 2 and not error[1:].any()
    (tmp_path / "c.csv").write_text("1,2\n")
    with pytest.raises(InputError, match="c.csv: is not 72 x 72"):
        error_by_azimuth(read_confusion(tmp_path / "c.csv"))


def test_the_switch_of_the_evaluation_set_as_a_table():
    root = cli.Path(cli.__file__).parents[1]
    found = {"epoch 16, same set": 70.0, "epoch 16, clips 561-700": 71.0, "epoch 16, train": 72.0}
    for run in ("model2", "model2_continued", "model2_switched"):
        for epoch in range(17, 21):
            found |= {f"{run} {epoch} eval": 75.0, f"{run} {epoch} train": 74.0}
    text = switch_section(found, root / "results/reported", "")
    assert "+11.53" in text and "+1.00" in text and text.count("+5.00") == 5  # 53.53 - 42.00, as reported
    assert "Not measured" in switch_section(None, root, "")


def test_from_recordings_to_an_audit_table(tmp_path, monkeypatch, capsys):
    """One real row on the embedded corpus: 5 clips, 2 epochs."""
    monkeypatch.delenv("SSL_JAX_DATA", raising=False)
    (tmp_path / "results/reported").mkdir(parents=True)
    monkeypatch.setattr(
        audit_module,
        "QUESTIONS",
        {"splits": Question("Splits", (Variant("by clip", "published", ("clip",)),))},
    )
    monkeypatch.setattr(
        audit_module, "training_of", lambda *words: replace(training_of(*words), epochs=2, cosine_epochs=2)
    )
    words = [
        "audit",
        "--clips=5",
        "--seeds=1",
        "--rows=splits",
        f"--results={tmp_path / 'results'}",
        f"--work={tmp_path}",
    ]
    assert cli.main(words) == 0
    text = (tmp_path / "results/audit-embedded.md").read_text()
    assert text.strip() == capsys.readouterr().out.strip() and "| by clip |" in text
    scores = json.loads((tmp_path / "results/audit-embedded.json").read_text())
    ((key, entry),) = scores.items()
    assert (
        key == "published/clip/three_branch/model1/clips5/seed0"
        and 0 <= entry["top1"] <= entry["top5"] <= 100
    )
    assert entry["commit"] == cli.commit()


@pytest.mark.parametrize(
    "words, says", [(["--rows", "x"], "--rows x: unknown"), (["--clips", "1"], "too few")]
)
def test_bad_words_are_refused(words, says, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["audit", *words]) == 2
    assert says in capsys.readouterr().err

"""The audit: what its rows change, what it keeps, and the tables it writes."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from ssl_jax.common.files import package_data
from ssl_jax.common.provenance import commit
from ssl_jax.config import AZIMUTHS, Database, FrontEnd, SoundFolders, as_settings
from ssl_jax.database.manifest import Manifest
from ssl_jax.metrics import Evaluation, error_by_azimuth
from ssl_jax.networks.registry import NETWORKS, build_model
from ssl_jax.report.logs import read_confusion
from ssl_jax.report.tables import SCORES
from ssl_jax.sounds.noises import files_by_kind
from ssl_jax.studies import audit as audit_module
from ssl_jax.studies import audit_report, audit_rows
from ssl_jax.studies.audit import Audit, split_by
from ssl_jax.studies.audit_report import question_section, switch_section, weights_section
from ssl_jax.studies.audit_rows import (
    PUBLISHED,
    QUESTIONS,
    AuditOptions,
    Question,
    Variant,
    stores,
    training_of,
)
from ssl_jax.training.batches import Mixtures
from support.runs import ROOT, refused, refuses

MADE_BY = {"machine": "an abacus", "commit": "abc"}
CHANGES = {  # what a store changes of the published one
    "published": set(),
    "snr15to40": {"snr_low", "snr_high"},
    "snr5to20": {"snr_low"},
    "snr0to20": {"snr_low"},
    "five_heads": {"heads"},
    "one_head": {"heads"},
    "horizontal": {"direction_rule"},
    "noise": {"disjoint"},
    "head": {"disjoint"},
    "disjoint": {"disjoint"},
    "float": {"bits"},
    "clean": {"direction_rule", "hair_cell", "disjoint"},
    "halfwave": {"hair_cell"},
    "roman": {"hair_cell"},
    "bernstein": {"hair_cell"},
    "noise_of_esc10": {"noise_kinds"},
    "noise_besides_esc10": {"noise_kinds"},
    "esc10": {"noise", "noise_kinds"},
    "esc10_events": {"noise", "noise_kinds"},
}


def settings_of(options):
    """Every setting of every store, by its name."""
    by_store = {}
    for name, store in stores(options).items():
        parts = as_settings(database=store.database, front=store.front)
        by_store[name] = parts["database"] | parts["front"]
    return by_store


def test_every_store_changes_what_it_says_and_nothing_else(tmp_path):
    by_store = settings_of(AuditOptions(compare_noise=tmp_path / "ESC-50"))
    before = by_store["published"]
    changed = {}
    for name, settings in by_store.items():
        changed[name] = {key for key in before if settings[key] != before[key]}
    assert changed == CHANGES


def test_noise_rows_need_their_sounds(tmp_path):
    assert not {"esc10", "esc10_events"} & set(settings_of(AuditOptions()))
    own = AuditOptions(folders=SoundFolders(noise=tmp_path))
    assert not {"noise_of_esc10", "noise_besides_esc10"} & set(settings_of(own))


def test_the_package_has_the_kinds_that_rows_name():
    bundled = {*audit_rows.BUNDLED_OF_ESC10, *audit_rows.BUNDLED_BESIDES}
    assert bundled == set(files_by_kind(package_data("noise")))
    assert len(audit_rows.ESC10) == 10


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_row_can_be_trained(name, tmp_path):
    by_store = stores(AuditOptions(compare_noise=tmp_path))
    variants = QUESTIONS[name].variants
    assert len(variants) > 1
    for variant in variants:
        assert variant.store in by_store and variant.network in NETWORKS
        run = training_of(variant, 100, 3)
        assert (run.clips, run.epochs, run.seed, run.start_from) == (100, 12, 3, "")


def test_ablations_are_measured_only_when_asked_for():
    usual = audit_report.chosen_rows(AuditOptions())
    unusual = {"hops", "storage", "protocols", "ablation_published", "ablation_clean"}
    assert set(QUESTIONS) - set(usual) == unusual
    assert audit_report.chosen_rows(AuditOptions(rows=("ablation_published",)))


@pytest.mark.parametrize(
    "options, message",
    [
        (AuditOptions(rows=("nothing",)), "--rows nothing: unknown: use noises"),
        (AuditOptions(rows=("weights",)), "--rows weights: no checkpoints"),
        (AuditOptions(clips=4), "--clips 4 --seeds 3: too few"),
        (AuditOptions(seeds=0), "--clips 100 --seeds 0: too few"),
    ],
)
def test_what_cannot_be_measured_is_refused(options, message):
    refuses(message, audit_report.chosen_rows, options)


def audit_of(tmp_path, **options):
    options = {"seeds": 2, "results": tmp_path, "work": tmp_path / "work"} | options
    return Audit(AuditOptions(**options), MADE_BY)


def measured(audit, variant, values):
    """Put a value for every score into the entry of each seed."""
    for seed, value in values.items():
        audit.measured[audit.key(variant, seed)] = {**dict.fromkeys(SCORES, value), **MADE_BY}


def test_numbers_stand_side_by_side(tmp_path):
    audit = audit_of(tmp_path)
    other = Variant("other", "horizontal")
    measured(audit, PUBLISHED, {0: 40.0, 1: 42.0})
    measured(audit, other, {0: 50.0, 1: 53.0})
    question = Question("T", (PUBLISHED, other, Variant("not run", "head")))
    lines = question_section("x", question, audit).splitlines()
    assert lines[2] == "`ssl_jax audit --rows x`" and len(lines) == 4 + 2 + 2
    assert "41.00 ± 1.41" in lines[-2] and "51.50 ± 2.12" in lines[-1]
    assert "+10.50 ± 0.71, +10.50 ± 0.71°" in lines[-1]
    assert "not run" not in "".join(lines)


def test_a_change_is_of_the_same_seeds(tmp_path):
    """A row of one seed is compared with that seed, not with the first."""
    audit = audit_of(tmp_path)
    other = Variant("other", "horizontal")
    measured(audit, PUBLISHED, {0: 40.0, 1: 42.0})
    measured(audit, other, {1: 53.0})
    text = question_section("x", Question("T", (PUBLISHED, other)), audit)
    assert "| +11.00, +11.00° |" in text


def test_what_was_measured_is_not_measured_again(tmp_path, monkeypatch):
    audit = audit_of(tmp_path, seeds=1)
    audit.keep(audit.key(PUBLISHED, 0), {"top1": 1.5})
    again = audit_of(tmp_path, seeds=1)
    monkeypatch.setattr(again, "mixtures", lambda _: pytest.fail("measured again"))
    again.measure_rows([PUBLISHED])
    assert again.entries(PUBLISHED) == {0: {"top1": 1.5, **MADE_BY}}


def test_rows_of_a_store_build_it_once(tmp_path, monkeypatch):
    audit = audit_of(tmp_path, seeds=1)
    built, trained = [], []
    monkeypatch.setattr(audit, "mixtures", built.append)
    monkeypatch.setattr(audit_module, "split_by", lambda mixtures, apart: apart)
    monkeypatch.setattr(audit, "train_row", lambda variant, mixtures: trained.append(variant.label))
    other = Variant("horizontal", "horizontal")
    audit.measure_rows([PUBLISHED, other, Variant("by clip", apart=("clip",))])
    assert built == ["published", "horizontal"]
    assert trained == ["as published", "by clip", "horizontal"]


def test_rows_whose_sounds_are_not_there_are_left_out(tmp_path, monkeypatch):
    audit = audit_of(tmp_path)
    monkeypatch.setattr(audit, "mixtures", lambda name: pytest.fail(name))
    audit.measure_rows([Variant("the ten of ESC-10", "esc10")])


def test_own_sounds_and_seeds_have_files_of_their_own(tmp_path):
    assert audit_of(tmp_path).path == tmp_path / "audit.json"
    folders = SoundFolders(speech=tmp_path / "voices")
    assert audit_of(tmp_path, folders=folders, seed=3).path.stem == "audit-speech_voices-seed3"


def test_a_store_is_split_anew():
    speakers = [speaker for speaker in "aabbc" for _ in range(AZIMUTHS)]
    manifest = Manifest(None, np.zeros(len(speakers)), speakers, [])
    mixtures = Mixtures([], Database(clips=5), FrontEnd(), manifest)
    assert split_by(mixtures, ()) is mixtures
    part = split_by(mixtures, ("speaker",)).manifest.part
    by_speaker = {}
    for speaker, which in zip(speakers, part, strict=True):
        by_speaker.setdefault(speaker, set()).add(which)
    assert all(len(parts) == 1 for parts in by_speaker.values())
    assert set(part) == {0, 1}


def test_more_heads_than_there_are_is_refused():
    heads = audit_module.Heads(("a", "b"), np.zeros((2, 72, 2, 4)), np.zeros((2, 72)))
    assert audit_module.first_heads(heads, 1).names == ("a",)
    refuses("2 heads: the row of 5 heads needs more", audit_module.first_heads, heads, 5)


def test_error_by_azimuth_goes_round_the_circle(tmp_path):
    counts = np.eye(72, dtype=int) * 3
    counts[0, [71, 1]] = 1  # 5 degrees off either way, of five mixtures
    counts[10] = 0
    assert error_by_azimuth(counts).tolist() == [2, *[0] * 71]
    (tmp_path / "c.csv").write_text("1,2\n")
    refuses("c.csv: is not 72 x 72", read_confusion, tmp_path / "c.csv")


def test_the_switch_of_the_evaluation_set_as_a_table(tmp_path):
    audit = audit_of(tmp_path, results=ROOT / "results")
    audit.measured = {}
    assert "Not measured" in switch_section(audit)
    log = [{"epoch": k, "train_top1": 40.0, "eval_top1": 41.0 + k} for k in range(17, 21)]
    audit.measured = {audit.switch_key: {"log": log}}
    text = switch_section(audit)
    assert "| reported, epoch 17 | 47.50 | 53.53 | +6.03 |" in text  # the mark: above training
    assert "clips 561-700, epoch 20 | 40.00 | 61.00 | +21.00 |" in text and "epoch 18" not in text


def test_published_weights_stand_beside_their_reported_evaluation(tmp_path):
    audit = audit_of(tmp_path, results=ROOT / "results")
    audit.measured = {}
    assert "Not measured" in weights_section(audit)
    reported = {
        "model2_epoch16": "42.00",
        "model2_continued_epoch17": "53.53",
        "model1_100audios/epoch_12": "19.38",
        "model2/epoch_20": "43.49",
        "epoch_40": "63.74",
        "folder/other": "",
    }
    for name in reported:
        for store in audit_module.STORES_OF_WEIGHTS:
            scores = {"top1": 38.4, "top5_published": 90.0}
            audit.measured[audit.weights_key(name, store)] = scores
    text = weights_section(audit)
    for name, top1 in reported.items():
        assert f"| {name} | {top1} | 38.40 (90.00) | 38.40 (90.00) |" in text
    assert "| 2.5 to 20 dB | 15 to 40 dB |" in text


def test_published_weights_are_measured_once_and_another_file_of_their_name_anew(
    tmp_path, monkeypatch
):
    front = FrontEnd.published()
    model = build_model("three_branch", 0, front)
    heard = []

    def predict(trainer, mixtures, numbers):
        heard.append(mixtures)
        return Evaluation(np.zeros((1, AZIMUTHS)), np.zeros(1, int))

    monkeypatch.setattr(audit_module, "load_checkpoints", lambda folder: {"epoch_20": model})
    monkeypatch.setattr(audit_module, "predict_all", predict)
    monkeypatch.setattr(Audit, "mixtures", lambda self, store: SimpleNamespace(front=front))
    audit = audit_of(tmp_path)
    for content in ("one", "one", "another"):
        (tmp_path / "epoch_20.pth").write_text(content)
        audit.measure_weights(tmp_path)
    assert len(heard) == 2 * len(audit_module.STORES_OF_WEIGHTS)


def test_from_sounds_to_a_page(call, tmp_path, monkeypatch):
    """One real row: 5 clips, 2 epochs."""
    by_clip = Variant("by clip", apart=("clip",))
    monkeypatch.setattr(audit_report, "QUESTIONS", {"splits": Question("Splits", (by_clip,))})
    monkeypatch.setattr(audit_rows, "EPOCHS", 2)
    ended = call("audit", "--clips=5", "--seeds=1", "--rows=splits")
    assert ended.status == 0
    text = (tmp_path / "results/audit.md").read_text()
    assert text.strip() == ended.out.strip() and "clips of a trained row: 5" in text
    ((key, entry),) = json.loads((tmp_path / "results/audit.json").read_text()).items()
    assert key == "published/clip/three_branch/model1/clips5/seed0" and entry["commit"] == commit()
    assert 0 <= entry["top1"] <= entry["top5"] <= 100


def test_wrong_folders_fail_before_any_row(call, tmp_path, monkeypatch):
    monkeypatch.setattr(Audit, "measure_rows", lambda *_: pytest.fail("measured"))
    (tmp_path / "empty").mkdir()
    refused(call("audit", "--weights", "empty"), "empty: holds no *.pth")
    refused(call("audit", "--compare-noise", "empty"), "empty: no sound file in it")
    own = package_data("noise")
    refused(call("audit", "--compare-noise", own), "has no kind of noise 'clock_tick'")


def test_other_numbers_of_clips_lie_side_by_side(tmp_path):
    folders = {audit_of(tmp_path, clips=clips).rows_folder for clips in (50, 100)}
    assert len(folders) == 2 and {folder.parent.name for folder in folders} == {"audit"}


def test_the_page_names_what_was_not_usual(tmp_path):
    folders = SoundFolders(speech=tmp_path / "voices")
    audit = audit_of(tmp_path, folders=folders, seed=3, noise_kinds=("rain", "wind"))
    wanted = "`ssl_jax audit --speech DIR --noise-kinds rain,wind --seed 3 --rows splits`"
    assert audit_report.command(audit, "splits") == wanted


def test_one_row_is_no_comparison(tmp_path):
    audit = audit_of(tmp_path)
    other = replace(PUBLISHED, store="horizontal")
    measured(audit, other, {0: 50.0})
    assert question_section("x", Question("T", (PUBLISHED, other)), audit) == ""

"""Packing: what is noted of a run, its confidences, and the card."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from ssl_jax.config import SoundFolders
from ssl_jax.experiments import experiment
from ssl_jax.metrics import Evaluation
from ssl_jax.networks.packed import available
from ssl_jax.report.style import plt
from ssl_jax.studies import card_page, model_card
from ssl_jax.studies.front_scores import front_rows
from ssl_jax.studies.model_card import PackOptions, corpus_name, fit_temperature, reliability
from support.artists import points_of
from support.runs import refuses


def heard(confidences, errors):
    """Windows from azimuth 0: each stated with a confidence, and some classes off."""
    logits = np.full((len(confidences), 72), -np.inf)
    for row, confidence, error in zip(logits, confidences, errors, strict=True):
        row[error] = np.log(confidence)
        row[(error + 36) % 72] = np.log(1 - confidence)
    return Evaluation(logits, np.zeros(len(logits), int))


def test_reliability_counts_by_tenths():
    """Two windows between 0.6 and 0.7, one of them right; one above 0.9, 10 degrees off."""
    rows = reliability(heard([0.62, 0.66, 0.97], [0, 9, 2]), 1.0)
    assert rows == [[pytest.approx(0.64), 0.5, 2], [pytest.approx(0.97), 1.0, 1]]


def test_too_sure_a_network_is_cooled_down():
    """Stated 0.99, right in two of three: the temperature brings the confidence to two thirds."""
    temperature = fit_temperature(heard([0.99] * 3, [0, 0, 9]))
    assert 1 / (1 + (0.01 / 0.99) ** (1 / temperature)) == pytest.approx(2 / 3, abs=0.01)


def test_the_corpus_is_bundled_or_named():
    assert corpus_name(SoundFolders()) == "bundled"
    assert corpus_name(SoundFolders(noise=Path("/a/cars"))) == "noise cars"


def test_what_is_not_trained_cannot_be_packed(tmp_path):
    options = PackOptions(experiment(), "published", "model2", "new", tmp_path, tmp_path)
    refuses("model2_epoch20.safetensors: not there", model_card.trained_weights, options)
    weights = tmp_path / "published/model2_epoch20.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(b"weights")
    # what is missing is named, not what is there
    refuses("epoch-020.safetensors: not there", model_card.trained_weights, options)
    refuses("--run x: unknown", model_card.trained_weights, replace(options, run="x"))


def test_the_card_is_made_and_made_anew(tmp_path):
    card = tmp_path / "card.md"
    card.write_text("# Card\n\n<!-- scores: begin -->\nold\n<!-- scores: end -->\n")
    card_page.write_card(card)
    text = card.read_text("utf-8")
    assert "old" not in text and "\n# Card\n" in text
    header = yaml.safe_load(text.split("---\n")[1])
    assert [network["name"] for network in header["model-index"]] == available()
    card_page.write_card(card)
    assert card.read_text("utf-8") == text


def test_a_card_that_was_not_there_can_be_made_anew_too(tmp_path):
    card = tmp_path / "card.md"
    card_page.write_card(card)
    text = card.read_text("utf-8")
    card_page.write_card(card)
    assert card.read_text("utf-8") == text


def test_the_card_begins_with_the_front_where_it_is_noted():
    posterior = np.eye(72)[[0, 36, 18]]
    notes = {"front_scores": front_rows("evaluation part", posterior, np.array([0.0, 0.0, 90.0]))}
    section = card_page.front_section({"`new`": notes, "`old`": {}})
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows[0].startswith("| `new` | evaluation part | straight ahead | frontal | 2 | 50.0 % |")
    assert len(rows) == 6 and card_page.front_section({"`old`": {}}) == ""


def test_confidences_are_drawn_as_they_are_noted(monkeypatch):
    figures = []
    monkeypatch.setattr(card_page, "save_figure", lambda figure, _: figures.append(figure))
    notes = {"new": {"reliability": [[0.25, 1.0, 1], [0.35, 0.3, 10], [0.95, 0.9, 40]]}, "old": {}}
    monkeypatch.setattr(card_page, "available", lambda: list(notes))
    monkeypatch.setattr(card_page, "describe", notes.__getitem__)
    card_page.draw_reliability(Path("unused.png"))
    shares, counts = figures[0].axes
    # one window tells no share
    assert points_of(shares, "new") == [(0.35, 0.3), (0.95, 0.9)]
    assert [bar.get_height() for bar in counts.patches] == [1, 10, 40]
    # in the middle of each tenth
    assert [bar.get_x() for bar in counts.patches] == pytest.approx([0.21, 0.31, 0.91])
    plt.close(figures[0])

"""The README: short, its table is the report's, its links lead somewhere, its examples run."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from ssl_jax.networks.packed import available, describe
from ssl_jax.report.readme import cite_section, read_citation, results_section
from ssl_jax.studies import model_card
from support.pages import blocks, commands, named_outputs
from support.runs import ROOT

README = (ROOT / "README.md").read_text("utf-8")
PAGES = ["README.md", *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md")))]
MAX_BYTES = 10_240  # two or three screens


def between_markers(name):
    """What stands between the README's marker lines of a section."""
    return re.findall(f"<!-- {name}: begin -->(.*?)<!-- {name}: end -->", README, re.DOTALL)


def test_it_is_short():
    assert len(README.encode()) <= MAX_BYTES


def test_its_table_and_the_number_to_cite_are_those_of_the_report(monkeypatch):
    monkeypatch.chdir(ROOT)
    results = Path("results")
    assert between_markers("results") == [f"\n{results_section(results)}\n"]
    citation = read_citation(ROOT / "CITATION.cff")
    assert between_markers("cite") == [f"\n{cite_section(results, citation)}\n"]


def test_the_model_card_is_that_of_the_packed_networks(call, tmp_path, monkeypatch):
    """Nothing changes where it is written anew; hubs read its header as YAML."""
    card = (ROOT / "docs/model-card.md").read_text("utf-8")
    (tmp_path / "card.md").write_text(
        card.replace("license: apache-2.0", "license: other"), "utf-8"
    )
    monkeypatch.setattr(model_card, "pack_run", lambda *_: describe("baseline")["metrics"])
    assert call("pack", "--run=model2", "--as=model2", "--card=card.md").status == 0
    assert (tmp_path / "card.md").read_text("utf-8") == card
    models = yaml.safe_load(card.split("---\n")[1])["model-index"]
    assert [model["name"] for model in models] == available()


def local_targets(text):
    """Paths that Markdown and HTML links and images lead to, without #fragments."""
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"\]\(\s*<?([^)\s>]+)", text)
    found += re.findall(r"(?:src|href|srcset)=[\"']([^\"'\s]+)", text)
    found += re.findall(r"^\[[^\]]+\]:\s*(\S+)", text, flags=re.MULTILINE)
    paths = (target.split("#")[0] for target in found if not re.match(r"[a-z]+:|//", target))
    return [path for path in paths if path]


@pytest.mark.parametrize("page", PAGES)
def test_every_local_link_exists_and_the_examples_of_docs_run(page, tmp_path, monkeypatch):
    text = (ROOT / page).read_text("utf-8")
    targets = [((ROOT / page).parent / target).resolve() for target in local_targets(text)]
    assert [t for t in targets if not t.exists() or not t.is_relative_to(ROOT.resolve())] == []
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "docs_example"}
    elsewhere = ("README.md", "docs/pytorch.md")  # below, and in networks/test_onnx_export.py
    for block in blocks("python", text) if page not in elsewhere else ():
        exec(compile(block, page, "exec"), names)


def test_the_example_runs_and_says_where_the_sound_is(tmp_path, monkeypatch):
    """Its ears.wav is a noise that reaches the left ear 22 samples before the right."""
    first, *others = blocks("python", README)
    noise = np.random.default_rng(8).uniform(-0.5, 0.5, 13_252)
    soundfile.write(tmp_path / "ears.wav", np.stack([noise[22:], noise[:-22]], axis=1), 44_100)
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "readme_example"}
    exec(compile(first, "README.md", "exec"), names)
    assert {maps.shape for maps in names["cues"]} == {(32, 30)}
    assert np.median(names["cues"].itd) == pytest.approx(22 / 44.1, abs=1e-3)  # ms
    for block in others:
        exec(compile(block, "README.md", "exec"), names)


def test_the_walkthrough_runs_as_written(call, tmp_path):
    """Every command of `Localise your own recording`: the voice is found, nothing else is left."""
    section = README.split("## Localise your own recording")[1].split("\n## ")[0]
    written, out = set(), ""
    for words in commands(section):
        ended = call(*words)
        assert ended.status == 0, ended
        out += ended.out
        written |= set(named_outputs(words))
    overall = re.findall(r"^overall ([0-9.]+)", out, flags=re.MULTILINE)
    assert len(overall) == 1 and abs(float(overall[0]) - 60) < 10
    assert {
        str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()
    } == written

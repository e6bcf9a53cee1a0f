"""The README: its tables are the report's, its links lead somewhere, its examples run."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ssl_jax import __main__ as cli
from ssl_jax.report.comparison import README_RUNS, readme_section

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


@pytest.fixture
def readme():
    return (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_tables_are_those_of_the_report(readme, monkeypatch):
    monkeypatch.chdir(ROOT)
    names = [name for name in README_RUNS if (ROOT / "results" / name / "settings.json").is_file()]
    assert readme.count(BEGIN) == readme.count(END) <= 1
    assert BEGIN in readme or not names, "results are committed, and the README has no markers for them"
    if BEGIN in readme:
        between = readme.split(BEGIN)[1].split(END)[0]
        assert between == (f"\n{readme_section(Path('results'), names)}\n" if names else "\n")


def local_targets(text):
    """Paths that Markdown and HTML links and images lead to, without #fragments."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"`[^`\n]*`", "", text)
    found = re.findall(r"\]\(\s*<?([^)\s>]+)", text) + re.findall(
        r"(?:src|href|srcset)=[\"']([^\"'\s]+)", text
    )
    found += re.findall(r"^\[[^\]]+\]:\s*(\S+)", text, flags=re.MULTILINE)
    return [
        path for target in found if not re.match(r"[a-z]+:|//", target) and (path := target.split("#")[0])
    ]


def test_local_targets_are_found():
    text = (
        "[a](one.md) [![b](two.png)](three/) <img src='four.png'> [c](https://x.org/no) [d](#no) "
        "[e](five.md#part)\n[f]: six.md\n`[g](no)`\n```\n[h](no)\n```\n[i](seven.md 'title')"
    )
    assert sorted(local_targets(text)) == sorted(
        ["one.md", "two.png", "three/", "four.png", "five.md", "six.md", "seven.md"]
    )


@pytest.mark.parametrize(
    "page", ["README.md", *(f"docs/{p.name}" for p in sorted((ROOT / "docs").glob("*.md")))]
)
def test_every_local_link_and_image_exists(page):
    page = ROOT / page
    targets = [(page.parent / target).resolve() for target in local_targets(page.read_text(encoding="utf-8"))]
    assert [t for t in targets if not t.exists() or not t.is_relative_to(ROOT.resolve())] == []


def test_the_example_runs_and_says_where_the_sound_is(readme, tmp_path, monkeypatch):
    """Its ears.wav is a noise that reaches the left ear 22 samples, half a millisecond, before the right."""
    blocks = re.findall(r"^```python\n(.*?)^```", readme, flags=re.MULTILINE | re.DOTALL)
    assert blocks, "the README has no python example"
    noise = np.random.default_rng(8).uniform(-0.5, 0.5, 13_252)
    soundfile.write(tmp_path / "ears.wav", np.stack([noise[22:], noise[:-22]], axis=1), 44_100)
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "readme_example"}
    exec(compile(blocks[0], "README.md", "exec"), names)
    cues = names["cues"]
    assert cues.itd.shape == cues.ild.shape == cues.ic.shape == cues.power.shape == (32, 30)
    assert np.median(cues.itd) == pytest.approx(22 / 44.1, abs=1e-3)  # ms
    for block in blocks[1:]:
        exec(compile(block, "README.md", "exec"), names)
        if "adam" in block:
            assert np.asarray(names["guess"]) == pytest.approx([0.31, 4.0], abs=0.03)
    assert 0 < names["cues"].itd.shape[-1] < 30  # streaming: those that the first block had not given


def test_the_walkthrough_runs_as_written(readme, tmp_path, monkeypatch, capsys):
    """Every command of `Localise your own recording`: the voice is found, and nothing else is left behind."""
    section = readme.split("## Localise your own recording")[1].split("\n## ")[0]
    commands = [
        line
        for block in re.findall(r"^```sh\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)
        for line in block.splitlines()
    ]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ssl_jax").symlink_to(ROOT / "ssl_jax")
    written = {"ssl_jax"}
    for command in commands:
        words = shlex.split(command)
        assert words[:3] == ["python", "-m", "ssl_jax"] and cli.main(words[3:]) == 0
        written |= {
            words[i + 1] for i, word in enumerate(words) if word in ("-o", "--csv", "--json", "--plot")
        }
    overall = re.findall(r"^overall ([0-9.]+)", capsys.readouterr().out, flags=re.MULTILINE)
    assert len(overall) == 1 and abs(float(overall[0]) - 60) < 10
    assert {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()} | {"ssl_jax"} == written


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_the_examples_of_a_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "docs_example"}
    for block in re.findall(
        r"^```python\n(.*?)^```", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL
    ):
        exec(compile(block, page.name, "exec"), names)

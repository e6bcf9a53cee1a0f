"""One's own sounds: from two heads and two folders to a localiser, as docs/own-sounds.md says."""

import re
import shlex

import numpy as np
import pytest
import soundfile

from ssl_jax import pipeline
from ssl_jax.command_line import options
from ssl_jax.common.files import read_json
from ssl_jax.networks.packed import describe
from ssl_jax.runs import MAIN_RUNS
from support import faulty
from support.made_sofa import head_responses, write_sofa
from support.made_sounds import put_sound, tone
from support.runs import ROOT, refused

FS = 44_100
PAGE = (ROOT / "docs/own-sounds.md").read_text("utf-8")
TINY = "--hop=882"  # fewer frames, beside what `faulty.tiny` makes small
FOLDERS = ("--speech=voices", "--noise=noises", "--heads=heads", "--name=mine", TINY)


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Two speakers, two kinds of noise, two heads and a recording of two seconds."""
    monkeypatch.setattr(options, "experiment", faulty.tiny)
    for name in ("anna", "ben"):
        put_sound(tmp_path / f"voices/{name}/1.wav", tone(1, 300))
    rng = np.random.default_rng(0)
    for kind in ("hiss", "hum"):
        put_sound(tmp_path / f"noises/{kind}.wav", rng.uniform(-0.5, 0.5, 24_000))
    (tmp_path / "heads").mkdir()
    for seed, name in enumerate(("first", "second")):
        write_sofa(tmp_path / f"heads/{name}.sofa", Data__IR=head_responses(seed=seed))
    soundfile.write(tmp_path / "recording.wav", rng.uniform(-0.3, 0.3, (2 * FS, 2)), FS)
    return tmp_path


@pytest.fixture
def no_figures(monkeypatch):
    """Leave the stage `figures` out: tests/test_pipeline.py draws the same ones."""
    monkeypatch.setattr(pipeline, "draw_figures", lambda ex, folders, formats: None)


def test_the_commands_of_the_page_lead_to_a_localiser(folders, no_figures, call):
    section = PAGE.partition("## From two heads")[2].partition("\n## ")[0]
    lines = re.findall("^    ssl_jax (.*)$", section, re.MULTILINE)
    everything, pack, localise = [shlex.split(line) for line in lines]

    ended = call(*everything, TINY)
    assert ended.status == 0 and "# Ours beside the reported tables" in ended.out
    database = read_json(folders / "results/mine/settings.json")["database"]
    names = (database["speech"], database["noise"], database["heads"])
    assert names == ("voices", "noises", "heads")
    assert set(read_json(folders / "results/mine/metrics.json")) == set(MAIN_RUNS)

    ended = call(*pack, TINY)
    assert ended.status == 0 and "mine.safetensors: Top-1" in ended.out
    notes = describe(str(folders / "mine.safetensors"))
    assert notes["corpus"] == "speech voices, noise noises, heads heads"
    assert not (folders / "docs").exists()  # no card: it is no network of the package

    ended = call(*localise)
    assert ended.status == 0 and "network mine" in ended.out
    azimuths = re.findall(r"^ +\d\.\d\d +(\d+\.\d)°", ended.out, re.MULTILINE)
    # windows of 1 s in 2 s, every 0.1 s
    assert len(azimuths) == 11 and max(map(float, azimuths)) < 360


@pytest.mark.parametrize(
    "folder, says",
    [
        ("heads", "has 1 SOFA files: name a folder with at least 2"),
        ("noises", "has 1 kind of noise: name a folder with at least 2"),
    ],
)
def test_one_head_or_one_kind_is_refused(folders, call, folder, says):
    next((folders / folder).iterdir()).unlink()
    refused(call("database", *FOLDERS), folder, says)

"""One's own sounds: from two heads and two folders to a localiser, as docs/own-sounds.md says."""

import numpy as np
import pytest
import soundfile

from ssl_jax.command_line import options
from ssl_jax.networks.packed import describe
from support import faulty
from support.made_sofa import write_sofa
from support.made_sounds import put_sound, tone
from support.runs import refused

FS = 44_100
FOLDERS = ("--speech=voices", "--noise=noises", "--heads=heads", "--name=mine", "--hop=882")


@pytest.fixture
def folders(tmp_path):
    """Two speakers, two kinds of noise and two heads."""
    for name in ("anna", "ben"):
        put_sound(tmp_path / f"voices/{name}/1.wav", tone(1, 300))
    rng = np.random.default_rng(0)
    for kind in ("hiss", "hum"):
        put_sound(tmp_path / f"noises/{kind}.wav", rng.uniform(-0.5, 0.5, 24_000))
    (tmp_path / "heads").mkdir()
    for name in ("first", "second"):
        write_sofa(tmp_path / f"heads/{name}.sofa")
    return tmp_path


def test_from_folders_to_a_localiser(folders, call, monkeypatch):
    monkeypatch.setattr(options, "experiment", faulty.tiny)
    assert call("all", *FOLDERS).status == 0
    settings = (folders / "results/mine/settings.json").read_text()
    assert '"speech": "voices"' in settings and '"heads": "heads"' in settings

    packed = call("pack", *FOLDERS, "--run", "model2_continued", "--as", "mine.safetensors")
    assert packed.status == 0 and "mine.safetensors: Top-1" in packed.out
    assert not (folders / "docs").exists()  # no card: it is no network of the package
    notes = describe(str(folders / "mine.safetensors"))
    assert notes["corpus"] == "speech voices, noise noises, heads heads"

    sound = np.random.default_rng(1).uniform(-0.3, 0.3, (2 * FS, 2))
    soundfile.write(folders / "recording.wav", sound, FS)
    localised = call("localise", "recording.wav", "--model", "mine.safetensors")
    assert localised.status == 0 and "network mine" in localised.out


@pytest.mark.parametrize(
    "folder, says",
    [
        ("heads", "has 1 SOFA files: name a folder with at least 2"),
        ("noises", "has 1 kind of noise: name a folder with at least 2"),
    ],
)
def test_one_head_or_one_kind_is_refused(folders, call, monkeypatch, folder, says):
    monkeypatch.setattr(options, "experiment", faulty.tiny)
    next(iter(sorted((folders / folder).iterdir()))).unlink()
    refused(call("database", *FOLDERS), folder, says)

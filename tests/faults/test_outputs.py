"""Full disks behind whatever a stage writes or prints, and corpora that vanish while they are read."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from ssl_jax import pipeline
from ssl_jax.common.files import atomic_write, package_data
from ssl_jax.frontend.binaural_feature import Cues
from ssl_jax.networks import packed
from ssl_jax.recordings import azimuths, localisation
from ssl_jax.report import figures
from ssl_jax.sounds import hrtf, reading
from ssl_jax.studies import model_card
from support import faulty
from support.runs import FULL, ROOT, Ended, refused

NOISE = np.random.default_rng(7).uniform(-0.5, 0.5, (8_000, 2))


@pytest.fixture
def full(small_disk):
    """A folder on a disk that takes nothing more; its results were put there before."""
    folder, ignore = small_disk(8).outside, shutil.ignore_patterns("*.safetensors")
    shutil.copytree(ROOT / "results/embedded", folder / "results/embedded", ignore=ignore)
    before = set(folder.rglob("*"))
    undo = faulty.fill(str(folder))
    yield folder
    undo()
    assert set(folder.rglob("*")) - before <= {folder / "figures", folder / "figures/embedded"}


@pytest.fixture
def render(tmp_path):
    """Words that render a short scene into the file named after them."""
    soundfile.write(tmp_path / "a.wav", NOISE, 16_000)
    return ("render", tmp_path / "a.wav", "--azimuth=90", "--seconds=0.1", "-o")


def test_a_full_disk_under_every_output(call, full, render, monkeypatch):
    def refuse(named, *words):
        refused(call(*words), f"ssl_jax: {full / named}{FULL}")

    about = {
        "flags": ((),),
        "notes": (),
        "model": "any",
        "fs": 16_000,
        "cfs": np.geomspace(16_000, 80, 32),
    }
    one = {"times": np.array([0.25]), "azimuth": np.array([90.0]), "confidence": np.ones(1)}
    one |= {"posterior": np.eye(72)[18:19], "window": 0.5, "step": 0.5}
    one |= {"seconds": 0.5, "mirrored": np.ones(1)}
    found = azimuths.Azimuths(**about, **one, cues=Cues(*np.ones((4, 32, 40))))  # whatever is found
    monkeypatch.setattr(localisation, "localise_file", lambda *_, **__: found)
    for option, name in (
        ("--json", "a.json"),
        ("--csv", "a.csv"),
        ("--plot", "a.png"),
        ("--plot", "a.pdf"),
    ):
        refuse(name, "localise", render[1], option, full / name)
    refuse("b.wav", *render, full / "b.wav")
    refuse("b.svg", *render, "b.wav", "--plot", full / "b.svg")
    refuse("results/embedded/comparison.csv", "report", "--results", full / "results")
    for drawing in ("surround", "scene"):  # they take seconds, and are saved as the others are
        monkeypatch.setattr(figures, drawing, lambda *_: None)
    folders = ("--results", full / "results", "--figures", full / "figures")
    refuse("figures/embedded/training_model1.png", "figures", *folders)
    source = package_data("weights/baseline.safetensors")
    notes = packed.describe("baseline")
    monkeypatch.setattr(model_card, "run_pack", lambda _: packed.pack(source, "new", notes, full))
    refuse("new.safetensors", "pack", "--run=model2", "--as=new")


def test_a_device_or_a_pipe_is_written_to_and_stays(call, tmp_path, render):
    (tmp_path / "full.wav").symlink_to("/dev/full")
    refused(call(*render, "full.wav"), f"ssl_jax: full.wav{FULL}")
    assert os.readlink(tmp_path / "full.wav") == "/dev/full"
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with atomic_write(tmp_path / "pipe", "w") as stream:
        stream.write("through it")
    assert os.read(reader, 100) == b"through it" and (tmp_path / "pipe").is_fifo()
    os.close(reader)


def test_printing_to_a_full_disk(tmp_path):
    """In a process of its own: Python itself writes what is left on its way out."""
    shutil.copytree(ROOT / "results", tmp_path / "results")
    words = [sys.executable, "-m", "ssl_jax", "report", f"--results={tmp_path / 'results'}"]
    with open("/dev/full", "w") as nowhere:
        done = subprocess.run(words, cwd=ROOT, stdout=nowhere, stderr=subprocess.PIPE, text=True)
    refused(Ended(done.returncode, "", done.stderr.splitlines()), FULL)


@pytest.fixture
def data(tmp_path):
    """Ten classes of 20 noises, a voice of two seconds, and heads of which only the names are right."""
    names = [(f"{k}-{c}.wav", str(c), "True") for c in range(10) for k in range(20)]
    utterance = tmp_path / "LibriSpeech/train-clean-100/9/77/9-77-0000.flac"
    for folder in (
        tmp_path / "ESC-50/meta",
        tmp_path / "ESC-50/audio",
        tmp_path / "cipic",
        utterance.parent,
    ):
        folder.mkdir(parents=True)
    rows = map(",".join, [("filename", "category", "esc10"), *names])
    (tmp_path / "ESC-50/meta/esc50.csv").write_text("\n".join(rows))
    for path in (utterance, *(tmp_path / "ESC-50/audio" / name for name, *_ in names)):
        soundfile.write(path, NOISE[:, 0], 4_000)
    for subject in hrtf.CIPIC_SUBJECTS:
        (tmp_path / f"cipic/subject_{subject}.sofa").touch()
    return tmp_path


# what vanishes, at which file, and whether after it was found to be there
CASES = [("LibriSpeech", 1, False), ("LibriSpeech", 201, True), ("ESC-50/audio", 113, True)]
CASES += [("cipic", 201, False), ("", 42, False)]


@pytest.mark.parametrize("what, nth, checked", CASES)
def test_corpora_that_vanish_while_they_are_read(call, data, monkeypatch, what, nth, checked):
    """200 noises are read, then the speech, then heads."""
    before, paths = reading.require_file, []

    def vanishing(path):
        paths.append(path)
        if checked:
            before(path)
        if len(paths) == nth:
            shutil.rmtree(data / what)
        if not checked:
            before(path)

    monkeypatch.setattr(reading, "require_file", vanishing)
    monkeypatch.setattr(pipeline, "experiment", faulty.tiny)
    refused(call("database", "--data", data), f"ssl_jax: {data / what}/", ": no such file")
    assert len(paths) >= nth

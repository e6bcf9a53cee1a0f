"""Full disks behind whatever a stage writes or prints, and corpora that vanish while they are read."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from test_corpora import data  # noqa: F401  (a fixture)

from ssl_jax import __main__ as cli
from ssl_jax import figures, files, localisation, weights
from ssl_jax.common.files import atomic_write
from ssl_jax.config import experiment
from ssl_jax.frontend.binaural_feature import Cues
from ssl_jax.recordings.azimuths import Azimuths
from support import faulty
from support.runs import ROOT, Ended, refused

FULL = ": the disk is full: free some space and run the same command again"


@pytest.fixture
def full(small_disk):
    """A folder on a disk that takes nothing more; its results were put there before."""
    folder = small_disk(8).outside
    for name in ("reported", "embedded"):
        shutil.copytree(
            ROOT / "results" / name, folder / "results" / name, ignore=shutil.ignore_patterns("*.msgpack")
        )
    before = {path for path in folder.rglob("*")}
    undo = faulty.fill(str(folder))
    yield folder
    undo()
    assert {path for path in folder.rglob("*")} - before <= {folder / "figures", folder / "figures/embedded"}


@pytest.fixture
def recording(tmp_path):
    sound = np.random.default_rng(7).uniform(-0.5, 0.5, (8_000, 2))
    soundfile.write(tmp_path / "a.wav", sound, 16_000)
    return tmp_path / "a.wav"


def test_a_full_disk_under_every_output(call, full, recording, monkeypatch):
    maps = Cues(*(np.ones((32, 40)) for _ in Cues._fields))
    found = Azimuths(
        np.array([0.25]),
        np.array([90.0]),
        np.ones(1),
        np.eye(72)[18:19],
        ((),),
        (),
        "any",
        0.5,
        0.5,
        0.5,
        16_000,
        maps,
        np.geomspace(16_000, 80, 32),
    )  # what is found does not matter here
    monkeypatch.setattr(localisation, "localise_file", lambda *_, **__: found)
    for option, name in (("--json", "a.json"), ("--csv", "a.csv"), ("--plot", "a.png"), ("--plot", "a.pdf")):
        refused(call("localise", recording, option, full / name), f"ssl_jax: {full / name}{FULL}")
    render = ("render", recording, "--azimuth=90", "--seconds=0.1", "-o")
    refused(call(*render, full / "b.wav"), f"ssl_jax: {full / 'b.wav'}{FULL}")
    refused(call(*render, "b.wav", "--plot", full / "b.svg"), f"ssl_jax: {full / 'b.svg'}{FULL}")
    refused(
        call("report", "--results", full / "results"),
        f"ssl_jax: {full / 'results/embedded/comparison.csv'}{FULL}",
    )
    for drawing in ("surround", "scene"):  # they take seconds, and are saved as the others are
        monkeypatch.setattr(figures, drawing, lambda *_: None)
    refused(
        call("figures", "--results", full / "results", "--figures", full / "figures"),
        f"ssl_jax: {full / 'figures/embedded/training_model1.png'}{FULL}",
    )


def test_packing_onto_a_full_disk(call, full, monkeypatch):
    source = ROOT / "results/embedded/model1_epoch12.msgpack"
    info = weights.describe(weights.available()[0]) | {"model": experiment(False).runs["model1"].model}
    monkeypatch.setattr(cli, "run_pack", lambda *_: weights.pack(source, "new", info, full))
    refused(call("pack", "--run=model2", "--as=new"), f"ssl_jax: {full / 'new.msgpack'}{FULL}")


def test_a_device_or_a_pipe_is_written_to_and_stays(call, tmp_path, recording):
    (tmp_path / "full.wav").symlink_to("/dev/full")
    refused(
        call("render", recording, "--azimuth=90", "--seconds=0.1", "-o", "full.wav"),
        f"ssl_jax: full.wav{FULL}",
    )
    assert os.readlink(tmp_path / "full.wav") == "/dev/full"
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with atomic_write(tmp_path / "pipe", "w") as stream:
        stream.write("through it")
    assert os.read(reader, 100) == b"through it" and (tmp_path / "pipe").is_fifo()
    os.close(reader)


def test_printing_to_a_full_disk(full, tmp_path):
    """In a process of its own: Python itself writes what is left on its way out."""
    shutil.copytree(full / "results", tmp_path / "results")
    with open("/dev/full", "w") as nowhere:
        done = subprocess.run(
            [sys.executable, "-m", "ssl_jax", "report"],
            cwd=tmp_path,
            stdout=nowhere,
            text=True,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
    refused(Ended(done.returncode, "", done.stderr.splitlines()), FULL)


@pytest.mark.parametrize(
    "what, nth, checked",
    [
        ("LibriSpeech", 1, False),
        ("LibriSpeech", 201, True),
        ("ESC-50/audio", 113, True),
        ("cipic", 201, False),
        ("", 42, False),
    ],
)
def test_corpora_that_vanish_while_they_are_read(call, data, monkeypatch, what, nth, checked):  # noqa: F811
    """200 noises are read, then the speech, then heads; a file may go after it was found to be there."""
    before, count = files.require_file, 0

    def vanishing(path):
        nonlocal count
        count += 1
        if checked:
            before(path)
        if count == nth:
            shutil.rmtree(data / what)
        if not checked:
            before(path)

    monkeypatch.setattr(files, "require_file", vanishing)
    monkeypatch.setattr(cli, "experiment", faulty.tiny)
    ended = call("database", "--data", data)
    refused(ended, f"ssl_jax: {data / what}/", ": no such file")
    assert count >= nth

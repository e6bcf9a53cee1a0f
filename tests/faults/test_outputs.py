"""Full disks behind whatever a stage writes or prints, and sounds that vanish while read."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from ssl_jax.command_line import options
from ssl_jax.common.files import atomic_write, package_data, write_json
from ssl_jax.frontend.binaural_feature import Cues
from ssl_jax.networks import packed
from ssl_jax.recordings import azimuths, commands
from ssl_jax.sounds import reading, sofa
from ssl_jax.studies import model_card
from support import faulty
from support.made_logs import TIMING
from support.made_sofa import write_sofa
from support.runs import FULL, NAME, ROOT, Ended, refused, restore

NOISE = np.random.default_rng(7).uniform(-0.5, 0.5, (8_000, 2))
EXPERIMENT = "--hop=882"  # the tiny one, whose folders are called NAME


def put_results(unbroken, folder):
    """Logs of the tiny experiment, as training leaves them."""
    restore(folder, unbroken, "work/", ".safetensors")
    # wall times are no part of `unbroken`: they differ from run to run
    write_json(folder / "results" / NAME / "timing.json", TIMING)


@pytest.fixture
def full(small_disk, unbroken):
    """A folder on a disk that takes nothing more; its results were put there before."""
    folder = small_disk(8).outside
    put_results(unbroken, folder)
    before = set(folder.rglob("*"))
    undo = faulty.fill(str(folder))
    yield folder
    undo()
    new = set(folder.rglob("*")) - before
    assert new <= {folder / "figures", folder / "figures" / NAME}


@pytest.fixture
def render(tmp_path):
    """Words that render a short scene into the file named after them."""
    soundfile.write(tmp_path / "a.wav", NOISE, 16_000)
    return ("render", tmp_path / "a.wav", "--azimuth=90", "--seconds=0.1", "-o")


@pytest.fixture
def refuse(call, full):
    """A stage ends with one line that names the file on the full disk."""

    def refuse(named, *words):
        refused(call(*words), f"ssl_jax: {full / named}{FULL}")

    return refuse


@pytest.fixture
def localised(monkeypatch):
    """Whatever `localise` is called with, it answers this at once."""
    answer = azimuths.Azimuths(
        times=np.array([0.25]),
        azimuth=np.array([90.0]),
        confidence=np.ones(1),
        mirrored=np.ones(1),
        posterior=np.eye(72)[18:19],
        flags=((),),
        notes=(),
        model="any",
        prior="frontal",
        window=0.5,
        step=0.5,
        seconds=0.5,
        fs=16_000,
        cues=Cues(*np.ones((4, 32, 40))),
        cfs=np.geomspace(16_000, 80, 32),
    )
    monkeypatch.setattr(commands, "localise_recording", lambda *_, cues: answer)
    monkeypatch.setattr(commands, "load_listener", lambda _: None)


@pytest.mark.parametrize(
    "option, name",
    [("--json", "a.json"), ("--csv", "a.csv"), ("--plot", "a.png"), ("--plot", "a.pdf")],
)
def test_a_full_disk_under_what_localise_writes(refuse, full, render, localised, option, name):
    refuse(name, "localise", render[1], option, full / name)


def test_a_full_disk_under_a_rendered_scene(refuse, full, render):
    refuse("b.wav", *render, full / "b.wav")


def test_a_full_disk_under_the_picture_of_a_scene(refuse, full, render):
    refuse("b.svg", *render, "b.wav", "--plot", full / "b.svg")


def test_a_full_disk_under_the_report(refuse, full):
    first = f"results/{NAME}/comparison.csv"
    refuse(first, "report", EXPERIMENT, "--results", full / "results")


def test_a_full_disk_under_the_figures(refuse, full):
    folders = ("--results", full / "results", "--figures", full / "figures")
    refuse(f"figures/{NAME}/training_model1.png", "figures", EXPERIMENT, *folders)


def test_a_full_disk_under_a_packed_network(refuse, full, monkeypatch):
    source = package_data("weights/baseline.safetensors")
    notes = packed.describe("baseline")
    monkeypatch.setattr(model_card, "run_pack", lambda _: packed.pack(source, "new", notes, full))
    refuse("new.safetensors", "pack", "--run=model2", "--as=new")


def test_a_device_is_written_to_and_stays(call, tmp_path, render):
    (tmp_path / "full.wav").symlink_to("/dev/full")
    refused(call(*render, "full.wav"), f"ssl_jax: full.wav{FULL}")
    assert os.readlink(tmp_path / "full.wav") == "/dev/full"


def test_a_pipe_is_written_to_and_stays(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with atomic_write(tmp_path / "pipe", "w") as stream:
        stream.write("through it")
    assert os.read(reader, 100) == b"through it" and (tmp_path / "pipe").is_fifo()
    os.close(reader)


def test_printing_to_a_full_disk(tmp_path, unbroken):
    """In a process of its own: Python itself writes what is left on its way out."""
    put_results(unbroken, tmp_path)
    words = [sys.executable, "-m", "ssl_jax", "report", EXPERIMENT]
    words.append(f"--results={tmp_path / 'results'}")
    with open("/dev/full", "w") as nowhere:
        done = subprocess.run(words, cwd=ROOT, stdout=nowhere, stderr=subprocess.PIPE, text=True)
    refused(Ended(done.returncode, "", done.stderr.splitlines()), FULL)


KINDS = 2
CLIPS_OF_KIND = 5


@pytest.fixture
def folders(tmp_path):
    """Two kinds of five noises, a voice of two seconds, and two heads."""
    sounds = [tmp_path / "speech/anna/1.wav"]
    for kind in range(KINDS):
        sounds += [tmp_path / f"noise/kind{kind}/{k}.wav" for k in range(CLIPS_OF_KIND)]
    for path in sounds:
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, NOISE[:, 0], 4_000)
    (tmp_path / "heads").mkdir()
    for name in ("a", "b"):
        write_sofa(tmp_path / f"heads/{name}.sofa")
    return tmp_path


@pytest.mark.parametrize("checked", [False, True])
@pytest.mark.parametrize("what, nth", [("noise", 4), ("speech", 11), ("heads", 13)])
def test_sounds_that_vanish_while_they_are_read(call, folders, monkeypatch, what, nth, checked):
    """Ten noises are read, the speech, then two heads.

    A folder goes before a file of it is looked for, or when it is `checked` and not yet opened.
    """
    require_file = reading.require_file
    paths = []

    def vanishing(path):
        paths.append(path)
        if checked:
            require_file(path)
        if len(paths) == nth:
            shutil.rmtree(folders / what)
        if not checked:
            require_file(path)

    for reader in (reading, sofa):
        monkeypatch.setattr(reader, "require_file", vanishing)
    monkeypatch.setattr(options, "experiment", faulty.tiny)
    words = [f"--{kind}={folders / kind}" for kind in ("speech", "noise", "heads")]
    ended = call("database", "--directions=nearest_azimuth", *words)
    # HDF5 has its own words for it
    says = "No such file" if what == "heads" and checked else ": no such file"
    refused(ended, f"ssl_jax: {folders / what}/", says)
    assert len(paths) == nth

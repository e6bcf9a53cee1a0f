"""What several tests use: real speech through measured ears, and ways to call the program."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import partial
from pathlib import Path

import filelock
import jax
import numpy as np
import pytest

from ssl_jax import __main__ as cli
from ssl_jax.common import devices
from ssl_jax.recordings.scene import render_scene
from ssl_jax.sounds.hrtf import load_heads
from ssl_jax.sounds.mixing import mix, spatialise
from ssl_jax.sounds.noises import load_noises
from ssl_jax.sounds.sources import Sounds
from ssl_jax.sounds.speech import load_speech
from support import runs
from support.guarded import Guarded

FS = 44_100


def pytest_addoption(parser):
    parser.addoption(
        "--slow", action="store_true", help="also run the tests that take many minutes"
    )


def pytest_runtest_setup(item):
    if item.get_closest_marker("slow") and not item.config.getoption("--slow"):
        pytest.skip("slow: asked for with --slow")


@pytest.fixture(scope="session", autouse=True)
def compile_once():
    """Keep compiled programs where the command line keeps them: the user's cache folder.

    Small ones too: a new network takes twenty, and many processes of the tests make one.
    """
    devices.keep_compiled()
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    folder = jax.config.jax_compilation_cache_dir
    # for processes of their own
    os.environ["JAX_COMPILATION_CACHE_DIR"] = folder or ""
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    return Path(folder) if folder else None


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """A folder of this session, one for all workers."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def unbroken(compile_once, shared):
    """All files of the tiny experiment when nothing happens to it: made once for all workers."""
    folder = shared / "unbroken"
    with filelock.FileLock(shared / "unbroken.lock"):
        if not folder.exists():
            runs.start(compile_once, folder, [(None, ("database", "train"))], "--hop=882")
            if compile_once:
                shutil.copytree(compile_once, shared / "compiled", dirs_exist_ok=True)
    return runs.outputs(folder)


@pytest.fixture(scope="session")
def start(unbroken, shared):
    """Call the command line in a process of its own, under faults (see runs.py).

    What is killed while it writes has a copy of the compiled programs: the user's stay whole.
    """
    return partial(runs.start, shared / "compiled")


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Run a stage in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        status = cli.main([str(word) for word in words])
        out, err = capsys.readouterr()
        return runs.Ended(status, out, err.splitlines())

    return run


@pytest.fixture
def small_disk(tmp_path):
    """Mount a file system of so many MB in a namespace; skip where the system permits none."""
    mounting = []  # the process whose namespace has the disk

    def mount(megabytes):
        folder = tmp_path / "disk"
        folder.mkdir()
        script = f'mount -t tmpfs -o size={megabytes}m none "$0" && echo mounted && exec cat'
        words = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, folder]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        try:
            process = subprocess.Popen(words, text=True, **pipes)
        except FileNotFoundError:
            pytest.skip("no unshare(1): a small disk cannot be mounted")
        mounting.append(process)
        if process.stdout.readline() != "mounted\n":
            reason = process.stderr.read().strip()
            pytest.skip(f"this system lets nobody mount a small disk: {reason}")
        enter = (
            "nsenter",
            f"--target={process.pid}",
            "--user",
            "--mount",
            "--preserve-credentials",
        )
        if subprocess.run([*enter, "true"], capture_output=True).returncode:
            pytest.skip("this system lets nobody into another process's namespace")
        return runs.Disk(folder, Path(f"/proc/{process.pid}/root{folder}"), enter)

    yield mount
    for process in mounting:
        process.communicate()  # closes its input: it ends, and what it mounted with it


@pytest.fixture(scope="session")
def speech():
    """Ten seconds of speech of the package, each a clip of one second."""
    return load_speech(None, 10, FS)


@pytest.fixture(scope="session")
def noises():
    """All kinds of noise of the package."""
    return load_noises(None, (), FS)


@pytest.fixture(scope="session")
def heads():
    """The package's people of CIPIC on the horizontal plane."""
    return load_heads(None, "horizontal", FS)


@pytest.fixture(scope="session")
def sounds(speech, noises, heads):
    return Sounds(speech, noises, heads)


@pytest.fixture(scope="session")
def at_60(speech, noises):
    """Two seconds of one voice at 60 degrees with a noise at 20 dB: (samples, 2)."""
    voice = speech[[0, 1]].reshape(-1)
    noise = noises.waveforms[noises.kinds.index("rain"), 0]
    return render_scene(voice, FS, [60], [noise], [200], 20).ears


@pytest.fixture(scope="session")
def mixture(speech, noises, heads):
    """One second of speech at 60 degrees with two noises at 20 dB: (samples, 2) float32."""
    voice = speech[0]
    first_noise, second_noise = noises.waveforms[noises.kinds.index("rain"), :2]
    head = heads.hrirs[heads.names.index("cipic_010")]
    # 60, 200 and 310 degrees
    responses = head[[12, 40, 62]]
    ears = spatialise(np.stack([voice, first_noise, second_noise]), responses)
    return np.asarray(mix(ears[0], ears[1:], np.full(2, 20.0))).T


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    """Writes a file, with others beside it, into a new folder some levels down and has it read."""
    root = tmp_path_factory.mktemp("hostile")
    guarded = Guarded()

    def one(reader, content, name, **beside):
        with tempfile.TemporaryDirectory(dir=root) as folder:
            path = Path(folder) / "some/levels/down" / name
            path.parent.mkdir(parents=True)
            path.write_bytes(content)
            path.with_suffix(".sha256").write_text(hashlib.sha256(content).hexdigest())
            for other, text in beside.items():
                path.with_name(other.replace("__", ".")).write_bytes(text)
            return guarded.read(reader, path)

    yield one
    guarded.stop()

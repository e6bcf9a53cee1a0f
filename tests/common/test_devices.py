"""The same manifest, cue store and, within rounding, training log on one device, on several and in two processes."""

import csv
import io
import os
import signal
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest

from ssl_jax.common.devices import data_mesh, on_all, our_rows, place, rows_here, shared_out, start, together
from ssl_jax.common.errors import InputError
from ssl_jax.config import RUNS
from ssl_jax.database.cue_store import Shard
from ssl_jax.metrics import cross_entropy
from ssl_jax.training.trainer import Mixtures, Trainer, batches_of, predict_all
from support.runs import NAME, ROOT, command, outputs

STAGES = ("database", "train --runs model2")
LIMIT = 200  # s, after which a process counts as hung

# Devices add up gradients in another order, which changes their last digits, some 1e-7 of them; Adam's first steps
# divide each gradient by its own size, so that those near 0 may take a step of another sign. After the 8 steps here
# losses differ by up to 1.2e-3; with an eighth of every batch on each of 8 devices they would differ by 0.1.
LOSS_TOLERANCE = 5e-3


@pytest.fixture(scope="module")
def run(compile_once):
    """Run stages of the tiny experiment (see faulty.py) as so many processes: their exit statuses, what they say.

    `fault` is the last one's.
    """

    def run(folder, stages, *options, processes=1, fault=None):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        started = []
        for k in range(processes):
            several = ("--coordinator", address, "--processes", str(processes), "--process", str(k)) * (
                processes > 1
            )
            words, env = command(
                compile_once,
                folder,
                [(fault if k == processes - 1 else None, stages)],
                "--hop=882",
                *options,
                *several,
            )
            started.append(subprocess.Popen(words, env=env, stderr=subprocess.PIPE, text=True))
        try:
            errors = [process.communicate(timeout=LIMIT)[1] for process in started]
        finally:
            for process in started:
                process.kill()
        return [process.returncode for process in started], errors

    return run


@pytest.mark.parametrize("devices, processes", [(8, 1), (1, 2)])
def test_as_many_devices_as_there_are_make_what_one_makes(run, unbroken, tmp_path, devices, processes):
    statuses, errors = run(tmp_path, STAGES, f"--devices={devices}", processes=processes)
    assert statuses == [0] * processes, errors
    there = outputs(tmp_path)
    assert set(there) == {
        name for name in unbroken if "model1" not in name and "model2_continued" not in name
    }
    stored = [name for name in there if name.startswith((f"work/{NAME}/cues", f"work/{NAME}/manifest"))]
    assert len(stored) == 2 * 6 + 2 and [name for name in stored if there[name] != unbroken[name]] == []
    logs = [
        list(csv.DictReader(io.StringIO(files[f"results/{NAME}/model2.csv"].decode())))
        for files in (there, unbroken)
    ]
    for ours, one in zip(*logs, strict=True):
        for loss in ("train_loss", "eval_loss"):
            assert float(ours[loss]) == pytest.approx(float(one[loss]), abs=LOSS_TOLERANCE)
        for kept in ("epoch", "epochs", "learning_rate"):
            assert ours[kept] == one[kept]


def test_a_rounding_of_the_weights_moves_the_losses_alike(unbroken, compile_once):
    """What the tolerance is for: on one device, 8 steps from weights that differ in their last bit."""
    shards = sorted(compile_once.with_name("unbroken").rglob("cues-*.npy"))
    mixtures = Mixtures([Shard(path, (24, 3, 32, 50)) for path in shards])
    losses = []
    for nudge in (0, 2**-23):
        trainer = Trainer(RUNS["model2"], 4)
        trainer.weights = jax.tree.map(lambda w, nudge=nudge: w * (1 + nudge), trainer.weights)
        for _ in range(2):
            trainer.train_epoch(batches_of(mixtures, np.arange(128), 32, trainer.mesh))
        losses.append(cross_entropy(*predict_all(trainer, mixtures, np.arange(128, 144))))
    assert 1e-6 < abs(losses[1] - losses[0]) < LOSS_TOLERANCE


@pytest.mark.slow
def test_one_process_killed_stops_the_other_and_run_again_they_make_the_same_bytes(run, unbroken, tmp_path):
    """While a database is made processes do not wait for one another: JAX notices a death after 100 seconds."""
    fault = {"do": "kill", "at": ["cues", 4], "when": "before"}
    statuses, _ = run(tmp_path, ("database",), "--devices=1", processes=2, fault=fault)
    assert statuses[0] in (2, -signal.SIGABRT) and statuses[1] == -signal.SIGKILL
    assert run(tmp_path, ("database",), "--devices=1", processes=2)[0] == [0, 0]
    stored = {name: content for name, content in outputs(tmp_path).items() if name.startswith("work/")}
    assert len(stored) == 2 * 6 + 2 and [name for name in stored if stored[name] != unbroken[name]] == []
    # less to do than there are processes
    (tmp_path / f"work/{NAME}/cues/cues-00003.npy").unlink()
    assert run(tmp_path, ("database",), "--devices=1", processes=2)[0] == [0, 0]
    assert [name for name in stored if (tmp_path / name).read_bytes() != unbroken[name]] == []
    # runs that start from another one, and a network with dropout, whose random numbers have keys
    statuses, errors = run(
        tmp_path, ("train --runs model2 model2_continued ours",), "--devices=1", processes=2
    )
    assert statuses == [0, 0], errors


def test_what_stops_one_process_stops_all_with_a_line_each(run, tmp_path):
    """Both miss the store; the first alone finds the results of other settings."""
    statuses, errors = run(tmp_path, ("train",), processes=2)
    assert statuses == [2, 2]
    for error in errors:
        assert "cues-00000.npy: missing or damaged: run the database stage again" in error
    taken = tmp_path / f"results/{NAME}/settings.json"
    taken.parent.mkdir(parents=True)
    taken.write_text('{"database": {"seed": 7}}')
    statuses, errors = run(tmp_path, ("database",), processes=2)
    assert statuses == [2, 2]
    assert "settings.json: was made with database.seed = 7, now 0" in errors[0]
    assert "process 0 stopped: see what it says" in errors[1]
    assert "Traceback" not in "".join(errors)


@pytest.mark.parametrize(
    "words, says",
    [
        ({"devices": 0}, "--devices 0: out of range"),
        ({"devices": 5000}, "--devices 5000: out of range"),
        ({"processes": 2}, "need --coordinator"),
        ({"process": 0}, "need --coordinator"),
        ({"coordinator": "a", "processes": 2, "process": 0}, "not HOST:PORT"),
        ({"coordinator": "a:1"}, "needs --processes N"),
        ({"coordinator": "a:1", "processes": 2}, "needs --processes N"),
        ({"coordinator": "a:1", "processes": 2, "process": 2}, "--process 0 to N - 1"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(words, says):
    with pytest.raises(InputError, match=says):
        start(**words)


def test_processes_that_do_not_find_one_another_say_so():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    code = f"from ssl_jax import devices; devices.JOIN_SECONDS = 1; devices.start(1, {address!r}, 2, 1)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        text=True,
        stderr=subprocess.PIPE,
        timeout=LIMIT,
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"ssl_jax: --coordinator {address}: the processes did not find one another in 1 s: "
        "start all of them, with the address of process 0\n"
    )


def test_rows_are_shared_out_and_come_back(tmp_path):
    mesh = data_mesh()
    rows = np.arange(4 * mesh.size * 3.0).reshape(-1, 3)
    assert rows_here(mesh, len(rows)) == slice(0, len(rows))
    np.testing.assert_array_equal(our_rows(place(rows, shared_out(mesh))), rows)
    whole = place({"a": rows}, on_all(mesh))["a"]
    assert whole.is_fully_replicated and whole.shape == rows.shape


def test_the_first_devices_of_every_process_make_a_mesh():
    assert data_mesh().size == jax.device_count()
    assert list(data_mesh(1).devices) == jax.devices()[:1] and data_mesh(1).axis_names == ("data",)


def test_alone_an_error_passes_through():
    with pytest.raises(ValueError, match="mine"), together():
        raise ValueError("mine")

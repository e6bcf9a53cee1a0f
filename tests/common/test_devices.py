"""The same store and nearly the same log on one device, on several and in two processes."""

import csv
import os
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest

from ssl_jax.common import devices
from ssl_jax.common.devices import (
    barrier,
    copy_on_each,
    data_mesh,
    local_rows,
    split_rows,
    start,
    to_devices,
)
from support.runs import NAME, ROOT, command, free_address, outputs, refuses

LIMIT = 200  # s, after which a process counts as hung

# Devices add up gradients in another order, which changes their last digits. Adam's first steps
# divide each gradient by its own size, so those near 0 may take a step of another sign. After the
# 8 steps here losses differ by up to 1.2e-3, as they do on one device from weights that differ in
# their last bit. With an eighth of every batch on each device they would differ by 0.1.
LOSS_TOLERANCE = 5e-3


@pytest.fixture(scope="module")
def run(compile_once):
    """Run the tiny experiment (see faulty.py) as so many processes, the last under `fault`."""

    def run(folder, stages, *options, processes=1, fault=None):
        address, started = free_address(), []
        for k in range(processes):
            runs = [(fault if k == processes - 1 else None, stages)]
            several = ("--coordinator", address, "--processes", str(processes), "--process", str(k))
            more = (*options, *(several if processes > 1 else ()))
            words, env = command(compile_once, folder, runs, "--hop=882", *more)
            started.append(subprocess.Popen(words, env=env, stderr=subprocess.PIPE, text=True))
        try:
            errors = [process.communicate(timeout=LIMIT)[1] for process in started]
        finally:
            for process in started:
                process.kill()
        return [process.returncode for process in started], errors

    return run


def check_store(folder, unbroken):
    """Six shards with their checksums, settings and manifest: the same bytes."""
    there = outputs(folder)
    stored = [name for name in there if name.startswith("work/") and "model" not in name]
    assert len(stored) == 2 * 6 + 2
    assert [name for name in stored if there[name] != unbroken[name]] == []


@pytest.mark.parametrize("devices, processes", [(8, 1), (1, 2)])
def test_as_many_devices_as_there_are_make_what_one_makes(
    run, unbroken, tmp_path, devices, processes
):
    stages = ("database", "train --runs model2")
    statuses, errors = run(tmp_path, stages, f"--devices={devices}", processes=processes)
    assert statuses == [0] * processes, errors
    there = outputs(tmp_path)
    assert set(there) == {n for n in unbroken if "model1" not in n and "model2_continued" not in n}
    check_store(tmp_path, unbroken)
    texts = [
        files[f"results/{NAME}/model2.csv"].decode().splitlines() for files in (there, unbroken)
    ]
    for ours, one in zip(*map(csv.DictReader, texts), strict=True):
        for loss in ("train_loss", "eval_loss"):
            assert float(ours[loss]) == pytest.approx(float(one[loss]), abs=LOSS_TOLERANCE)
        for kept in ("epoch", "epochs", "learning_rate"):
            assert ours[kept] == one[kept]


@pytest.mark.slow
def test_one_process_killed_stops_the_other_and_run_again_they_make_the_same_bytes(
    run, unbroken, tmp_path
):
    """While a database is made no process waits for another: JAX notices a death after 100 s."""
    fault = {"do": "kill", "at": ["cues", 4], "when": "before"}
    statuses, _ = run(tmp_path, ("database",), "--devices=1", processes=2, fault=fault)
    assert statuses[0] in (2, -signal.SIGABRT) and statuses[1] == -signal.SIGKILL
    for _ in range(2):  # the second time there is less to do than there are processes
        (tmp_path / f"work/{NAME}/cues/cues-00003.npy").unlink(missing_ok=True)
        assert run(tmp_path, ("database",), "--devices=1", processes=2)[0] == [0, 0]
        check_store(tmp_path, unbroken)
    # runs that start from another one, and a network with dropout, whose random numbers have keys
    runs = "train --runs model2 model2_continued ours"
    statuses, errors = run(tmp_path, (runs,), "--devices=1", processes=2)
    assert statuses == [0, 0], errors


def test_what_stops_one_process_stops_all_with_a_line_each(run, tmp_path):
    """Both miss the store; the first alone finds the results of other settings."""
    statuses, errors = run(tmp_path, ("train",), processes=2)
    assert statuses == [2, 2] and all(
        "run the database stage again\n" in error for error in errors
    ), errors
    taken = tmp_path / f"results/{NAME}/settings.json"
    taken.parent.mkdir(parents=True)
    taken.write_text('{"database": {"clips": 7}}')
    (taken.parent / "model1.csv").write_text("something was made with them")
    statuses, errors = run(tmp_path, ("database",), processes=2)
    assert statuses == [2, 2] and "Traceback" not in "".join(errors)
    assert "settings.json: was made with database.clips = 7, now 2" in errors[0]
    assert "process 0 stopped: see what it says" in errors[1]


NO_SENSE = [
    ("out of range: use 1 to 1024", {"devices": 0}),
    ("out of range: use 1 to 1024", {"devices": 5000}),
    ("need --coordinator", {"processes": 2}),
    ("need --coordinator", {"process": 0}),
    ("not HOST:PORT", {"coordinator": "a", "processes": 2, "process": 0}),
    ("needs --processes N, and", {"coordinator": "a:1"}),
    ("needs --processes N, and", {"coordinator": "a:1", "processes": 2}),
    ("needs --processes N, and", {"coordinator": "a:1", "processes": 2, "process": 2}),
]


@pytest.mark.parametrize("says, numbers", NO_SENSE)
def test_numbers_that_make_no_sense_are_refused(says, numbers):
    refuses(says, start, **numbers)


def test_processes_that_do_not_find_one_another_end_with_a_line():
    address = free_address()
    code = (
        "from ssl_jax.common import devices; devices.JOIN_SECONDS = 1; devices.start(1, {!r}, 2, 1)"
    )
    words = [sys.executable, "-c", code.format(address)]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, env=env, text=True, stderr=subprocess.PIPE, timeout=LIMIT)
    says = f"ssl_jax: --coordinator {address}: the processes did not find one another in 1 s: "
    says += "start all of them, with the address of process 0\n"
    assert (done.returncode, done.stderr) == (2, says)


def test_the_mesh_is_of_all_devices_or_the_first_of_a_process():
    assert list(data_mesh().devices) == jax.devices()
    assert list(data_mesh(1).devices) == jax.devices()[:1]
    assert data_mesh(1).axis_names == ("data",)


@pytest.mark.parametrize("sharding", [split_rows, copy_on_each])
def test_arrays_keep_their_values_and_places_on_devices(sharding):
    rows = np.arange(4 * jax.device_count() * 3.0).reshape(-1, 3)
    placed = to_devices({"a": rows}, sharding(data_mesh()))["a"]
    assert (placed == rows).all() and placed.sharding == sharding(data_mesh())
    whole = sharding is copy_on_each
    shapes = {shard.data.shape for shard in placed.addressable_shards}
    assert shapes == {rows.shape if whole else (4, 3)}


def test_one_process_holds_all_rows():
    assert local_rows(data_mesh(), 4 * jax.device_count()) == slice(0, 4 * jax.device_count())


def test_a_programming_error_passes_through_a_barrier():
    with pytest.raises(ValueError, match="mine"), barrier():
        raise ValueError("mine")


CACHE_OPTION = "jax_compilation_cache_dir"


@pytest.fixture
def keep_in(tmp_path, monkeypatch):
    """Keep compiled programs with this cache folder of the user; what JAX is told then."""

    def keep(home, told_before=""):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / home))
        monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", told_before)
        options = {}
        monkeypatch.setattr(devices.jax.config, "update", options.__setitem__)
        devices.keep_compiled()
        return options

    return keep


def test_compiled_programs_are_kept_in_the_users_cache_folder(tmp_path, keep_in):
    assert keep_in("cache")[CACHE_OPTION] == str(tmp_path / "cache/ssl_jax")
    assert (tmp_path / "cache/ssl_jax").is_dir()


def test_where_a_file_stands_no_compiled_programs_are_kept(tmp_path, keep_in):
    (tmp_path / "taken").write_text("")
    assert keep_in("taken") == {}


def test_a_cache_folder_that_jax_is_told_before_stays(tmp_path, keep_in):
    assert keep_in("cache", told_before="elsewhere") == {}
    assert not (tmp_path / "cache").exists()


def test_a_cache_that_is_too_large_starts_anew(tmp_path, keep_in, monkeypatch):
    monkeypatch.setattr(devices, "CACHE_BYTES", 3)
    folder = tmp_path / "cache/ssl_jax"
    folder.mkdir(parents=True)
    (folder / "program").write_bytes(b"1234")
    keep_in("cache")
    assert not (folder / "program").exists()

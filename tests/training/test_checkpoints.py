"""Checkpoints: back as they were, whole or not at all, refused where they are something else."""

from functools import partial

import numpy as np
import pytest

from ssl_jax.common.files import write_checksum
from ssl_jax.networks import array_file
from ssl_jax.networks.array_file import ArrayFile
from ssl_jax.training.checkpoints import (
    Checkpoint,
    checkpoint_path,
    load_checkpoint,
    save_checkpoint,
)
from ssl_jax.training.log import EpochRow
from support.runs import refuses

# every digit must come back: a run goes on from these
ROW = EpochRow(3, 20, 1 / 3, 0.1, 0.2, float("nan"), 0.4, 0.5, 0.6, 0.7, 1e-3)
ARRAYS = {
    "weights.a": np.arange(3.0, dtype=np.float32),
    "rest.key": np.array([1, 2**32 - 1], np.uint32),
    "moments.0.count": np.array(7, np.int32),
}
CHECKPOINT = Checkpoint(ARRAYS, [ROW], {"training": {"seed": 0}})


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    path = checkpoint_path(tmp_path, "run", 3)
    assert path == tmp_path / "run/epoch-003.safetensors"
    save_checkpoint(path, CHECKPOINT)
    back = load_checkpoint(path)
    assert back.epoch == 3
    assert back.settings == CHECKPOINT.settings
    # NaN is not equal to itself: compared as text, which has every digit
    assert repr(back.log) == repr(CHECKPOINT.log)
    assert back.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(back.arrays[name], array, strict=True)


def test_one_that_is_missing_is_none(tmp_path):
    assert load_checkpoint(tmp_path / "a.safetensors") is None


def test_one_without_its_checksum_is_none(tmp_path):
    """The run was killed before the checksum was written."""
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, CHECKPOINT)
    path.with_suffix(".sha256").unlink()
    assert load_checkpoint(path) is None


def test_one_that_was_cut_is_none(tmp_path):
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, CHECKPOINT)
    path.write_bytes(path.read_bytes()[:-1])
    assert load_checkpoint(path) is None


def test_none_is_written_that_would_not_be_read_again(tmp_path, monkeypatch):
    small = partial(array_file.write_arrays, max_bytes=50)
    monkeypatch.setattr("ssl_jax.training.checkpoints.write_arrays", small)
    says = "a.safetensors: .* bytes, over the 50 that are read again: use a smaller network"
    refuses(says, save_checkpoint, tmp_path / "a.safetensors", CHECKPOINT)
    assert not (tmp_path / "a.safetensors").exists()


GOOD = {"epoch": 3, "log": [ROW.columns()], "settings": {}}
BAD = {
    "no notes": {},
    "weights of a run": {"run": "m", "epoch": 3},
    "no log": {"epoch": 3, "settings": {}},
    "an empty log": GOOD | {"log": []},
    "a log of numbers": GOOD | {"log": [1, 2]},
    "a log of other columns": GOOD | {"log": [{"epoch": 3}]},
    "a log that is a number": GOOD | {"log": 5},
    "another epoch than the log's": GOOD | {"epoch": 2},
    "settings that are text": GOOD | {"settings": "{}"},
}


@pytest.mark.parametrize("what", BAD)
def test_another_file_is_refused_though_its_checksum_agrees(tmp_path, what):
    path = tmp_path / "a.safetensors"
    array_file.write_arrays(path, ArrayFile(BAD[what], ARRAYS))
    write_checksum(path)
    refuses("a.safetensors: is no checkpoint: delete it and run again", load_checkpoint, path)


@pytest.mark.parametrize("content", [b"", b"x", b"\x81\xa6arrays\x80"])
def test_bytes_of_another_format_are_refused_though_their_checksum_agrees(tmp_path, content):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    write_checksum(path)
    refuses("a.safetensors: cannot be used .*: delete it and run again", load_checkpoint, path)

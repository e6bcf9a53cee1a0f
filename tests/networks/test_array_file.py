"""Files of arrays: back as they were, the same bytes for the same content, damage refused."""

import json
import re

import numpy as np
import pytest
from safetensors import numpy as safetensors

from ssl_jax.networks.array_file import ArrayFile, from_bytes, read_arrays, to_bytes, write_arrays
from support.runs import refuses

NOTES = {"epoch": 3, "log": [{"loss": 1 / 3}], "text": '"\\ä'}
ARRAYS = {
    "b.weights": np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3),
    "a.half": np.ones((2, 2), np.float16),
    "count": np.array(7, np.int32),
    "key": np.array([1, 2**32 - 1], np.uint32),
}
CONTENT = ArrayFile(NOTES, ARRAYS)


def test_it_comes_back_as_it_was(tmp_path):
    path = tmp_path / "a.safetensors"
    write_arrays(path, CONTENT)
    back = read_arrays(path, "")
    assert back.notes == NOTES
    assert back.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(back.arrays[name], array, strict=True)


def test_equal_contents_give_equal_bytes():
    backwards = dict(reversed(ARRAYS.items()))
    assert to_bytes(ArrayFile(NOTES, backwards)) == to_bytes(CONTENT)


def test_too_large_a_file_is_neither_written_nor_read(tmp_path):
    path = tmp_path / "a.safetensors"
    refuses(f"{path}: .* over the 90 that", write_arrays, path, CONTENT, 90)
    assert not path.exists()
    write_arrays(path, CONTENT)
    refuses(f"{path}: over .*: not the file expected", read_arrays, path, "", 90)


def test_too_long_notes_are_not_written(tmp_path):
    path = tmp_path / "a.safetensors"
    content = ArrayFile({"text": "x" * 2**20}, {})
    refuses(f"{path}: notes over the .*: train for fewer epochs", write_arrays, path, content)
    assert not path.exists()


def with_notes(**changes):
    """The file with other notes under the old checksum."""
    file = to_bytes(CONTENT)
    end = 8 + int.from_bytes(file[:8], "little")
    notes = json.loads(json.loads(file[8:end])["__metadata__"]["ssl_jax"])
    return safetensors.save(ARRAYS, {"ssl_jax": json.dumps(notes | changes)})


def with_byte_changed(position):
    file = bytearray(to_bytes(CONTENT))
    file[position] ^= 1
    return bytes(file)


DAMAGED = {
    "nothing": (b"", ""),
    "text": (b"x", ""),
    "msgpack": (b"\x81\xa6arrays\x80", ""),
    "a cut": (to_bytes(CONTENT)[:-1], ""),
    "a longer file": (to_bytes(CONTENT) + b"x", ""),
    "a header that is not there": ((2**40).to_bytes(8, "little"), "its header is too long"),
    "a header longer than it is": ((2**16).to_bytes(8, "little") + to_bytes(CONTENT)[8:], ""),
    "a changed array": (with_byte_changed(-1), "arrays of another checksum or kind"),
    "changed notes": (with_notes(epoch=4), "arrays of another checksum or kind"),
    "notes that are a list": (safetensors.save({}, {"ssl_jax": "[]"}), "its notes have no names"),
    "another's file": (safetensors.save(ARRAYS, {"format": "np"}), "'ssl_jax'"),
    "no metadata": (safetensors.save(ARRAYS), "'__metadata__'"),
    "another kind of array": (
        to_bytes(ArrayFile(NOTES, {"a": np.zeros(1)})),
        "arrays of another checksum or kind",
    ),
}


def test_the_helper_changes_nothing_by_itself():
    assert with_notes() == to_bytes(CONTENT)


@pytest.mark.parametrize("what", DAMAGED)
def test_damage_is_refused_in_one_line(what):
    file, reason = DAMAGED[what]
    says = rf"\Aa.x: cannot be used \({re.escape(reason)}.*\): fetch it again\Z"
    refuses(says, from_bytes, file, "a.x", "fetch it again")


def test_a_newer_format_asks_for_an_upgrade():
    says = "a.x: cannot be used .made by a newer version.: upgrade ssl_jax"
    refuses(says, from_bytes, with_notes(format=2), "a.x", "fetch it again")

import jax
import numpy as np
import pytest

from ssl_jax.common.errors import InputError
from ssl_jax.training.checkpoints import (
    checkpoint_path,
    from_named,
    load_checkpoint,
    named_arrays,
    save_checkpoint,
)

TREE = {"a": np.arange(3.0, dtype=np.float32), "b": [np.ones((2, 2), np.int32)]}


def test_names_and_back():
    key = {**TREE, "key": jax.random.key(7)}
    arrays = named_arrays("x", key)
    assert set(arrays) == {"x.a", "x.b.0", "x.key"}
    back = from_named("x", key, arrays)
    np.testing.assert_array_equal(back["b"][0], TREE["b"][0])
    assert (jax.random.bits(back["key"]) == jax.random.bits(key["key"])).all()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda a: a.pop("x.a"),
        lambda a: a.update({"x.a": np.zeros(4, np.float32)}),
        lambda a: a.update({"x.a": np.zeros(3)}),
        lambda a: a.update({"x.a": "text"}),
    ],
)
def test_what_does_not_fit_is_named(spoil):
    arrays = named_arrays("x", TREE)
    spoil(arrays)
    with pytest.raises(InputError, match="x.a"):
        from_named("x", TREE, arrays)


def test_only_whole_checkpoints_count(tmp_path):
    path = checkpoint_path(tmp_path, "run", 3)
    assert path.name == "epoch-003.msgpack" and load_checkpoint(path) is None
    save_checkpoint(path, {"arrays": named_arrays("x", TREE)})
    np.testing.assert_array_equal(load_checkpoint(path)["arrays"]["x.a"], TREE["a"])
    good = path.read_bytes()
    for bad in (good[:-1], good[:40] + bytes([good[40] ^ 4]) + good[41:], b""):
        path.write_bytes(bad)
        assert load_checkpoint(path) is None
    path.write_bytes(good)
    path.with_suffix(".sha256").unlink()  # killed before the checksum was written
    assert load_checkpoint(path) is None


def test_what_would_not_be_read_again_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr("ssl_jax.training.checkpoints.MAX_BYTES", 50)
    with pytest.raises(InputError, match="a.msgpack: 0 MiB, over the 0 that are read again: raise MAX_BYTES"):
        save_checkpoint(tmp_path / "a.msgpack", {"arrays": named_arrays("x", TREE)})
    assert not list(tmp_path.iterdir())

"""Packed networks: what goes in comes out, and damage is found."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import nnx, serialization

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import write_checksum
from ssl_jax.config import FrontEnd
from ssl_jax.networks.packed import available, default_weights, describe, load_weights, pack
from ssl_jax.networks.three_branch import build_model
from ssl_jax.training.checkpoints import named_arrays

INFO = {
    "model": "three_branch",
    "front": FrontEnd(hair_cell="none"),
    "protocol": "published",
    "corpus": "embedded",
    "seed": 3,
    "commit": "unknown",
    "metrics": {"top1": 1.0},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """What training leaves under results/: (path, state)."""
    path = tmp_path_factory.mktemp("results") / "model_epoch1.msgpack"
    _, weights, rest = nnx.split(build_model("three_branch", 3), nnx.Param, ...)
    path.write_bytes(
        serialization.msgpack_serialize(named_arrays("weights", weights) | named_arrays("rest", rest))
    )
    return path, nnx.merge_state(weights, rest)


def test_packed_and_loaded_again(trained, tmp_path):
    path, state = trained
    assert pack(path, "mine", INFO, tmp_path) == tmp_path / "mine.msgpack"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.json", "mine.msgpack", "mine.sha256"]
    model, front = load_weights("mine", tmp_path)
    assert front == INFO["front"] and describe("mine", tmp_path)["metrics"] == {"top1": 1.0}
    for ours, theirs in zip(jax.tree.leaves(nnx.state(model)), jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert model.branches[0].norm1.use_running_average  # evaluation mode


def test_default_is_the_preferred_one(tmp_path):
    for names, wanted in ((["zoo", "alpha"], "alpha"), (["model2"], "model2"), (["clean"], "clean")):
        for name in names:
            (tmp_path / f"{name}.msgpack").touch()
        assert default_weights(tmp_path) == wanted
    assert available(tmp_path) == ["alpha", "clean", "model2", "zoo"]
    with pytest.raises(InputError, match="no weights"):
        default_weights(tmp_path / "empty")


def test_those_that_come_with_the_package_are_whole_and_small():
    assert default_weights() in available()
    for name in available():
        info = describe(name)
        assert info["name"] == name and FrontEnd(**info["front"])
        for path in (Path(__file__).parent.parent / "ssl_jax/data/weights").glob(f"{name}.*"):
            assert path.stat().st_size < 1_000_000


@pytest.mark.parametrize(
    "damage, says",
    [
        (lambda f: (f / "mine.msgpack").write_bytes(b"x"), "damaged"),
        (lambda f: (f / "mine.sha256").unlink(), "damaged, or without its checksum"),
        (lambda f: (f / "mine.json").write_text("[]"), "no field 'model'"),
        (lambda f: (f / "mine.json").write_text("{"), "not valid JSON"),
        (lambda f: replace(f, serialization.msgpack_serialize({})), "not of the network 'three_branch'"),
        (lambda f: replace(f, b"\xc1"), "not a readable msgpack file"),
        (lambda f: rewrite(f, model="unheard of"), "does not fit this version"),
        (lambda f: rewrite(f, front={"colour": 1}), "does not fit this version"),
    ],
)
def test_damage_is_refused_in_one_line(trained, tmp_path, damage, says):
    pack(trained[0], "mine", INFO, tmp_path)
    damage(tmp_path)
    with pytest.raises(InputError, match=says):
        load_weights("mine", tmp_path)


def replace(folder, content):
    (folder / "mine.msgpack").write_bytes(content)
    write_checksum(folder / "mine.msgpack")


def rewrite(folder, **fields):
    info = json.loads((folder / "mine.json").read_text())
    (folder / "mine.json").write_text(json.dumps(info | fields))


def test_what_cannot_be_packed(trained, tmp_path):
    with pytest.raises(InputError, match="'seed' is not given"):
        pack(trained[0], "mine", {k: v for k, v in INFO.items() if k != "seed"}, tmp_path)
    (tmp_path / "empty").write_bytes(serialization.msgpack_serialize({}))
    with pytest.raises(InputError, match="missing or of another shape"):
        pack(tmp_path / "empty", "mine", INFO, tmp_path)
    assert available(tmp_path) == []
    with pytest.raises(InputError, match="use one of mine"):
        pack(trained[0], "mine", INFO, tmp_path)
        load_weights("yours", tmp_path)

"""Packed networks: what goes in comes out, and damage is found."""

import json
from dataclasses import asdict

import jax
import numpy as np
import pytest
from flax import nnx, serialization

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import package_data, write_checksum
from ssl_jax.config import FrontEnd
from ssl_jax.networks.packed import available, default_weights, describe, load_weights, pack
from ssl_jax.networks.registry import build_model
from ssl_jax.networks.serialisation import named_arrays

FRONT = FrontEnd(hair_cell="none")
INFO = dict(model="three_branch", front=asdict(FRONT), protocol="published", corpus="embedded", seed=3)
INFO |= dict(commit="unknown", metrics={"top1": 1.0})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """What training leaves under results/: (path, state)."""
    path = tmp_path_factory.mktemp("results") / "model_epoch1.msgpack"
    _, weights, rest = nnx.split(build_model("three_branch", 3, FRONT), nnx.Param, ...)
    arrays = named_arrays("weights", weights) | named_arrays("rest", rest)
    path.write_bytes(serialization.msgpack_serialize(arrays))
    return path, nnx.merge_state(weights, rest)


def test_packed_and_loaded_again(trained, tmp_path):
    path, state = trained
    assert pack(path, "mine", INFO, tmp_path) == tmp_path / "mine.msgpack"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.json", "mine.msgpack", "mine.sha256"]
    model, front = load_weights("mine", tmp_path)
    assert front == FRONT and describe("mine", tmp_path)["metrics"] == {"top1": 1.0}
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
        assert describe(name)["name"] == name and load_weights(name)
    assert max(path.stat().st_size for path in package_data("weights").iterdir()) < 1_000_000


def test_damage_is_refused_in_one_line(trained, tmp_path):
    def changed(**fields):
        return json.dumps(INFO | fields).encode()

    for says, suffix, content in (
        ("damaged, or without its checksum", "sha256", b"x"),
        ("no field 'model'", "json", b"[]"),
        ("not valid JSON", "json", b"{"),
        ("not of the network 'three_branch'", "msgpack", serialization.msgpack_serialize({})),
        ("not a readable msgpack file", "msgpack", b"\xc1"),
        ("does not fit this version.*'unheard of'", "json", changed(model="unheard of")),
        ("does not fit this version.*'colour'", "json", changed(front={"colour": 1})),
        ("does not fit this version.*front.hop is -1", "json", changed(front=INFO["front"] | {"hop": -1})),
    ):
        path = pack(trained[0], "mine", INFO, tmp_path).with_suffix(f".{suffix}")
        path.write_bytes(content)
        if suffix == "msgpack":
            write_checksum(path)
        with pytest.raises(InputError, match=says) as error:
            load_weights("mine", tmp_path)
        assert "\n" not in str(error.value)


def test_what_cannot_be_packed(trained, tmp_path):
    with pytest.raises(InputError, match="'seed' is not given"):
        pack(trained[0], "mine", {k: v for k, v in INFO.items() if k != "seed"}, tmp_path)
    (tmp_path / "empty").write_bytes(serialization.msgpack_serialize({}))
    with pytest.raises(InputError, match="missing or of another shape"):
        pack(tmp_path / "empty", "mine", INFO, tmp_path)
    assert available(tmp_path) == []
    pack(trained[0], "mine", INFO, tmp_path)
    with pytest.raises(InputError, match="use one of mine"):
        load_weights("yours", tmp_path)

"""Packed networks: what goes in comes out, and damage is found."""

import json
from dataclasses import asdict

import jax
import numpy as np
import pytest
from flax import nnx, serialization
from safetensors import numpy as safetensors
from safetensors import safe_open

from ssl_jax.common.files import package_data
from ssl_jax.config import FrontEnd
from ssl_jax.networks.packed import (
    as_bytes,
    available,
    default_weights,
    describe,
    load_weights,
    pack,
)
from ssl_jax.networks.registry import build_model
from ssl_jax.networks.serialisation import named_arrays
from support.runs import refuses

FRONT = FrontEnd(hair_cell="none")
INFO = dict(
    model="three_branch", front=asdict(FRONT), protocol="published", corpus="embedded", seed=3
)
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
    assert pack(path, "mine", INFO, tmp_path) == tmp_path / "mine.safetensors"
    model, front = load_weights("mine", tmp_path)
    assert front == FRONT and describe("mine", tmp_path)["metrics"] == {"top1": 1.0}
    for ours, theirs in zip(jax.tree.leaves(nnx.state(model)), jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert model.branches[0].norm1.use_running_average  # evaluation mode


def test_default_is_the_preferred_one(tmp_path):
    for names, wanted in (
        (["zoo", "alpha"], "alpha"),
        (["model2"], "model2"),
        (["clean"], "clean"),
    ):
        for name in names:
            (tmp_path / f"{name}.safetensors").touch()
        assert default_weights(tmp_path) == wanted
    assert available(tmp_path) == ["alpha", "clean", "model2", "zoo"]
    refuses("no weights", default_weights, tmp_path / "empty")


def test_those_that_come_with_the_package_are_whole_and_small():
    assert default_weights() in available()
    for name in available():
        assert describe(name)["name"] == name and load_weights(name)
    assert max(path.stat().st_size for path in package_data("weights").iterdir()) < 2_000_000


def test_damage_is_refused_in_one_line(trained, tmp_path):
    path = pack(trained[0], "mine", INFO, tmp_path)
    content, arrays = path.read_bytes(), safetensors.load_file(path)
    notes = json.loads(safe_open(path, "np").metadata()["ssl_jax"])

    def noted(**fields):
        return safetensors.save(arrays, {"ssl_jax": json.dumps(notes | fields)})

    def changed(**fields):  # with the checksum that belongs to it
        return as_bytes(INFO | fields, arrays)

    assert noted() == content
    misspelt = noted(model=1).replace(b'model\\": 1', b'motel\\": 1')
    for says, damaged in (
        ("over 1.9 MiB: not the file expected", bytes(2_000_001)),
        ("cannot be used", b""),
        ("cannot be used", (2**16).to_bytes(8, "little") + content[8:]),
        ("cannot be used .arrays of another checksum", content[:-1] + bytes([content[-1] ^ 1])),
        ("cannot be used .arrays of another checksum", noted(seed=4)),
        ("cannot be used .'ssl_jax'", safetensors.save(arrays, {"format": "np"})),
        ("cannot be used .field 'model' is missing or unknown", misspelt),
        ("cannot be used .field 'colour'", changed(colour="red")),
        ("cannot be used .arrays of another", as_bytes(INFO, arrays | {"a": np.zeros(1)})),
        (
            "cannot be used .made by a newer version.: upgrade ssl_jax",
            noted(format=2, colour="red"),
        ),
        ("not of the network 'three_branch'", as_bytes(INFO, {})),
        ("does not fit this version.*'unheard of'", changed(model="unheard of")),
        ("does not fit this version.*'colour'", changed(front={"colour": 1})),
        ("does not fit this version.*front.hop is -1", changed(front=INFO["front"] | {"hop": -1})),
    ):
        path.write_bytes(damaged)
        refuses(f"mine.safetensors: {says}", load_weights, "mine", tmp_path)


def test_what_cannot_be_packed(trained, tmp_path):
    seedless = {k: v for k, v in INFO.items() if k != "seed"}
    refuses("weights mine: .*field 'seed' is missing", pack, trained[0], "mine", seedless, tmp_path)
    (tmp_path / "empty").write_bytes(serialization.msgpack_serialize({}))
    refuses("missing or of another shape", pack, tmp_path / "empty", "mine", INFO, tmp_path)
    assert available(tmp_path) == []
    pack(trained[0], "mine", INFO, tmp_path)
    refuses("use one of mine", load_weights, "yours", tmp_path)

"""Packed networks: what goes in comes out, and damage is found."""

from dataclasses import asdict

import jax
import numpy as np
import pytest
from flax import nnx

from ssl_jax.common.files import package_data
from ssl_jax.config import FrontEnd
from ssl_jax.networks.array_file import ArrayFile, read_arrays, to_bytes, write_arrays
from ssl_jax.networks.packed import (
    MAX_PACKED_BYTES,
    PREFERRED,
    available,
    default_weights,
    describe,
    load_weights,
    pack,
    temperature_of,
)
from ssl_jax.networks.registry import build_model
from ssl_jax.networks.serialisation import named_arrays, split
from support.runs import refuses

FRONT = FrontEnd(hair_cell="none")
NOTES = {
    "model": "three_branch",
    "front": asdict(FRONT),
    "protocol": "published",
    "corpus": "bundled",
    "seed": 3,
    "commit": "unknown",
    "metrics": {"top1": 1.0},
}


def last_weights(path, model, front):
    """What training leaves under results/: the state of a new network."""
    network = build_model(model, 3, front)
    _, weights, rest = split(network)
    arrays = named_arrays("weights", weights) | named_arrays("rest", rest)
    write_arrays(path, ArrayFile({"run": "m", "epoch": 1}, arrays))
    return nnx.state(network)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The last weights of a three-branch network, and its state."""
    path = tmp_path_factory.mktemp("results") / "m_epoch1.safetensors"
    return path, last_weights(path, "three_branch", FRONT)


@pytest.fixture
def packed(trained, tmp_path):
    """The network packed as `mine`: its path."""
    return pack(trained[0], "mine", NOTES, tmp_path)


def test_packed_and_loaded_again(trained, packed, tmp_path):
    assert packed == tmp_path / "mine.safetensors"
    model, front = load_weights("mine", tmp_path)
    assert front == FRONT
    leaves = jax.tree.leaves(nnx.state(model)), jax.tree.leaves(trained[1])
    for ours, theirs in zip(*leaves, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_loaded_networks_are_in_evaluation_mode(packed, tmp_path):
    assert load_weights("mine", tmp_path).network.branches[0].norm1.use_running_average


def test_the_notes_come_back(packed, tmp_path):
    assert describe("mine", tmp_path) == NOTES | {"name": "mine"}


def test_a_network_can_be_a_file_of_ones_own(trained, tmp_path):
    own = str(tmp_path / "elsewhere/mine.safetensors")
    assert str(pack(trained[0], own, NOTES)) == own
    assert describe(own)["name"] == "mine" and load_weights(own).front == FRONT


def test_a_file_of_ones_own_that_is_missing_or_damaged_is_named(tmp_path):
    path = tmp_path / "mine.safetensors"
    refuses("mine.safetensors: no such file", describe, str(path))
    path.write_bytes(b"nothing")
    refuses("mine.safetensors: .*pack it again", describe, str(path))


def test_large_weights_are_packed_in_half_precision(tmp_path):
    source = tmp_path / "source"
    state = last_weights(source, "phase_spectrum", FrontEnd(levels=True))
    notes = NOTES | {"model": "phase_spectrum", "front": asdict(FrontEnd(levels=True))}
    path = pack(source, "mine", notes, tmp_path)
    assert path.stat().st_size <= MAX_PACKED_BYTES < source.stat().st_size
    kinds = {k: a.dtype for k, a in read_arrays(path, "").arrays.items()}
    assert {kind for k, kind in kinds.items() if k.startswith("weights")} == {np.dtype("float16")}
    assert kinds["rest.mixed_norm.var.value"] == np.float32
    network, _ = load_weights("mine", tmp_path)
    # half precision has a relative step of 2^-11
    np.testing.assert_allclose(
        network.mixed.kernel[...], state["mixed"]["kernel"][...], rtol=2**-11, atol=1e-7
    )


def test_default_is_the_preferred_one(tmp_path):
    assert PREFERRED == ("general", "freefield", "baseline")
    order = ["zoo", *reversed(PREFERRED)]
    for name in order:
        (tmp_path / f"{name}.safetensors").touch()
        assert default_weights(tmp_path) == name
    assert available(tmp_path) == sorted(order)


def test_without_preferred_ones_the_first_by_name_is_the_default(tmp_path):
    for name in ("zoo", "alpha"):
        (tmp_path / f"{name}.safetensors").touch()
    assert default_weights(tmp_path) == "alpha"


def test_a_folder_without_networks_is_refused(tmp_path):
    refuses("no weights", default_weights, tmp_path)


@pytest.mark.parametrize("name", available())
def test_those_that_come_with_the_package_are_whole_and_small(name):
    assert describe(name)["name"] == name
    assert load_weights(name)
    assert package_data(f"weights/{name}.safetensors").stat().st_size <= MAX_PACKED_BYTES


def test_the_package_has_the_preferred_networks():
    assert available() == sorted(PREFERRED)


def without(field):
    return {name: value for name, value in NOTES.items() if name != field}


UNFIT = {
    "no model": (without("model"), "field 'model' is missing"),
    "an unknown field": (NOTES | {"colour": "red"}, "field 'colour' is unknown"),
    "an unheard of model": (NOTES | {"model": "unheard of"}, "does not fit .*'unheard of'"),
    "a model that is a list": (NOTES | {"model": []}, "does not fit this version"),
    "another model": (NOTES | {"model": "resnet"}, "not of the network 'resnet'"),
    "an unknown setting": (NOTES | {"front": {"colour": 1}}, "does not fit .*'colour'"),
    "a front-end that is text": (NOTES | {"front": "x"}, "does not fit this version"),
    "a negative hop": (NOTES | {"front": {"hop": -1}}, "does not fit .*front.hop is -1"),
    "a hop that is text": (NOTES | {"front": {"hop": "1"}}, "does not fit .*front.hop is '1'"),
    "an infinite window": (NOTES | {"front": {"tau": float("inf")}}, "does not fit .*front.tau"),
    "a hair cell by number": (NOTES | {"front": {"hair_cell": 1}}, "does not fit .*hair_cell is 1"),
    "an unheard of cell": (NOTES | {"front": {"hair_cell": "x"}}, "does not fit .*hair cell 'x'"),
    "a long lag": (NOTES | {"front": {"max_itd": 0.5}}, "does not fit .*max_itd 0.5"),
    "a rate of no sound": (NOTES | {"front": {"fs": 10**7}}, "does not fit .*front.fs is 10000000"),
    "an endless hop": (NOTES | {"front": {"hop": 10**9}}, "does not fit .*front.hop is 1000000000"),
    "many channels": (NOTES | {"front": {"channels": 1025}}, "does not fit .*channels is 1025"),
}


@pytest.mark.parametrize("what", UNFIT)
def test_notes_that_do_not_fit_are_refused(packed, tmp_path, what):
    notes, says = UNFIT[what]
    write_arrays(packed, ArrayFile(notes, read_arrays(packed, "").arrays))
    refuses(f"mine.safetensors: .*{says}.*: install the", load_weights, "mine", tmp_path)


def test_damaged_files_are_refused(packed, tmp_path):
    packed.write_bytes(packed.read_bytes()[:-1])
    refuses("mine.safetensors: cannot be used", describe, "mine", tmp_path)


def test_large_files_are_refused(packed, tmp_path):
    packed.write_bytes(bytes(MAX_PACKED_BYTES + 1))
    refuses("over 2.9 MiB: not the file expected", load_weights, "mine", tmp_path)


def test_a_file_without_arrays_is_refused(packed, tmp_path):
    packed.write_bytes(to_bytes(ArrayFile(NOTES, {})))
    refuses("not of the network 'three_branch'", load_weights, "mine", tmp_path)


def test_an_unknown_name_is_refused_with_those_there_are(packed, tmp_path):
    refuses("'yours': .*: use one of mine", load_weights, "yours", tmp_path)


def test_notes_that_lack_a_field_are_not_packed(trained, tmp_path):
    says = "weights mine: field 'seed' is missing"
    refuses(says, pack, trained[0], "mine", without("seed"), tmp_path)
    assert available(tmp_path) == []


def test_weights_of_another_network_are_not_packed(trained, tmp_path):
    notes = NOTES | {"model": "resnet"}
    says = f"{trained[0]}: not of the network 'resnet' .*: train it again"
    refuses(says, pack, trained[0], "mine", notes, tmp_path)
    assert available(tmp_path) == []


def test_weights_that_are_too_large_are_not_packed(tmp_path):
    source = tmp_path / "source"
    last_weights(source, "deep_three_branch", FRONT)
    notes = NOTES | {"model": "deep_three_branch"}
    refuses("mine.safetensors: .* bytes, over the 3,000,000", pack, source, "mine", notes, tmp_path)
    assert available(tmp_path) == []


@pytest.mark.parametrize("temperature, wanted", [({}, 1.0), ({"temperature": 2}, 2.0)])
def test_temperature(trained, tmp_path, temperature, wanted):
    pack(trained[0], "mine", NOTES | temperature, tmp_path)
    assert temperature_of("mine", tmp_path) == wanted


@pytest.mark.parametrize("temperature", [0, -1.0, float("nan"), 1000.0, "1", None])
def test_impossible_temperatures_are_refused(trained, tmp_path, temperature):
    pack(trained[0], "mine", NOTES | {"temperature": temperature}, tmp_path)
    refuses("mine.safetensors: temperature is", temperature_of, "mine", tmp_path)

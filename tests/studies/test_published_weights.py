"""Published checkpoints: which files are read, by what name, and what is refused."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from ssl_jax.config import FrontEnd
from ssl_jax.networks.registry import build_model
from ssl_jax.studies import published_weights
from ssl_jax.studies.published_weights import (
    checkpoint_files,
    load_checkpoints,
    load_published,
    published_variables,
    read_npz,
)
from support.runs import refuses


class Tensor:
    """As much of torch.Tensor as is used."""

    def __init__(self, array):
        self.array = array

    def detach(self):
        return self

    def numpy(self):
        return self.array


@pytest.fixture(scope="module")
def arrays():
    """All arrays of a network in PyTorch's names and layouts."""
    model = build_model("three_branch", 4, FrontEnd())
    return {name: np.asarray(variable[...]).T for name, variable in published_variables(model)}


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    """Makes the file a.pth, in which a stand-in for PyTorch finds some content."""

    def make(content):
        path = tmp_path / "a.pth"
        with open(path, "wb") as stream:
            np.savez(stream, a=np.zeros(1))  # a ZIP archive, as PyTorch's are

        def load(file, weights_only, map_location):
            assert file == path and weights_only and map_location == "cpu"
            return content

        monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(load=load, Tensor=Tensor))
        return path

    return make


def assert_has(model, arrays):
    for name, variable in published_variables(model):
        np.testing.assert_array_equal(np.asarray(variable[...]).T, arrays[name], err_msg=name)


@pytest.mark.parametrize("nested", [False, True])
def test_a_checkpoint_of_pytorch_is_read(checkpoint, arrays, nested):
    tensors = {name: Tensor(array) for name, array in arrays.items()}
    content = {"epoch": 40, "model_state_dict": tensors} if nested else tensors
    assert_has(load_published(checkpoint(content)), arrays)


def test_pytorch_itself_writes_what_is_read(tmp_path, arrays):
    torch = pytest.importorskip("torch")
    tensors = {name: torch.tensor(array) for name, array in arrays.items()}
    torch.save({"model_state_dict": tensors}, tmp_path / "a.pth")
    assert_has(load_published(tmp_path / "a.pth"), arrays)
    torch.save({"model": torch.nn.Linear(2, 2)}, tmp_path / "a.pth")
    refuses("a.pth: holds more than tensors", load_published, tmp_path / "a.pth")


@pytest.mark.parametrize("content", [[1], {}, {"model_state_dict": 3}, {"epoch": 40}])
def test_a_checkpoint_without_tensors_is_refused(checkpoint, content):
    refuses("a.pth: holds no dict of tensors", load_published, checkpoint(content))


def test_a_checkpoint_of_another_network_is_refused(checkpoint):
    other = {"conv1.weight": Tensor(np.zeros(3))}
    refuses("a.pth: .* is missing: these are not of the three", load_published, checkpoint(other))


def test_without_pytorch_a_line_says_how_to_get_it(checkpoint, monkeypatch):
    path = checkpoint({})
    monkeypatch.setitem(sys.modules, "torch", None)
    refuses(r"a.pth: .*pip install torch", load_published, path)


def test_damaged_and_large_files_are_refused(checkpoint, monkeypatch, tmp_path):
    path = checkpoint({})
    path.write_bytes(path.read_bytes()[:-30])
    refuses("a.pth: not a whole .pth file", load_published, path)
    np.savez_compressed(tmp_path / "zeros.npz", a=np.zeros(2**16))
    monkeypatch.setattr(published_weights, "MAX_WEIGHTS_BYTES", 2**18)  # unpacked it is twice that
    refuses("zeros.npz: not a whole .npz file", read_npz, tmp_path / "zeros.npz")


def test_checkpoints_have_readable_names(tmp_path, arrays):
    refuses(r"holds no \*.pth", checkpoint_files, tmp_path)
    (tmp_path / "model2").mkdir()
    for name in ("epoch_40.pth", "model2/epoch_20.pth", "weights_a_epoch1.npz", "other.npz"):
        (tmp_path / name).touch()
    assert list(checkpoint_files(tmp_path)) == ["epoch_40", "model2/epoch_20", "a_epoch1"]


def test_all_checkpoints_of_a_folder_are_loaded(tmp_path, arrays):
    np.savez(tmp_path / "weights_a_epoch1.npz", **arrays)
    assert_has(load_checkpoints(tmp_path)["a_epoch1"], arrays)
    running = {name: array for name, array in arrays.items() if "running" not in name}
    np.savez(tmp_path / "weights_b_epoch1.npz", **running)
    refuses("weights_b_epoch1.npz: .* is missing", load_checkpoints, tmp_path)

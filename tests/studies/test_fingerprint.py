"""The fingerprint: means put into a network are read out of it, and one database is told from another."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.config import FrontEnd
from ssl_jax.networks.registry import build_model
from ssl_jax.studies import fingerprint, fingerprint_report
from ssl_jax.studies.fingerprint import distance, layers_of, moments, training_set_means
from ssl_jax.studies.published_weights import load_checkpoints, published_variables
from support.runs import ROOT, refuses

MEANS = ROOT / "ssl_jax/data/reported/training_set_means.csv"


@pytest.fixture
def cues():
    """Maps (8, 3, 32, 40) that differ from mixture to mixture and from frame to frame."""
    return np.random.default_rng(0).normal(0.5, 1, (8, 3, 32, 40)).astype(np.float32)


def taught(cues, seed=0):
    """A network whose running statistics are those of `cues`."""
    model = build_model("three_branch", seed, FrontEnd())
    for layer, norm in enumerate(("norm1", "norm2")):
        mean, square = (
            np.asarray(moments(layers_of(model), cues)).mean(0)[:, layer].transpose(1, 0, 2)
        )
        for k, branch in enumerate(model.branches):
            getattr(branch, norm).mean[...] = jnp.asarray(mean[k])
            getattr(branch, norm).var[...] = jnp.asarray((square - mean**2)[k])
    return model


def test_the_means_of_the_training_set_are_read_out(cues):
    means, residuals = training_set_means(taught(cues))
    assert means == pytest.approx(cues.mean((0, 3)), abs=1e-4)  # float32 weights
    assert (residuals < 1e-4).all()
    other = taught(cues)
    other.branches[2].norm1.mean[...] += 0.3 * jnp.sin(jnp.arange(64.0))  # of no data whatever
    assert training_set_means(other)[1][2] > 0.1


def test_moments_are_those_of_the_networks_own_convolutions_where_neighbours_hold_the_same(cues):
    model, still = taught(cues), np.repeat(cues[..., :1], 9, axis=-1)
    found = np.asarray(moments(layers_of(model), still))  # 8, 3, 2, 2, 64
    for k, branch in enumerate(model.branches):
        branch.norm1.use_running_average = True
        first = branch.conv1(still[:, k].swapaxes(1, 2))  # 8, 9, 64
        second = branch.conv2(
            jnp.maximum(branch.norm1(first), 0)[:, 2:-2]
        )  # away from the zeros at the ends
        assert found[:, k, 0, 0] == pytest.approx(np.asarray(first[:, 4]), abs=1e-4)
        assert found[:, k, 1, 0] == pytest.approx(np.asarray(second[:, 2]), abs=1e-4)
        assert found[:, k, 0, 1] == pytest.approx(np.asarray(first[:, 4]) ** 2, abs=1e-3)


def test_a_database_lies_nearest_to_the_network_it_taught(cues):
    layers = layers_of(taught(cues))
    own, shifted, wider = (
        np.asarray(moments(layers, c)).mean(0) for c in (cues, cues + 0.2, 2 * cues)
    )
    assert distance(layers, own) < 1e-3 < distance(layers, shifted)
    assert distance(layers, wider) > 0.3


def test_the_stage_tells_the_noisier_range_from_the_other(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fingerprint_report, "RANGES", [(0, 10), (15, 40)])
    monkeypatch.setattr(fingerprint, "CLIPS", 1)
    folders = {name: tmp_path / name for name in ("results", "work", "figures")}
    args = SimpleNamespace(data=None, seed=0, weights=None, **folders)
    fingerprint_report.run_fingerprint(args)
    text = (tmp_path / "results/fingerprint.md").read_text()
    assert (
        "| 1 | 0 to 10 dB |" in text
        and "| 2 | 15 to 40 dB |" in text
        and text in capsys.readouterr().out
    )
    assert (tmp_path / "figures/fingerprint.png").stat().st_size > 20_000
    stored = sorted((tmp_path / "work/fingerprint").glob("*.npz"))
    before = [path.stat().st_mtime_ns for path in stored]
    fingerprint_report.run_fingerprint(args)  # kept, and read again to the same table
    assert [path.stat().st_mtime_ns for path in stored] == before and len(stored) == 6
    assert (tmp_path / "results/fingerprint.md").read_text() == text


def test_other_weights_means_and_folders_are_refused(tmp_path):
    refuses("holds no weights_", load_checkpoints, tmp_path)
    model = build_model("three_branch", 0, FrontEnd())
    arrays = {name: np.asarray(variable[...]).T for name, variable in published_variables(model)}
    np.savez(tmp_path / "weights_a_epoch1.npz", **arrays)
    assert list(load_checkpoints(tmp_path)) == ["a_epoch1"]
    np.savez(
        tmp_path / "weights_b_epoch1.npz", **{k: v for k, v in arrays.items() if "running" not in k}
    )
    refuses("weights_b_epoch1.npz: .* is missing", load_checkpoints, tmp_path)
    (tmp_path / "means.csv").write_text("".join(MEANS.read_text().splitlines(keepends=True)[:20]))
    refuses(
        "means.csv: has 19 channels, not 32", fingerprint_report.read_means, tmp_path / "means.csv"
    )

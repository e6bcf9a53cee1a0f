"""Exported networks give what JAX gives, and docs/pytorch.md does as it says."""

import re
import sys
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from scipy.special import softmax

from ssl_jax import localise
from ssl_jax.config import FrontEnd
from ssl_jax.networks import packed
from ssl_jax.networks.array_file import ArrayFile, write_arrays
from ssl_jax.networks.registry import build_model
from ssl_jax.networks.serialisation import named_arrays, split
from support.networks import apply
from support.runs import ROOT, refused

MISSING = "the extra `onnx`, or onnxruntime, is not installed"
pytest.importorskip("onnx", reason=MISSING)
onnxruntime = pytest.importorskip("onnxruntime", reason=MISSING)


# a batch of one and one frame go other ways than several
SIZES = [(1, 1), (2, 2), (1, 3), (3, 100), (2, 101)]
# of posteriors: float32 sums in another order
TOLERANCE = 1e-4
# of maps in their units: ITD in ms, ILD in dB (times max_ild), IC, level in dB
RANGES = [(-1, 1), (-1, 1), (0.8, 1), (-100, 0)]


def random_maps(front, batch, frames, rng):
    """Cue maps in the ranges that the front-end gives: (batch, maps, 32, frames)."""
    maps = [rng.uniform(*ends, (batch, 32, frames)) for ends in RANGES[: front.map_count]]
    maps[1] *= front.max_ild
    return np.stack(maps, axis=1)


def check_export(call, name):
    """Export a packed network and compare it with JAX."""
    assert call("export", "--model", name, "--to", "a.onnx") == (0, "", [])
    network, front = packed.load_weights(name)
    session = onnxruntime.InferenceSession("a.onnx")
    rng = np.random.default_rng(0)
    for batch, frames in SIZES:
        cues = random_maps(front, batch, frames, rng)
        wanted = softmax(apply(network, cues) / packed.temperature_of(name), axis=1)
        (posterior,) = session.run(["posterior"], {"cues": cues.astype(np.float32)})
        assert posterior.shape == (batch, 72)
        np.testing.assert_allclose(posterior, wanted, atol=TOLERANCE)
        # 1/72 would be of no opinion
        assert posterior.max() > 0.02


@pytest.mark.parametrize("name", packed.available())
def test_exported_networks_give_what_jax_gives(call, name):
    check_export(call, name)


def test_an_exported_gate_is_moved_by_levels(call, tmp_path, monkeypatch):
    """A network that was never trained: its gate weighs levels and onsets at random."""
    front, rng = FrontEnd(levels=True), np.random.default_rng(1)
    _, weights, rest = split(build_model("phase_spectrum", 0, front))
    arrays = named_arrays("weights", weights) | named_arrays("rest", rest)
    for name, array in arrays.items():
        if "gate_" in name:
            array = rng.normal(0, 1, array.shape).astype(np.float32)
        if array.dtype == np.float32:
            arrays[name] = array.astype(np.float16)
    # cold, so that the posterior of an untrained network has a peak
    notes = packed.describe("freefield") | {"model": "phase_spectrum", "temperature": 0.02}
    content = ArrayFile(notes | {"front": asdict(front)}, arrays)
    write_arrays(tmp_path / "levels.safetensors", content)
    monkeypatch.setattr(packed, "_folder", lambda _: tmp_path)
    check_export(call, "levels")


def test_a_network_without_a_graph_is_refused(call, monkeypatch):
    monkeypatch.setattr("ssl_jax.networks.onnx_export.GRAPHS", {"other": None})
    says = "export: general is a network 'phase_spectrum': use one of other"
    refused(call("export", "--to", "a.onnx"), says)


def test_a_network_is_not_replaced_by_its_export(call, tmp_path):
    (tmp_path / "own.safetensors").write_bytes(b"a network")
    ended = call("export", "--model", "own.safetensors", "--to", "own.safetensors")
    refused(ended, "own.safetensors: would replace a file that is read")


def test_the_page_does_as_it_says(call, tmp_path, monkeypatch, mixture, capsys):
    """With soundfile in torchaudio's place, which is large: the page needs its arrays alone."""
    soundfile.write(tmp_path / "ears.wav", mixture, 44_100)
    signal, fs = soundfile.read(tmp_path / "ears.wav", dtype="float32")
    torchaudio = SimpleNamespace(load=lambda _: (SimpleNamespace(numpy=lambda: signal.T), fs))
    monkeypatch.setitem(sys.modules, "torchaudio", torchaudio)
    assert call("export", "--model", "freefield", "--to", "freefield.onnx").status == 0
    (block,) = re.findall(
        "```python\n(.*?)```", (ROOT / "docs/pytorch.md").read_text("utf-8"), re.DOTALL
    )
    exec(compile(block, "docs/pytorch.md", "exec"), {})
    estimate = localise(mixture, 44_100, model="freefield").posterior[0].argmax()
    assert capsys.readouterr().out == f"azimuth {5 * estimate}\n"

"""Exported networks give what JAX gives, for any batch and number of frames, and as docs/pytorch.md says."""

import re
import sys
from dataclasses import asdict
from types import SimpleNamespace

import jax
import numpy as np
import pytest
import soundfile
from flax import nnx

from ssl_jax import localise
from ssl_jax.config import FrontEnd
from ssl_jax.networks import packed
from ssl_jax.networks.registry import build_model
from ssl_jax.networks.serialisation import named_arrays
from support.runs import ROOT, refused

MISSING = "the extra `onnx`, or onnxruntime, is not installed"
pytest.importorskip("onnx", reason=MISSING)
onnxruntime = pytest.importorskip("onnxruntime", reason=MISSING)


@pytest.mark.parametrize("name", [*packed.available(), "levels"])
def test_any_batch_and_number_of_frames(call, tmp_path, monkeypatch, name):
    if name == "levels":  # a network that was never trained, with levels that move its gate
        front, rng = FrontEnd(levels=True), np.random.default_rng(1)
        _, *parts = nnx.split(build_model("recordings", 0, front), nnx.Param, ...)
        arrays = named_arrays("weights", parts[0]) | named_arrays("rest", parts[1])
        half = {k: a.astype(np.float16) if a.dtype == np.float32 else a for k, a in arrays.items()}
        half |= {
            k: rng.normal(0, 1, a.shape).astype(np.float16) for k, a in half.items() if "gate_" in k
        }
        notes = packed.describe("clean") | dict(
            model="recordings", front=asdict(front), temperature=0.02
        )
        (tmp_path / "levels.safetensors").write_bytes(packed.as_bytes(notes, half))
        monkeypatch.setattr(packed, "_folder", lambda _: tmp_path)
    assert call("export", "--model", name, "--to", "a.onnx") == (0, "", [])
    (network, front), rng = packed.load_weights(name), np.random.default_rng(0)
    session = onnxruntime.InferenceSession("a.onnx")
    for batch, frames in ((1, 1), (2, 2), (1, 3), (3, 100), (2, 101)):
        ranges = ((-1, 1), (-front.max_ild, front.max_ild), (0.8, 1), (-100, 0))[: front.map_count]
        cues = np.stack([rng.uniform(*ends, (batch, 32, frames)) for ends in ranges], axis=1)
        wanted = jax.nn.softmax(network(cues) / packed.temperature_of(name))
        if front.levels:  # what a microphone does to the spectrum changes nothing
            cues = cues + rng.normal(0, 10, (batch, 1, 32, 1)) * np.reshape([0, 0, 0, 1], (4, 1, 1))
        (posterior,) = session.run(["posterior"], {"cues": cues.astype(np.float32)})
        np.testing.assert_allclose(posterior, wanted, atol=1e-4)
        assert posterior.max() > 0.02 and posterior.shape == (batch, 72)


def test_the_page_does_as_it_says(call, tmp_path, monkeypatch, mixture, capsys):
    """Through soundfile in torchaudio's place, which is large: its arrays are all that is asked of it."""
    soundfile.write(tmp_path / "ears.wav", mixture, 44_100)
    signal, fs = soundfile.read(tmp_path / "ears.wav", dtype="float32")
    torchaudio = SimpleNamespace(load=lambda _: (SimpleNamespace(numpy=lambda: signal.T), fs))
    monkeypatch.setitem(sys.modules, "torchaudio", torchaudio)
    assert call("export", "--model", "clean", "--to", "clean.onnx").status == 0
    (block,) = re.findall(
        "```python\n(.*?)```", (ROOT / "docs/pytorch.md").read_text("utf-8"), re.DOTALL
    )
    exec(compile(block, "docs/pytorch.md", "exec"), {})
    found = localise(mixture, 44_100, model="clean").posterior[0].argmax()
    assert capsys.readouterr().out == f"azimuth {5 * found}\n"
    monkeypatch.setattr("ssl_jax.networks.onnx_export.GRAPHS", {"other": None})
    says = "export: recordings is a network 'recordings': use one of other"
    refused(call("export", "--to", "a.onnx"), says)

"""The published network against plain NumPy, with random and with published weights."""

import re

import numpy as np
import pytest
from scipy.special import softmax

from ssl_jax.studies.published_weights import load_published, published_variables
from support.networks import LOGIT_TOLERANCE, apply, build, cue_maps
from support.runs import refuses


@pytest.fixture(scope="module")
def weights():
    """Random arrays under the published names, every one away from its initial value."""
    rng = np.random.default_rng(1)
    arrays = {}
    for name, variable in published_variables(build("three_branch", 3)):
        array = rng.normal(scale=0.2, size=variable[...].shape[::-1])
        if "running_var" in name:
            array = abs(array) + 0.5
        arrays[name] = array.astype(np.float32)
    return arrays


def plain_conv1d(x, weight, bias):
    """(channels in, frames) to (channels out, frames); frames outside count as zero."""
    x = np.pad(x, ((0, 0), (2, 2)))
    frames = [np.tensordot(weight, x[:, t : t + 5]) + bias for t in range(x.shape[1] - 4)]
    return np.stack(frames, axis=1)


def plain_branch(w, name, x):
    """One cue map (channels, frames) to a vector, by PyTorch's names and layouts."""
    for at in (0, 3):
        conv = f"{name}.conv_net.conv.{at}."
        norm = f"{name}.conv_net.conv.{at + 1}."
        x = plain_conv1d(x, w[conv + "weight"], w[conv + "bias"])
        statistics = ("running_mean", "running_var", "weight", "bias")
        mean, var, scale, bias = (w[norm + each][:, None] for each in statistics)
        x = np.maximum((x - mean) / np.sqrt(var + 1e-5) * scale + bias, 0)
    pool = f"{name}.attn_pool.attn_score."
    return x @ softmax(w[pool + "weight"][0] @ x + w[pool + "bias"])


def plain_attention(w, x):
    """Self-attention with four heads of 16 over (3, 64)."""
    qkv = x @ w["cross_attn.in_proj_weight"].T + w["cross_attn.in_proj_bias"]
    q, k, v = np.split(qkv, 3, axis=1)
    heads = []
    for first in range(0, 64, 16):
        head = slice(first, first + 16)
        heads.append(softmax(q[:, head] @ k[:, head].T / 4, axis=1) @ v[:, head])
    x = np.concatenate(heads, axis=1)
    return x @ w["cross_attn.out_proj.weight"].T + w["cross_attn.out_proj.bias"]


def plain_three_branch(w, cues):
    """Logits of one mixture."""
    maps = enumerate(cues.astype(float))
    x = np.stack([plain_branch(w, f"cue_branches.{i}", x) for i, x in maps])
    x = plain_attention(w, x)
    x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    x = (x * w["norm.weight"] + w["norm.bias"]).reshape(-1)
    return w["fc.weight"] @ x + w["fc.bias"]


@pytest.mark.parametrize("frames", [1, 3, 20])
def test_three_branch_equals_plain_numpy(weights, frames):
    cues = cue_maps(2, frames)
    expected = [plain_three_branch(weights, one) for one in cues]
    actual = apply(load_published(weights), cues)
    np.testing.assert_allclose(actual, expected, atol=LOGIT_TOLERANCE)


def test_maps_in_half_precision_are_computed_in_single(weights):
    model = load_published(weights)
    half = cue_maps(2).astype(np.float16)
    single = half.astype(np.float32)
    np.testing.assert_array_equal(apply(model, half), apply(model, single), strict=True)


# ---- weights from files


def test_load_published_keeps_every_array(weights, tmp_path):
    np.savez(tmp_path / "w.npz", extra=np.zeros(3), **weights)
    for source in (weights, tmp_path / "w.npz", str(tmp_path / "w.npz")):
        loaded = dict(published_variables(load_published(source)))
        assert loaded.keys() == weights.keys()
        assert len(loaded) == 50
        for name, variable in loaded.items():
            np.testing.assert_array_equal(np.asarray(variable[...]).T, weights[name])


def test_load_published_unpickles_nothing(tmp_path):
    np.savez(tmp_path / "w.npz", a=np.array([{}], object))
    refuses("w.npz: not a whole .npz file", load_published, tmp_path / "w.npz")


FAULTS = {
    "missing": None,
    "shape": lambda good: good[..., :-1],
    "nan": lambda good: np.full_like(good, np.nan),
    "text": lambda good: good.astype(str),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_weights_are_named(weights, fault):
    for name in ("cue_branches.2.conv_net.conv.3.weight", "cross_attn.in_proj_bias", "fc.weight"):
        arrays = {key: weights[key] for key in weights if key != name}
        if FAULTS[fault]:
            arrays[name] = FAULTS[fault](weights[name])
        refuses(re.escape(name), load_published, arrays)

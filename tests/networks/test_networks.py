"""The networks against plain NumPy, their initial weights, published weights."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numpy.lib.stride_tricks import sliding_window_view
from scipy.special import softmax

from ssl_jax.config import FrontEnd
from ssl_jax.networks.layers import BatchNorm
from ssl_jax.networks.phase_network import MIRRORED
from ssl_jax.networks.registry import NETWORKS, build_model
from ssl_jax.networks.residual import ResidualBlock
from ssl_jax.studies.published_weights import load_published, published_variables
from support.runs import refuses

LOGIT_TOLERANCE = 2e-4  # of logits near 1 to 10: float32 against the float64 network
BLOCK_TOLERANCE = 1e-5  # the same of one block or layer
build = partial(build_model, front=FrontEnd())


def cue_maps(batch=4, frames=20, maps=3):
    return np.random.default_rng(0).normal(size=(batch, maps, 32, frames)).astype(np.float32)


@pytest.fixture(scope="module")
def weights():
    """Random arrays under the published names, every one away from its initial value."""
    rng, arrays = np.random.default_rng(1), {}
    for name, variable in published_variables(build("three_branch", 3)):
        array = rng.normal(scale=0.2, size=variable[...].shape[::-1])
        arrays[name] = (abs(array) + 0.5 if "running_var" in name else array).astype(np.float32)
    return arrays


def apply(model, x):
    return np.asarray(nnx.jit(lambda model, x: model(x))(model, jnp.asarray(x)))


def plain_conv1d(x, weight, bias):
    """(channels in, frames) to (channels out, frames); frames outside count as zero."""
    x = np.pad(x, ((0, 0), (2, 2)))
    return np.stack(
        [np.tensordot(weight, x[:, t : t + 5]) + bias for t in range(x.shape[1] - 4)], axis=1
    )


def plain_three_branch(w, cues):
    """One mixture at a time, PyTorch's names and layouts."""
    vectors, statistics = [], ("running_mean", "running_var", "weight", "bias")
    for i, x in enumerate(cues.astype(float)):
        for at in (0, 3):
            conv, norm = (f"cue_branches.{i}.conv_net.conv.{at + k}." for k in (0, 1))
            x = plain_conv1d(x, w[conv + "weight"], w[conv + "bias"])
            mean, var, scale, bias = (w[norm + name][:, None] for name in statistics)
            x = np.maximum((x - mean) / np.sqrt(var + 1e-5) * scale + bias, 0)
        pool = f"cue_branches.{i}.attn_pool.attn_score."
        vectors.append(x @ softmax(w[pool + "weight"][0] @ x + w[pool + "bias"]))
    x = np.stack(vectors)  # (3, 64)
    q, k, v = np.split(
        x @ w["cross_attn.in_proj_weight"].T + w["cross_attn.in_proj_bias"], 3, axis=1
    )
    heads = [slice(16 * h, 16 * h + 16) for h in range(4)]
    x = np.concatenate([softmax(q[:, h] @ k[:, h].T / 4, axis=1) @ v[:, h] for h in heads], axis=1)
    x = x @ w["cross_attn.out_proj.weight"].T + w["cross_attn.out_proj.bias"]
    x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    return w["fc.weight"] @ (x * w["norm.weight"] + w["norm.bias"]).reshape(-1) + w["fc.bias"]


@pytest.mark.parametrize("frames", [1, 3, 20])
def test_three_branch_equals_plain_numpy(weights, frames):
    cues, model = cue_maps(2, frames), load_published(weights)
    expected = [plain_three_branch(weights, one) for one in cues]
    np.testing.assert_allclose(apply(model, cues), expected, atol=LOGIT_TOLERANCE)
    half = cues.astype(np.float16)  # is computed in single precision
    np.testing.assert_array_equal(
        apply(model, half), apply(model, half.astype(np.float32)), strict=True
    )


@pytest.mark.parametrize("height, width", [(8, 10), (7, 5)])
def test_strided_residual_block_equals_plain_numpy(height, width):
    """Zero padding by one on BOTH sides: "SAME" would pad a stride of two on one side only."""
    block = ResidualBlock(2, 3, (3, 3), nnx.Rngs(0), stride=2)
    block.eval()

    def conv(x, layer, stride):
        kernel, bias = np.asarray(layer.kernel[...]), np.asarray(layer.bias[...])
        size, pad = len(kernel), (len(kernel) // 2,) * 2
        windows = sliding_window_view(np.pad(x, (pad, pad, (0, 0))), (size, size), (0, 1))
        out = np.einsum("rcihw,hwio->rco", windows[::stride, ::stride], kernel)
        return (out + bias) * (1 + 1e-5) ** -0.5  # running variance 1, mean 0

    x = np.random.default_rng(0).normal(size=(height, width, 2)).astype(np.float32)
    inner = np.maximum(conv(x, block.conv1, 2), 0)
    expected = np.maximum(conv(inner, block.conv2, 1) + conv(x, block.shortcut, 2), 0)
    np.testing.assert_allclose(apply(block, x[None])[0], expected, atol=BLOCK_TOLERANCE)


def test_batch_norm_follows_pytorch():
    x = (
        np.random.default_rng(0).normal(3, 2, size=(3, 2, 4)).astype(np.float32)
    )  # n = 6: n - 1 shows
    norm, mean, var = BatchNorm(4), x.mean((0, 1)), x.var((0, 1))
    np.testing.assert_allclose(
        norm(jnp.asarray(x)), (x - mean) / np.sqrt(var + 1e-5), atol=BLOCK_TOLERANCE
    )
    np.testing.assert_allclose(norm.mean[...], 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(norm.var[...], 0.9 + 0.1 * var * 6 / 5, rtol=1e-5)
    norm.eval()
    running = np.asarray(norm.mean[...])
    np.testing.assert_allclose(
        norm(x), (x - running) / np.sqrt(norm.var[...] + 1e-5), atol=BLOCK_TOLERANCE
    )
    np.testing.assert_array_equal(norm.mean[...], running)
    # a large constant is not noise
    assert np.abs(BatchNorm(1)(jnp.full((64, 50, 1), 7.3))).max() < 0.1


def test_parameter_counts():
    base, ours = 124_171, 415_628
    counts = {
        "three_branch": base,
        "three_branch_held": base,
        "resnet": 594_376,
        "recordings": 953_868,
    }
    counts |= dict.fromkeys(("ours", "ours_ungated", "ours_no_dropout"), ours)
    counts |= {"ours_raw_cues": ours - 160 * 12 * 32, "ours_mean_pooling": ours - 480 * 256}
    counts |= {"ours_single_frames": ours - 2 * 160 * (3 * 160 + 3), "deep_three_branch": 1_656_331}
    for name in NETWORKS:
        assert (
            sum(p.size for p in jax.tree.leaves(nnx.state(build(name, 0), nnx.Param)))
            == counts[name]
        )


def test_swapped_ears_mirror_what_the_network_for_recordings_says():
    model, cues = build("recordings", 0, front=FrontEnd(levels=True)), cue_maps(maps=4)
    model.eval()
    swapped = apply(model, cues * np.reshape([-1, -1, 1, 1], (4, 1, 1)))
    np.testing.assert_allclose(swapped, apply(model, cues)[:, MIRRORED], atol=BLOCK_TOLERANCE)


def test_unknown_name_and_wrong_shape_are_refused():
    with pytest.raises(ValueError, match="'model4'.*three_branch.*resnet"):
        build("model4", 0)
    for name in ("three_branch", "resnet", "ours", "deep_three_branch"):
        model = build(name, 0)
        for shape in ((3, 32, 20), (2, 2, 32, 20), (2, 3, 16, 20), (2, 3, 20, 32)):
            with pytest.raises(ValueError, match=re.escape(str(shape))):
                model(jnp.zeros(shape))


def test_initial_weights_are_pytorchs_and_the_seed_decides():
    model = build("three_branch", 0)
    branch, attention = model.branches[1], model.attention
    for bound, *variables in (
        ((32 * 5) ** -0.5, branch.conv1.kernel, branch.conv1.bias),
        ((64 * 5) ** -0.5, branch.conv2.kernel, branch.conv2.bias),
        (1 / 8, branch.score.kernel, attention.out.kernel),
        ((6 / (64 + 192)) ** 0.5, attention.qkv.kernel),
        (192**-0.5, model.classify.kernel, model.classify.bias),
    ):
        for size in (np.abs(np.asarray(variable[...])) for variable in variables):
            assert 0.9 * bound < size.max() <= bound
            assert abs(size.mean() / bound - 0.5) < 0.15  # uniform, not merely bounded
    assert not np.any(attention.qkv.bias[...]) and not np.any(attention.out.bias[...])
    first, again, other = (
        jax.tree.leaves(nnx.state(build("resnet", s), nnx.Param)) for s in (5, 5, 6)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, again))
    assert sum(not np.array_equal(a, b) for a, b in zip(first, other)) >= 8
    assert not np.array_equal(model.branches[0].conv1.kernel[...], branch.conv1.kernel[...])


def test_evaluation_treats_mixtures_one_by_one():
    model, cues = build("resnet", 0), cue_maps()
    training = apply(model, cues)
    model.eval()
    together = apply(model, cues)
    np.testing.assert_allclose(apply(model, cues[1::-1]), together[1::-1], atol=BLOCK_TOLERANCE)
    assert np.abs(together - training).max() > 1e-3


def test_load_published_keeps_every_array_and_unpickles_none(weights, tmp_path):
    np.savez(tmp_path / "w.npz", extra=np.zeros(3), **weights)
    for source in (weights, tmp_path / "w.npz", str(tmp_path / "w.npz")):
        loaded = dict(published_variables(load_published(source)))
        assert loaded.keys() == weights.keys() and len(loaded) == 50
        for name, variable in loaded.items():
            np.testing.assert_array_equal(np.asarray(variable[...]).T, weights[name])
    np.savez(tmp_path / "w.npz", a=np.array([{}], object))
    refuses("w.npz: not a whole .npz file", load_published, tmp_path / "w.npz")


@pytest.mark.parametrize("fault", ["missing", "shape", "nan", "text"])
def test_faulty_weights_are_named(weights, fault):
    for name in ("cue_branches.2.conv_net.conv.3.weight", "cross_attn.in_proj_bias", "fc.weight"):
        good, others = weights[name], {key: weights[key] for key in weights if key != name}
        bad = {"shape": good[..., :-1], "nan": np.full_like(good, np.nan), "text": good.astype(str)}
        refuses(
            re.escape(name), load_published, others | {name: bad[fault]} if fault in bad else others
        )

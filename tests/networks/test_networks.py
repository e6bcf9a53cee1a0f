"""The networks against plain NumPy, their initial weights, their training, published weights."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from ssl_jax.common.errors import InputError
from ssl_jax.networks.layers import BatchNorm
from ssl_jax.networks.phase_network import Ours
from ssl_jax.networks.three_branch import DeepThreeBranch, ResidualBlock, ResNet, ThreeBranch, build_model
from ssl_jax.studies.published_weights import load_published, published_variables


def cue_maps(batch=4, frames=20, seed=0):
    return np.random.default_rng(seed).normal(size=(batch, 3, 32, frames)).astype(np.float32)


@pytest.fixture(scope="module")
def weights():
    """Random arrays under the published names, every one away from its initial value."""
    rng = np.random.default_rng(1)
    arrays = {}
    for name, variable in published_variables(build_model("three_branch", 3)):
        array = rng.normal(scale=0.2, size=variable[...].shape[::-1])
        arrays[name] = (abs(array) + 0.5 if "running_var" in name else array).astype(np.float32)
    return arrays


def apply(model, x):
    return np.asarray(nnx.jit(lambda model, x: model(x))(model, jnp.asarray(x)))


# ---- plain NumPy, one mixture at a time, PyTorch's names and layouts


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def plain_conv1d(x, weight, bias):
    """(channels in, frames) to (channels out, frames); frames outside count as zero."""
    out = np.repeat(bias[:, None].astype(float), x.shape[1], axis=1)
    for t in range(x.shape[1]):
        for k in range(5):
            if 0 <= t + k - 2 < x.shape[1]:
                out[:, t] += weight[:, :, k] @ x[:, t + k - 2]
    return out


def plain_three_branch(w, cues):
    vectors = []
    for i in range(3):
        x = cues[i].astype(float)
        for at in (0, 3):
            layer = f"cue_branches.{i}.conv_net.conv."
            x = plain_conv1d(x, w[f"{layer}{at}.weight"], w[f"{layer}{at}.bias"])
            norm = {
                k: w[f"{layer}{at + 1}.{k}"][:, None]
                for k in ("weight", "bias", "running_mean", "running_var")
            }
            x = (x - norm["running_mean"]) / np.sqrt(norm["running_var"] + 1e-5)
            x = np.maximum(x * norm["weight"] + norm["bias"], 0)
        pool = f"cue_branches.{i}.attn_pool.attn_score."
        vectors.append(x @ softmax(w[pool + "weight"][0] @ x + w[pool + "bias"]))
    x = np.stack(vectors)  # (3, 64)
    q, k, v = np.split(x @ w["cross_attn.in_proj_weight"].T + w["cross_attn.in_proj_bias"], 3, axis=1)
    heads = [slice(16 * h, 16 * h + 16) for h in range(4)]
    x = np.concatenate([softmax(q[:, h] @ k[:, h].T / 4) @ v[:, h] for h in heads], axis=1)
    x = x @ w["cross_attn.out_proj.weight"].T + w["cross_attn.out_proj.bias"]
    x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    x = x * w["norm.weight"] + w["norm.bias"]
    return w["fc.weight"] @ x.reshape(-1) + w["fc.bias"]


@pytest.mark.parametrize("frames", [1, 3, 20])
def test_three_branch_equals_plain_numpy(weights, frames):
    cues = cue_maps(2, frames)
    expected = [plain_three_branch(weights, one) for one in cues]
    np.testing.assert_allclose(apply(load_published(weights), cues), expected, atol=2e-4)


@pytest.mark.parametrize("height, width", [(8, 10), (7, 5)])
def test_strided_residual_block_equals_plain_numpy(height, width):
    """Zero padding by one on BOTH sides: "SAME" would pad a stride of two on one side only."""
    block = ResidualBlock(2, 3, 2, nnx.Rngs(0))
    block.eval()

    def conv(x, layer, stride):
        kernel, bias = np.asarray(layer.kernel[...]), np.asarray(layer.bias[...])
        pad = kernel.shape[0] // 2
        padded = np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
        rows, columns = range(0, x.shape[0], stride), range(0, x.shape[1], stride)
        size = kernel.shape[0]
        return np.array(
            [
                [np.einsum("hwi,hwio->o", padded[r : r + size, c : c + size], kernel) + bias for c in columns]
                for r in rows
            ]
        )

    x = np.random.default_rng(0).normal(size=(height, width, 2)).astype(np.float32)
    scale = (1 + 1e-5) ** -0.5  # running variance 1, mean 0
    inner = np.maximum(conv(x, block.conv1, 2) * scale, 0)
    expected = np.maximum(conv(inner, block.conv2, 1) * scale + conv(x, block.shortcut, 2) * scale, 0)
    np.testing.assert_allclose(apply(block, x[None])[0], expected, atol=1e-5)


# ---- batch normalisation


def test_batch_norm_follows_pytorch():
    x = np.random.default_rng(0).normal(3, 2, size=(3, 2, 4)).astype(np.float32)  # n = 6: n - 1 shows
    norm = BatchNorm(4)
    y = norm(jnp.asarray(x))
    mean, var = x.mean((0, 1)), x.var((0, 1))
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(var + 1e-5), atol=1e-5)
    np.testing.assert_allclose(norm.mean[...], 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(norm.var[...], 0.9 + 0.1 * var * 6 / 5, rtol=1e-5)
    norm.eval()
    running = np.asarray(norm.mean[...])
    np.testing.assert_allclose(norm(x), (x - running) / np.sqrt(norm.var[...] + 1e-5), atol=1e-5)
    np.testing.assert_array_equal(norm.mean[...], running)


def test_batch_norm_of_a_large_constant_is_not_noise():
    assert np.abs(BatchNorm(1)(jnp.full((64, 50, 1), 7.3))).max() < 0.1


# ---- building


@pytest.mark.parametrize(
    "name, kind, count",
    [
        ("three_branch", ThreeBranch, 124_171),
        ("three_branch_kernel1", ThreeBranch, 124_171 - 3 * 4 * (32 + 64) * 64),
        ("resnet", ResNet, 594_376),
        ("deep_three_branch", DeepThreeBranch, 1_656_331),
        ("ours", Ours, 415_628),
        ("ours_raw_cues", Ours, 415_628 - 160 * 12 * 32),
        ("ours_mean_pooling", Ours, 415_628 - 480 * 256),
        ("ours_single_frames", Ours, 415_628 - 2 * (3 * 160 * 160 + 3 * 160)),
        ("ours_ungated", Ours, 415_628),
        ("ours_no_dropout", Ours, 415_628),
    ],
)
def test_names_and_parameter_counts(name, kind, count):
    model = build_model(name, 0)
    assert isinstance(model, kind)
    assert sum(p.size for p in jax.tree.leaves(nnx.state(model, nnx.Param))) == count


def test_unknown_name_lists_the_known():
    with pytest.raises(ValueError, match="'model4'.*three_branch.*resnet"):
        build_model("model4", 0)


@pytest.mark.parametrize("name", ["three_branch", "resnet"])
@pytest.mark.parametrize("shape", [(3, 32, 20), (2, 2, 32, 20), (2, 3, 16, 20), (2, 3, 20, 32)])
def test_wrong_shape_is_refused(name, shape):
    with pytest.raises(ValueError, match=re.escape(str(shape))):
        build_model(name, 0)(jnp.zeros(shape))


@pytest.mark.parametrize("name", ["three_branch", "resnet"])
def test_seed_decides_the_weights(name):
    def leaves(seed):
        return [np.asarray(x) for x in jax.tree.leaves(nnx.state(build_model(name, seed), nnx.Param))]

    first, again, other = leaves(5), leaves(5), leaves(6)
    assert all(np.array_equal(a, b) for a, b in zip(first, again))
    drawn = [not np.array_equal(a, b) for a, b in zip(first, other)]
    assert sum(drawn) >= 8


def test_initial_weights_are_pytorchs():
    model = build_model("three_branch", 0)
    branch, attention = model.branches[1], model.attention
    for variable, bound in [
        (branch.conv1.kernel, (32 * 5) ** -0.5),
        (branch.conv2.kernel, (64 * 5) ** -0.5),
        (branch.conv1.bias, (32 * 5) ** -0.5),
        (branch.conv2.bias, (64 * 5) ** -0.5),
        (branch.score.kernel, 1 / 8),
        (attention.qkv.kernel, (6 / (64 + 192)) ** 0.5),
        (attention.out.kernel, 1 / 8),
        (model.classify.kernel, 192**-0.5),
        (model.classify.bias, 192**-0.5),
    ]:
        size = np.abs(np.asarray(variable[...]))
        assert 0.9 * bound < size.max() <= bound
        assert abs(size.mean() / bound - 0.5) < 0.15  # uniform, not merely bounded
    assert not np.any(attention.qkv.bias[...]) and not np.any(attention.out.bias[...])
    assert not np.array_equal(model.branches[0].conv1.kernel[...], branch.conv1.kernel[...])


# ---- training and evaluation mode


@pytest.mark.parametrize("name", ["three_branch", "resnet"])
def test_evaluation_treats_mixtures_one_by_one(name):
    model = build_model(name, 0)
    cues = cue_maps()
    first, second = apply(model, cues), apply(model, cues)
    assert np.array_equal(first, second) == (name == "three_branch")  # only dropout differs
    assert first.shape == (4, 72)
    model.eval()
    together = apply(model, cues)
    np.testing.assert_allclose(apply(model, cues[:2]), together[:2], atol=1e-5)
    np.testing.assert_allclose(apply(model, cues[::-1]), together[::-1], atol=1e-5)
    assert np.abs(together - first).max() > 1e-3


def test_half_precision_cues_are_computed_in_single_precision(weights):
    model, cues = load_published(weights), cue_maps().astype(np.float16)
    logits = apply(model, cues)
    assert logits.dtype == np.float32
    np.testing.assert_array_equal(logits, apply(model, cues.astype(np.float32)))


@pytest.mark.parametrize("name", ["three_branch", "resnet"])
def test_a_pure_training_step_learns_and_moves_the_statistics(name):
    cues, labels = jnp.asarray(cue_maps(8, 12)), jnp.arange(8) * 9
    optimiser = optax.adamw(2e-3)
    graph, params, rest = nnx.split(build_model(name, 0), nnx.Param, ...)
    before = jax.tree.map(np.asarray, nnx.filter_state(rest, nnx.BatchStat))

    @jax.jit
    def step(params, rest, state):
        def loss(params):
            model = nnx.merge(graph, params, rest, copy=True)
            value = optax.softmax_cross_entropy_with_integer_labels(model(cues), labels).mean()
            return value, nnx.state(model, nnx.Not(nnx.Param))

        (value, rest), grads = jax.value_and_grad(loss, has_aux=True)(params)
        updates, state = optimiser.update(grads, state, params)
        return optax.apply_updates(params, updates), rest, state, value

    state, losses = optimiser.init(params), []
    for _ in range(12):
        params, rest, state, value = step(params, rest, state)
        losses.append(float(value))
    assert losses[0] > 3.5 and losses[-1] < 0.5 * losses[0]
    after = nnx.filter_state(rest, nnx.BatchStat)
    moved = [not np.allclose(a, b) for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after))]
    assert all(moved)


# ---- published weights


def test_load_published_keeps_every_array(weights, tmp_path):
    np.savez(tmp_path / "w.npz", extra=np.zeros(3), **weights)
    for source in (weights, tmp_path / "w.npz", str(tmp_path / "w.npz")):
        loaded = dict(published_variables(load_published(source)))
        assert loaded.keys() == weights.keys() and len(loaded) == 50
        for name, variable in loaded.items():
            np.testing.assert_array_equal(np.asarray(variable[...]).T, weights[name])


@pytest.mark.parametrize(
    "name", ["cue_branches.2.conv_net.conv.3.weight", "cross_attn.in_proj_bias", "fc.weight"]
)
@pytest.mark.parametrize("fault", ["missing", "shape", "nan", "text"])
def test_faulty_weights_are_named(weights, name, fault):
    arrays = dict(weights)
    good = arrays.pop(name)
    bad = {"shape": good[..., :-1], "nan": np.full_like(good, np.nan), "text": np.full(good.shape, "a")}
    if fault in bad:
        arrays[name] = bad[fault]
    with pytest.raises(InputError, match=re.escape(name)):
        load_published(arrays)


@pytest.mark.parametrize("content", ["text", "array", "pickle", "truncated"])
def test_a_file_that_is_no_npz_is_named(weights, tmp_path, content):
    path = tmp_path / "bad.npz"
    if content == "text":
        path.write_text("no weights here")
    elif content == "array":
        with open(path, "wb") as stream:
            np.save(stream, np.zeros(3))
    elif content == "pickle":
        np.savez(path, a=np.array([{}], dtype=object))
    else:
        np.savez(path, **weights)
        path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match="bad.npz"):
        load_published(path)

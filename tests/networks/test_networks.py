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
from ssl_jax.networks.layers import BatchNorm, pool_by_attention
from ssl_jax.networks.packed import default_weights, describe, load_weights
from ssl_jax.networks.phase_network import MIRRORED
from ssl_jax.networks.registry import NETWORKS, build_model
from ssl_jax.networks.residual import ResidualBlock
from ssl_jax.studies.published_weights import load_published, published_variables
from support.runs import refuses

# of logits near 1 to 10: float32 against the float64 network
LOGIT_TOLERANCE = 2e-4
# the same of one block or layer
BLOCK_TOLERANCE = 1e-5
build = partial(build_model, front=FrontEnd())


def cue_maps(batch=4, frames=20, maps=3):
    return np.random.default_rng(0).normal(size=(batch, maps, 32, frames)).astype(np.float32)


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


def apply(model, x):
    return np.asarray(nnx.jit(lambda model, x: model(x))(model, jnp.asarray(x)))


# ---- the networks in plain NumPy


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


def plain_conv2d(x, layer, stride):
    """(height, width, inputs) padded by half the kernel on BOTH sides, as PyTorch does."""
    kernel = np.asarray(layer.kernel[...])
    size = len(kernel)
    pad = (size // 2, size // 2)
    windows = sliding_window_view(np.pad(x, (pad, pad, (0, 0))), (size, size), (0, 1))
    out = np.einsum("rcihw,hwio->rco", windows[::stride, ::stride], kernel)
    # a new batch normalisation: running variance 1, mean 0
    return (out + np.asarray(layer.bias[...])) * (1 + 1e-5) ** -0.5


@pytest.mark.parametrize("height, width", [(8, 10), (7, 5)])
def test_strided_residual_block_equals_plain_numpy(height, width):
    """ "SAME" would pad a stride of two on one side only."""
    block = ResidualBlock(2, 3, (3, 3), nnx.Rngs(0), stride=2)
    block.eval()
    x = np.random.default_rng(0).normal(size=(height, width, 2)).astype(np.float32)
    inner = np.maximum(plain_conv2d(x, block.conv1, 2), 0)
    sum_of_both = plain_conv2d(inner, block.conv2, 1) + plain_conv2d(x, block.shortcut, 2)
    actual = apply(block, x[None])[0]
    np.testing.assert_allclose(actual, np.maximum(sum_of_both, 0), atol=BLOCK_TOLERANCE)


# ---- layers


@pytest.fixture
def batch():
    """Six values a feature: few, so that n - 1 shows."""
    return np.random.default_rng(0).normal(3, 2, size=(3, 2, 4)).astype(np.float32)


def test_batch_norm_divides_by_the_biased_variance(batch):
    expected = (batch - batch.mean((0, 1))) / np.sqrt(batch.var((0, 1)) + 1e-5)
    np.testing.assert_allclose(BatchNorm(4)(jnp.asarray(batch)), expected, atol=BLOCK_TOLERANCE)


def test_batch_norm_remembers_the_unbiased_variance(batch):
    norm = BatchNorm(4)
    norm(jnp.asarray(batch))
    np.testing.assert_allclose(norm.mean[...], 0.1 * batch.mean((0, 1)), rtol=1e-5)
    expected = 0.9 + 0.1 * batch.var((0, 1), ddof=1)
    np.testing.assert_allclose(norm.var[...], expected, rtol=1e-5)


def test_batch_norm_in_evaluation_uses_what_it_remembers(batch):
    norm = BatchNorm(4)
    norm(jnp.asarray(batch))
    norm.eval()
    mean, var = np.asarray(norm.mean[...]), np.asarray(norm.var[...])
    expected = (batch - mean) / np.sqrt(var + 1e-5)
    np.testing.assert_allclose(norm(jnp.asarray(batch)), expected, atol=BLOCK_TOLERANCE)
    np.testing.assert_array_equal(norm.mean[...], mean)


def test_batch_norm_of_a_constant_is_near_zero():
    """The variance of E[x^2] - E[x]^2 is rounding here, and must not become the unit."""
    assert np.abs(BatchNorm(1)(jnp.full((64, 50, 1), 7.3))).max() < 0.1


def test_attention_pooling_weighs_frames_by_their_scores():
    frames = jnp.asarray([[[1.0], [3.0]]])
    # e^0 to e^ln 3: one part to three
    pooled = pool_by_attention(lambda x: jnp.log(jnp.asarray([[[1.0], [3.0]]])), frames)
    assert pooled.tolist() == [[pytest.approx(1 / 4 * 1 + 3 / 4 * 3)]]


# ---- whole networks


def parameter_count(model):
    return sum(parameter.size for parameter in jax.tree.leaves(nnx.state(model, nnx.Param)))


THREE_BRANCH = 124_171
PHASE = 415_628
# with a front-end without levels
PARAMETERS = {
    "three_branch": THREE_BRANCH,
    "three_branch_held": THREE_BRANCH,
    "resnet": 594_376,
    "deep_three_branch": 1_656_331,
    "phase": PHASE,
    "phase_levels": 953_868,
    # 96 mean levels and ILDs to 128, to 64, to the hidden layer; levels too
    "phase_spectrum": 972_364 + 97 * 128 + 2 * 128 + 129 * 64 + 2 * 64 + 64 * 256,
    # twelve features a channel less
    "phase_raw_cues": PHASE - 12 * 32 * 160,
    "phase_ungated": PHASE,
    # two convolutions of three taps with bias and normalisation less
    "phase_single_frames": PHASE - 2 * 160 * (3 * 160 + 3),
    # one head's frames instead of four's
    "phase_mean_pooling": PHASE - 3 * 160 * 256,
    "phase_no_dropout": PHASE,
}


def test_every_network_is_counted():
    assert PARAMETERS.keys() == NETWORKS.keys()


@pytest.mark.parametrize("name", NETWORKS)
def test_parameter_counts(name):
    front = FrontEnd(levels=name == "phase_spectrum")
    assert parameter_count(build_model(name, 0, front)) == PARAMETERS[name]


def test_the_default_network_has_the_parameters_that_the_registry_states():
    name = default_weights()
    network, front = load_weights(name)
    assert describe(name)["model"] == "phase_levels"
    assert front.levels
    assert parameter_count(network) == 972_364
    assert parameter_count(build_model("phase_levels", 0, front)) == 972_364


# the others are held to plain NumPy, or to their export
OTHERS = ["three_branch_held", "resnet", "deep_three_branch"]
OTHERS += ["phase_raw_cues", "phase_ungated", "phase_single_frames", "phase_mean_pooling"]


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("frames", [1, 7])
def test_any_number_of_frames_gives_finite_logits(name, frames):
    model = build(name, 0)
    model.eval()
    logits = apply(model, cue_maps(2, frames))
    assert logits.shape == (2, 72)
    assert np.isfinite(logits).all()


@pytest.fixture
def phase_levels():
    """In evaluation mode, with a gate that levels move."""
    model = build_model("phase_levels", 0, FrontEnd(levels=True))
    model.gate_level[...] = jnp.linspace(-1, 1, 32)[:, None]
    model.gate_onset[...] = jnp.linspace(1, -1, 32)[:, None]
    model.eval()
    return model


def test_swapped_ears_mirror_what_a_network_with_levels_says(phase_levels):
    cues = cue_maps(maps=4)
    swapped = apply(phase_levels, cues * np.reshape([-1, -1, 1, 1], (4, 1, 1)))
    expected = apply(phase_levels, cues)[:, MIRRORED]
    np.testing.assert_allclose(swapped, expected, atol=BLOCK_TOLERANCE)


def test_a_microphones_gain_changes_nothing(phase_levels):
    cues = cue_maps(maps=4)
    louder = cues.copy()
    louder[:, 3] += np.linspace(-10, 10, 32)[:, None]
    expected = apply(phase_levels, cues)
    # float32 sums of levels up to 10 dB
    np.testing.assert_allclose(apply(phase_levels, louder), expected, atol=LOGIT_TOLERANCE)


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="'model4'.*three_branch.*resnet"):
        build("model4", 0)


@pytest.mark.parametrize("name", ["three_branch", "resnet", "phase", "deep_three_branch"])
@pytest.mark.parametrize("shape", [(3, 32, 20), (2, 2, 32, 20), (2, 3, 16, 20), (2, 3, 20, 32)])
def test_maps_of_another_shape_are_refused(name, shape):
    with pytest.raises(ValueError, match=re.escape(str(shape))):
        build(name, 0)(jnp.zeros(shape))


def test_evaluation_treats_mixtures_one_by_one():
    model, cues = build("resnet", 0), cue_maps()
    training = apply(model, cues)
    model.eval()
    together = apply(model, cues)
    np.testing.assert_allclose(apply(model, cues[1::-1]), together[1::-1], atol=BLOCK_TOLERANCE)
    # dropout and the batch's statistics are out
    assert np.abs(together - training).max() > 1e-3


# ---- initial weights


def test_initial_weights_have_pytorchs_bounds():
    model = build("three_branch", 0)
    branch, attention = model.branches[1], model.attention
    for bound, *variables in (
        ((32 * 5) ** -0.5, branch.conv1.kernel, branch.conv1.bias),
        ((64 * 5) ** -0.5, branch.conv2.kernel, branch.conv2.bias),
        (64**-0.5, branch.score.kernel, attention.out.kernel),
        ((6 / (64 + 192)) ** 0.5, attention.qkv.kernel),
        (192**-0.5, model.classify.kernel, model.classify.bias),
    ):
        for variable in variables:
            size = np.abs(np.asarray(variable[...]))
            assert 0.9 * bound < size.max() <= bound
            # uniform, not merely bounded
            assert abs(size.mean() / bound - 0.5) < 0.15


def test_biases_of_the_attention_start_at_zero():
    attention = build("three_branch", 0).attention
    assert not np.any(attention.qkv.bias[...])
    assert not np.any(attention.out.bias[...])


def initial_weights(seed):
    return jax.tree.leaves(nnx.state(build("resnet", seed), nnx.Param))


def test_the_seed_decides_the_weights():
    for first, again in zip(initial_weights(5), initial_weights(5), strict=True):
        np.testing.assert_array_equal(first, again)
    pairs = zip(initial_weights(5), initial_weights(6), strict=True)
    # scales and biases of normalisations start alike
    assert sum(not np.array_equal(a, b) for a, b in pairs) >= 8


def test_branches_start_unlike_one_another():
    first, second, _ = build("three_branch", 0).branches
    assert not np.array_equal(first.conv1.kernel[...], second.conv1.kernel[...])


# ---- published weights


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

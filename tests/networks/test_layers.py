"""Layers and blocks against plain NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numpy.lib.stride_tricks import sliding_window_view

from ssl_jax.networks.layers import BatchNorm, pool_by_attention
from ssl_jax.networks.residual import ResidualBlock
from support.networks import BLOCK_TOLERANCE, apply


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


@pytest.mark.parametrize("is_training", [True, False])
def test_batch_norm_takes_a_bias_that_was_left_out_as_one_that_was_added(batch, is_training):
    bias = jnp.asarray([-3.0, 0.5, 1.0, 2.0])
    norms = [BatchNorm(4), BatchNorm(4)]
    for norm in norms:
        norm(batch + 1)  # something to remember
        if not is_training:
            norm.eval()
    expected = norms[0](batch + bias)
    np.testing.assert_allclose(norms[1](batch, left_out=bias), expected, atol=BLOCK_TOLERANCE)
    np.testing.assert_allclose(norms[1].mean[...], norms[0].mean[...], rtol=1e-5)
    np.testing.assert_allclose(norms[1].var[...], norms[0].var[...], rtol=1e-4)


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

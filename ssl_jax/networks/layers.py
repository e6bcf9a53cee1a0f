"""Layers that the networks are made of. They start and normalise as PyTorch's do by default."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

# ITD, ILD and IC: the maps that every network gets
CUES = 3


def uniform(bound: float):
    """Return an initialiser that draws from U(-bound, bound)."""

    def draw(key, shape, dtype=jnp.float32):
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return draw


def linear(inputs: int, outputs: int, rngs: nnx.Rngs) -> nnx.Linear:
    """Make a linear layer as PyTorch starts it: weights and bias from U(+-1/sqrt(inputs))."""
    init = uniform(inputs**-0.5)
    return nnx.Linear(inputs, outputs, kernel_init=init, bias_init=init, rngs=rngs)


def conv(
    inputs: int, outputs: int, kernel: tuple[int, ...], rngs: nnx.Rngs, stride: int = 1
) -> nnx.Conv:
    """Make a convolution as PyTorch starts and pads it.

    It pads kernel // 2 zeros on both sides. "SAME" with a stride would pad one side more.
    """
    fan_in = inputs * np.prod(kernel)
    init = uniform(fan_in**-0.5)
    padding = tuple((size // 2, size // 2) for size in kernel)
    return nnx.Conv(
        inputs,
        outputs,
        kernel,
        stride,
        padding=padding,
        kernel_init=init,
        bias_init=init,
        rngs=rngs,
    )


class BatchNorm(nnx.Module):
    """Batch normalisation over all axes but the last (Ioffe & Szegedy 2015).

    It follows torch.nn.BatchNorm1d: a batch is divided by its biased variance (over n), while the
    running variance follows the unbiased one (over n - 1). `nnx.BatchNorm` uses the biased variance
    in both places.
    """

    def __init__(self, features: int):
        self.scale = nnx.Param(jnp.ones(features))
        self.bias = nnx.Param(jnp.zeros(features))
        self.mean = nnx.BatchStat(jnp.zeros(features))
        self.var = nnx.BatchStat(jnp.ones(features))
        # nnx's train() and eval() set the attribute of this name
        self.use_running_average = False
        # PyTorch's defaults; Flax counts this momentum as 0.9
        self.momentum = 0.1
        self.epsilon = 1e-5

    def __call__(self, x: jax.Array, left_out: jax.Array | float = 0.0) -> jax.Array:
        """Normalise `x` (..., features); in training, move the running statistics too.

        `left_out` (features,) is a bias that `x` should have and has not. Normalising takes it out
        again, so that it need not be added to all of `x`: only the running mean knows it.
        """
        if self.use_running_average:
            mean = self.mean[...] - left_out
            var = self.var[...]
        else:
            mean, var = self._batch_statistics(x)
            self._move_running_statistics(mean + left_out, var, x.size // x.shape[-1])
        slope = self.scale[...] * lax.rsqrt(var + self.epsilon)
        return x * slope + (self.bias[...] - mean * slope)

    def _batch_statistics(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Mean and biased variance (features,) of `x` (..., features)."""
        # a CPU sums one axis faster than two
        x = x.reshape(-1, x.shape[-1])
        mean = x.mean(0)
        # E[x^2] - E[x]^2 reads x once; its rounding error is 1e-7 E[x]^2 and can turn it negative
        var = jnp.maximum((x * x).mean(0) - mean * mean, 0)
        return mean, var

    def _move_running_statistics(self, mean: jax.Array, var: jax.Array, count: int) -> None:
        """Move the running statistics towards those of a batch of `count` values a feature."""
        unbiased = var * (count / max(count - 1, 1))
        self.mean[...] += self.momentum * (lax.stop_gradient(mean) - self.mean[...])
        self.var[...] += self.momentum * (lax.stop_gradient(unbiased) - self.var[...])


def pool_by_attention(score: nnx.Linear, x: jax.Array) -> jax.Array:
    """Sum frames (batch, frames, embed) weighted by their scores' softmax: (batch, embed)."""
    # (B, T), adds up to 1 over time
    weights = jax.nn.softmax(score(x)[..., 0], axis=1)
    return jnp.einsum("bt,bte->be", weights, x)


def check_cue_maps(cues: jax.Array, channels: int, maps: int = CUES) -> None:
    """Raise ValueError unless `cues` is (batch, maps, channels, frames)."""
    if cues.ndim != 4 or cues.shape[1:3] != (maps, channels):
        raise ValueError(f"cue maps must be (batch, {maps}, {channels}, frames), not {cues.shape}")

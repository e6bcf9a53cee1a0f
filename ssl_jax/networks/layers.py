"""Layers the networks are made of, started and normalised as PyTorch does by default."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

CUES = 3  # ITD, ILD, IC


def uniform(bound: float):
    """Initialiser U(-bound, bound)."""
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(
        key, shape, dtype, -bound, bound
    )


def linear(inputs: int, outputs: int, rngs: nnx.Rngs) -> nnx.Linear:
    """Linear layer as PyTorch starts it: weights and bias U(+-1/sqrt(inputs))."""
    init = uniform(inputs**-0.5)
    return nnx.Linear(inputs, outputs, kernel_init=init, bias_init=init, rngs=rngs)


def conv(
    inputs: int, outputs: int, kernel: tuple[int, ...], rngs: nnx.Rngs, stride: int = 1
) -> nnx.Conv:
    """Convolution as PyTorch starts and pads it: kernel // 2 zeros on both sides, unlike a strided "SAME"."""
    init, pad = uniform((inputs * np.prod(kernel)) ** -0.5), tuple((k // 2, k // 2) for k in kernel)
    return nnx.Conv(
        inputs, outputs, kernel, stride, padding=pad, kernel_init=init, bias_init=init, rngs=rngs
    )


class BatchNorm(nnx.Module):
    """Batch normalisation over all axes but the last (Ioffe & Szegedy 2015) as torch.nn.BatchNorm1d has it:
    by the biased variance of the batch (divided by n), while the running variance follows the unbiased one
    (divided by n - 1); `nnx.BatchNorm` uses the biased one in both places."""

    def __init__(self, features: int):
        self.scale, self.bias = nnx.Param(jnp.ones(features)), nnx.Param(jnp.zeros(features))
        self.mean, self.var = nnx.BatchStat(jnp.zeros(features)), nnx.BatchStat(jnp.ones(features))
        self.use_running_average = False  # the name that nnx's train() and eval() set
        self.momentum, self.epsilon = 0.1, 1e-5  # Flax counts this momentum as 0.9

    def __call__(self, x: jax.Array) -> jax.Array:
        """Normalise `x` (..., features); while training, move the running statistics too."""
        if self.use_running_average:
            mean, var = self.mean[...], self.var[...]
        else:
            n, axes = x.size // x.shape[-1], tuple(range(x.ndim - 1))
            mean = x.mean(axes)
            var = jnp.maximum(
                (x * x).mean(axes) - mean * mean, 0
            )  # reads x once; off by 1e-7 E[x]^2
            unbiased = var * (n / max(n - 1, 1))
            self.mean[...] += self.momentum * (lax.stop_gradient(mean) - self.mean[...])
            self.var[...] += self.momentum * (lax.stop_gradient(unbiased) - self.var[...])
        slope = self.scale[...] * lax.rsqrt(var + self.epsilon)
        return x * slope + (self.bias[...] - mean * slope)


def attention_pooling(score: nnx.Linear, x: jax.Array) -> jax.Array:
    """Frames (batch, frames, embed) weighed by the softmax of their scores and summed: (batch, embed)."""
    weights = jax.nn.softmax(score(x)[..., 0], axis=1)  # (B, T), adds up to 1 over time
    return jnp.einsum("bt,bte->be", weights, x)


def check(cues: jax.Array, channels: int, maps: int = CUES) -> None:
    """Raise ValueError unless `cues` is (batch, maps, channels, frames)."""
    if cues.ndim != 4 or cues.shape[1:3] != (maps, channels):
        raise ValueError(f"cue maps must be (batch, {maps}, {channels}, frames), not {cues.shape}")

"""The network of both published tables: cue maps in, one logit per azimuth class out (Flax NNX).
Source: run_model.ipynb of github.com/Kenzot007/SoundSourceLocalization, also for residual.py. Networks take
maps (batch, 3 cues, channels, frames) of ITD (ms), ILD (dB) and IC (0..1), any number of frames. Inside
`lax.scan` a CPU's convolutions are thirty times slower, so a training loop must dispatch step by step."""

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax.config import AZIMUTHS, FrontEnd
from ssl_jax.networks.layers import CUES, BatchNorm, attention_pooling, check, conv, linear, uniform


class CueBranch(nnx.Module):
    """One cue map to one vector: two convolutions over `kernel` frames, then attention pooling."""

    def __init__(self, channels: int, embed: int, kernel: int, rngs: nnx.Rngs):
        self.conv1, self.norm1 = conv(channels, embed, (kernel,), rngs), BatchNorm(embed)
        self.conv2, self.norm2 = conv(embed, embed, (kernel,), rngs), BatchNorm(embed)
        self.score = linear(embed, 1, rngs)

    def convolve(self, layer: nnx.Conv, x: jax.Array) -> jax.Array:
        return layer(x)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, frames, channels) to (batch, embed)."""
        x = nnx.relu(self.norm1(self.convolve(self.conv1, x)))  # (B, T, 32) -> (B, T, 64)
        x = nnx.relu(self.norm2(self.convolve(self.conv2, x)))  # (B, T, 64)
        return attention_pooling(self.score, x)


class HeldBranch(CueBranch):
    """The same with every tap of a kernel on one frame: at hop 1 neighbouring samples hold the same cues."""

    def convolve(self, layer: nnx.Conv, x: jax.Array) -> jax.Array:
        return x @ layer.kernel[...].sum(0) + layer.bias[...]  # type: ignore[index]


class SelfAttention(nnx.Module):
    """Multi-head self-attention as `torch.nn.MultiheadAttention` (Vaswani et al. 2017): one projection gives
    queries, keys and values, with Xavier's bound of the fused (embed, 3 embed) matrix; biases start at 0."""

    def __init__(self, embed: int, heads: int, rngs: nnx.Rngs):
        self.heads = heads
        self.qkv = nnx.Linear(
            embed, 3 * embed, kernel_init=nnx.initializers.xavier_uniform(), rngs=rngs
        )
        self.out = nnx.Linear(embed, embed, kernel_init=uniform(embed**-0.5), rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, length, embed) to the same."""
        B, L, E = x.shape
        q, k, v = jnp.moveaxis(self.qkv(x).reshape(B, L, 3, self.heads, E // self.heads), 2, 0)
        return self.out(jax.nn.dot_product_attention(q, k, v).reshape(B, L, E))


class ThreeBranch(nnx.Module):
    """A branch per cue and attention across them, without residual or dropout: 124,171 parameters."""

    def __init__(self, rngs: nnx.Rngs, front: FrontEnd, kernel=5, embed=64, branch=CueBranch):
        self.channels = front.channels
        self.branches = nnx.List([branch(front.channels, embed, kernel, rngs) for _ in range(CUES)])
        self.attention = SelfAttention(embed, 4, rngs)
        self.norm = nnx.LayerNorm(embed, epsilon=1e-5, rngs=rngs)
        self.classify = linear(CUES * embed, AZIMUTHS, rngs)

    def __call__(self, cues: jax.Array) -> jax.Array:
        """Logits (batch, 72) of cue maps (batch, 3, 32, frames); ValueError for another shape."""
        check(cues, self.channels)
        x = cues.astype(jnp.float32).transpose(1, 0, 3, 2)  # (B, 3, 32, T) -> (3, B, T, 32)
        x = jnp.stack(
            [branch(x[i]) for i, branch in enumerate(self.branches)], axis=1
        )  # (B, 3, embed)
        x = self.norm(self.attention(x))
        return self.classify(x.reshape(len(x), -1))  # (B, 3 embed) -> (B, 72)

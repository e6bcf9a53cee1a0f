"""The network of both published tables: cue maps in, one logit per azimuth class out.

Source: run_model.ipynb of github.com/Kenzot007/SoundSourceLocalization, also for residual.py.
Networks take maps (batch, 3 cues, channels, frames) of ITD (ms), ILD (dB) and IC (0..1), with any
number of frames. A training loop must dispatch step by step: inside `lax.scan` a CPU's convolutions
are thirty times slower.

In shape comments B is the batch, T frames, E the embedding's size.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from ssl_jax.config import AZIMUTHS, FrontEnd
from ssl_jax.networks.layers import (
    CUES,
    BatchNorm,
    check_cue_maps,
    conv,
    linear,
    pool_by_attention,
    uniform,
)

# published: torch.nn.MultiheadAttention(embed, 4)
ATTENTION_HEADS = 4
KERNEL = 5  # frames, of the published convolutions


class CueBranch(nnx.Module):
    """One cue map to one vector: two convolutions over `kernel` frames, then attention pooling."""

    def __init__(self, channels: int, embed: int, kernel: int, rngs: nnx.Rngs):
        self.conv1 = conv(channels, embed, (kernel,), rngs)
        self.norm1 = BatchNorm(embed)
        self.conv2 = conv(embed, embed, (kernel,), rngs)
        self.norm2 = BatchNorm(embed)
        self.score = linear(embed, 1, rngs)

    def convolve(self, layer: nnx.Conv, x: jax.Array) -> jax.Array:
        """Apply a convolution to (batch, frames, inputs), without its bias."""
        return lax.conv_general_dilated(
            x,
            layer.kernel[...],
            window_strides=(1,),
            padding=layer.padding,  # type: ignore[arg-type]
            dimension_numbers=("NWC", "WIO", "NWC"),
        )

    def activate(self, layer: nnx.Conv, norm: BatchNorm, x: jax.Array) -> jax.Array:
        """Convolution, normalisation and rectifier of (batch, frames, inputs)."""
        bias = layer.bias[...]  # type: ignore[index]
        return nnx.relu(norm(self.convolve(layer, x), left_out=bias))

    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, frames, channels) to (batch, embed)."""
        # (B, T, 32) -> (B, T, E)
        x = self.activate(self.conv1, self.norm1, x)
        x = self.activate(self.conv2, self.norm2, x)
        # (B, T, E) -> (B, E)
        return pool_by_attention(self.score, x)


class HeldBranch(CueBranch):
    """The same with every tap of a kernel on one frame.

    At hop 1, as published, neighbouring samples hold the same cues, so a kernel sees one value.
    """

    def convolve(self, layer: nnx.Conv, x: jax.Array) -> jax.Array:
        """Apply the sum of the kernel's taps to each frame of (batch, frames, inputs), no bias."""
        return x @ layer.kernel[...].sum(0)


class SelfAttention(nnx.Module):
    """Multi-head self-attention as `torch.nn.MultiheadAttention` (Vaswani et al. 2017).

    One projection gives queries, keys and values; it starts with Xavier's bound of the fused
    (embed, 3 embed) matrix. Biases start at 0.
    """

    def __init__(self, embed: int, heads: int, rngs: nnx.Rngs):
        self.heads = heads
        xavier = nnx.initializers.xavier_uniform()
        self.qkv = nnx.Linear(embed, 3 * embed, kernel_init=xavier, rngs=rngs)
        self.out = nnx.Linear(embed, embed, kernel_init=uniform(embed**-0.5), rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, length, embed) to the same."""
        B, L, E = x.shape
        # (B, L, 3 E) -> three of (B, L, heads, E / heads)
        qkv = self.qkv(x).reshape(B, L, 3, self.heads, E // self.heads)
        q, k, v = jnp.moveaxis(qkv, 2, 0)
        # (B, L, heads, E / heads) -> (B, L, E)
        x = jax.nn.dot_product_attention(q, k, v).reshape(B, L, E)
        return self.out(x)


class ThreeBranch(nnx.Module):
    """A branch per cue and attention across them, without residual or dropout.

    It has 124,171 parameters. `branch` is the class of the branches.
    """

    def __init__(self, rngs: nnx.Rngs, front: FrontEnd, embed=64, branch=CueBranch):
        self.channels = front.channels
        self.branches = nnx.List([branch(front.channels, embed, KERNEL, rngs) for _ in range(CUES)])
        self.attention = SelfAttention(embed, ATTENTION_HEADS, rngs)
        # PyTorch's epsilon; Flax's is 1e-6
        self.norm = nnx.LayerNorm(embed, epsilon=1e-5, rngs=rngs)
        self.classify = linear(CUES * embed, AZIMUTHS, rngs)

    def __call__(self, cues: jax.Array) -> jax.Array:
        """Logits (batch, 72) of cue maps (batch, 3, 32, frames); ValueError for another shape."""
        check_cue_maps(cues, self.channels)
        # (B, 3, 32, T) -> (3, B, T, 32)
        x = cues.astype(jnp.float32).transpose(1, 0, 3, 2)
        # -> (B, 3, E)
        x = jnp.stack([branch(x[i]) for i, branch in enumerate(self.branches)], axis=1)
        x = self.norm(self.attention(x))
        # (B, 3, E) -> (B, 3 E) -> (B, 72)
        return self.classify(x.reshape(len(x), -1))

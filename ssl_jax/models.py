"""The published networks: cue maps in, one logit per azimuth class out (Flax NNX).

`ThreeBranch` is the network of both published tables, `ResNet` and `DeepThreeBranch` the residual CNN
and the deeper network of the same notebook (github.com/Kenzot007/SoundSourceLocalization,
run_model.ipynb). All take float maps
(batch, 3 cues, 32 channels, frames), cues in the order ITD (ms), ILD (dB), IC (0..1), any number
of frames, and give logits (batch, 72), class = azimuth / 5 degrees.

Initial weights and normalisation follow PyTorch's defaults, under which the tables were made.
`model.train()` and `model.eval()` switch batch normalisation and dropout; a new model trains.

The convolutions are XLA's own, channels last: on a CPU they beat matrix products over
concatenated shifts by a fifth. That holds outside loops only: inside `lax.scan` XLA falls
back to a convolution thirty times slower, so a training loop must dispatch step by step. Where a
pure function updates the model, `nnx.merge(..., copy=True)` lets BatchNorm write its statistics.
"""

from functools import partial

from flax import nnx
import jax
import jax.numpy as jnp

from .config import AZIMUTHS
from .layers import CHANNELS, CUES, BatchNorm, check, conv, linear, uniform
from .ours import Ours

def attention_pooling(score: nnx.Linear, x: jax.Array) -> jax.Array:
    """Frames (batch, frames, embed) weighed by the softmax of their scores and summed: (batch, embed)."""
    weights = jax.nn.softmax(score(x)[..., 0], axis=1)  # (B, T), adds up to 1 over time
    return jnp.einsum("bt,bte->be", weights, x)


class CueBranch(nnx.Module):
    """One cue map to one vector: two convolutions over `kernel` frames, then attention pooling."""

    def __init__(self, channels: int, embed: int, kernel: int, rngs: nnx.Rngs):
        self.conv1 = conv(channels, embed, (kernel,), rngs)
        self.norm1 = BatchNorm(embed)
        self.conv2 = conv(embed, embed, (kernel,), rngs)
        self.norm2 = BatchNorm(embed)
        self.score = linear(embed, 1, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, frames, channels) to (batch, embed)."""
        x = nnx.relu(self.norm1(self.conv1(x)))  # (B, T, 32) -> (B, T, 64)
        x = nnx.relu(self.norm2(self.conv2(x)))  # (B, T, 64)
        return attention_pooling(self.score, x)


class SelfAttention(nnx.Module):
    """Multi-head self-attention as `torch.nn.MultiheadAttention` (Vaswani et al. 2017).

    One fused projection gives queries, keys and values, so that Xavier's bound comes from the
    fused (embed, 3 embed) matrix as in PyTorch; biases start at 0.
    """

    def __init__(self, embed: int, heads: int, rngs: nnx.Rngs):
        self.heads = heads
        self.qkv = nnx.Linear(embed, 3 * embed, kernel_init=nnx.initializers.xavier_uniform(), rngs=rngs)
        self.out = nnx.Linear(embed, embed, kernel_init=uniform(embed**-0.5), rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, length, embed) to the same."""
        B, L, E = x.shape
        q, k, v = jnp.moveaxis(self.qkv(x).reshape(B, L, 3, self.heads, E // self.heads), 2, 0)
        score = jnp.einsum("bqhd,bkhd->bhqk", q, k) * (E // self.heads) ** -0.5
        mixed = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(score), v)  # (B, L, heads, E / heads)
        return self.out(mixed.reshape(B, L, E))


class ThreeBranch(nnx.Module):
    """The network of both published tables: a branch per cue, attention across the three cues.

    124,171 parameters. No residual around the attention, no dropout, as published.
    """

    def __init__(self, rngs: nnx.Rngs, kernel: int = 5):
        embed = 64
        self.branches = nnx.List([CueBranch(CHANNELS, embed, kernel, rngs) for _ in range(CUES)])
        self.attention = SelfAttention(embed, 4, rngs)
        self.norm = nnx.LayerNorm(embed, epsilon=1e-5, rngs=rngs)
        self.classify = linear(CUES * embed, AZIMUTHS, rngs)

    def __call__(self, cues: jax.Array) -> jax.Array:
        """Logits (batch, 72) of cue maps (batch, 3, 32, frames); ValueError for another shape."""
        check(cues)
        x = cues.astype(jnp.float32).transpose(1, 0, 3, 2)  # (B, 3, 32, T) -> (3, B, T, 32)
        x = jnp.stack([branch(x[i]) for i, branch in enumerate(self.branches)], axis=1)  # (B, 3, embed)
        x = self.norm(self.attention(x))
        return self.classify(x.reshape(len(x), -1))  # (B, 3 embed) -> (B, 72)


class ResidualStage(nnx.Module):
    """Two convolutions over time with a shortcut around them, a 1 x 1 projection as widths differ."""

    def __init__(self, inputs: int, outputs: int, kernel: int, rngs: nnx.Rngs):
        self.conv1 = conv(inputs, outputs, (kernel,), rngs)
        self.norm1 = BatchNorm(outputs)
        self.conv2 = conv(outputs, outputs, (kernel,), rngs)
        self.norm2 = BatchNorm(outputs)
        self.shortcut = conv(inputs, outputs, (1,), rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, frames, inputs) to (batch, frames, outputs)."""
        y = nnx.relu(self.norm1(self.conv1(x)))
        return nnx.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class DeepBranch(nnx.Module):
    """One cue map to one vector of 256: three residual stages, halved in time in between."""

    def __init__(self, rngs: nnx.Rngs):
        sizes = ((CHANNELS, 64, 5), (64, 128, 3), (128, 256, 3))  # inputs, outputs, frames of the kernel
        self.stages = nnx.List([ResidualStage(*size, rngs) for size in sizes])
        self.score = linear(256, 1, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, frames, 32) to (batch, 256)."""
        for i, stage in enumerate(self.stages):
            if i:
                x = nnx.max_pool(x, (2,), (2,), padding=((0, x.shape[1] % 2),))
            x = stage(x)
        return attention_pooling(self.score, x)


class DeepThreeBranch(ThreeBranch):
    """The notebook's deeper three-branch residual network, 1,656,331 parameters.

    Its layer sizes are the published ones (64, 64, 128, 128, 256, 256; kernels 5 5 3 3 3 3; halved
    twice); where exactly the published shortcuts run is not recorded, here around every two layers.
    """

    def __init__(self, rngs: nnx.Rngs):
        self.branches = nnx.List([DeepBranch(rngs) for _ in range(CUES)])
        self.attention = SelfAttention(256, 4, rngs)
        self.norm = nnx.LayerNorm(256, epsilon=1e-5, rngs=rngs)
        self.classify = linear(CUES * 256, AZIMUTHS, rngs)


class ResidualBlock(nnx.Module):
    """Basic residual block (He et al. 2016), 1 x 1 projection where size or width changes."""

    def __init__(self, inputs: int, outputs: int, stride: int, rngs: nnx.Rngs):
        self.conv1 = conv(inputs, outputs, (3, 3), rngs, stride)
        self.norm1 = BatchNorm(outputs)
        self.conv2 = conv(outputs, outputs, (3, 3), rngs)
        self.norm2 = BatchNorm(outputs)
        self.project = stride != 1 or inputs != outputs
        if self.project:
            self.shortcut = conv(inputs, outputs, (1, 1), rngs, stride)
            self.shortcut_norm = BatchNorm(outputs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, height, width, inputs) to (batch, height / stride, width / stride, outputs)."""
        identity = self.shortcut_norm(self.shortcut(x)) if self.project else x
        x = nnx.relu(self.norm1(self.conv1(x)))
        return nnx.relu(self.norm2(self.conv2(x)) + identity)


class ResNet(nnx.Module):
    """The notebook's 2-D residual CNN: the three cues are the colours of a channels x time image.

    Its dropout draws from a stream kept in the model's state (nnx.RngState), beside Param and
    BatchStat. 594,376 parameters.
    """

    def __init__(self, rngs: nnx.Rngs):
        self.conv = conv(CUES, 32, (3, 3), rngs)
        self.norm = BatchNorm(32)
        self.blocks = nnx.List([
            ResidualBlock(32, 64, 2, rngs), ResidualBlock(64, 128, 2, rngs), ResidualBlock(128, 128, 1, rngs),
        ])
        self.dropout = nnx.Dropout(0.3, rngs=rngs)
        self.classify = linear(128, AZIMUTHS, rngs)

    def __call__(self, cues: jax.Array) -> jax.Array:
        """Logits (batch, 72) of cue maps (batch, 3, 32, frames); ValueError for another shape."""
        check(cues)
        x = cues.astype(jnp.float32).transpose(0, 2, 3, 1)  # (B, 3, 32, T) -> (B, 32, T, 3)
        x = nnx.relu(self.norm(self.conv(x)))  # (B, 32, T, 32)
        for block in self.blocks:
            x = block(x)  # (B, 16, T/2, 64), (B, 8, T/4, 128), (B, 8, T/4, 128)
        return self.classify(self.dropout(x.mean((1, 2))))  # (B, 128) -> (B, 72)


NETWORKS = {
    "three_branch": ThreeBranch,
    "three_branch_kernel1": partial(ThreeBranch, kernel=1),  # sees one frame at a time
    "resnet": ResNet,
    "deep_three_branch": DeepThreeBranch,
    "ours": Ours,
    "ours_raw_cues": partial(Ours, phases=False),
    "ours_ungated": partial(Ours, gated=False),
    "ours_single_frames": partial(Ours, convolved=False),
    "ours_mean_pooling": partial(Ours, attention=False),
    "ours_no_dropout": partial(Ours, dropout=0.0),
}


def build_model(name: str, seed: int) -> nnx.Module:
    """A freshly initialised network, in training mode.

    Parameters
    ----------
    name : str
        One of NETWORKS.
    seed : int
        Of the initial weights and of dropout.

    Raises
    ------
    ValueError
        For another name.
    """
    if name not in NETWORKS:
        raise ValueError(f"no network is called {name!r}; there are: {', '.join(NETWORKS)}")
    return NETWORKS[name](nnx.Rngs(seed))

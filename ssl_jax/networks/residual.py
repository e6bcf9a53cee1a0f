"""The residual networks of the published notebook; what goes in and out stands in three_branch.py."""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax.config import AZIMUTHS, FrontEnd
from ssl_jax.networks.layers import CUES, BatchNorm, attention_pooling, check, conv, linear
from ssl_jax.networks.three_branch import ThreeBranch


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
    """One cue map to one vector: three residual stages, halved in time in between.

    Layer sizes as published; where exactly its shortcuts run is not recorded, here around every two layers.
    """

    def __init__(self, channels: int, embed: int, kernel: int, rngs: nnx.Rngs):
        half, quarter = embed // 2, embed // 4
        sizes = ((channels, quarter, kernel), (quarter, half, 3), (half, embed, 3))  # inputs, outputs, kernel
        self.stages = nnx.List([ResidualStage(*size, rngs) for size in sizes])
        self.score = linear(embed, 1, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, frames, channels) to (batch, embed)."""
        for i, stage in enumerate(self.stages):
            if i:
                x = nnx.max_pool(x, (2,), (2,), padding=((0, x.shape[1] % 2),))
            x = stage(x)
        return attention_pooling(self.score, x)


# the notebook's deeper three-branch residual network, 1,656,331 parameters
DeepThreeBranch = partial(ThreeBranch, embed=256, branch=DeepBranch)


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

    594,376 parameters. Its dropout draws from a stream kept in the model's state (nnx.RngState).
    """

    def __init__(self, rngs: nnx.Rngs, front: FrontEnd):
        self.channels = front.channels
        self.conv = conv(CUES, 32, (3, 3), rngs)
        self.norm = BatchNorm(32)
        sizes = ((32, 64, 2), (64, 128, 2), (128, 128, 1))  # inputs, outputs, stride
        self.blocks = nnx.List([ResidualBlock(*size, rngs) for size in sizes])
        self.dropout = nnx.Dropout(0.3, rngs=rngs)
        self.classify = linear(128, AZIMUTHS, rngs)

    def __call__(self, cues: jax.Array) -> jax.Array:
        """Logits (batch, 72) of cue maps (batch, 3, 32, frames); ValueError for another shape."""
        check(cues, self.channels)
        x = cues.astype(jnp.float32).transpose(0, 2, 3, 1)  # (B, 3, 32, T) -> (B, 32, T, 3)
        x = nnx.relu(self.norm(self.conv(x)))  # (B, 32, T, 32)
        for block in self.blocks:
            x = block(x)  # (B, 16, T/2, 64), (B, 8, T/4, 128), (B, 8, T/4, 128)
        return self.classify(self.dropout(x.mean((1, 2))))  # (B, 128) -> (B, 72)

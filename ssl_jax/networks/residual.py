"""The residual networks of the published notebook; what goes in and out stands in three_branch.py."""

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax.config import AZIMUTHS, FrontEnd
from ssl_jax.networks.layers import CUES, BatchNorm, attention_pooling, check, conv, linear
from ssl_jax.networks.three_branch import SelfAttention, ThreeBranch


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

    def __init__(self, channels: int, rngs: nnx.Rngs):
        sizes = ((channels, 64, 5), (64, 128, 3), (128, 256, 3))  # inputs, outputs, frames of the kernel
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

    def __init__(self, rngs: nnx.Rngs, front: FrontEnd):
        self.channels = front.channels
        self.branches = nnx.List([DeepBranch(front.channels, rngs) for _ in range(CUES)])
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

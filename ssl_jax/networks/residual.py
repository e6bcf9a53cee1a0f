"""The residual networks of the published notebook; what goes in and out stands in three_branch.py."""

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax.config import AZIMUTHS, FrontEnd
from ssl_jax.networks.layers import CUES, BatchNorm, attention_pooling, check, conv, linear


class ResidualBlock(nnx.Module):
    """Two convolutions and a shortcut around them (He et al. 2016): over time a 1 x 1 projection, in images
    one that is normalised too, where size or width changes."""

    def __init__(
        self, inputs: int, outputs: int, kernel: tuple[int, ...], rngs: nnx.Rngs, stride: int = 1
    ):
        self.conv1, self.norm1 = conv(inputs, outputs, kernel, rngs, stride), BatchNorm(outputs)
        self.conv2, self.norm2 = conv(outputs, outputs, kernel, rngs), BatchNorm(outputs)
        self.project = len(kernel) == 1 or stride != 1 or inputs != outputs
        self.normed = self.project and len(kernel) == 2
        if self.project:
            self.shortcut = conv(inputs, outputs, (1,) * len(kernel), rngs, stride)
        if self.normed:
            self.shortcut_norm = BatchNorm(outputs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, frames, inputs) or (batch, height, width, inputs) to the same by stride, and outputs."""
        y = self.norm2(self.conv2(nnx.relu(self.norm1(self.conv1(x)))))
        x = self.shortcut(x) if self.project else x
        return nnx.relu(y + (self.shortcut_norm(x) if self.normed else x))


class DeepBranch(nnx.Module):
    """One cue map to one vector: three stages, halved in time between; its shortcuts are not recorded."""

    def __init__(self, channels: int, embed: int, kernel: int, rngs: nnx.Rngs):
        half, quarter = embed // 2, embed // 4
        sizes = (
            (channels, quarter, kernel),
            (quarter, half, 3),
            (half, embed, 3),
        )  # inputs, outputs, kernel
        self.stages = nnx.List([ResidualBlock(i, o, (k,), rngs) for i, o, k in sizes])
        self.score = linear(embed, 1, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, frames, channels) to (batch, embed)."""
        for i, stage in enumerate(self.stages):
            if i:
                x = nnx.max_pool(x, (2,), (2,), padding=((0, x.shape[1] % 2),))
            x = stage(x)
        return attention_pooling(self.score, x)


class ResNet(nnx.Module):
    """The notebook's 2-D residual CNN: cues are colours of a channels x time image. 594,376 parameters."""

    def __init__(self, rngs: nnx.Rngs, front: FrontEnd):
        self.channels = front.channels
        self.conv, self.norm = conv(CUES, 32, (3, 3), rngs), BatchNorm(32)
        sizes = ((32, 64, 2), (64, 128, 2), (128, 128, 1))  # inputs, outputs, stride
        self.blocks = nnx.List(
            [ResidualBlock(i, o, (3, 3), rngs, stride) for i, o, stride in sizes]
        )
        self.dropout = nnx.Dropout(
            0.3, rngs=rngs
        )  # draws from a stream in the model's state (nnx.RngState)
        self.classify = linear(128, AZIMUTHS, rngs)

    def __call__(self, cues: jax.Array) -> jax.Array:
        """Logits (batch, 72) of cue maps (batch, 3, 32, frames); ValueError for another shape."""
        check(cues, self.channels)
        x = cues.astype(jnp.float32).transpose(0, 2, 3, 1)  # (B, 3, 32, T) -> (B, 32, T, 3)
        x = nnx.relu(self.norm(self.conv(x)))  # (B, 32, T, 32)
        for block in self.blocks:
            x = block(x)  # (B, 16, T/2, 64), (B, 8, T/4, 128), (B, 8, T/4, 128)
        return self.classify(self.dropout(x.mean((1, 2))))  # (B, 128) -> (B, 72)

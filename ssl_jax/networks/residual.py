"""The residual networks of the published notebook; three_branch.py says what goes in and out."""

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax.config import AZIMUTHS, FrontEnd
from ssl_jax.networks.layers import (
    CUES,
    BatchNorm,
    check_cue_maps,
    conv,
    linear,
    pool_by_attention,
)


class ResidualBlock(nnx.Module):
    """Two convolutions and a shortcut around them (He et al. 2016).

    Over time the shortcut is a 1 x 1 projection. In images it is the identity unless size or width
    changes; then it is a projection that is normalised too. Both are as in the notebook.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: tuple[int, ...], rngs: nnx.Rngs, stride: int = 1
    ):
        over_time = len(kernel) == 1
        self.conv1 = conv(inputs, outputs, kernel, rngs, stride)
        self.norm1 = BatchNorm(outputs)
        self.conv2 = conv(outputs, outputs, kernel, rngs)
        self.norm2 = BatchNorm(outputs)
        self.project = over_time or stride != 1 or inputs != outputs
        self.normed = self.project and not over_time
        if self.project:
            self.shortcut = conv(inputs, outputs, (1,) * len(kernel), rngs, stride)
        if self.normed:
            self.shortcut_norm = BatchNorm(outputs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, frames, inputs) or (batch, height, width, inputs) to the same with `outputs`.

        The axes between are divided by the stride.
        """
        y = nnx.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        if self.project:
            x = self.shortcut(x)
        if self.normed:
            x = self.shortcut_norm(x)
        return nnx.relu(y + x)


class DeepBranch(nnx.Module):
    """One cue map to one vector: three stages over time, halved in time between.

    The notebook does not record its shortcuts; these are ours.
    """

    def __init__(self, channels: int, embed: int, kernel: int, rngs: nnx.Rngs):
        half = embed // 2
        quarter = embed // 4
        self.stages = nnx.List(
            [
                ResidualBlock(channels, quarter, (kernel,), rngs),
                ResidualBlock(quarter, half, (3,), rngs),
                ResidualBlock(half, embed, (3,), rngs),
            ]
        )
        self.score = linear(embed, 1, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """(batch, frames, channels) to (batch, embed)."""
        for number, stage in enumerate(self.stages):
            if number > 0:
                # (B, T, features) -> (B, T / 2 rounded up, features)
                odd = x.shape[1] % 2
                x = nnx.max_pool(x, (2,), (2,), padding=((0, odd),))
            x = stage(x)
        return pool_by_attention(self.score, x)


class ResNet(nnx.Module):
    """The notebook's 2-D residual CNN: cues are the colours of a channels x frames image.

    It has 594,376 parameters.
    """

    def __init__(self, rngs: nnx.Rngs, front: FrontEnd):
        self.channels = front.channels
        self.conv = conv(CUES, 32, (3, 3), rngs)
        self.norm = BatchNorm(32)
        self.blocks = nnx.List(
            [
                ResidualBlock(32, 64, (3, 3), rngs, stride=2),
                ResidualBlock(64, 128, (3, 3), rngs, stride=2),
                ResidualBlock(128, 128, (3, 3), rngs),
            ]
        )
        # published rate; it draws from a stream in the model's state (nnx.RngState)
        self.dropout = nnx.Dropout(0.3, rngs=rngs)
        self.classify = linear(128, AZIMUTHS, rngs)

    def __call__(self, cues: jax.Array) -> jax.Array:
        """Logits (batch, 72) of cue maps (batch, 3, 32, frames); ValueError for another shape."""
        check_cue_maps(cues, self.channels)
        # (B, 3, 32, T) -> (B, 32, T, 3)
        x = cues.astype(jnp.float32).transpose(0, 2, 3, 1)
        # -> (B, 32, T, 32)
        x = nnx.relu(self.norm(self.conv(x)))
        # -> (B, 16, T/2, 64) -> (B, 8, T/4, 128) -> (B, 8, T/4, 128)
        for block in self.blocks:
            x = block(x)
        # (B, 8, T/4, 128) -> (B, 128)
        x = x.mean((1, 2))
        return self.classify(self.dropout(x))

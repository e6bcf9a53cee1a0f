"""What single moments of a window tell about the ears: a hiss shows more of them than a vowel does.

The mean spectrum of a window is that of its loudest moments, and tells of the voice as much as of
the ears. So a small network looks at the spectrum of each moment, and attention chooses the moments
to sum up.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from ssl_jax.networks.layers import linear, pool_by_heads

# dB in one unit of how loud a moment is
LOUDNESS_UNIT = 15.0
HIDDEN = 96
FEATURES = 48  # of a moment
ATTENTION_HEADS = 2
OUTPUTS = ATTENTION_HEADS * FEATURES
# share of the features dropped in training
DROPOUT = 0.3


class Moments(nnx.Module):
    """Spectra of the moments of a window to a few features."""

    def __init__(self, channels: int, rngs: nnx.Rngs):
        self.hidden = linear(channels + 1, HIDDEN, rngs)
        self.out = linear(HIDDEN, FEATURES, rngs)
        self.score = linear(FEATURES, ATTENTION_HEADS, rngs)
        # a feature is dropped in all moments, or their sum would still tell it
        self.dropout = nnx.Dropout(DROPOUT, broadcast_dims=(1,), rngs=rngs)

    def __call__(self, spectra: jax.Array, loudness: jax.Array) -> jax.Array:
        """Features (batch, OUTPUTS) of a window.

        Parameters
        ----------
        spectra : (batch, moments, channels), in units of `spectrum`, less their smooth part
        loudness : (batch, moments, 1), dB below the loudest moment
        """
        x = jnp.concatenate([spectra, loudness / LOUDNESS_UNIT], axis=2)
        x = nnx.relu(self.hidden(x))
        x = nnx.relu(self.out(x))
        return pool_by_heads(self.score, self.dropout(x))

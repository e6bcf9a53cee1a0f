"""What the tests of networks share: cue maps, and a compiled call."""

from functools import partial

import jax.numpy as jnp
import numpy as np
from flax import nnx

from ssl_jax.config import FrontEnd
from ssl_jax.networks.registry import build_model

# of logits near 1 to 10: float32 against the float64 network
LOGIT_TOLERANCE = 2e-4
# the same of one block or layer
BLOCK_TOLERANCE = 1e-5
build = partial(build_model, front=FrontEnd())


def cue_maps(batch=4, frames=20, maps=3):
    return np.random.default_rng(0).normal(size=(batch, maps, 32, frames)).astype(np.float32)


# one for all: a network of the same shape is traced once
_call = nnx.jit(lambda model, x: model(x))


def apply(model, x):
    """Outputs of a network, compiled."""
    return np.asarray(_call(model, jnp.asarray(x)))

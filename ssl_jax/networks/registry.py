"""Every network by the name that settings, checkpoints and packed weights know it by."""

from functools import partial

from flax import nnx

from ssl_jax.config import FrontEnd
from ssl_jax.networks.phase_network import PhaseNetwork
from ssl_jax.networks.residual import DeepBranch, ResNet
from ssl_jax.networks.three_branch import HeldBranch, ThreeBranch

NETWORKS: dict = {
    "three_branch": ThreeBranch,
    "three_branch_held": partial(
        ThreeBranch, branch=HeldBranch
    ),  # as at hop 1: sees one frame at a time
    "resnet": ResNet,
    "deep_three_branch": partial(ThreeBranch, embed=256, branch=DeepBranch),  # 1,656,331 parameters
    "phase": PhaseNetwork,
    "phase_levels": partial(
        PhaseNetwork, width=288
    ),  # for a front-end with levels: 972,364 parameters
    "phase_raw_cues": partial(PhaseNetwork, phases=False),
    "phase_ungated": partial(PhaseNetwork, gated=False),
    "phase_single_frames": partial(PhaseNetwork, convolved=False),
    "phase_mean_pooling": partial(PhaseNetwork, attention=False),
    "phase_no_dropout": partial(PhaseNetwork, dropout=0.0),
}


def build_model(name: str, seed: int, front: FrontEnd) -> nnx.Module:
    """A new network, in training mode; `seed` draws weights and dropout. ValueError for an unknown name."""
    if name not in NETWORKS:
        raise ValueError(f"no network is called {name!r}; there are: {', '.join(NETWORKS)}")
    return NETWORKS[name](nnx.Rngs(seed), front)

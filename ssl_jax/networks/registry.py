"""Every network by the name that settings, checkpoints and packed weights know it by.

The names are of architectures. Runs (runs.RUNS) and packed networks have names of their own.
"""

from functools import partial

from flax import nnx

from ssl_jax.config import FrontEnd
from ssl_jax.networks.phase_network import PhaseNetwork, PhaseOptions
from ssl_jax.networks.residual import DeepBranch, ResNet
from ssl_jax.networks.three_branch import HeldBranch, ThreeBranch


def _phase(**options):
    """Make the constructor of a `PhaseNetwork` with other options than the usual ones."""
    return partial(PhaseNetwork, options=PhaseOptions(**options))


NETWORKS: dict = {
    # of both published tables: 124,171 parameters
    "three_branch": ThreeBranch,
    # the same, with kernels on one frame as at hop 1
    "three_branch_held": partial(ThreeBranch, branch=HeldBranch),
    # of the published notebook: 594,376 and 1,656,331 parameters
    "resnet": ResNet,
    "deep_three_branch": partial(ThreeBranch, embed=256, branch=DeepBranch),
    # ours: 415,628 parameters
    "phase": PhaseNetwork,
    # ours for a front-end with levels: 1,442,764 parameters
    "phase_spectrum": _phase(width=288, spectrum=True),
    # the rows of our network's ablation
    "phase_raw_cues": _phase(phases=False),
    "phase_ungated": _phase(gated=False),
    "phase_single_frames": _phase(convolved=False),
    "phase_mean_pooling": _phase(attention=False),
    "phase_no_dropout": _phase(dropout=0.0),
}


def build_model(name: str, seed: int, front: FrontEnd) -> nnx.Module:
    """Make a new network in training mode; `seed` draws its weights and dropout.

    Raises
    ------
    ValueError
        If no network has that name.
    """
    if name not in NETWORKS:
        raise ValueError(f"no network is called {name!r}; there are: {', '.join(NETWORKS)}")
    return NETWORKS[name](nnx.Rngs(seed), front)

"""Windows of a run: as alone where nothing lies around, and the same wherever the run is cut."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax.config import FrontEnd
from ssl_jax.networks.level_features import Extent
from ssl_jax.networks.overlapping_windows import CONTEXT, logits_of_windows
from ssl_jax.networks.registry import build_model

FRONT = FrontEnd(levels=True, max_ild=20.0)
# float32 sums in another order, of logits of some units
TOLERANCE = 1e-4


def made_run(frames):
    """Cue maps (4, 32, frames): ITD in ms, ILD in dB, IC, level in dB."""
    rng = np.random.default_rng(0)
    bounds = [(-1, 1), (-20, 20), (0.8, 1), (-60, 0)]
    return np.stack([rng.uniform(*ends, (32, frames)) for ends in bounds]).astype(np.float32)


@pytest.fixture(scope="module", params=["phase", "phase_spectrum"])
def network(request):
    """In evaluation mode; the first hears no levels, and answers once."""
    front = FrontEnd() if request.param == "phase" else FRONT
    model = build_model(request.param, 0, front)
    if front.levels:
        model.gate_level[...] = jnp.linspace(-1, 1, 32)[:, None]
    # away from the statistics that it starts with, so that frames of zeros would show
    for norm in (model.mixed_norm, *model.norms):
        norm.mean[...] = jnp.full_like(norm.mean[...], -0.3)
    model.eval()
    return nnx.jit(logits_of_windows, static_argnames="span"), model


def logits(network, run, extent, first_frames, span):
    jitted, model = network
    maps = run[: model.maps]
    return np.asarray(jitted(model, maps, extent, jnp.asarray(first_frames), span))


def test_a_window_that_is_the_whole_run_says_what_it_says_alone(network):
    run = made_run(100)
    model = network[1]
    alone = np.asarray(model(run[None, : model.maps]))
    found = logits(network, run, Extent(0, 100), [0], 100)
    np.testing.assert_allclose(found, alone, atol=TOLERANCE)


def test_frames_that_fill_up_a_run_change_nothing(network):
    run = made_run(300)
    padded = np.pad(run, [(0, 0), (0, 0), (40, 60)], constant_values=7)
    first = np.array([0, 100, 200])
    expected = logits(network, run, Extent(0, 300), first, 100)
    found = logits(network, padded, Extent(40, 340), first + 40, 100)
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)


def test_half_a_pair_at_the_end_counts_as_no_pair(network):
    """The extent ends with the first frame of a pair, whose second one only fills up."""
    run = made_run(200)
    extent = Extent(0, 199)
    expected = logits(network, run, extent, [0, 98], 100)
    run[..., 199] = 7
    np.testing.assert_allclose(logits(network, run, extent, [0, 98], 100), expected, atol=TOLERANCE)


def test_nothing_beyond_the_context_counts(network):
    run = made_run(400)
    extent = Extent(0, 400)
    first = 150
    expected = logits(network, run, extent, [first], 100)
    far = run.copy()
    far[..., : first - CONTEXT] = 0.9
    far[..., first + 100 + CONTEXT :] = 0.9
    np.testing.assert_allclose(logits(network, far, extent, [first], 100), expected, atol=TOLERANCE)
    near = run.copy()
    near[..., first - 4 : first] = 0.9
    changed = logits(network, near, extent, [first], 100)
    assert np.abs(changed - expected).max() > 10 * TOLERANCE

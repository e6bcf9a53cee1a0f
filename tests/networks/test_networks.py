"""Every network of the registry: sizes, shapes, symmetries, initial weights."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ssl_jax.config import FrontEnd
from ssl_jax.networks.packed import default_weights, describe, load_weights
from ssl_jax.networks.phase_network import SWAPPED_CLASSES, PhaseNetwork
from ssl_jax.networks.registry import NETWORKS, build_model
from support.networks import BLOCK_TOLERANCE, LOGIT_TOLERANCE, apply, build, cue_maps


def parameter_count(model):
    return sum(parameter.size for parameter in jax.tree.leaves(nnx.state(model, nnx.Param)))


THREE_BRANCH = 124_171
PHASE = 415_628
# with a front-end without levels
PARAMETERS = {
    "three_branch": THREE_BRANCH,
    "three_branch_held": THREE_BRANCH,
    "resnet": 594_376,
    "deep_three_branch": 1_656_331,
    "phase": PHASE,
    # with levels; 96 mean levels and ILDs to 768, to 384, to the hidden layer
    "phase_spectrum": 972_364 + 97 * 768 + 2 * 768 + 769 * 384 + 2 * 384 + 384 * 256,
    # twelve features a channel less
    "phase_raw_cues": PHASE - 12 * 32 * 160,
    "phase_ungated": PHASE,
    # two convolutions of three taps with bias and normalisation less
    "phase_single_frames": PHASE - 2 * 160 * (3 * 160 + 3),
    # one head's frames instead of four's
    "phase_mean_pooling": PHASE - 3 * 160 * 256,
    "phase_no_dropout": PHASE,
}


def test_every_network_is_counted():
    assert PARAMETERS.keys() == NETWORKS.keys()


@pytest.mark.parametrize("name", NETWORKS)
def test_parameter_counts(name):
    front = FrontEnd(levels=name == "phase_spectrum")
    assert parameter_count(build_model(name, 0, front)) == PARAMETERS[name]


def test_the_default_network_has_the_parameters_that_the_registry_states():
    name = default_weights()
    network, front = load_weights(name)
    assert describe(name)["model"] == "phase_spectrum"
    assert front.levels
    assert parameter_count(network) == 1_442_764
    assert parameter_count(build_model("phase_spectrum", 0, front)) == 1_442_764


# the others are held to plain NumPy, or to their export
OTHERS = ["three_branch_held", "resnet", "deep_three_branch"]
OTHERS += ["phase_raw_cues", "phase_ungated", "phase_single_frames", "phase_mean_pooling"]


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("frames", [1, 7])
def test_any_number_of_frames_gives_finite_logits(name, frames):
    model = build(name, 0)
    model.eval()
    logits = apply(model, cue_maps(2, frames))
    assert logits.shape == (2, 72)
    assert np.isfinite(logits).all()


@pytest.fixture
def phase_with_levels():
    """In evaluation mode, with a gate that levels move."""
    model = build_model("phase", 0, FrontEnd(levels=True))
    model.gate_level[...] = jnp.linspace(-1, 1, 32)[:, None]
    model.gate_onset[...] = jnp.linspace(1, -1, 32)[:, None]
    model.eval()
    return model


def test_swapped_ears_mirror_what_a_network_with_levels_says(phase_with_levels):
    cues = cue_maps(maps=4)
    swapped = apply(phase_with_levels, cues * np.reshape([-1, -1, 1, 1], (4, 1, 1)))
    expected = apply(phase_with_levels, cues)[:, SWAPPED_CLASSES]
    np.testing.assert_allclose(swapped, expected, atol=BLOCK_TOLERANCE)


def test_a_microphones_gain_changes_nothing(phase_with_levels):
    cues = cue_maps(maps=4)
    louder = cues.copy()
    louder[:, 3] += np.linspace(-10, 10, 32)[:, None]
    expected = apply(phase_with_levels, cues)
    # float32 sums of levels up to 10 dB
    np.testing.assert_allclose(apply(phase_with_levels, louder), expected, atol=LOGIT_TOLERANCE)


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="'model4'.*three_branch.*resnet"):
        build("model4", 0)


@pytest.mark.parametrize("name", ["three_branch", "resnet", "phase", "deep_three_branch"])
@pytest.mark.parametrize("shape", [(3, 32, 20), (2, 2, 32, 20), (2, 3, 16, 20), (2, 3, 20, 32)])
def test_maps_of_another_shape_are_refused(name, shape):
    with pytest.raises(ValueError, match=re.escape(str(shape))):
        build(name, 0)(jnp.zeros(shape))


def test_evaluation_treats_mixtures_one_by_one():
    model, cues = build("resnet", 0), cue_maps()
    training = apply(model, cues)
    model.eval()
    together = apply(model, cues)
    np.testing.assert_allclose(apply(model, cues[1::-1]), together[1::-1], atol=BLOCK_TOLERANCE)
    # dropout and the batch's statistics are out
    assert np.abs(together - training).max() > 1e-3


# ---- initial weights


def test_initial_weights_have_pytorchs_bounds():
    model = build("three_branch", 0)
    branch, attention = model.branches[1], model.attention
    for bound, *variables in (
        ((32 * 5) ** -0.5, branch.conv1.kernel, branch.conv1.bias),
        ((64 * 5) ** -0.5, branch.conv2.kernel, branch.conv2.bias),
        (64**-0.5, branch.score.kernel, attention.out.kernel),
        ((6 / (64 + 192)) ** 0.5, attention.qkv.kernel),
        (192**-0.5, model.classify.kernel, model.classify.bias),
    ):
        for variable in variables:
            size = np.abs(np.asarray(variable[...]))
            assert 0.9 * bound < size.max() <= bound
            # uniform, not merely bounded
            assert abs(size.mean() / bound - 0.5) < 0.15


@pytest.mark.parametrize("name", ["phase_spectrum", "phase_raw_cues"])
def test_both_sides_share_products_and_say_the_same(name, monkeypatch):
    """What a network with levels says is the mean over two sounds that it hears one by one."""
    front = FrontEnd(levels=True)
    model = build_model(name, 0, front)
    model.eval()
    cues = cue_maps(2, 100, maps=4)
    both = model(cues)
    monkeypatch.setattr(PhaseNetwork, "sides", 1)
    swapped = model(cues * np.reshape([-1, -1, 1, 1], (4, 1, 1)))
    expected = (model(cues) + swapped[:, SWAPPED_CLASSES]) / 2
    np.testing.assert_allclose(both, expected, atol=BLOCK_TOLERANCE)


def test_biases_of_the_attention_start_at_zero():
    attention = build("three_branch", 0).attention
    assert not np.any(attention.qkv.bias[...])
    assert not np.any(attention.out.bias[...])


def initial_weights(seed):
    return jax.tree.leaves(nnx.state(build("resnet", seed), nnx.Param))


def test_the_seed_decides_the_weights():
    for first, again in zip(initial_weights(5), initial_weights(5), strict=True):
        np.testing.assert_array_equal(first, again)
    pairs = zip(initial_weights(5), initial_weights(6), strict=True)
    # scales and biases of normalisations start alike
    assert sum(not np.array_equal(a, b) for a, b in pairs) >= 8


def test_branches_start_unlike_one_another():
    first, second, _ = build("three_branch", 0).branches
    assert not np.array_equal(first.conv1.kernel[...], second.conv1.kernel[...])

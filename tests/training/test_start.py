"""Where a run goes on: from the named epoch, and from nothing that does not fit."""

import re
from dataclasses import replace

import numpy as np
import pytest

from ssl_jax.common.files import write_checksum
from ssl_jax.training.checkpoints import checkpoint_path, load_checkpoint
from ssl_jax.training.context import weights_path
from ssl_jax.training.run import train
from support.runs import refuses


@pytest.fixture
def after_m(tiny):
    """A run of one epoch after the second of `m`."""
    return replace(tiny, epochs=3, start_from="m", start_epoch=2)


def refused(says, name, config, mixtures, folders):
    refuses(says, train, name, config, mixtures, folders)


def arrays_of(folders, run, epoch):
    return load_checkpoint(checkpoint_path(folders.work, run, epoch)).arrays


@pytest.fixture
def steps_of(folders, tiny, mixtures):
    """Train without learning after epoch 1 of `m`: arrays before and after."""

    def go_on(**options):
        run = replace(tiny, start_from="m", start_epoch=1, learning_rate=0.0, **options)
        train("second", run, mixtures, folders)
        return arrays_of(folders, "m", 1), arrays_of(folders, "second", 2)

    return go_on


def test_a_continuation_starts_from_the_named_epoch(steps_of):
    before, after = steps_of()
    weights = [name for name in before if name.startswith("weights.")]
    assert weights
    for name in weights:
        np.testing.assert_array_equal(before[name], after[name])


@pytest.mark.parametrize(
    "options, steps",
    [
        # 128 mixtures are 8 steps of 16
        ({}, 8),
        ({"keep_optimiser": True}, 16),
        ({"keep_optimiser": True, "restart_epochs": (2,)}, 8),
    ],
)
def test_the_optimiser_is_fresh_or_kept(steps_of, options, steps):
    _, after = steps_of(**options)
    counts = [array for name, array in after.items() if name.endswith("count")]
    assert counts
    assert all(count == steps for count in counts)


@pytest.mark.parametrize("run, epoch", [("other", 2), ("resnet", 2), ("m", 1)])
def test_a_checkpoint_of_another_run_or_epoch_is_refused(
    folders, tiny, after_m, mixtures, run, epoch
):
    path = checkpoint_path(folders.work, "m", 2)
    path.write_bytes(checkpoint_path(folders.work, run, epoch).read_bytes())
    write_checksum(path)
    says = "m/epoch-002.safetensors: is of another run or epoch: delete it and run again"
    refused(says, "m", tiny, mixtures, folders)
    refused(says, "next", after_m, mixtures, folders)


def test_weights_in_place_of_a_checkpoint_are_refused(folders, tiny, mixtures):
    path = checkpoint_path(folders.work, "m", 2)
    path.write_bytes(weights_path(folders.results, "m", 2).read_bytes())
    write_checksum(path)
    refused("m/epoch-002.safetensors: is no checkpoint", "m", tiny, mixtures, folders)


def test_a_start_of_another_network_is_refused(folders, after_m, mixtures):
    says = r"resnet/epoch-002.safetensors: is of another network \(weights\.\S+ is missing"
    refused(says, "a", replace(after_m, start_from="resnet"), mixtures, folders)


def test_a_start_that_is_not_there_is_refused(folders, after_m, mixtures):
    says = "none/epoch-002.safetensors: missing or damaged"
    refused(says, "a", replace(after_m, start_from="none"), mixtures, folders)


def test_a_start_on_other_mixtures_is_refused(folders, after_m, mixtures):
    others = replace(mixtures, database=replace(mixtures.database, bits=0))
    says = "m/settings.json: was made with database.bits = 16, now 0"
    refused(says, "a", after_m, others, folders)


@pytest.mark.parametrize(
    "field, value, before, now",
    [
        ("batch", 8, 16, 8),
        ("seed", 1, 0, 1),
        ("restart_epochs", (1,), [], [1]),
        ("model", "resnet", "three_branch", "resnet"),
        ("clips", 1, 2, 1),
    ],
)
def test_other_settings_are_refused_by_name(folders, tiny, mixtures, field, value, before, now):
    says = re.escape(f"training.{field} = {before!r}, now {now!r}")
    refused(says, "m", replace(tiny, **{field: value}), mixtures, folders)


def test_checkpoints_without_settings_are_refused(folders, tiny, mixtures):
    (folders.work / "m/settings.json").unlink()
    refused("m/settings.json: is missing, so nobody knows", "m", tiny, mixtures, folders)

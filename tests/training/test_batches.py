"""Which mixtures train and evaluate, and how their maps are read."""

from dataclasses import replace

import numpy as np
import pytest

from ssl_jax.config import Training
from ssl_jax.database.manifest import Manifest
from ssl_jax.training.batches import prefetch


def test_split_is_random_disjoint_and_whole(mixtures):
    split = mixtures.split(Training(clips=100))
    assert len(split.training) == 5760
    assert len(split.evaluation) == 1440
    assert sorted([*split.training, *split.evaluation]) == list(range(7200))
    # every azimuth about evenly: 20 each on average
    assert abs(np.bincount(split.evaluation % 72, minlength=72) - 20).max() < 20


def test_the_seed_decides_the_split(mixtures):
    first = mixtures.split(Training(clips=100))
    other = mixtures.split(Training(clips=100, seed=1))
    assert (first.evaluation != other.evaluation).any()


def test_mixtures_that_the_manifest_holds_out_are_not_trained_on(mixtures):
    held_out = np.arange(4 * 72) % 72 < 10
    manifest = Manifest(held_out.astype(int), np.zeros(4 * 72), [], [])
    split = replace(mixtures, manifest=manifest).split(Training(clips=2))
    assert not held_out[split.training].any()
    assert split.training.max() < 144
    assert len(split.training) == 124
    # all that are held out, though only two of the four clips train
    assert split.evaluation.tolist() == np.flatnonzero(held_out).tolist()


def test_the_validation_part_is_evaluated_where_there_is_one(mixtures):
    part = np.repeat([0, 1, 2], 96)
    manifest = Manifest(part, np.zeros(288), [], [])
    split = replace(mixtures, manifest=manifest).split(Training(clips=4))
    assert split.evaluation.tolist() == np.flatnonzero(part == 2).tolist()


@pytest.mark.parametrize("share, first_clip", [(0.2, 8), (0.5, 5), (0.0, 9)])
def test_last_clips(mixtures, share, first_clip):
    """A share of the ten clips, and one clip at least."""
    numbers = mixtures.last(Training(clips=10, last_share=share))
    assert numbers.tolist() == list(range(72 * first_clip, 720))


def test_mixtures_are_read_from_their_shards(mixtures):
    cues, labels = mixtures.batch(np.array([3, 75, 72, 143]))
    first, second = mixtures.shards
    np.testing.assert_array_equal(cues, [first[3], second[3], second[0], second[71]])
    assert labels.tolist() == [3, 3, 0, 71]
    assert cues.dtype == np.float16
    assert labels.dtype == np.int32


def test_mirrored_mixtures_have_their_ears_swapped(mixtures):
    numbers = np.array([3, 75, 72, 143])
    plain, _ = mixtures.batch(numbers)
    cues, labels = mixtures.batch(numbers, np.array([True, False, True, True]))
    assert labels.tolist() == [69, 3, 0, 1]
    assert labels.dtype == np.int32
    # ITD and ILD change their sign, IC has no side
    np.testing.assert_array_equal(cues[0], plain[0] * np.reshape([-1, -1, 1], (3, 1, 1)))
    np.testing.assert_array_equal(cues[1], plain[1])


def test_prefetch_keeps_the_order():
    assert list(prefetch(iter(range(50)))) == list(range(50))


def test_prefetch_shows_errors_where_they_come():
    items = prefetch(1 / (1 - k) for k in range(2))
    assert next(items) == 1
    with pytest.raises(ZeroDivisionError):
        list(items)

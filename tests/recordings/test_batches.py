"""Several sounds at once have the answers that each has alone."""

import numpy as np
import pytest

from ssl_jax import localise, localise_batch
from support.runs import refuses

FS = 44_100
# of a posterior: sums of a network in another batch, on float16 cues
ROUNDED = 2e-3


@pytest.fixture(scope="module")
def mirrored(at_60):
    """Two sounds of 1.2 s, the second of them with its ears swapped."""
    ears = at_60[: 6 * FS // 5]
    return np.stack([ears, ears[:, ::-1]])


def test_each_sound_has_the_answer_that_it_has_alone(mirrored):
    answers = localise_batch(mirrored, FS)
    assert len(answers) == len(mirrored)
    for answer, ears in zip(answers, mirrored, strict=True):
        alone = localise(ears, FS)
        assert answer.flags == alone.flags and answer.notes == alone.notes
        np.testing.assert_array_equal(answer.times, alone.times)
        np.testing.assert_allclose(answer.posterior, alone.posterior, atol=ROUNDED)


def test_sounds_shorter_than_a_window_are_one_window_each(mirrored):
    answers = localise_batch(mirrored[:, : FS // 2], FS)
    assert [len(answer.times) for answer in answers] == [1, 1]


def test_no_sounds_are_no_answers():
    assert localise_batch(np.zeros((0, FS, 2)), FS) == []


def test_one_sound_alone_is_refused_with_its_shape(mirrored):
    refuses(r"shape \(52920, 2\): several sounds", localise_batch, mirrored[0], FS)


def test_ears_along_the_wrong_axis_are_refused_with_the_remedy(mirrored):
    refuses("transpose", localise_batch, mirrored.swapaxes(1, 2), FS)


def test_a_bad_sound_is_named(mirrored):
    silent = mirrored * np.array([1, 0])[:, None, None]
    refuses("signal 1: silent", localise_batch, silent, FS)


def test_localise_sends_several_sounds_to_the_batch(mirrored):
    refuses("use localise_batch", localise, mirrored, FS)

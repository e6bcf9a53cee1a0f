"""Pieces of long sounds hold the windows that are cut one by one, and what lies around them."""

import itertools

import numpy as np
import pytest

from ssl_jax.config import FrontEnd
from ssl_jax.frontend.cues import Cues
from ssl_jax.networks.overlapping_windows import CONTEXT
from ssl_jax.networks.registry import build_model
from ssl_jax.recordings.pieces import can_share_frames, cut_pieces
from ssl_jax.recordings.windows import Listener, cut_windows

FRONT = FrontEnd()


def made_listener(span, step, model="phase"):
    network = build_model(model, 0, FRONT)
    return Listener(model, network, FRONT, 1.0, span, step, "uniform")


def cue_runs(lengths):
    """Runs of so many frames, all of whose numbers differ."""
    first = 0
    for frames in lengths:
        # float16 tells some thousand numbers apart
        numbers = np.broadcast_to(first + np.arange(frames), (32, frames)) / 1024
        yield Cues(numbers, -numbers, numbers, numbers)
        first += frames


@pytest.mark.parametrize("windows", [1, 3, 64])
@pytest.mark.parametrize("lengths", [(400,), (30, 1, 300, 69), (7,) * 57])
@pytest.mark.parametrize("span, step", [(100, 10), (24, 2), (30, 28)])
def test_pieces_hold_every_window_and_its_surroundings(windows, lengths, span, step):
    listener = made_listener(span, step)
    expected = np.concatenate(list(cut_windows(cue_runs(lengths), listener)))
    whole = np.concatenate([listener.front.maps(cues, 0) for cues in cue_runs(lengths)], axis=-1)
    frames = whole.shape[-1]
    sizes = set()
    number = 0
    for piece in cut_pieces(cue_runs(lengths), listener, windows):
        sizes.add(piece.maps.shape[-1])
        for first in itertools.islice(piece.first_frames, len(expected) - number):
            window = piece.maps[..., first : first + span]
            np.testing.assert_array_equal(window, expected[number])
            # as much around it as the sound has, and no more
            of_sound = number * step
            before = min(of_sound, CONTEXT)
            after = min(frames - of_sound - span, CONTEXT)
            start = first - before
            stop = first + span + after
            assert piece.extent.first <= start and stop <= piece.extent.stop
            surroundings = whole[..., of_sound - before : of_sound + span + after]
            np.testing.assert_array_equal(piece.maps[..., start:stop], surroundings)
            number += 1
        filled_before = max(CONTEXT - (number - 1) // windows * windows * step, 0)
        assert piece.extent.first == filled_before
    assert number == len(expected)
    assert len(sizes) == 1


@pytest.mark.parametrize(
    "span, step, model, expected",
    [
        (100, 10, "phase", True),
        (100, 11, "phase", False),
        (25, 10, "phase", False),
        (100, 100, "phase", False),
        (100, 10, "three_branch", False),
    ],
)
def test_windows_of_whole_pairs_that_overlap_share_frames(span, step, model, expected):
    assert can_share_frames(made_listener(span, step, model)) is expected

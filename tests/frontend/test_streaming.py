import jax
import numpy as np
import pytest

from ssl_jax.frontend.binaural_feature import get_cues_clean
from ssl_jax.frontend.cues import Cues
from ssl_jax.frontend.streaming import cue_block, start_cues
from support.sound_blocks import pieces

FS = 44_100
CFS = [4000.0, 700.0, 200.0]
DRIFT = 0.02  # dB, after a minute of float32 states
# relative: on a CPU the same arithmetic bit by bit; a GPU's programs for other lengths sum in
# other orders
SAME = 0 if jax.default_backend() == "cpu" else 1e-6
BATCH_TOLERANCE = 1e-4  # dB: another batch, another order of the same float32 sums


def stream_cues(blocks, **settings):
    """Cues of all blocks, one after the other."""
    stream = start_cues(FS, CFS, **settings)
    runs = []
    for number, block in enumerate(blocks, start=1):
        stream, cues = cue_block(stream, block, last=number == len(blocks))
        runs.append(cues)
    return Cues(*(np.concatenate(cue, axis=-1) for cue in zip(*runs, strict=True)))


@pytest.mark.parametrize("samples, hop, sizes", [(11_466, 441, (5, 441, 3333)), (5000, 7, (1999,))])
def test_cues_of_blocks_are_those_of_the_whole(mixture, hop, sizes, samples):
    x = mixture[:samples]
    streamed = stream_cues(pieces(x, sizes), hop=hop)
    np.testing.assert_allclose(streamed, get_cues_clean(x, FS, CFS, hop=hop), rtol=SAME)


def test_batches_stream_too(mixture):
    x = np.stack([mixture[:3000], mixture[3000:6000, ::-1]])
    streamed = stream_cues([x[:, :1700], x[:, 1700:]], hair_cell=None)
    whole = get_cues_clean(x, FS, CFS, hair_cell=None)
    np.testing.assert_allclose(streamed.ild, whole.ild, atol=BATCH_TOLERANCE)


def test_a_stream_is_not_changed_by_its_use(mixture):
    stream, _ = cue_block(start_cues(FS, CFS), mixture[:1700])
    _, once = cue_block(stream, mixture[1700:3000], last=True)
    _, again = cue_block(stream, mixture[1700:3000], last=True)
    np.testing.assert_array_equal(once, again)


def test_a_minute_in_bounded_memory(mixture):
    """60 s in blocks of 1 s: what waits between blocks stays under a frame, cues come steadily."""
    stream = start_cues(FS, CFS)
    frames = 0
    for second in range(60):
        stream, cues = cue_block(stream, mixture, last=second == 59)
        frames += cues.itd.shape[-1]
        assert stream.waiting.shape[0] < 441
    assert frames == 6000
    # periodic input, periodic cues: nothing drifts
    periodic = get_cues_clean(np.concatenate([mixture, mixture]), FS, CFS)
    np.testing.assert_allclose(cues.ild[:, -50:-2], periodic.ild[:, -50:-2], atol=DRIFT)


@pytest.mark.parametrize(
    "filter_type, hair_cell", [("butterworth", "roman"), ("gammatone", "bernstein")]
)
def test_what_needs_the_whole_sound_is_refused(filter_type, hair_cell):
    with pytest.raises(ValueError, match="needs the whole sound"):
        start_cues(FS, CFS, filter_type, hair_cell)


def test_three_ears_are_refused():
    with pytest.raises(ValueError, match="left ear first"):
        cue_block(start_cues(FS, CFS), np.zeros((100, 3)))


def test_ears_along_the_first_axis_are_refused_with_the_remedy():
    with pytest.raises(ValueError, match=r"transpose it: signal\.T"):
        cue_block(start_cues(FS, CFS), np.zeros((2, 100)))


def test_a_block_with_nan_is_refused():
    with pytest.raises(ValueError, match="NaN or infinity"):
        cue_block(start_cues(FS, CFS), np.full((100, 2), np.nan))


@pytest.mark.parametrize(
    "setting, says",
    [
        ({"filter_type": "nonsense"}, "'nonsense' is not known"),
        ({"hair_cell": "nonsense"}, "'nonsense' is not known"),
        ({"cfs": [FS]}, "centre frequencies"),
    ],
)
def test_what_there_is_not_is_refused_at_the_start(setting, says):
    with pytest.raises(ValueError, match=says):
        start_cues(FS, **setting)


def test_nothing_comes_after_the_last_block(mixture):
    stream, _ = cue_block(start_cues(FS), mixture, last=True)
    with pytest.raises(ValueError, match="has had its last block"):
        cue_block(stream, mixture)


def test_a_block_of_other_leading_axes_is_refused(mixture):
    stream, _ = cue_block(start_cues(FS), np.stack([mixture, mixture]))
    with pytest.raises(ValueError, match=r"leading axes \(\), not \(2,\)"):
        cue_block(stream, mixture)


def test_a_block_of_no_sound_is_refused(mixture):
    with pytest.raises(ValueError, match="of no sound"):
        cue_block(start_cues(FS), np.stack([mixture])[:0])


def test_a_block_of_another_kind_is_taken_as_the_first_was(mixture):
    with jax.enable_x64(new_val=True):
        stream, _ = cue_block(start_cues(FS), np.asarray(mixture, np.float32))
        _, cues = cue_block(stream, np.zeros((0, 2)), last=True)
    assert cues.ild.dtype == np.float32


def test_an_empty_last_block_ends_the_sound(mixture):
    x = mixture[:3000]
    streamed = stream_cues([x, x[:0]])
    np.testing.assert_allclose(streamed, get_cues_clean(x, FS, CFS), rtol=SAME)

import numpy as np
import pytest

from ssl_jax.frontend.binaural_feature import get_cues_clean
from ssl_jax.frontend.streaming import cue_block, start_cues
from support.numpy_loop import pieces

FS = 44_100
CFS = [4000.0, 700.0, 200.0]
DRIFT = 0.02  # dB, after a minute


@pytest.mark.parametrize("samples, hop, sizes", [(11_466, 441, (5, 441, 3333)), (5000, 7, (1999,))])
def test_cues_of_blocks_are_those_of_the_whole(mixture, hop, sizes, samples):
    x = mixture[:samples]
    blocks, stream, out = pieces(x, sizes), start_cues(FS, CFS, hop=hop), []
    for number, block in enumerate(blocks, 1):
        stream, cues = cue_block(stream, block, last=number == len(blocks))
        out.append(cues)
    for ours, reference in zip(
        zip(*out, strict=True), get_cues_clean(x, FS, CFS, hop=hop), strict=True
    ):
        # the same frames: the same arithmetic
        np.testing.assert_array_equal(np.concatenate(ours, axis=-1), reference)


def test_batches_stream_too_and_a_stream_is_not_changed_by_its_use(mixture):
    x = np.stack([mixture[:3000], mixture[3000:6000, ::-1]])
    stream, first = cue_block(start_cues(FS, CFS, model_type=None), x[:, :1700])
    rest, again = (cue_block(stream, x[:, 1700:], last=True)[1] for _ in range(2))
    np.testing.assert_array_equal(rest.ic, again.ic)
    whole = get_cues_clean(x, FS, CFS, model_type="none")
    np.testing.assert_allclose(np.concatenate([first.ild, rest.ild], axis=-1), whole.ild, atol=1e-4)


def test_a_minute_in_bounded_memory(mixture):
    """60 s in blocks of 1 s: what waits between blocks stays under a frame, cues come steadily."""
    stream, frames = start_cues(FS, CFS), 0
    for k in range(60):
        stream, cues = cue_block(stream, mixture, last=k == 59)
        frames += cues.itd.shape[-1]
        assert stream.waiting.shape[0] < 441 and np.isfinite(np.asarray(cues.ic)).all()
    assert frames == 6000
    # periodic input, periodic cues: nothing drifts
    periodic = get_cues_clean(np.concatenate([mixture] * 2), FS, CFS)
    np.testing.assert_allclose(cues.ild[:, -50:-2], periodic.ild[:, -50:-2], atol=DRIFT)


def test_what_cannot_be_streamed_is_refused():
    for filter_type, hair_cell in (("butterworth", "roman"), ("gammatone", "bernstein")):
        with pytest.raises(ValueError, match="needs the whole sound"):
            start_cues(FS, CFS, filter_type, hair_cell)
    with pytest.raises(ValueError, match="left ear first"):
        cue_block(start_cues(FS, CFS), np.zeros((100, 3)))

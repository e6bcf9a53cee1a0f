import numpy as np
import pytest

from ssl_jax.frontend.auditory_model import GF_spectrogram
from ssl_jax.frontend.binaural_feature import get_cues_clean
from ssl_jax.frontend.streaming import cue_block, filter_block, start_cues, start_filter

FS = 44_100
CFS = [4000.0, 700.0, 200.0]


def pieces(x, sizes):
    """Consecutive blocks of x of the given sizes, over and over; every sample once."""
    at = 0
    while at < x.shape[-2]:
        for size in sizes:
            if at < x.shape[-2]:
                yield x[..., at : at + size, :], at + size >= x.shape[-2]
            at += size


@pytest.mark.parametrize("sizes", [(1000,), (1, 64, 3000), (4410,)])
@pytest.mark.parametrize("filter_type", ["gammatone", "allpole"])
def test_filtered_blocks_are_the_whole(mixture, sizes, filter_type):
    x = mixture[:12_000]
    stream, out = start_filter(FS, CFS, filter_type), []
    for block, _ in pieces(x, sizes):
        stream, y = filter_block(stream, block.T)
        out.append(y)
    whole = np.asarray(GF_spectrogram(x.T, FS, CFS, filter_type))
    # other block borders round differently, 1e-6 of the peak
    np.testing.assert_allclose(np.concatenate(out, axis=-1), whole, atol=2e-6 * abs(whole).max())


@pytest.mark.parametrize(
    "samples, hop, sizes",
    [
        pytest.param(12_000, 441, (2000,), marks=pytest.mark.slow),
        (11_466, 441, (5, 441, 3333)),
        pytest.param(6000, 50, (5, 441, 3333), marks=pytest.mark.slow),
        (5000, 7, (1999,)),
    ],
)
def test_cues_of_blocks_are_those_of_the_whole(mixture, hop, sizes, samples):
    x = mixture[:samples]
    stream, out = start_cues(FS, CFS, hop=hop), []
    for block, last in pieces(x, sizes):
        stream, cues = cue_block(stream, block, last)
        out.append(cues)
    whole = get_cues_clean(x, FS, CFS, hop=hop)
    for ours, reference in zip(
        (np.concatenate(c, axis=-1) for c in zip(*out, strict=True)), whole, strict=True
    ):
        np.testing.assert_array_equal(ours, reference)  # the same frames: the same arithmetic


def test_batches_stream_too(mixture):
    x = np.stack([mixture[:3000], mixture[3000:6000, ::-1]])
    stream, first = cue_block(start_cues(FS, CFS), x[:, :1700])
    _, rest = cue_block(stream, x[:, 1700:], last=True)
    whole = get_cues_clean(x, FS, CFS)
    np.testing.assert_allclose(np.concatenate([first.ild, rest.ild], axis=-1), whole.ild, atol=1e-4)


def test_a_stream_is_not_changed_by_its_use(mixture):
    stream = start_cues(FS, CFS)
    stream, _ = cue_block(stream, mixture[:2000])
    once = cue_block(stream, mixture[2000:4000])[1]
    again = cue_block(stream, mixture[2000:4000])[1]
    np.testing.assert_array_equal(once.ic, again.ic)


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
    np.testing.assert_allclose(cues.ild[:, -50:-2], periodic.ild[:, -50:-2], atol=0.02)


@pytest.mark.parametrize(
    "call",
    [
        lambda: start_filter(FS, CFS, "butterworth"),
        lambda: start_cues(FS, CFS, model_type="bernstein"),
        lambda: start_cues(FS, CFS, filter_type="butterworth"),
        lambda: cue_block(start_cues(FS, CFS), np.zeros((100, 3))),
    ],
)
def test_what_cannot_be_streamed_is_refused(call):
    with pytest.raises(ValueError):
        call()

"""Cues of long sounds in segments: those of one pass, at every rate, in bounded memory."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from ssl_jax.frontend import reference, segment_plan, segments
from ssl_jax.frontend.binaural_feature import get_cues_clean
from ssl_jax.frontend.cues import Cues
from ssl_jax.frontend.segment_plan import memory_samples, plan_segments
from ssl_jax.frontend.segments import cues_in_segments
from ssl_jax.frontend.streaming import start_cues
from support.runs import ROOT
from support.sound_blocks import pieces

FS = 44_100
CFS = [4000.0, 700.0, 200.0]
# share of points with the same lag: float32 sums decide between lags that are nearly equal
SAME_LAG = 0.999
# dB and of IC, where the lag is the same: float32 sums in another order
ILD_ROUNDING = 2e-3
IC_ROUNDING = 1e-5
# of the documented tolerances against the equations in float64
ILD_EQUATIONS = 0.01
IC_EQUATIONS = 1e-3


@pytest.fixture(autouse=True)
def short_segments(monkeypatch):
    """Of one piece each, so that few seconds have several batches."""
    monkeypatch.setattr(segment_plan, "MOST_PIECES", 1)


def in_segments(x, fs=FS, cfs=CFS, sizes=(30_000,), **settings):
    """Cues of x (samples, 2) in segments, joined."""
    runs = list(cues_in_segments(pieces(x, sizes), fs, cfs, **settings))
    return Cues(*(np.concatenate(cue, axis=-1) for cue in zip(*runs, strict=True)))


def plan():
    stream = start_cues(FS, CFS)
    return plan_segments(stream.periphery, stream.settings)


def batch_samples(cut):
    """From one batch to the next."""
    return cut.count * cut.length * cut.piece


def assert_alike(cues, wanted, ild=ILD_ROUNDING, ic=IC_ROUNDING):
    assert cues.itd.shape == np.shape(wanted.itd)
    same = np.isclose(cues.itd, wanted.itd, atol=1e-4)
    assert same.mean() >= SAME_LAG
    np.testing.assert_allclose(cues.ild[same], np.asarray(wanted.ild)[same], atol=ild)
    np.testing.assert_allclose(cues.ic[same], np.asarray(wanted.ic)[same], atol=ic)


@pytest.fixture(scope="module")
def long_sound(mixture):
    """Over five seconds, and no whole number of hops: three batches of the shortest segments."""
    return np.concatenate([mixture, 0.1 * mixture[::-1], mixture] * 2)[: 5 * FS + 7777]


def test_segments_give_what_one_pass_gives(long_sound):
    assert_alike(in_segments(long_sound), get_cues_clean(long_sound, FS, CFS))


def test_segments_give_what_the_equations_give(long_sound):
    # the loop is slow: it ends 0.2 s after the first boundary
    stop = plan().piece + FS // 5
    loop = reference.cues_of_sound(long_sound[:stop], FS, CFS, hop=441)
    wanted = Cues(loop.itd, loop.ild, loop.ic, loop.power)
    assert_alike(in_segments(long_sound[:stop]), wanted, ILD_EQUATIONS, IC_EQUATIONS)


@pytest.mark.parametrize("fs", [8_000, 16_000, 48_000, 96_000])
def test_segments_at_other_rates(mixture, fs):
    x = np.tile(mixture, (1 + 4 * fs // FS, 1))[: 4 * fs]
    cfs = [700.0, 200.0]
    joined = in_segments(x, fs, cfs, sizes=(len(x),), hair_cell="roman")
    assert_alike(joined, get_cues_clean(x, fs, cfs, hair_cell="roman"))


def test_every_sample_in_segments(mixture):
    x = np.concatenate([mixture, mixture[::-1], mixture])[:120_001]
    assert_alike(in_segments(x, hop=1), get_cues_clean(x, FS, CFS, hop=1))


def test_silence_after_a_loud_sound_is_the_same_silence(mixture):
    """A sound is remembered until its sums count as silence, in one pass as in segments."""
    silence = np.zeros((4 * FS, 2), np.float32)
    x = np.concatenate([mixture, silence, mixture[:FS]])
    cues = in_segments(x)
    whole = get_cues_clean(x, FS, CFS)
    assert_alike(cues, whole)
    assert (cues.power[:, 250:450] == 0).all()
    assert (cues.ic[:, 250:450] == 0).all()


def test_a_whole_sound_of_silence():
    cues = in_segments(np.zeros((4 * FS, 2), np.float32))
    for cue in cues:
        assert cue.shape == (3, 400)
        assert (cue == 0).all()


@pytest.mark.parametrize("extra", [-1, 0, 44, 397, 398, 441])
def test_a_very_short_last_segment(mixture, extra):
    """Ends around the place where a batch is complete: no frame is lost or repeated."""
    cut = plan()
    # a scan begins one step less the longest lag before the sound
    samples = batch_samples(cut) + cut.piece - (441 - 44) + extra
    x = np.tile(mixture, (6, 1))[:samples]
    assert_alike(in_segments(x), get_cues_clean(x, FS, CFS))


@pytest.mark.parametrize("hop", [1, 7])
def test_short_hops_at_the_end_of_a_batch(mixture, hop, cpu):
    """The last hops need D samples of silence after the sound, which may be of a next batch."""
    fs = 8000  # of which D is 8 samples
    stream = start_cues(fs, CFS[1:], hop=hop)
    cut = plan_segments(stream.periphery, stream.settings)
    boundary = 2 * cut.piece - (stream.settings.step - 8)
    for samples in (boundary - 8, boundary - 1, boundary, boundary + 1):
        x = np.tile(mixture, (2, 1))[:samples]
        joined = in_segments(x, fs, CFS[1:], sizes=(samples,), hop=hop)
        assert_alike(joined, get_cues_clean(x, fs, CFS[1:], hop=hop))


@pytest.mark.parametrize("samples", [0, 440])
def test_a_sound_shorter_than_a_hop_has_no_frames(samples):
    (cues,) = cues_in_segments([np.zeros((samples, 2))], FS, CFS)
    assert cues.itd.shape == (3, 0)


def test_a_sound_shorter_than_a_segment(mixture):
    assert_alike(in_segments(mixture[:5000]), get_cues_clean(mixture[:5000], FS, CFS))


def test_any_blocks_give_the_same_bytes(long_sound):
    whole = in_segments(long_sound, sizes=(len(long_sound),))
    np.testing.assert_array_equal(in_segments(long_sound, sizes=(999, 70_001)), whole)


def test_blocks_of_unlike_numbers(mixture):
    whole = (1000 * mixture[:4000]).astype(np.int16)
    blocks = [whole[:1500], whole[1500:1600].astype(np.float64), whole[1600:].astype(np.float32)]
    cues = list(cues_in_segments(blocks, FS, CFS))
    np.testing.assert_array_equal(cues[0], in_segments(whole.astype(np.float32))[:])
    unsigned = [whole[:1500], whole[1500:].view(np.uint16)]
    with pytest.raises(ValueError, match="holds uint16, without a sign"):
        list(cues_in_segments(unsigned, FS, CFS))


ON_THREE_DEVICES = """
import sys
import jax
import numpy as np
from ssl_jax.frontend import segment_plan
from ssl_jax.frontend.segments import cues_in_segments

segment_plan.MOST_PIECES = 1
jax.config.update("jax_num_cpu_devices", 3)
sound = np.load(sys.argv[1])
runs = list(cues_in_segments([sound], 44_100, [4000.0, 700.0, 200.0]))
np.save(sys.argv[2], [np.concatenate(cue, axis=-1) for cue in zip(*runs, strict=True)])
"""


def test_segments_shared_among_devices_are_the_same(long_sound, tmp_path):
    np.save(tmp_path / "sound.npy", long_sound)
    files = [str(tmp_path / name) for name in ("sound.npy", "cues.npy")]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", ON_THREE_DEVICES, *files], env=environment, check=True)
    assert_alike(Cues(*np.load(files[1])), get_cues_clean(long_sound, FS, CFS))


@pytest.fixture
def cpu():
    """A CPU that JAX is told to use: there few segments are a batch."""
    device = jax.devices("cpu")[-1]
    with jax.default_device(device):
        yield device


def test_the_device_that_jax_is_told_to_use_has_all_segments(long_sound, cpu):
    assert segment_plan.sharing_devices() == (cpu,)
    assert plan().count == segment_plan.CPU_SEGMENTS
    assert_alike(in_segments(long_sound), get_cues_clean(long_sound, FS, CFS))


@pytest.mark.usefixtures("cpu")
def test_times_count_from_the_beginning(long_sound):
    runs = list(cues_in_segments(pieces(long_sound, (50_000,)), FS, CFS))
    times = np.concatenate([cues.times for cues in runs])
    assert len(runs) > 1
    np.testing.assert_allclose(times, np.arange(1, len(times) + 1) / 100)


def test_the_memory_follows_window_and_filters():
    """ln(1e37) = 85.2 time constants of the window, and the filters' ringing on top."""

    def seconds(cfs, tau):
        stream = start_cues(FS, cfs, tau=tau)
        return memory_samples(stream.periphery, stream.settings) / FS

    assert 0.85 < seconds([4000.0], 0.010) < 0.87
    # here the filter at 80 Hz rings longer than the window: 4.7 ms and a power of three
    assert seconds([80.0], 0.002) > 2 * seconds([4000.0], 0.002)
    assert seconds([80.0], 0.020) > 1.7


def test_live_segments_are_bounded_at_any_length(mixture):
    """Sound is read only as batches are asked for: three of them at most are in memory."""
    read = 0

    def blocks():
        nonlocal read
        for _ in range(40):
            read += len(mixture)
            yield mixture

    cut = plan()
    seen = 0
    for cues in cues_in_segments(blocks(), FS, CFS):
        seen += cues.itd.shape[-1] * 441
        assert read - seen <= 3 * batch_samples(cut) + cut.piece + len(mixture)


def test_a_batch_takes_no_more_memory_than_it_may(monkeypatch):
    monkeypatch.setattr(segment_plan, "MOST_PIECES", 1000)
    roomy = plan()
    monkeypatch.setattr(segment_plan, "CPU_BYTES", segment_plan.CPU_BYTES / 4)
    tight = plan()
    assert 1 < tight.length < roomy.length
    monkeypatch.setattr(segment_plan, "CPU_BYTES", 1)
    assert plan().length == 1


def test_sounds_of_all_lengths_are_one_program(long_sound, monkeypatch):
    monkeypatch.setattr(segment_plan, "MOST_PIECES", 2)
    stream = start_cues(FS, CFS)
    devices = segment_plan.sharing_devices()
    program = segments._side_by_side(devices, plan().piece, stream.periphery, stream.settings)
    compiled = []
    for samples in (20_000, 100_000, len(long_sound)):
        x = long_sound[:samples]
        assert_alike(in_segments(x), get_cues_clean(x, FS, CFS))
        compiled.append(program._cache_size())
    assert compiled[0] == compiled[1] == compiled[2] > 0


@pytest.mark.parametrize("before", [0, 100_000], ids=["0 s", "a day"])
def test_a_sound_has_its_end_after_any_time(before):
    """The scan counts samples in int32, a segment's own: a day of sound has more."""
    cut = plan()
    sound = np.zeros(((cut.count + 1) * cut.piece, 2), np.float32)
    first_sample = before * cut.piece
    asked = []

    def ends_alone(rows, ends, pieces):
        asked.append(ends)

    for end in (2 * first_sample + 2**40, first_sample + 500):
        segments._start((segments._Place(before, 1, end), sound), cut, ends_alone)
    endless, ended = asked
    assert (endless == segments.ENDLESS).all()
    np.testing.assert_array_equal(ended, 500 - cut.piece * np.arange(cut.count))


def test_nan_is_refused():
    with pytest.raises(ValueError, match="NaN or infinity"):
        list(cues_in_segments([np.full((100, 2), np.nan)], FS, CFS))


def test_what_needs_the_whole_sound_is_refused():
    with pytest.raises(ValueError, match="needs the whole sound"):
        cues_in_segments([], FS, CFS, "butterworth")

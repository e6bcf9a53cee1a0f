"""Localising recordings: right azimuths, the same in blocks as whole, every bad input in a line."""

import numpy as np
import pytest
import soundfile
from scipy import signal as sps

from ssl_jax import localise
from ssl_jax.common.angles import signed_degrees
from ssl_jax.config import AZIMUTHS
from ssl_jax.frontend.binaural_feature import Cues
from ssl_jax.recordings import localisation
from ssl_jax.recordings.azimuths import mean_azimuth
from ssl_jax.recordings.blocks import resample_blocks
from ssl_jax.recordings.localisation import Recording, localise_blocks, localise_file
from ssl_jax.recordings.overall import SECOND_SHARE, Overall
from ssl_jax.recordings.overview import MOST_COLUMNS, Overview
from ssl_jax.recordings.scene import render_scene
from ssl_jax.recordings.windows import WindowSettings
from support.runs import refuses
from support.sound_blocks import pieces

FS = 44_100
# degrees that an azimuth may be off, two classes: what the networks' accuracy is given for
RIGHT = 10
# degrees that a clear voice at 60 degrees may be off, one class: the default network has 1 to 3
CLEAR = 5
# degrees that the same sound in another format or at another rate may be off, one class
ALIKE = 5
# of a posterior, where a sound is the same but for rounding: float16 cues
ROUNDED = 2e-3


def apart(a, b):
    return np.abs(signed_degrees(np.asarray(a) - b))


@pytest.fixture(scope="module")
def scene(speech, noises):
    """Two seconds of one voice from an azimuth, a noise beside it at an SNR in dB: (samples, 2)."""
    voice = speech[[0, 1]].reshape(-1)
    noise = noises.waveforms[noises.kinds.index("rain"), 0]

    def render(azimuth, noise_azimuth, snr):
        return render_scene(voice, FS, [azimuth], [noise], [noise_azimuth], snr).ears

    return render


@pytest.fixture(scope="module")
def azimuths_at_60(at_60):
    return localise(at_60, FS, cues=True)


@pytest.mark.parametrize("azimuth", [10, 60, 130, 200, 270, 325])
def test_a_rendered_voice_is_localised_within_ten_degrees(scene, azimuth):
    azimuths = localise(scene(azimuth, (azimuth + 100) % 360, 25), FS)
    assert apart(mean_azimuth(azimuths), azimuth) < RIGHT
    assert np.median(apart(azimuths.azimuth, azimuth)) < RIGHT


def test_what_an_answer_holds(azimuths_at_60):
    assert azimuths_at_60.times == pytest.approx(np.arange(0.5, 1.51, 0.1))
    assert azimuths_at_60.posterior.shape == (11, AZIMUTHS)
    # float32 sums of 72
    np.testing.assert_allclose(azimuths_at_60.posterior.sum(1), 1, atol=1e-5)
    assert (azimuths_at_60.window, azimuths_at_60.step) == (1.0, 0.1)
    assert (azimuths_at_60.seconds, azimuths_at_60.fs) == (2.0, FS)
    assert azimuths_at_60.notes == ()
    assert azimuths_at_60.cues.itd.shape == (32, 200)
    assert apart(azimuths_at_60.azimuth, 60).max() < CLEAR


def test_swapped_ears_mirror_the_azimuth(at_60):
    assert apart(mean_azimuth(localise(at_60[:, ::-1], FS)), 300) < CLEAR


def test_the_level_changes_nothing(at_60, azimuths_at_60):
    quiet = localise(1e-3 * at_60, FS)
    np.testing.assert_allclose(quiet.posterior, azimuths_at_60.posterior, atol=ROUNDED)


@pytest.mark.parametrize("offset", [(0.03, -0.03), (0.0, 0.5)])
def test_a_constant_offset_changes_nothing(at_60, azimuths_at_60, offset):
    azimuths = localise(0.1 * at_60 + offset, FS)
    np.testing.assert_allclose(azimuths.posterior, azimuths_at_60.posterior, atol=ROUNDED)
    assert azimuths.flags == azimuths_at_60.flags


INTEGERS = {
    "int8": lambda x: np.round(127 * x),
    "uint8": lambda x: np.round(127 * x) + 128,
    "int16": lambda x: np.round(32767 * x),
    ">i2": lambda x: np.round(32767 * x),
    "int32": lambda x: np.round((2**31 - 1) * x.astype(float)),
}


@pytest.mark.parametrize("kind", INTEGERS)
def test_integers_are_divided_by_their_full_scale(at_60, azimuths_at_60, kind):
    azimuths = localise(INTEGERS[kind](at_60).astype(kind), FS)
    assert apart(mean_azimuth(azimuths), mean_azimuth(azimuths_at_60)) < ALIKE
    assert azimuths.notes == ()
    # neither silent nor quiet, nor cut off
    assert {flag for flags in azimuths.flags for flag in flags} <= {"unsure"}


@pytest.mark.parametrize("kind", ["wav PCM_24", "flac PCM_16", "ogg VORBIS", "mp3 MPEG_LAYER_III"])
def test_the_format_changes_little(at_60, tmp_path, kind):
    name, subtype = kind.split()
    path = tmp_path / f"a.{name}"
    soundfile.write(path, at_60, FS, subtype)
    assert apart(mean_azimuth(localise_file(path)), 60) < ALIKE


@pytest.mark.parametrize("fs", [48_000, 16_000])
def test_the_rate_changes_little(at_60, azimuths_at_60, fs):
    ears = sps.resample_poly(at_60, fs // 100, FS // 100)
    assert apart(mean_azimuth(localise(ears, fs)), mean_azimuth(azimuths_at_60)) < ALIKE


def test_blocks_are_the_whole(at_60, azimuths_at_60):
    for sizes in ((1000, 7, 30_000), (88_200,)):
        recording = Recording("x", FS, len(at_60), pieces(at_60, sizes))
        blocks = localise_blocks(recording, WindowSettings())
        np.testing.assert_array_equal(blocks.posterior, azimuths_at_60.posterior)
        assert blocks.flags == azimuths_at_60.flags


def test_blocks_of_a_longer_sound_are_the_whole(at_60):
    """Six seconds: runs of cues, windows across their borders, and a change of rate on the way."""
    x = np.concatenate([at_60, 0.5 * at_60[::-1], at_60])[: 6 * FS - 300]

    def localised(blocks, step_s):
        recording = Recording("x", 48_000, len(x), blocks)
        return localise_blocks(recording, WindowSettings(step_s=step_s)).posterior

    whole = localised([x], 0.05)
    np.testing.assert_array_equal(localised(pieces(x, (48_000, 11)), 0.05), whole)
    assert len(whole) == (len(x) * 147 // 160 // 441 - 100) // 5 + 1
    # windows that leave frames out; float32, other batches
    np.testing.assert_allclose(localised([x], 1.5), whole[::30], atol=1e-5)


def six_seconds(at_60, settings):
    """What is heard of six seconds at 48 kHz that come in blocks."""
    x = np.concatenate([at_60, 0.5 * at_60[::-1], at_60])[: 6 * FS - 300]
    recording = Recording("x", 48_000, len(x), pieces(x, (48_000, 11)))
    return localise_blocks(recording, settings, cues=True)


def test_a_long_sound_in_segments_is_the_same_sound(at_60, monkeypatch):
    # of a step of 11 frames, windows share none
    settings = WindowSettings(step_s=0.11)
    streamed = six_seconds(at_60, settings)
    monkeypatch.setattr(localisation, "LONG_S", 0)
    in_segments = six_seconds(at_60, settings)
    np.testing.assert_allclose(in_segments.posterior, streamed.posterior, atol=ROUNDED)
    assert in_segments.flags == streamed.flags
    assert in_segments.notes == streamed.notes
    assert in_segments.cues.itd.shape == streamed.cues.itd.shape
    again = six_seconds(at_60, settings)
    np.testing.assert_array_equal(again.posterior, in_segments.posterior)


def test_windows_of_a_long_sound_share_frames(at_60, monkeypatch):
    alone = six_seconds(at_60, WindowSettings())
    monkeypatch.setattr(localisation, "LONG_S", 0)
    whole = six_seconds(at_60, WindowSettings())
    np.testing.assert_array_equal(whole.times, alone.times)
    # a window hears what lies around it too; its voice is loud and near enough alone
    assert np.median(apart(whole.azimuth, alone.azimuth)) < 1
    # three windows at a time
    monkeypatch.setattr(localisation, "BATCH_FRAMES", 300)
    in_pieces = six_seconds(at_60, WindowSettings())
    # float32 sums over pieces of other lengths
    np.testing.assert_allclose(in_pieces.posterior, whole.posterior, atol=1e-5)
    assert in_pieces.flags == whole.flags


@pytest.mark.parametrize(
    "fs, wanted", [(48_000, FS), (8000, FS), (FS, 16_000), (44_101, FS), (FS, FS)]
)
def test_resampling_in_blocks_is_that_of_the_whole(fs, wanted):
    x = np.random.default_rng(5).standard_normal((50_001, 2)).astype(np.float32)
    blocks = list(resample_blocks(pieces(x, (20_000, 1, 333)), fs, wanted))
    whole = sps.resample_poly(x, wanted, fs, axis=0)
    # float32
    np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1e-6, rtol=1e-6)


def test_a_trajectory_is_followed(speech, noises):
    voice = speech[[0, 1, 2]].reshape(-1)
    noise = noises.waveforms[noises.kinds.index("rain"), 0]
    scene = render_scene(voice, FS, [20, 80], [noise], [200], 25)
    azimuths = localise(scene.ears, FS)
    middle = len(scene.azimuths) // 2
    assert scene.azimuths[[0, middle, -1]] == pytest.approx([20, 50, 80], abs=0.01)
    truth = scene.azimuths[(azimuths.times * FS).astype(int)]
    assert np.median(apart(azimuths.azimuth, truth)) < RIGHT
    assert azimuths.azimuth[-1] - azimuths.azimuth[0] > 15
    overall = Overall.of(azimuths)
    assert overall.moves and np.isnan(overall.azimuth)


def test_two_voices_are_two_directions(speech):
    """At 40 and 290 degrees, as loud as each other: their mean, 345 degrees, is nobody."""
    voices = [speech[[0, 1]].reshape(-1), speech[[2, 3]].reshape(-1)]
    azimuths = [40, 290]
    left, right = (
        render_scene(voice / voice.std(), FS, [azimuth]).ears
        for voice, azimuth in zip(voices, azimuths, strict=True)
    )
    ears = left / left.std() + right / right.std()
    answer = localise(0.05 * ears, FS, window=0.25)
    assert np.isnan(answer.mean_azimuth) and not answer.moves
    first, second, *_ = answer.directions
    assert apart(np.sort([first.azimuth, second.azimuth]), azimuths).max() < RIGHT
    assert second.share >= SECOND_SHARE


BAD_SIGNALS = {
    "45 ms of sound: use at least 50 ms": lambda x: x[:2000],
    "silent": lambda x: 0 * x,
    "signal: silent": lambda x: 0 * x + [0.3, -0.1],
    "NaN or infinite samples at 1.00 s": lambda x: np.insert(x, FS, np.nan, 0),
    "NaN or infinite samples at 0.00 s": lambda x: np.insert(x.astype(np.float16), 0, np.inf, 0),
    "full scale is 1": lambda x: 1e9 * x,
    "complex64, not real numbers": lambda x: x.astype(np.complex64),
    "bool, not real numbers": lambda x: x > 0,
    "int32 up to 32.*, as of 16 bits": lambda x: (32_000 * x).astype(np.int32),
    "int64, whose full scale": lambda x: (32_000 * x).astype(np.int64),
    "uint16, whose full scale": lambda x: (32_000 * x + 32_768).astype(np.uint16),
    r"\(88200, 1\): two ears are needed": lambda x: x[:, :1],
    r"\(88200,\): two ears are needed": lambda x: x[:, 0],
    r"\(\): two ears are needed": lambda x: x[0, 0],
}
BAD_SETTINGS = {
    "rate is 2000": {"fs": 2000},
    "not a whole number": {"fs": 44100.5},
    "step 0": {"step": 0},
    "window 0.02": {"window": 0.02},
    "window nan": {"window": float("nan")},
    "use one of ": {"model": "nobody"},
    "prior 'behind': unknown": {"prior": "behind"},
}


@pytest.mark.parametrize("says", BAD_SIGNALS)
def test_bad_signals_are_refused(at_60, says):
    refuses(says, localise, BAD_SIGNALS[says](at_60), FS)


@pytest.mark.parametrize("says", BAD_SETTINGS)
def test_bad_settings_are_refused(at_60, says):
    refuses(says, localise, at_60, **({"fs": FS} | BAD_SETTINGS[says]))


def test_an_overview_stays_small_and_keeps_the_mean():
    sizes = [777] * 30 + [1]
    rng = np.random.default_rng(6)
    parts = [rng.standard_normal((4, 2, size)).astype(np.float32) for size in sizes]
    overview = Overview()
    passed = list(overview.collect(Cues(*part) for part in parts))
    whole = np.concatenate(parts, axis=-1)
    np.testing.assert_array_equal(np.concatenate([np.stack(p) for p in passed], axis=-1), whole)
    maps = np.stack(overview.cues())
    frames = overview.column_frames
    assert maps.shape[-1] == sum(sizes) // frames <= MOST_COLUMNS < 2 * maps.shape[-1]
    means = whole[..., : maps.shape[-1] * frames].reshape(4, 2, -1, frames).mean(-1)
    # float32 sums of a few frames
    np.testing.assert_allclose(maps, means, atol=1e-5)

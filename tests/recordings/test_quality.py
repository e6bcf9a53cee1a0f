"""Flags of windows and notes on recordings, with and without an offset."""

import numpy as np
import pytest
from scipy import signal

from ssl_jax import localise
from ssl_jax.config import FrontEnd
from ssl_jax.recordings.alignment import EarCorrelation
from ssl_jax.recordings.blocks import first_offset, remove_offset
from ssl_jax.recordings.quality import Levels, Quality, level_flags
from ssl_jax.recordings.scene import render_scene
from support.sound_blocks import pieces

FS = 44_100


@pytest.mark.parametrize("offset", [(0.0, 0.0), (0.02, -0.1)])
def test_flags_of_windows(at_60, offset):
    voice = 0.5 * at_60[:FS]
    hiss = np.random.default_rng(1).standard_normal((FS, 2))
    parts = [voice, 1e-5 * hiss, 1e-4 * hiss, voice * [1, 0]]
    azimuths = localise(np.concatenate(parts) + offset, FS, step=1.0)
    flags = [set(flags) - {"unsure", "front or back"} for flags in azimuths.flags]
    assert flags == [set(), {"silent"}, {"quiet"}, {"one ear"}]
    assert np.isnan(azimuths.azimuth[1])
    assert azimuths.confidence[1] == 0
    assert np.isfinite(azimuths.azimuth[[0, 2, 3]]).all()


def test_clipping_is_flagged_where_it_is(at_60):
    voice = 0.5 * at_60[:FS]
    cut = np.clip(8 * voice, -1, 1)
    azimuths = localise(np.concatenate([voice, cut]), FS, step=1.0)
    assert ["clipped" in flags for flags in azimuths.flags] == [False, True]
    assert any(note.startswith("clipped, first at 1") for note in azimuths.notes)


def test_a_narrow_band_is_flagged(at_60):
    low = localise(at_60[:FS:5], 8820)
    assert all("narrow band" in flags for flags in low.flags)
    assert "empty" in low.notes[0]


def test_a_short_sound_is_flagged(at_60):
    short = localise(at_60[: FS // 2], FS)
    assert len(short.times) == 1
    assert "short" in short.flags[0]
    assert "shorter than the" in short.notes[-1]
    assert short.times[0] == pytest.approx(0.25)
    assert short.window == pytest.approx(0.5)


def test_flags_compare_with_the_loudest_before():
    rms = np.array([[1e-3, 1e-3], [1.0, 1.0], [1e-3, 1e-3]])
    levels = Levels(rms, np.zeros(3, bool))
    assert level_flags(levels, loudest_before=0.0)["quiet"].tolist() == [False, False, True]
    assert level_flags(levels, loudest_before=1.0)["quiet"].tolist() == [True, False, True]


def notes(ears, fs=FS):
    quality = Quality(fs, "x", FrontEnd())
    list(quality.watch([np.asarray(ears)]))
    return quality.notes()


def test_notes_on_ears_that_are_the_same_or_missing(at_60):
    assert "mono stored as stereo" in notes(at_60[:, [0, 0]])[0]
    for offset in (0.0, 0.3):
        assert "one ear is silent" in notes(0.5 * at_60 * [0, 1] + [offset, 0])[0]


def test_an_inverted_ear_is_noted(at_60):
    (note,) = notes(0.9 * at_60 * [1, -1])
    assert note.startswith("one channel's polarity is inverted")


@pytest.mark.parametrize("late_ms, says", [(5, "the left channel"), (-5, "the right channel")])
def test_ears_that_are_milliseconds_apart_are_noted(at_60, late_ms, says):
    moved = round(abs(late_ms) * FS / 1000)
    left, right = 0.9 * at_60.T
    ears = [left[:-moved], right[moved:]] if late_ms > 0 else [left[moved:], right[:-moved]]
    (note,) = notes(np.transpose(ears))
    assert note.startswith(says)
    # the head itself adds half a millisecond
    assert float(note.split(" ms")[0].split()[-1]) == pytest.approx(abs(late_ms), abs=1)


@pytest.mark.parametrize("azimuth", [0, 90, 200, 285])
@pytest.mark.parametrize("reverberation", [0, 1])
def test_ears_of_a_head_are_not_noted(speech, azimuth, reverberation):
    """Dry, and with a tail of 0.3 s, different at both ears, of the power of the direct sound."""
    ears = render_scene(speech[[0, 1]].reshape(-1), FS, [azimuth]).ears
    noise = np.random.default_rng(azimuth).standard_normal((FS // 2, 2))
    # 60 dB in 0.3 s
    tail = noise * 10 ** (-3 * np.arange(FS // 2) / (0.3 * FS))[:, None]
    tail /= np.sqrt((tail**2).sum(axis=0))
    wet = signal.fftconvolve(ears, tail, axes=0)[: len(ears)]
    correlation = EarCorrelation(FS)
    correlation.add((ears + reverberation * wet).astype(np.float32))
    assert correlation.note() is None


def test_channels_that_have_nothing_in_common_are_not_noted():
    correlation = EarCorrelation(FS)
    correlation.add(np.random.default_rng(3).standard_normal((2 * FS, 2)).astype(np.float32))
    assert correlation.note() is None


def test_offsets_are_removed_alike_in_all_blocks():
    rng = np.random.default_rng(4)
    sound = rng.standard_normal((20_000, 2)).astype(np.float32) + np.float32([0.5, -3])
    start = first_offset(sound, FS)
    whole, _ = remove_offset(sound, start, FS)
    offset = start
    parts = []
    for block in pieces(sound, (1, 999, 7000)):
        part, offset = remove_offset(block, offset, FS)
        parts.append(part)
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    # the noise's own mean in the time constant of 32 ms is some 0.03
    assert np.abs(whole.mean(axis=0)).max() < 0.05


def test_a_sound_above_80_hz_passes_the_removal():
    times = np.arange(FS) / FS
    tone = np.repeat(np.sin(2 * np.pi * 80 * times)[:, None], 2, axis=1).astype(np.float32)
    passed, _ = remove_offset(tone, first_offset(tone, FS), FS)
    # a first-order high-pass at 5 Hz takes 0.2 % of 80 Hz
    level = np.sqrt(np.mean(passed[FS // 2 :] ** 2))
    assert level == pytest.approx(np.sqrt(0.5), rel=5e-3)

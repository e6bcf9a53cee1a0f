"""Localising recordings: right azimuths, the same in blocks as whole, and every bad input in a line."""

import csv
import json
import types
from functools import partial

import numpy as np
import pytest
import soundfile
from scipy import signal as sps

from ssl_jax import localise as any_localise
from ssl_jax.config import AZIMUTHS
from ssl_jax.frontend.binaural_feature import Cues
from ssl_jax.recordings import localisation, quality
from ssl_jax.recordings.azimuths import directions, mean_azimuth, mirror_azimuth, peak_azimuth
from ssl_jax.recordings.scene import render_scene
from support.runs import refuses
from support.sound_blocks import pieces

FS = 44_100
RIGHT = (
    10  # degrees that an azimuth may be off, two classes: what the networks' accuracy is given for
)
ALIKE = 5  # degrees that the same sound in another format or at another rate may be off, one class
# the network that knows the head all scenes here are rendered with: right azimuths are asked for
KNOWN = {"model": "embedded"}
localise, localise_blocks = (
    partial(f, **KNOWN) for f in (any_localise, localisation.localise_blocks)
)


@pytest.fixture(scope="module")
def scene(corpus):
    """Two seconds of one voice from azimuths, with a noise beside it at an SNR in dB: (samples, 2)."""
    voice = corpus.speech[[0, 5]].reshape(-1)
    return lambda at, noise, snr: (
        render_scene(voice, FS, [at], [corpus.noise[3, 0]], [noise], snr).ears
    )


@pytest.fixture(scope="module")
def found(at_60):
    return localise(at_60, FS, cues=True)


def apart(a, b):
    return np.abs((np.asarray(a) - b + 180) % 360 - 180)


@pytest.mark.parametrize("azimuth", [10, 60, 130, 200, 270, 325])
def test_a_rendered_voice_is_found_within_ten_degrees(scene, azimuth):
    found = localise(scene(azimuth, (azimuth + 100) % 360, 25), FS)
    assert (
        apart(mean_azimuth(found), azimuth) < RIGHT
        and np.median(apart(found.azimuth, azimuth)) < RIGHT
    )


def test_what_is_found_and_swapped_ears_mirror_it(at_60, found):
    assert found.times == pytest.approx(np.arange(0.5, 1.51, 0.1)) and found.posterior.shape == (
        11,
        AZIMUTHS,
    )
    np.testing.assert_allclose(found.posterior.sum(1), 1, atol=1e-5)  # float32 sums of 72
    assert (found.window, found.step, found.seconds, found.fs) == (1.0, 0.1, 2.0, FS)
    assert found.notes == () and found.cues.itd.shape == (32, 200)
    assert apart(mean_azimuth(localise(at_60[:, ::-1], FS)), 300) < RIGHT


def test_level_format_and_rate_change_nothing(at_60, found, tmp_path):
    quiet = localise(1e-3 * at_60, FS)
    np.testing.assert_allclose(quiet.posterior, found.posterior, atol=1e-3)  # float16 cues
    whole = np.round(at_60 * 32767).astype(np.int16)
    np.testing.assert_allclose(
        localise(whole, FS).posterior, found.posterior, atol=0.05
    )  # a bit of 16
    for kind in ("wav PCM_24", "flac PCM_16", "aiff FLOAT", "ogg VORBIS", "mp3 MPEG_LAYER_III"):
        path = tmp_path / f"a.{kind.split()[0]}"
        soundfile.write(path, at_60, FS, kind.split()[1])
        assert apart(mean_azimuth(localisation.localise_file(path, **KNOWN)), 60) < ALIKE
    for fs in (48_000, 16_000):
        ears = sps.resample_poly(at_60, fs // 100, FS // 100)
        assert apart(mean_azimuth(localise(ears, fs)), mean_azimuth(found)) < ALIKE


def test_blocks_are_the_whole_and_a_longer_sound_too(at_60, found):
    """Six seconds: many runs of cues, windows across their borders, and a change of rate on the way."""
    for sizes in ((1000, 7, 30_000), (88_200,)):
        blocks = localise_blocks(pieces(at_60, sizes), len(at_60), FS, "x")
        np.testing.assert_array_equal(blocks.posterior, found.posterior)
        assert blocks.flags == found.flags
    x = np.concatenate([at_60, 0.5 * at_60[::-1], at_60])[: 6 * FS - 300]
    blocks = localise_blocks(pieces(x, (48_000, 11)), len(x), 48_000, "x", step=0.05)
    whole = localise_blocks([x], len(x), 48_000, "x", step=0.05)
    np.testing.assert_array_equal(blocks.posterior, whole.posterior)
    assert len(whole.times) == (len(x) * 147 // 160 // 441 - 100) // 5 + 1
    sparse = localise_blocks([x], len(x), 48_000, "x", step=1.5)  # windows that leave frames out
    np.testing.assert_allclose(
        sparse.posterior, whole.posterior[::30], atol=1e-5
    )  # float32, other batches


@pytest.mark.parametrize(
    "fs, wanted", [(48_000, FS), (8000, FS), (FS, 16_000), (44_101, FS), (FS, FS)]
)
def test_resampling_in_blocks_is_that_of_the_whole(fs, wanted):
    x = np.random.default_rng(5).standard_normal((50_001, 2)).astype(np.float32)
    blocks = list(localisation.resampled(pieces(x, (20_000, 1, 333)), fs, wanted))
    whole = sps.resample_poly(x, wanted, fs, axis=0)
    np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1e-6, rtol=1e-6)  # float32


def test_a_trajectory_is_followed(corpus):
    scene = render_scene(
        corpus.speech[::5].reshape(-1), FS, [20, 80], [corpus.noise[3, 0]], [200], 25
    )
    found = localise(scene.ears, FS)
    assert scene.azimuths[[0, len(scene.azimuths) // 2, -1]] == pytest.approx(
        [20, 50, 80], abs=0.01
    )
    truth = scene.azimuths[(found.times * FS).astype(int)]
    assert (
        np.median(apart(found.azimuth, truth)) < RIGHT and found.azimuth[-1] - found.azimuth[0] > 15
    )


def test_the_peak_around_the_circle_and_the_mean_of_a_recording():
    wanted, certain = [357.5, 0, 60, 358, 2], [1, 1, 0.6, 1, 1]
    shares = [{71: 0.5, 0: 0.5}, {71: 0.25, 0: 0.5, 1: 0.25}, {12: 0.6, 40: 0.4}]  # by class
    shares += [{0: 0.6, 71: 0.4}, {1: 0.4, 0: 0.6}]
    posterior = np.full((5, AZIMUTHS), 1e-9)
    for row, share in zip(posterior, shares):
        row[list(share)] = list(share.values())
    azimuth, confidence = peak_azimuth(posterior)
    assert (apart(azimuth, wanted) < 0.01).all() and (azimuth >= 0).all() and (azimuth < 360).all()
    np.testing.assert_allclose(confidence, certain, atol=1e-6)  # the 1e-9 of other classes

    def mean(azimuth, confidence, *flags):
        values = {"azimuth": np.array(azimuth), "confidence": np.array(confidence), "flags": flags}
        values["posterior"] = np.zeros((len(azimuth), AZIMUTHS))
        return mean_azimuth(types.SimpleNamespace(**values))

    assert apart(mean([350, 10.0], [0.9, 0.9], (), ()), 0) < 1e-9
    assert mean([20.0, 90], [1, 1], (), ("clipped",)) == pytest.approx(20)
    assert mean([20.0, np.nan], [0.3, 0], ("unsure",), ("silent",)) == pytest.approx(20)
    assert np.isnan(mean([0.0, 120, 240], [1, 1, 1], (), (), ()))


def test_front_and_back_and_several_directions():
    """60 and 120 degrees as likely; a peak alone; two talkers; nothing."""
    posterior = np.zeros((3, AZIMUTHS))
    posterior[0, [12, 24]], posterior[1, 12], posterior[2, [12, 40]] = 0.5, 1.0, (0.7, 0.3)
    mirrored = mirror_azimuth(posterior)
    assert mirrored[0] == pytest.approx(120) and np.isnan(mirrored[1:]).all()
    near = np.zeros(AZIMUTHS)
    near[[17, 19]] = 0.5  # one peak about the axis is no doubt
    assert np.isnan(mirror_azimuth(near))
    (first, share), (second, less) = directions(posterior[2])
    assert (first, second) == (pytest.approx(60), pytest.approx(200))
    assert (share, less) == (pytest.approx(0.7), pytest.approx(0.3))
    assert directions(np.full(AZIMUTHS, 1 / AZIMUTHS)) == []


def test_flags_and_notes(at_60):
    voice, quiet = at_60[:FS], np.random.default_rng(1).standard_normal((FS, 2)) * 1e-4
    x = np.concatenate([voice, 0 * voice, quiet, np.clip(4 * voice, -1, 1), voice * [1, 1e-4]])
    found = localise(x, FS, step=1.0)
    flags = [set(flags) - {"unsure"} for flags in found.flags]
    assert flags == [set(), {"silent"}, {"quiet"}, {"clipped"}, {"one ear"}]
    assert np.isnan(found.azimuth[1]) and found.confidence[1] == 0
    assert np.isfinite(found.azimuth[[0, 2, 3, 4]]).all()
    assert any(note.startswith("clipped, first at 3") for note in found.notes)
    low = localise(voice[::5], 8820)
    assert all("narrow band" in flags for flags in low.flags) and "empty" in low.notes[0]
    assert "mono stored as stereo" in localise(at_60[:, [0, 0]], FS).notes[0]
    assert "one ear is silent" in localise(at_60 * [0, 1], FS).notes[0]
    short = localise(at_60[: FS // 2], FS)
    assert (
        len(short.times) == 1
        and "short" in short.flags[0]
        and "shorter than the" in short.notes[-1]
    )
    assert short.times[0] == pytest.approx(0.25) and short.window == pytest.approx(0.5)


BAD_SIGNALS = {"45 ms of sound: use at least 50 ms": lambda x: x[:2000], "silent": lambda x: 0 * x}
BAD_SIGNALS |= {"NaN or infinite samples at 1.00 s": lambda x: np.insert(x, FS, np.nan, 0)}
BAD_SIGNALS |= {
    "full scale is 1": lambda x: 1e9 * x,
    "not real numbers": lambda x: x.astype(complex),
}
BAD_SIGNALS |= {r"\(88200, 1\): two ears are needed": lambda x: x[:, :1]}
BAD_SIGNALS |= {r"\(88200,\): two ears are needed": lambda x: x[:, 0]}
BAD_SETTINGS = {
    "rate is 2000": {"fs": 2000},
    "not a whole number": {"fs": 44100.5},
    "step 0": {"step": 0},
}
BAD_SETTINGS |= {"window 0.02": {"window": 0.02}, "window nan": {"window": float("nan")}}
BAD_SETTINGS |= {"use one of ": {"model": "nobody"}}


@pytest.mark.parametrize("says", [*BAD_SIGNALS, *BAD_SETTINGS])
def test_bad_signals_and_settings(at_60, says):
    change, settings = BAD_SIGNALS.get(says, np.copy), {"fs": FS} | BAD_SETTINGS.get(says, {})
    refuses(says, localise, change(at_60), **settings)


def test_table_csv_and_json_say_the_same_and_a_bad_file_stops_the_command_in_one_line(
    at_60, tmp_path, call
):
    soundfile.write("a.wav", np.concatenate([at_60, np.zeros((FS + 441, 2))]), FS)
    ended = call(*"localise a.wav --model embedded --step 0.5 --json a.json --csv a.csv".split())
    lines = ended.out.splitlines()
    assert lines[0].startswith("a.wav: 3.01 s at 44100 Hz; network ") and lines[-1].startswith(
        "overall "
    )
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    windows = json.loads((tmp_path / "a.json").read_text())["files"][0]["windows"]
    times = [0.5, 1.0, 1.5, 2.0, 2.5]
    assert (
        [float(row["time_s"]) for row in rows] == [window["time_s"] for window in windows] == times
    )
    assert (rows[-1]["azimuth_deg"], rows[-1]["flags"], windows[-1]["azimuth_deg"]) == (
        "",
        "silent",
        None,
    )
    assert (
        apart(float(rows[0]["azimuth_deg"]), 60) < RIGHT
        and len(windows[0]["posterior"]) == AZIMUTHS
    )
    assert lines[2].split()[0] == "0.50" and lines[6].split() == ["2.50", "-", "0.00", "silent"]
    soundfile.write("mono.wav", at_60[:, 0], FS)
    (tmp_path / "text.wav").write_text("no sound")
    refused = {
        "mono.wav": "mono.wav: has 1 channel: two ears are needed",
        "none.wav": "no such file",
    }
    refused |= {
        "text.wav": "not a readable sound file",
        "a.wav a.wav --plot x.png": "give one FILE",
    }
    refused |= {"a.wav --plot x.jpg": "x.jpg: not a name for a picture"}
    for words, says in refused.items():
        ended = call("localise", *words.split())
        assert ended.status == 2 and len(ended.lines) == 1 and says in ended.lines[0]


def test_an_overview_stays_small_and_keeps_the_mean():
    sizes, rng, maps = [777] * 30 + [1], np.random.default_rng(6), []
    parts = [rng.standard_normal((4, 2, size)).astype(np.float32) for size in sizes]
    passed = list(quality.overview((Cues(*part) for part in parts), maps, sum(sizes)))
    whole, maps = np.concatenate(parts, axis=-1), np.concatenate(maps, axis=-1)
    np.testing.assert_array_equal(np.concatenate([np.stack(p) for p in passed], axis=-1), whole)
    size = -(-sum(sizes) // quality.COLUMNS)  # frames of a column
    assert maps.shape[-1] == sum(sizes) // size <= quality.COLUMNS < 2 * maps.shape[-1]
    means = whole[..., : maps.shape[-1] * size].reshape(4, 2, -1, size).mean(-1)
    np.testing.assert_allclose(maps, means, atol=1e-5)  # float32 sums of a few frames

"""Localising recordings: right azimuths, the same in blocks as whole, and every bad input in a line."""

import csv
import json
import types
from functools import partial

import numpy as np
import pytest
import soundfile
from scipy import signal as sps
from ssl_jax.recordings.resampling import resample_block, resampled_length, start_resampling

import ssl_jax
from ssl_jax import __main__ as cli
from ssl_jax import localisation
from ssl_jax.common.errors import InputError
from ssl_jax.config import AZIMUTHS
from ssl_jax.recordings.azimuths import mean_azimuth, peak_azimuth
from ssl_jax.recordings.pictures import draw_azimuths
from ssl_jax.recordings.quality import COLUMNS, Overview
from ssl_jax.recordings.scene import render_scene

FS = 44_100
# the network that knows the head all scenes here are rendered with: right azimuths are asked for
localise, localise_blocks, localise_file = (
    partial(function, model="embedded")
    for function in (localisation.localise, localisation.localise_blocks, localisation.localise_file)
)


@pytest.fixture(scope="module")
def voice(corpus):
    """Two seconds of one voice."""
    return corpus.speech[[0, 5]].reshape(-1)


@pytest.fixture(scope="module")
def at_60(voice, corpus):
    """The voice at 60 degrees and a noise at 20 dB: (samples, 2)."""
    return render_scene(voice, FS, [60], [corpus.noise[3, 0]], [200], 20).ears


@pytest.fixture(scope="module")
def found(at_60):
    return localise(at_60, FS, cues=True)


def apart(a, b):
    return np.abs((np.asarray(a) - b + 180) % 360 - 180)


def pieces(x, sizes):
    """Consecutive blocks of x of the given sizes, over and over."""
    at, k = 0, 0
    while at < len(x):
        yield x[at : at + sizes[k % len(sizes)]]
        at, k = at + sizes[k % len(sizes)], k + 1


@pytest.mark.parametrize("azimuth", [10, 60, 130, 200, 270, 325])
def test_a_rendered_voice_is_found_within_ten_degrees(voice, corpus, azimuth):
    ears = render_scene(voice, FS, [azimuth], [corpus.noise[3, 0]], [(azimuth + 100) % 360], 25).ears
    found = localise(ears, FS)
    assert apart(mean_azimuth(found), azimuth) < 10 and np.median(apart(found.azimuth, azimuth)) < 10


def test_what_is_found(found):
    assert found.times == pytest.approx(np.arange(0.5, 1.51, 0.1)) and found.posterior.shape == (11, AZIMUTHS)
    np.testing.assert_allclose(found.posterior.sum(1), 1, atol=1e-5)
    assert (found.window, found.step, found.seconds, found.fs) == (1.0, 0.1, 2.0, FS)
    assert (
        found.notes == () and found.cues.itd.shape == (32, 200) and ssl_jax.localise is localisation.localise
    )


def test_swapped_ears_mirror(at_60):
    assert apart(mean_azimuth(localise(at_60[:, ::-1], FS)), 300) < 10


def test_level_and_format_change_nothing(at_60, found, tmp_path):
    np.testing.assert_allclose(localise(1e-3 * at_60, FS).posterior, found.posterior, atol=1e-3)
    whole = np.round(at_60 * 32767).astype(np.int16)
    np.testing.assert_allclose(localise(whole, FS).posterior, found.posterior, atol=0.05)
    for name, subtype in (
        ("a.wav", "PCM_24"),
        ("a.flac", "PCM_16"),
        ("a.aiff", "FLOAT"),
        ("a.ogg", "VORBIS"),
        ("a.mp3", "MPEG_LAYER_III"),
    ):
        soundfile.write(tmp_path / name, at_60, FS, subtype)
        assert apart(mean_azimuth(localise_file(tmp_path / name)), 60) < 5


@pytest.mark.parametrize("fs", [48_000, 16_000])
def test_other_rates(at_60, found, fs):
    ears = sps.resample_poly(at_60, fs // 100, FS // 100)
    assert apart(mean_azimuth(localise(ears, fs)), mean_azimuth(found)) < 5


@pytest.mark.parametrize("sizes", [(1000, 7, 30_000), (88_200,)])
def test_blocks_are_the_whole(at_60, found, sizes):
    blocks = localise_blocks(pieces(at_60, sizes), len(at_60), FS, "x")
    np.testing.assert_array_equal(blocks.posterior, found.posterior)
    assert blocks.flags == found.flags


def test_a_longer_sound_and_its_blocks(at_60):
    """Six seconds: many runs of cues, windows across their borders, and a change of rate on the way."""
    x = np.concatenate([at_60, 0.5 * at_60[::-1], at_60])[: 6 * FS - 300]
    blocks = localise_blocks(pieces(x, (48_000, 11)), len(x), 48_000, "x", step=0.05)
    whole = localise_blocks([x], len(x), 48_000, "x", step=0.05)
    np.testing.assert_array_equal(blocks.posterior, whole.posterior)
    assert len(whole.times) == (len(x) * 147 // 160 // 441 - 100) // 5 + 1
    sparse = localise_blocks([x], len(x), 48_000, "x", step=1.5)  # windows that leave frames out
    np.testing.assert_allclose(sparse.posterior, whole.posterior[::30], atol=1e-5)


@pytest.mark.parametrize("fs, wanted", [(48_000, FS), (8000, FS), (FS, 16_000), (44_101, FS), (FS, FS)])
def test_resampling_in_blocks_is_that_of_the_whole(fs, wanted):
    x = np.random.default_rng(5).standard_normal((50_001, 2)).astype(np.float32)
    whole = sps.resample_poly(x, wanted, fs, axis=0)
    stream, out = start_resampling(fs, wanted), []
    for block in pieces(x, (20_000, 1, 333)):
        stream, y = resample_block(stream, block)
        out.append(y)
        assert len(stream.waiting) < 20_000 + 2 * stream.down
    out.append(resample_block(stream, x[:0], last=True)[1])
    np.testing.assert_allclose(np.concatenate(out), whole, atol=1e-6)
    assert len(whole) == resampled_length(len(x), fs, wanted)


def test_a_trajectory_is_followed(corpus):
    scene = render_scene(corpus.speech[::5].reshape(-1), FS, [20, 80], [corpus.noise[3, 0]], [200], 25)
    found = localise(scene.ears, FS)
    truth = scene.azimuths[(found.times * FS).astype(int)]
    assert np.median(apart(found.azimuth, truth)) < 10 and found.azimuth[-1] - found.azimuth[0] > 15


def test_the_peak_around_the_circle():
    def posterior(**shares):
        p = np.full(AZIMUTHS, 1e-9)
        for name, share in shares.items():
            p[int(name[1:])] = share
        return p

    cases = {
        355.0 + 2.5: posterior(c71=0.5, c0=0.5),
        0.0: posterior(c71=0.25, c0=0.5, c1=0.25),
        60.0: posterior(c12=0.6, c40=0.4),
        358.0: posterior(c0=0.6, c71=0.4),
        2.0: posterior(c1=0.4, c0=0.6),
    }
    azimuth, confidence = peak_azimuth(np.stack(list(cases.values())))
    assert (apart(azimuth, list(cases)) < 0.01).all() and (azimuth >= 0).all() and (azimuth < 360).all()
    np.testing.assert_allclose(confidence, [1, 1, 0.6, 1, 1], atol=1e-6)


def test_the_mean_of_a_recording():
    def recording(azimuth, confidence, flags):
        return types.SimpleNamespace(azimuth=np.array(azimuth), confidence=np.array(confidence), flags=flags)

    assert apart(mean_azimuth(recording([350, 10.0], [0.9, 0.9], [(), ()])), 0) < 1e-9
    assert mean_azimuth(recording([20.0, 90], [1, 1], [(), ("clipped",)])) == pytest.approx(20)
    assert mean_azimuth(recording([20.0, np.nan], [0.3, 0], [("unsure",), ("silent",)])) == pytest.approx(20)
    assert np.isnan(mean_azimuth(recording([0.0, 120, 240], [1, 1, 1], [(), (), ()])))


def test_flags(at_60):
    quiet = np.random.default_rng(1).standard_normal((FS, 2)) * 1e-4
    x = np.concatenate(
        [at_60[:FS], np.zeros((FS, 2)), quiet, np.clip(4 * at_60[:FS], -1, 1), at_60[:FS] * [1, 1e-4]]
    )
    found = localise(x, FS, step=1.0)
    flags = [set(flags) - {"unsure"} for flags in found.flags]
    assert flags == [set(), {"silent"}, {"quiet"}, {"clipped"}, {"one ear"}]
    assert np.isnan(found.azimuth[1]) and found.confidence[1] == 0
    assert np.isfinite(found.azimuth[[0, 2, 3, 4]]).all()
    assert any(note.startswith("clipped, first at 3") for note in found.notes)


def test_low_rate_mono_as_stereo_and_short_sounds_are_flagged(at_60):
    low = localise(at_60[: FS // 2 * 2 : 5], 8820)
    assert all("narrow band" in flags for flags in low.flags) and "empty" in low.notes[0]
    assert "mono stored as stereo" in localise(at_60[:, [0, 0]], FS).notes[0]
    assert "one ear is silent" in localise(at_60 * [0, 1], FS).notes[0]
    short = localise(at_60[: FS // 2], FS)
    assert (
        len(short.times) == 1 and "short" in short.flags[0] and "shorter than the window" in short.notes[-1]
    )
    assert short.times[0] == pytest.approx(0.25) and short.window == pytest.approx(0.5)


@pytest.mark.parametrize(
    "change, says",
    [
        (lambda x: x[:2000], "45 ms of sound: use at least 50 ms"),
        (lambda x: 0 * x, "silent"),
        (
            lambda x: np.where(np.arange(len(x))[:, None] == FS, np.nan, x),
            "NaN or infinite samples at 1.00 s",
        ),
        (lambda x: 1e9 * x, "full scale is 1"),
        (lambda x: x[:, :1], "two ears are needed"),
        (lambda x: x[:, 0], "two ears are needed"),
        (lambda x: x.astype(complex), "not real numbers"),
    ],
)
def test_bad_signals(at_60, change, says):
    with pytest.raises(InputError, match=says):
        localise(change(at_60), FS)


@pytest.mark.parametrize(
    "settings, says",
    [
        ({"fs": 2000}, "rate is 2000"),
        ({"fs": 44100.5}, "not a whole number"),
        ({"window": 0.02}, "window 0.02"),
        ({"window": float("nan")}, "window nan"),
        ({"step": 0}, "step 0"),
        ({"model": "nobody"}, "use one of "),
    ],
)
def test_bad_settings(at_60, settings, says):
    with pytest.raises(InputError, match=says):
        localise(at_60, **({"fs": FS} | settings))


def test_command_line(at_60, tmp_path, monkeypatch, capsys):
    """Table, CSV and JSON say the same; a second file that is mono stops it in one line."""
    monkeypatch.chdir(tmp_path)
    soundfile.write("a.wav", np.concatenate([at_60, np.zeros((FS + 441, 2))]), FS)
    assert cli.main("localise a.wav --model embedded --step 0.5 --json a.json --csv a.csv".split()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("a.wav: 3.01 s at 44100 Hz; network ") and lines[-1].startswith("overall ")
    with open("a.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    windows = json.loads((tmp_path / "a.json").read_text())["files"][0]["windows"]
    assert (
        [float(row["time_s"]) for row in rows] == [w["time_s"] for w in windows] == [0.5, 1.0, 1.5, 2.0, 2.5]
    )
    assert (
        rows[-1]["azimuth_deg"] == "" and windows[-1]["azimuth_deg"] is None and rows[-1]["flags"] == "silent"
    )
    assert apart(float(rows[0]["azimuth_deg"]), 60) < 10 and len(windows[0]["posterior"]) == AZIMUTHS
    assert lines[2].split()[0] == "0.50" and lines[6].split() == ["2.50", "-", "0.00", "silent"]
    soundfile.write("mono.wav", at_60[:, 0], FS)
    (tmp_path / "text.wav").write_text("no sound")
    for words, says in (
        ("mono.wav", "mono.wav: has 1 channel: two ears are needed"),
        ("none.wav", "no such file"),
        ("text.wav", "not a readable sound file"),
        ("a.wav a.wav --plot x.png", "give one FILE"),
        ("a.wav --plot x.jpg", "x.jpg: not a name for a picture"),
    ):
        assert cli.main(["localise", *words.split()]) == 2
        err = capsys.readouterr().err.splitlines()
        assert len(err) == 1 and says in err[0]


def test_picture(found, tmp_path):
    for name in ("one.png", "two.png"):
        draw_azimuths(found, tmp_path / name, "a voice")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    with pytest.raises(ValueError, match="cues=True"):
        draw_azimuths(found._replace(cues=None), tmp_path / "three.png")


def test_an_overview_stays_small_and_keeps_the_mean():
    rng = np.random.default_rng(6)
    view, frames = Overview(), []
    for size in [777] * 30 + [1]:
        part = rng.standard_normal((4, 2, size)).astype(np.float32)
        frames.append(part)
        list(view.look_at([tuple(part)]))
    maps = np.stack(view.cues())
    whole = np.concatenate(frames, axis=-1)
    assert COLUMNS / 2 - 1 <= maps.shape[-1] <= COLUMNS and view.size == 8
    use = maps.shape[-1] * view.size
    np.testing.assert_allclose(maps, whole[..., :use].reshape(4, 2, -1, 8).mean(-1), atol=1e-5)

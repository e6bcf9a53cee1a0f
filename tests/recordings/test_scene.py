"""Scenes of one's own: nothing clicks, azimuths are those of the head, files are as asked for."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile

from ssl_jax.recordings.scene import (
    RenderOptions,
    nearby_responses,
    render_file,
    render_scene,
)
from ssl_jax.recordings.trajectories import parse_trajectory, trajectory_azimuths
from ssl_jax.sounds.hrtf import KEMAR, select_directions
from ssl_jax.sounds.mixing import carry_around
from ssl_jax.sounds.sofa import read_sofa
from support.runs import refused, refuses

FS = 44_100
TONE = np.sin(2 * np.pi * 440 * np.arange(FS) / FS).astype(np.float32)
ROUNDING = 1e-5  # of float32 sums and FFTs, full scale 1


@pytest.fixture(scope="module")
def kemar():
    return read_sofa(KEMAR)


def test_carried_source_passes_every_position(kemar):
    """With HRIRs that are plain gains, a constant source gives their linear interpolation."""
    gains = np.array([0.0, 1.0, 4.0])
    hrirs = np.stack([gains, gains[::-1]], 1)[..., None].astype(np.float32)
    for samples in (1001, 1000, 3):
        ears = carry_around(np.ones(samples, np.float32), hrirs, np.arange(3))
        wanted = np.interp(np.linspace(0, 2, samples), [0, 1, 2], gains)
        np.testing.assert_allclose(ears, [wanted, wanted[::-1]], atol=ROUNDING)
    still, staying = (render_scene(TONE, FS, at, head=kemar).ears for at in ([60], [60, 60, 60]))
    np.testing.assert_allclose(staying, still, atol=ROUNDING)


def test_a_moving_tone_does_not_click(kemar):
    """Once around in a second: all but the tone stays 75 dB below it, and no step is larger."""
    around = np.arange(361) % 360
    moving = carry_around(TONE, nearby_responses(kemar, np.arange(360.0))[0], around)[:, 1000:]
    spectrum = np.abs(np.fft.rfft(moving * np.hanning(moving.shape[1])))
    frequency = np.fft.rfftfreq(moving.shape[1], 1 / FS)
    assert spectrum[:, np.abs(frequency - 440) > 100].max() < 10 ** (-75 / 20) * spectrum.max()
    still = nearby_responses(kemar, np.arange(0.0, 360, 30))[0].reshape(24, -1)
    loudest = max(np.abs(np.diff(np.convolve(TONE[:4000], ear)[1000:4000])).max() for ear in still)
    assert np.abs(np.diff(moving)).max() < 1.05 * loudest


def test_a_head_without_a_horizontal_plane_says_so(kemar):
    above = kemar.elevation >= 20
    high = replace(
        kemar,
        hrirs=kemar.hrirs[above],
        azimuth=kemar.azimuth[above],
        elevation=kemar.elevation[above],
    )
    scene = render_scene(TONE, FS, [10], head=high)
    assert len(scene.notes) == 1 and "nothing measured at elevation 0" in scene.notes[0]
    assert "at elevations 20 to 20 degrees, up to " in scene.notes[0]
    nearest = select_directions(high, "nearest", [10.0])[0].astype(np.float32)
    np.testing.assert_array_equal(nearby_responses(high, np.array([10.0]))[0], nearest)


def test_a_head_without_the_azimuth_is_refused(kemar):
    """As where only the front was measured: the nearest direction would be heard as another."""
    is_front = np.cos(np.radians(kemar.azimuth)) > -0.1
    front = replace(
        kemar,
        hrirs=kemar.hrirs[is_front],
        azimuth=kemar.azimuth[is_front],
        elevation=kemar.elevation[is_front],
    )
    assert render_scene(TONE, FS, 30, head=front).notes == ()
    refuses("of azimuth 180, nor above or below", render_scene, TONE, FS, 180, head=front)


def test_an_azimuth_that_is_passed_often_is_there_once(kemar, monkeypatch):
    asked = []

    def nearby(head, azimuths):
        asked.append(len(azimuths))
        return nearby_responses(head, azimuths)

    monkeypatch.setattr("ssl_jax.recordings.scene.nearby_responses", nearby)
    render_scene(TONE, FS, [0, 3600], head=kemar)
    render_scene(TONE, FS, [-30, 30, -30, 30], head=kemar)
    assert asked == [360, 61]
    assert len(np.unique(trajectory_azimuths(np.array([0.3, 36000.1])))) <= 3600


def test_one_noise_may_have_one_azimuth(kemar):
    noise = np.random.default_rng(0).standard_normal(900).astype(np.float32)
    one, listed = (render_scene(TONE, FS, 60, [noise], at, head=kemar) for at in (10, [10]))
    np.testing.assert_array_equal(one.ears, listed.ears)
    refuses("source: is a masked array", render_scene, np.ma.masked_less(TONE, 0), FS, 60)


def test_noise_level_and_repetition(kemar):
    noise = np.random.default_rng(4).standard_normal(5000).astype(np.float32)
    alone = render_scene(TONE, FS, [0], head=kemar).ears
    both = render_scene(TONE, FS, [0], [noise], [90], snr=6, head=kemar).ears
    tone_at = abs(np.vdot(alone, both)) / np.vdot(alone, alone)  # the mixture's peak is 1 again
    rest = both - tone_at * alone
    snr = 10 * np.log10(np.mean((tone_at * alone) ** 2) / np.mean(rest**2))
    assert snr == pytest.approx(6, abs=0.3) and np.abs(both).max() == pytest.approx(1)
    np.testing.assert_allclose(rest[10_000:15_000], rest[15_000:20_000], atol=1e-4)


@pytest.mark.parametrize(
    "says, changes",
    {
        "source: holds NaN": {"source": np.where(TONE > 0.9, np.nan, TONE)},
        "source: holds complex": {"source": TONE + 1j},
        "source: holds uint8": {"source": np.full(FS, 128, np.uint8)},
        r"source: holds values over 1e\+15": {"source": 1e30 * TONE},
        r"source: has shape \(0,\)": {"source": []},
        r"source: has shape \(44100, 2\)": {"source": np.stack([TONE, TONE], axis=1)},
        "source: its rate is 0 Hz": {"fs": 0},
        "noise 0: holds NaN": {"noises": [[np.inf]], "noise_azimuths": [90]},
        r"noise 0: has shape \(0,\)": {"noises": [[]], "noise_azimuths": [90]},
        r"noise azimuths \[nan\]: use numbers": {"noises": [TONE], "noise_azimuths": [np.nan]},
        "not a head: use read_sofa": {"head": "head.sofa"},
    }.items(),
)
def test_arrays_that_are_no_sound_or_head_are_refused(says, changes):
    settings = {"source": TONE, "fs": FS, "azimuths": 60} | changes
    refuses(says, render_scene, **settings)


def test_a_head_of_another_rate_is_refused(kemar):
    says = r"its rate is 44100 Hz, not 16000 Hz: use read_sofa\(path, 16000\)"
    refuses(says, render_scene, TONE, 16_000, 60, head=kemar)


def test_any_rate_and_channels_in(tmp_path):
    ears = np.random.default_rng(3).uniform(-0.5, 0.5, (12_000, 2))
    soundfile.write(tmp_path / "two.flac", ears, 48_000)
    soundfile.write(tmp_path / "one.wav", ears.mean(1), 48_000, "FLOAT")
    two, one = (
        render_file(RenderOptions(tmp_path / name, [90])).ears for name in ("two.flac", "one.wav")
    )
    assert two.shape == (11_025, 2)
    np.testing.assert_allclose(two, one, atol=1e-3)  # a bit of 16 or so


BAD = {
    "missing.wav: no such file": "missing.wav --azimuth 60",
    "0-360": "tone.wav --trajectory 0-360",
    "silent.wav: nothing sounds": "silent.wav --azimuth 60",
    "0:nan": "tone.wav --trajectory 0:nan",
    "use numbers of degrees": "tone.wav --azimuth inf",
    "at most 36000": "tone.wav --trajectory 0:1e9",
    "out of range": "tone.wav --azimuth 0 --seconds 0",
    "start -1": "tone.wav --azimuth 0 --start -1",
    "nothing sounds at 9 s": "tone.wav --azimuth 0 --start 9",
    "SNR nan": "tone.wav --azimuth 0 --snr nan --noise tone.wav --noise-azimuth 1",
    "1 noises and 0 azimuths": "tone.wav --azimuth 0 --noise tone.wav",
    "voice:x: no voice of the package": "voice:x --azimuth 0",
    "noise:x: no noise of the package": "tone.wav --azimuth 0 --noise noise:x --noise-azimuth 1",
    "head:x: no head of the package": "tone.wav --azimuth 0 --hrtf head:x",
    "not a readable SOFA": "tone.wav --azimuth 0 --hrtf tone.wav",
    "out.mp3: not a name for a scene": "tone.wav --azimuth 0 -o out.mp3",
    "tone.wav: would replace a file that is read": "tone.wav --azimuth 0 -o ./tone.wav",
    "noise.wav: would replace": "tone.wav --azimuth 0 --noise noise.wav -o noise.wav",
    "--output -: a scene goes to a file": "tone.wav --azimuth 0 -o -",
    ".: is a folder where a file is needed": "tone.wav --azimuth 0 -o .",
}


@pytest.mark.parametrize("says", BAD)
def test_bad_input_is_one_line(tmp_path, call, says):
    soundfile.write("tone.wav", 0.1 * np.sin(np.arange(4410)), FS)
    soundfile.write("silent.wav", np.zeros(4410), FS)
    ended = call("render", "-o", "out.wav", *BAD[says].split())
    refused(ended, says)
    assert len(ended.lines) == 1
    assert not list(tmp_path.glob("out.*"))


def test_the_command_line_writes_a_sound_and_a_spectrogram(tmp_path, call):
    assert parse_trajectory("0:90.5:-45") == [0, 90.5, -45]
    refuses("0:360", parse_trajectory, "60")
    soundfile.write("noise.wav", np.random.default_rng(1).uniform(-1, 1, 8000), 16_000)
    ended = call(
        *"render noise.wav --trajectory=-90:90 -o out.wav --plot out.png --bits 24".split()
    )
    assert ended.status == 0 and ended.out.startswith("out.wav: 0.50 s at 44100 Hz, 24 bits")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["noise.wav", "out.png", "out.wav"]
    info = soundfile.info("out.wav")
    assert (info.subtype, info.samplerate, info.channels, info.frames) == ("PCM_24", FS, 2, FS // 2)
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


def test_sounds_of_the_package_go_by_name(call):
    words = "render voice:27 --azimuth 60 --seconds 0.1 --noise noise:rain --noise-azimuth 200"
    ended = call(*words.split(), "--hrtf=head:ku100", "-o", "out.wav")
    assert ended.status == 0 and soundfile.info("out.wav").frames == FS // 10


def test_a_name_that_ends_in_flac_makes_a_flac(tmp_path, call):
    soundfile.write("tone.wav", 0.1 * TONE, FS)
    for name in ("out.wav", "out.flac"):
        call("render", "tone.wav", "--azimuth=60", "-o", name)
    assert soundfile.info("out.flac").format == "FLAC"
    flac, wav = (soundfile.read(name)[0] for name in ("out.flac", "out.wav"))
    np.testing.assert_array_equal(flac, wav)

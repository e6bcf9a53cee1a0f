"""Scenes of our own making: heads, voice and noises are known, and so is what must come out."""

from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from ssl_jax.common.files import sha256_of
from ssl_jax.report.style import plt
from ssl_jax.sounds.hrtf import head_files, select_directions
from ssl_jax.sounds.steadiness import steadiness
from ssl_jax.studies import scenes as study
from ssl_jax.studies import scenes_report
from ssl_jax.studies.scenes import CORRECTED, FS, PLAIN, SAMPLES, SCENE_AZIMUTHS
from ssl_jax.studies.scenes_report import run_scenes
from support.runs import refuses

HEADS = ("cipic_003", "cipic_028", "cipic_044")
OWN = (1, 0, 2, 1)  # of HEADS, the one of each scene
SNRS = np.array([18.0, 22.0, 24.0, 27.0])  # dB
NEAR = 1.0  # dB, of SNR: a share of the noise, unlike from ear to ear, counts as voice
NEAR_GAIN = 0.02  # of the voice, whose noise is 18 dB below it


@pytest.fixture(scope="module")
def heads():
    return study.read_heads([path for path in head_files(None) if path.stem in HEADS])


def spatial(sound, responses):
    """A sound (samples,) through a pair of responses (2, taps), the first samples."""
    return np.stack([np.convolve(sound, response)[:SAMPLES] for response in responses])


def below(sound, highest, rng):
    """Noise (samples,) that ends at `highest` Hz, in bursts where `sound` is "voice"."""
    spectrum = np.fft.rfft(rng.normal(size=SAMPLES))
    spectrum[np.fft.rfftfreq(SAMPLES, 1 / FS) > highest] = 0
    noise = np.fft.irfft(spectrum, SAMPLES)
    if sound == "voice":
        noise *= np.sin(2 * np.pi * 4 * np.arange(SAMPLES) / FS) ** 4
    return noise


@pytest.fixture(scope="module")
def made(heads):
    """Scenes (4, 2, samples) of one voice and two noises each, with gains (4,) and noises."""
    rng = np.random.default_rng(0)
    voice = below("voice", 7_900, rng)
    scenes, gains, noises = [], [], []
    for azimuth, own, snr in zip(SCENE_AZIMUTHS, OWN, SNRS, strict=True):
        responses, _ = select_directions(heads[own], "nearest_azimuth")
        target = spatial(voice, responses[azimuth // 5])
        noise = np.zeros_like(target)
        for place in rng.choice(72, 2, replace=False):
            one = spatial(below("noise", 15_000, rng), responses[place])
            noise += one / one.std()
        noise *= np.sqrt(np.mean(target**2) / np.mean(noise**2)) * 10 ** (-snr / 20)
        gain = 0.9 / np.abs(target + noise).max()
        scenes.append(gain * (target + noise))
        gains.append(gain)
        noises.append(gain * noise)
    return SimpleNamespace(
        scenes=np.stack(scenes), gains=np.array(gains) / gains[0], noises=np.stack(noises)
    )


@pytest.fixture(scope="module")
def separations(heads, made):
    own = study.head_spectra(heads)[list(OWN), np.arange(len(OWN))]
    return {method: study.separate(made.scenes, own, method) for method in (PLAIN, CORRECTED)}


def test_the_head_of_each_scene_has_the_lowest_score(heads, made):
    scores = study.response_scores(made.scenes, study.head_spectra(heads))
    assert tuple(scores.argmin(axis=0)) == OWN
    ranked = np.sort(scores, axis=0)
    assert (ranked[1] - ranked[0] > 3).all()  # dB: 18 dB of SNR and more leave no doubt


def test_without_noise_the_right_head_explains_all(heads):
    voice = below("voice", 7_900, np.random.default_rng(1))
    responses, _ = select_directions(heads[0], "nearest_azimuth", np.array(SCENE_AZIMUTHS))
    scenes = np.stack([spatial(voice, pair) for pair in responses])
    scores = study.response_scores(scenes, study.head_spectra(heads[:1]))
    assert (scores < -40).all()  # dB: only what the end of the second cuts off is left


def test_the_best_of_all_directions_is_the_one_that_was_used(heads, made):
    ranks = study.rank_directions(made.scenes[1:2], heads[:2])
    responses, elevations = select_directions(heads[OWN[1]], "nearest_azimuth", np.array([90]))
    best = ranks[0][0]
    assert (best.head, best.azimuth) == (HEADS[OWN[1]], pytest.approx(90))
    assert best.elevation == pytest.approx(elevations[0])
    assert len(ranks[0]) == sum(len(head.hrirs) for head in heads[:2])


def test_gains_and_snr_come_out(made, separations):
    separation = separations[CORRECTED]
    assert separation.gains == pytest.approx(made.gains, rel=NEAR_GAIN)
    assert study.rest_snr(separation) == pytest.approx(SNRS, abs=NEAR)
    whole = separation.voice + separation.rest
    np.testing.assert_allclose(whole, made.scenes, atol=1e-12)  # rounding


def test_the_plain_fit_runs_into_one_ear_and_the_corrected_one_does_not(made, separations):
    band = np.array([100, PLAIN.top])
    noise = study.band_levels(made.noises[:, :, None], band)[..., 0]  # scenes, ears
    missing = {}
    for method, separation in separations.items():
        rest = study.band_levels(separation.rest[:, :, None], band)[..., 0]
        missing[method] = noise - rest
    assert missing[PLAIN].max() > 20  # dB: all of that ear's noise counts as voice
    assert missing[CORRECTED].max() < 6  # dB: a share of three quarters


def test_rests_are_as_steady_as_the_noises(made, separations):
    rest = steadiness(separations[CORRECTED].rest, FS)
    assert rest == pytest.approx(steadiness(made.noises, FS), abs=0.3)  # dB: kinds are 1 apart
    assert (steadiness(separations[CORRECTED].voice, FS) > 5).all()


def test_the_fit_leaves_a_share_of_noise_in_each_ear(separations):
    left = separations[CORRECTED].share_left
    assert (left > 0.05).all() and (left < 1).all()
    assert np.sum(1 - left) == pytest.approx(1)  # one voice is fitted: one of eight degrees
    assert (separations[PLAIN].share_left == 1).all()


def test_levels_of_bands_are_those_of_tones():
    time = np.arange(SAMPLES) / FS
    tones = np.stack([np.sin(2 * np.pi * 300 * time), 0.1 * np.sin(2 * np.pi * 3000 * time)])
    low, high = study.band_levels(tones, np.array([100, 1000, 10_000]))
    assert low - high == pytest.approx(20, abs=0.1)  # dB: tones leak into their neighbours


def published_alike(folder, scenes, monkeypatch):
    """Scenes as the four files in a folder, which then pass for the published ones."""
    folder.mkdir()
    checksums = {}
    for azimuth, scene in zip(SCENE_AZIMUTHS, scenes, strict=True):
        path = folder / f"main_audio_100_azi{azimuth}.wav"
        soundfile.write(path, scene.T, FS)
        checksums[azimuth] = sha256_of(path)
    monkeypatch.setattr(study, "CHECKSUMS", checksums)


def test_the_stage_writes_its_page_and_marks_each_scenes_head(tmp_path, made, monkeypatch, capsys):
    figures = []
    monkeypatch.setattr(scenes_report, "save_figure", lambda figure, _: figures.append(figure))
    published_alike(tmp_path / "Test_Audio", made.scenes, monkeypatch)
    heads = tmp_path / "heads"
    heads.mkdir()
    for path in head_files(None):
        if path.stem in HEADS:
            (heads / path.name).write_bytes(path.read_bytes())
    folders = {"results": tmp_path / "results", "figures": tmp_path / "figures"}
    run_scenes(tmp_path, heads, **folders)
    text = (tmp_path / "results/scenes.md").read_text()
    assert text in capsys.readouterr().out
    for azimuth, own in zip(SCENE_AZIMUTHS, OWN, strict=True):
        assert f"| {azimuth}° | {HEADS[own]} |" in text
    assert "What they say" not in text  # that is said of the package's heads
    which_head = figures[0].axes[::3]
    marked = [axes.texts[0].get_text() for axes in which_head]
    assert marked == [scenes_report.short_name(HEADS[own]) for own in OWN]
    plt.close(figures[0])


def test_other_folders_and_files_are_refused(tmp_path, made, monkeypatch):
    refuses("nowhere: no such folder: name a clone", study.read_scenes, tmp_path / "nowhere")
    refuses("azi0.wav: no such file: name a clone", study.read_scenes, tmp_path)
    folder = tmp_path / "Test_Audio"
    published_alike(folder, made.scenes, monkeypatch)
    read = study.read_scenes(tmp_path)
    np.testing.assert_allclose(read, made.scenes, atol=2**-15)  # the step of 16 bits
    path = folder / "main_audio_100_azi90.wav"
    whole = made.scenes[1].T
    for scene, fs, says in (
        (whole, 48_000, "has 44100 samples of 2 channels at 48000 Hz, not 44100 of 2 at 44100 Hz"),
        (whole[:, :1], FS, "has 44100 samples of 1 channels"),
        (whole[:-1], FS, "has 44099 samples of 2 channels"),
        (whole[::-1], FS, "is another sound than the published one"),
    ):
        soundfile.write(path, scene, fs)
        refuses(f"azi90.wav: {says}", study.read_scenes, folder)
    path.write_bytes(b"RIFF")
    refuses("azi90.wav: not a readable sound file", study.read_scenes, folder)

"""Scores of the packed networks on the head of a SOFA file."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
from scipy.signal import butter, sosfilt

from ssl_jax.config import AZIMUTH_STEP
from ssl_jax.networks.packed import default_weights
from ssl_jax.sounds.hrtf import KEMAR
from ssl_jax.studies.places import Place, fold_seconds, measured_place
from ssl_jax.studies.unseen_heads import SHORT_WINDOWS, cells, loud_windows, scores_of
from ssl_jax.studies.voices import bundled_voices, wide_band_sounds
from support.runs import refused, refuses

FS = 44_100


def posterior_of(*peaks):
    """A row for each peak: all the confidence at one azimuth, or shared as {azimuth: share}."""
    posterior = np.zeros((len(peaks), 72))
    for row, peak in zip(posterior, peaks, strict=True):
        for azimuth, share in (peak if isinstance(peak, dict) else {peak: 1.0}).items():
            row[azimuth // AZIMUTH_STEP] = share
    return posterior


def test_errors_are_means_of_all_sources():
    scores = scores_of(posterior_of(0, 100, 350), np.array([0.0, 80.0, 10.0]))
    assert scores.mean_error == pytest.approx(40 / 3)
    assert scores.within_10 == pytest.approx(100 / 3)


def test_frontal_errors_are_of_sources_and_estimates_in_front():
    """Of 150 and 40 degrees the second counts. The source behind is left out."""
    front = {150: 0.7, 40: 0.3}
    scores = scores_of(posterior_of(front, 0, 180), np.array([30.0, 0.0, 175.0]))
    assert scores.frontal_rmse == pytest.approx((10**2 / 2) ** 0.5)
    assert scores.frontal_mae == pytest.approx(10 / 2)


def test_front_back_does_not_count_sources_beside_the_ears():
    """20, 160 and 95 degrees are taken for their mirror images; the last does not count."""
    scores = scores_of(posterior_of(160, 160, 85), np.array([20.0, 160.0, 95.0]))
    assert scores.front_back == 50.0


def test_only_confident_estimates_count_as_sure():
    """Two of three are stated with 0.9 or more, and one of these is right."""
    unsure = {0: 0.6, 90: 0.4}
    scores = scores_of(posterior_of(0, 90, unsure), np.array([0.0, 0.0, 0.0]))
    assert scores.sure == pytest.approx(200 / 3)
    assert scores.sure_and_right == 50.0


def test_what_nothing_counts_for_is_a_dash():
    unsure = {90: 0.6, 270: 0.4}
    shown = cells(scores_of(posterior_of(unsure), np.array([180.0])))
    assert shown == ["90.0°", "0.0 %", "0.0 %", "-", "-", "0.0 %", "-"]


def test_quiet_windows_are_left_out():
    """One of 30 dB below the loudest; one of 10 dB below stays."""
    gains = np.repeat([1.0, 10**-1.5, 10**-0.5, 1.0], FS // SHORT_WINDOWS)
    ears = np.stack([gains, gains])[None]
    assert loud_windows(ears).tolist() == [[True, False, True, True]]


def test_a_long_response_falls_on_the_next_second():
    hrirs = np.zeros((1, 2, 7))
    hrirs[0, 0, [1, 6]] = 1.0, 0.5
    assert fold_seconds(hrirs, 5)[0, 0].tolist() == [0, 1.5, 0, 0, 0]
    assert fold_seconds(hrirs, 7) is hrirs


def test_a_room_is_known_by_what_comes_late():
    """Energy 40 dB below the direct sound after 25 ms is a measurement's noise; at 20 dB a room."""
    head = measured_place(KEMAR, FS)
    energy = np.sqrt(np.square(head.hrirs).sum(axis=-1, keepdims=True))
    echo = np.zeros((*head.hrirs.shape[:2], FS // 20), np.float32)
    echo[..., -200:] = energy / np.sqrt(200)
    padding = [(0, 0), (0, 0), (0, echo.shape[-1] - head.hrirs.shape[-1])]
    direct = np.pad(head.hrirs, padding)
    assert not head.is_room
    assert not replace(head, hrirs=direct + 0.01 * echo).is_room
    assert replace(head, hrirs=direct + 0.1 * echo).is_room


def test_a_place_has_its_horizontal_directions():
    place = measured_place(KEMAR, FS)
    assert place.hrirs.shape[:2] == (72, 2) and place.directions == "72"
    high = Place("", place.hrirs, place.azimuth, np.full(72, 29.6), place.fs)
    assert high.directions == "72, up to 30° off the plane"


def test_voices_are_of_different_speakers():
    voices = bundled_voices(10, FS, seconds=2)
    assert voices.shape == (10, 2, FS)
    assert np.abs(voices).max(axis=-1) == pytest.approx(1)
    assert len({voice.tobytes() for voice in voices}) == 10
    refuses("--clips 91: out of range: use 1 to 90", bundled_voices, 91, FS)


def test_wide_band_sounds_reach_over_8_khz(tmp_path):
    """Of a kind below 8 kHz and one up to 20 kHz, the clips of the second are taken."""
    rng = np.random.default_rng(0)
    wide = rng.standard_normal((2, 2 * FS))
    low = sosfilt(butter(8, 4000, fs=FS, output="sos"), wide)
    for name, sound in (("low", low[0]), ("wide", wide[1])):
        soundfile.write(tmp_path / f"{name}.wav", sound / np.abs(sound).max(), FS)
    sounds = wide_band_sounds(tmp_path, 2, FS)
    assert sounds.shape == (2, FS)
    again, _ = soundfile.read(tmp_path / "wide.wav")
    correlation = np.corrcoef(sounds[0], again[:FS])[0, 1]
    assert correlation == pytest.approx(1, abs=1e-3)  # 16 bits
    refuses("has 2 seconds that reach over 8 kHz, not 3", wide_band_sounds, tmp_path, 3, FS)


def test_a_head_is_scored_and_written_only_where_asked(call, tmp_path):
    name = default_weights()
    ended = call("check", KEMAR, "--model", name, "--clips=1")
    assert ended.status == 0 and list(tmp_path.iterdir()) == []
    rows = [line.strip("| ").split(" | ") for line in ended.out.strip().splitlines()[-2:]]
    assert [row[:4] for row in rows] == [
        [f"`{name}`", KEMAR.stem, "72", w] for w in ("1 s", "0.25 s")
    ]
    assert float(rows[0][5].rstrip(" %")) > 60  # within 10 degrees; chance: 7
    assert call("check", KEMAR, "--model", name, "--clips=1", "--write").status == 0
    assert (tmp_path / "results/unseen_heads.md").read_text().strip() == ended.out.strip()
    refused(call("check", KEMAR, "--clips=0"), "--clips 0: out of range")

"""Speech: what comes with the package, and folders of one's own."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from ssl_jax.common.files import package_data
from ssl_jax.sounds.speech import load_speech, speaker_of, utterances
from support.made_sounds import RATE, pitch, put_sound, tone
from support.runs import refuses

# seconds and Hz of utterances, in the order that they are used
UTTERANCES = {
    "9/77/9-77-0000.flac": (2.5, 500),
    "10/77/10-77-0000.flac": (2.5, 900),
    "9/77/9-77-0001.flac": (1, 1000),
    "10/77/10-77-0001.flac": (1, 1800),
    "9/100/9-100-0000.flac": (1, 1500),
}


@pytest.fixture
def folder(tmp_path):
    """Two speakers in the layout of LibriSpeech."""
    for name, (seconds, frequency) in UTTERANCES.items():
        put_sound(tmp_path / name, tone(seconds, frequency))
    return tmp_path


@pytest.fixture(scope="module")
def bundled():
    return load_speech(None, 700, 16_000)


def test_the_package_has_700_seconds_of_many_speakers(bundled):
    assert bundled.shape == (700, 16_000)
    assert len({(clip.file, clip.start_s) for clip in bundled.clips}) == 700
    assert len({clip.speaker for clip in bundled.clips}) == 52
    assert bundled.clips[10].name == "main_audio_11"


def test_bundled_utterances_are_cut_one_after_the_other_by_speaker_number(bundled):
    assert [clip.start_s for clip in bundled.clips[:3]] == [0, 1, 2]
    speakers = list(dict.fromkeys(clip.speaker for clip in bundled.clips))
    assert speakers == sorted(speakers, key=int)


def test_a_clip_is_the_second_that_it_says(bundled):
    for number in (0, 5, 699):
        clip = bundled.clips[number]
        whole, rate = soundfile.read(package_data("speech") / clip.file)
        second = whole[int(clip.start_s) * rate :][:rate]
        expected = np.pad(second / np.abs(second).max(), (0, rate - len(second)))
        np.testing.assert_allclose(bundled[number], expected, atol=1e-6)  # float32


def test_more_clips_than_there_are_or_none_are_refused():
    refuses(
        "has 12.. seconds of speech, not 10000: add more files", load_speech, None, 10_000, RATE
    )
    refuses("0 speech clips asked for", load_speech, None, 0, RATE)


def test_utterances_of_speakers_take_turns(folder):
    (folder / "README").mkdir()
    assert utterances(folder) == [folder / name for name in UTTERANCES]


def test_clips_of_a_folder_are_its_seconds_in_turn(folder):
    speech = load_speech(folder, 9, 16_000)
    assert [clip.speaker for clip in speech.clips] == [*"999", *["10"] * 3, "9", "10", "9"]
    assert [clip.start_s for clip in speech.clips] == [0, 1, 2, 0, 1, 2, 0, 0, 0]
    pitches = [pitch(clip, 16_000) for clip in speech]
    assert pitches == [500] * 3 + [900] * 3 + [1000, 1800, 1500]


def test_the_last_second_is_padded_with_silence(folder):
    last = load_speech(folder, 3, 16_000)[2]
    assert last[:7_900].any() and not last[8_100:].any()


@pytest.mark.parametrize(
    "path, speaker",
    [
        ("train-clean-100/19/198/19-198-0001.flac", "19"),
        ("anna/monday/1.wav", "anna"),
        ("19-198-0001.flac", "19"),
        ("anna.wav", "anna"),
    ],
)
def test_the_speaker_is_librispeechs_number_or_the_first_folder(path, speaker):
    assert speaker_of(Path(path)) == speaker


def test_silent_seconds_are_left_out(tmp_path):
    put_sound(tmp_path / "a.wav", np.r_[tone(1, 700), np.zeros(RATE), tone(1, 800)])
    assert [clip.start_s for clip in load_speech(tmp_path, 2, RATE).clips] == [0, 2]


def test_a_silent_or_damaged_file_is_named(folder):
    silent = put_sound(folder / "1/silent.wav", np.zeros(RATE))
    refuses("silent.wav: is silent throughout", load_speech, folder, 5, RATE)
    silent.unlink()
    path = folder / "9/77/9-77-0000.flac"
    path.write_bytes(path.read_bytes()[:2000])
    refuses("9-77-0000.flac", load_speech, folder, 5, RATE)

"""Sound files of a folder and clips of one second."""

import numpy as np
import pytest

from ssl_jax.sounds import clips
from support.made_sounds import RATE, pitch, put_sound, tone
from support.runs import refuses

RIPPLE = 0.15  # peak 1 may lie in the resampling filter's ripple at a clip's ends


@pytest.mark.parametrize(
    "rate, fs", [(16_000, 44_100), (44_100, 16_000), (22_050, 44_100), (8_000, 8_000)]
)
def test_one_second_keeps_pitch_length_and_peak(rate, fs):
    sounds = np.stack([tone(1, 1000, rate), 0.1 * tone(1, 2000, rate), np.zeros(rate)])
    resampled = clips.one_second(sounds, rate, fs)
    assert resampled.shape == (3, fs) and resampled.dtype == np.float32
    assert [pitch(clip, fs) for clip in resampled[:2]] == [1000, 2000]
    np.testing.assert_allclose(np.abs(resampled).max(-1), [1, 1, 0])
    middle = slice(fs // 4, 3 * fs // 4)
    assert np.abs(resampled[:2, middle]).max(-1) == pytest.approx(1, abs=RIPPLE)


def test_a_sound_is_cut_into_whole_seconds_and_a_padded_rest():
    seconds = clips.cut_into_seconds(np.arange(1.0, 6), 2)
    np.testing.assert_array_equal(seconds, [[1, 2], [3, 4], [5, 0]])


def test_several_channels_are_averaged_and_the_first_seconds_read(tmp_path):
    stereo = np.stack([tone(3, 500), tone(3, 500) * 0.5], axis=1)
    path = put_sound(tmp_path / "a.wav", stereo)
    sound, rate = clips.read_mono(path, seconds=2)
    assert rate == RATE and sound.shape == (2 * RATE,)
    np.testing.assert_allclose(sound, stereo[: 2 * RATE].mean(1), atol=1e-4)  # 16 bits


def test_sound_files_come_by_number_and_name_from_all_levels(tmp_path):
    for name in ("10/a.wav", "9/b.flac", "9/2/a.ogg", "x.wav"):
        put_sound(tmp_path / name, tone(0.1))
    (tmp_path / "notes.txt").write_text("no sound")
    (tmp_path / ".hidden.wav").write_text("left by another program")
    names = [path.relative_to(tmp_path).as_posix() for path in clips.sound_files(tmp_path)]
    assert names == ["9/2/a.ogg", "9/b.flac", "10/a.wav", "x.wav"]


def test_a_folder_without_sound_is_refused(tmp_path):
    refuses("no sound file in it", clips.sound_files, tmp_path)
    refuses("nowhere: no such folder", clips.sound_files, tmp_path / "nowhere")

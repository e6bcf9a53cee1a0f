"""Noise by kind: what comes with the package, folders of kinds, and a release of ESC-50."""

import numpy as np
import pytest

from ssl_jax.sounds.noises import load_noises
from ssl_jax.sounds.steadiness import steadiness
from support.made_sounds import RATE, pitch, put_sound, tone
from support.runs import refuses

PUBLISHED_SCENES_DB = (1.9, 5.4)  # steadiness of the noise in the published sample mixtures


@pytest.fixture(scope="module")
def bundled():
    return load_noises(None, (), 16_000)


@pytest.fixture
def folder(tmp_path):
    """A kind of three files, and one of a long file."""
    for k in range(3):
        put_sound(tmp_path / f"hum/{k}.wav", tone(1.2, 100 * (k + 1)))
    put_sound(tmp_path / "hiss.ogg", np.concatenate([tone(1, 500 * k) for k in (1, 2, 3)]))
    return tmp_path


@pytest.fixture
def esc50(tmp_path):
    """Eleven kinds of two files as ESC-50 lays them out; kind 3 is an event."""
    rows = ["filename,fold,target,category,esc10"]
    for kind in range(11):
        for k in range(2):
            name = f"1-{k}-A-{kind}.wav"
            rows.append(f"{name},1,{kind},kind{kind:02d},False")
            sound = tone(1, 300 + kind)
            if kind == 3:
                sound[1000:] *= 1e-3
            put_sound(tmp_path / "audio" / name, sound)
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta/esc50.csv").write_text("\n".join(rows))
    return tmp_path


def test_the_package_has_ten_kinds_of_twenty_seconds(bundled):
    assert len(bundled.kinds) == 10 and "rain" in bundled.kinds
    assert bundled.waveforms.shape == (10, 20, 16_000) and bundled.waveforms.dtype == np.float32
    assert bundled.clip_counts == [20] * 10
    assert bundled.names[bundled.kinds.index("rain")][3] == "rain.ogg#3"
    np.testing.assert_allclose(np.abs(bundled.waveforms).max(-1), 1)


def test_bundled_kinds_are_as_steady_as_the_published_scenes(bundled):
    median = np.median(steadiness(bundled.waveforms, 16_000), axis=1)
    assert median.max() < PUBLISHED_SCENES_DB[1]


def test_kinds_are_folders_of_files_or_long_files(folder):
    noises = load_noises(folder, (), RATE)
    assert noises.kinds == ("hiss", "hum")
    assert noises.names[0] == ("hiss.ogg#0", "hiss.ogg#1", "hiss.ogg#2")
    assert noises.names[1] == ("hum/0.wav", "hum/1.wav", "hum/2.wav")
    assert [pitch(clip, RATE) for clip in noises.waveforms[0]] == [500, 1000, 1500]
    assert [pitch(clip, RATE) for clip in noises.waveforms[1]] == [100, 200, 300]


def test_kinds_may_have_different_numbers_of_clips(folder):
    put_sound(folder / "hum/3.wav", tone(1, 400))
    noises = load_noises(folder, (), RATE)
    assert noises.clip_counts == [3, 4]
    assert not noises.waveforms[0, 3].any() and noises.waveforms[1, 3].any()


def test_the_padded_rest_of_a_long_file_is_no_clip(folder):
    put_sound(folder / "hiss.ogg", tone(2.5))
    assert load_noises(folder, (), RATE).clip_counts[0] == 2


def test_kinds_can_be_chosen(folder):
    assert load_noises(folder, ("hum",), RATE).kinds == ("hum",)
    refuses("no kind of noise 'rain': use some of hiss, hum", load_noises, folder, ("rain",), RATE)


def test_of_more_than_ten_kinds_the_steadiest_are_taken_and_said(esc50, capsys):
    noises = load_noises(esc50, (), RATE)
    assert len(noises.kinds) == 10 and "kind03" not in noises.kinds
    assert noises.names[0] == ("audio/1-0-A-0.wav", "audio/1-1-A-0.wav")
    assert "11 kinds of noise; the 10 steadiest are used: kind00" in capsys.readouterr().err


def test_a_release_gives_chosen_kinds_whatever_their_steadiness(esc50):
    assert load_noises(esc50, ("kind03", "kind05"), RATE).kinds == ("kind03", "kind05")


def test_files_whose_first_second_is_silent_are_left_out(folder):
    put_sound(folder / "hum/1.wav", np.r_[np.zeros(RATE), tone(1)])
    assert load_noises(folder, ("hum",), RATE).names[0] == ("hum/0.wav", "hum/2.wav")


def test_one_kind_or_one_clip_of_a_kind_is_refused(folder):
    put_sound(folder / "hiss.ogg", tone(1))
    refuses("kind of noise 'hiss' has 1 second that sounds", load_noises, folder, (), RATE)
    (folder / "hiss.ogg").unlink()
    refuses("has 1 kind of noise", load_noises, folder, (), RATE)


def test_silent_and_damaged_files_are_named(folder):
    silent = put_sound(folder / "hum/1.wav", np.zeros(2 * RATE))
    refuses("hum/1.wav: is silent throughout", load_noises, folder, ("hum",), RATE)
    silent.write_bytes(silent.read_bytes()[:1000])
    refuses("hum/1.wav: ends before its stated length", load_noises, folder, ("hum",), RATE)


def test_a_file_that_the_table_names_and_nobody_has_is_named(esc50):
    (esc50 / "audio/1-1-A-4.wav").unlink()
    refuses("1-1-A-4.wav: no such file", load_noises, esc50, (), RATE)


@pytest.mark.parametrize("name", ["../../secret.wav", "/etc/passwd", "..", ""])
def test_a_table_that_names_files_elsewhere_is_refused(esc50, name):
    table = esc50 / "meta/esc50.csv"
    table.write_text(table.read_text().replace("1-0-A-0.wav", name, 1))
    refuses("esc50.csv: names the file", load_noises, esc50, (), RATE)

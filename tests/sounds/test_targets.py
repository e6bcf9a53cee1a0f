"""Targets of the protocol `rooms`: voices, recorded sounds and made ones."""

import numpy as np
import pytest

from ssl_jax.config import Database, SoundFolders
from ssl_jax.sounds import sources
from ssl_jax.sounds.made_sounds import MADE_SOUNDS
from ssl_jax.sounds.speech import SpeechClip, load_speech
from ssl_jax.sounds.targets import (
    CHOICE,
    EXTENSION_DB,
    WAVEFORM,
    extend_voice,
    load_targets,
    target_generator,
    voices_for,
)
from support.made_sounds import put_sound, tone
from support.runs import refuses

FS = 44_100
CONFIG = Database(clips=40, other_targets=True)


def energy(sound: np.ndarray, low: float, high: float) -> float:
    """The energy of a second of sound from `low` to `high` Hz."""
    return float(np.sum(np.abs(np.fft.rfft(sound)[int(low) : int(high)]) ** 2))


@pytest.fixture(scope="module")
def targets(noises):
    return load_targets(load_speech(None, voices_for(40), FS), noises, None, CONFIG)


def test_every_second_target_is_no_voice(targets):
    is_voice = [isinstance(clip, SpeechClip) for clip in targets.clips]
    assert is_voice == [True, False] * 20


def test_every_voice_is_heard_twice(targets):
    assert len(targets.speech) == voices_for(40) == 10
    voices = [clip.name for clip in targets.clips[::2]]
    assert voices[:10] == voices[10:] and len(set(voices)) == 10
    # an odd one begins once more
    assert voices_for(41) == 11 and voices_for(2) == voices_for(4) == 1


def test_targets_have_peak_one(targets):
    assert targets[:].shape == (40, FS) and targets[:].dtype == np.float32
    np.testing.assert_allclose(np.abs(targets[:]).max(axis=1), 1)


def test_a_target_is_the_same_whatever_else_is_asked_for(targets):
    np.testing.assert_array_equal(targets[[7, 3]][1], targets[3])


def test_what_a_sound_is_made_of_does_not_follow_from_its_choice():
    # NumPy gives (seed, n) and (seed, n, 0) the same stream: the first number of a made sound would
    # always lie in the half that chose it to be made
    for number in range(3):
        choice = target_generator(0, number, CHOICE).random()
        assert choice != target_generator(0, number, WAVEFORM).random()


def test_half_of_the_voices_are_extended_above_8_khz(targets):
    plain = np.tile(targets.speech[:], (2, 1))
    plain /= np.abs(plain).max(axis=1, keepdims=True)
    voices = targets[::2]
    # float32 rounding
    is_plain = np.abs(voices - plain).max(axis=1) < 1e-6
    # of 20 draws at one half
    assert 5 <= is_plain.sum() <= 15
    for voice, of_package in zip(voices[~is_plain], plain[~is_plain], strict=True):
        assert energy(voice, 10_000, 16_000) > 2 * energy(of_package, 10_000, 16_000)


def test_a_recorded_target_is_the_clip_it_names(targets, noises):
    number = next(k for k in range(1, 40, 2) if targets.clips[k].place is not None)
    place = targets.clips[number].place
    np.testing.assert_array_equal(targets[number], noises.waveforms[place.kind, place.file])


def test_a_folder_of_kinds_joins_the_noises(tmp_path, noises):
    folder = tmp_path / "events"
    for kind in ("bell", "knock"):
        for k in range(3):
            put_sound(folder / f"{kind}/{k}.wav", tone(1, 300))
    config = Database(clips=200, other_targets=True)
    targets = load_targets(load_speech(None, voices_for(200), FS), noises, folder, config)
    assert targets.recorded.kinds == (*noises.kinds, "events/bell", "events/knock")
    assert {"bell", "knock"} < {clip.name.partition("/")[0] for clip in targets.clips}


def test_a_folder_of_one_kind_is_refused(tmp_path, noises):
    put_sound(tmp_path / "bell/0.wav", tone(1, 300))
    speech = load_speech(None, voices_for(40), FS)
    refuses("has 1 kind of noise", load_targets, speech, noises, tmp_path, CONFIG)


def test_an_extension_lies_above_8_khz_at_a_level_drawn():
    noise = np.fft.rfft(np.random.default_rng(0).standard_normal(FS))
    noise[8000:] = 0
    voice = np.fft.irfft(noise, FS)
    added = extend_voice(voice, FS, np.random.default_rng(1)) - voice
    level = 10 * np.log10(energy(added, 8000, FS / 2) / energy(voice, 4000, 8000))
    assert EXTENSION_DB[0] <= level <= EXTENSION_DB[1]
    assert energy(added, 0, 7999) < 1e-9 * energy(added, 8000, FS / 2)


def test_an_extension_is_silent_where_the_voice_is():
    voice = np.zeros(FS)
    voice[: FS // 2] = np.random.default_rng(0).standard_normal(FS // 2)
    added = extend_voice(voice, FS, np.random.default_rng(1)) - voice
    # the band filter rings on for some ms
    assert np.square(added[FS // 2 + FS // 20 :]).sum() < 1e-3 * np.square(added).sum()


def test_a_voice_without_anything_above_4_khz_stays_as_it_is():
    voice = np.sin(2 * np.pi * 440 * np.arange(FS) / FS)
    rng = np.random.default_rng(0)
    np.testing.assert_allclose(extend_voice(voice, FS, rng), voice, atol=1e-9)  # rounding


def test_a_silent_voice_stays_silent():
    assert not extend_voice(np.zeros(FS), FS, np.random.default_rng(0)).any()


@pytest.mark.parametrize("name", MADE_SOUNDS)
def test_made_sounds_sound_and_differ(name):
    first, second = (MADE_SOUNDS[name](FS, FS, np.random.default_rng(k)) for k in (0, 1))
    assert first.shape == (FS,) and np.isfinite(first).all() and first.any()
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("name", MADE_SOUNDS)
def test_made_sounds_are_often_wide_band(name):
    shares = []
    for seed in range(20):
        sound = MADE_SOUNDS[name](FS, FS, np.random.default_rng(seed))
        shares.append(energy(sound, 8000, FS / 2) / energy(sound, 0, FS / 2))
    # -30 dB of the whole: voices of 16 kHz have some -60 there
    assert np.median(shares) > 1e-3


@pytest.mark.parametrize("option", ["speech", "noise", "targets", "heads"])
@pytest.mark.parametrize("damaged", [False, True])
def test_a_wrong_folder_is_refused_before_minutes_of_rooms(tmp_path, monkeypatch, option, damaged):
    """One that is not there, or holds nothing but damaged files."""
    monkeypatch.setattr(sources, "load_rooms", lambda *_: pytest.fail("rooms were made first"))
    folders = SoundFolders(**{option: tmp_path / "folder"})
    if damaged:
        for kind in ("kind", "other"):
            (tmp_path / "folder" / kind).mkdir(parents=True)
            (tmp_path / "folder" / kind / "1.wav").write_bytes(b"RIFF")
    config = Database(clips=40, other_targets=True, rooms=10)
    says = f"{tmp_path}/folder: no such folder"
    if damaged:
        says = f"{tmp_path}/folder" + (": has 0 SOFA files" if option == "heads" else "/kind/1.wav")
    refuses(says, sources.load_sounds, folders, config, FS)

"""Corpora: the embedded one as shipped, the publishers' layouts in miniature, and broken copies of them."""

import csv

import numpy as np
import pytest
import soundfile

from ssl_jax import corpora, hrtf
from ssl_jax.common.errors import InputError

RATE = 8_000  # Hz, of the miniature layouts
CLASSES = [f"class{k}" for k in range(10)]


@pytest.fixture(scope="module")
def embedded():
    return corpora.load_corpus(None, 11, 16_000)


def tone(seconds, frequency=440.0, rate=RATE, amplitude=0.3):
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def write_table(folder, rows):
    (folder / "ESC-50/meta").mkdir(parents=True, exist_ok=True)
    with open(folder / "ESC-50/meta/esc50.csv", "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["filename", "fold", "target", "category", "esc10"])
        writer.writerows(rows)


def utterance(folder, speaker, chapter, k, sound, subset="train-clean-100", rate=RATE):
    path = folder / f"LibriSpeech/{subset}/{speaker}/{chapter}/{speaker}-{chapter}-{k:04d}.flac"
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound, rate)
    return path


def esc_rows(extension="wav", files=22):
    rows = [
        [f"1-{k:03d}-A-{c}.{extension}", 1, c, CLASSES[c], "True"] for c in range(10) for k in range(files)
    ]
    return rows + [["not-there.wav", 1, 11, "airplane", "False"]]


@pytest.fixture
def data(tmp_path):
    """Two speakers of 2.5 s and 1 s utterances; 10 x 22 noises, the one of frequency 100 k first in each."""
    rows = esc_rows()
    write_table(tmp_path, rows[::-1])  # the order of rows must not matter
    (tmp_path / "ESC-50/audio").mkdir()
    for name, *_ in rows[:-1]:
        k = int(name.split("-")[1])
        seconds = 0.5 if k == 1 else 1.2
        soundfile.write(tmp_path / "ESC-50/audio" / name, tone(seconds, 100.0 * (k + 1)), RATE)
    for speaker, frequency in (("9", 500.0), ("10", 900.0)):
        utterance(tmp_path, speaker, "77", 0, tone(2.5, frequency))
        utterance(tmp_path, speaker, "77", 1, tone(1, 2 * frequency))
    utterance(tmp_path, "9", "100", 0, tone(1, 1500))
    (tmp_path / "cipic").mkdir()
    for subject in hrtf.CIPIC_SUBJECTS:
        (tmp_path / f"cipic/subject_{subject}.sofa").write_bytes(b"only its name matters here")
    return tmp_path


def pitch(clip, fs):
    return np.abs(np.fft.rfft(clip)).argmax() * fs / len(clip)


def test_embedded_clips_span_languages_and_voices(embedded):
    assert embedded.name == "embedded"
    assert [clip.file for clip in embedded.speech_info[:6]] == [
        "speech/en.ogg",
        "speech/es.ogg",
        "speech/fr.ogg",
        "speech/it.ogg",
        "speech/ru.ogg",
        "speech/en.ogg",
    ]
    assert [clip.start_s for clip in embedded.speech_info] == [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2]
    assert embedded.speech_info[10].name == "main_audio_11"
    assert len({clip.speaker for clip in embedded.speech_info}) == 4
    assert embedded.speech_info[0].speaker == embedded.speech_info[1].speaker


def test_embedded_clips_are_the_seconds_they_say(embedded):
    folder = corpora._embedded("")
    for clip, info in zip(embedded.speech, embedded.speech_info):
        whole, rate = soundfile.read(folder / info.file)
        second = whole[int(info.start_s) * rate :][:rate]
        np.testing.assert_allclose(clip, second / np.abs(second).max(), atol=1e-6)


def test_embedded_noise(embedded):
    assert embedded.noise.shape == (10, 20, 16_000) and embedded.noise.dtype == np.float32
    assert len(set(embedded.noise_classes)) == 10 and "rain" in embedded.noise_classes
    assert len({name for files in embedded.noise_files for name in files}) == 200
    assert embedded.noise_files[embedded.noise_classes.index("rain")][3] == "noise/rain.ogg#3"
    peaks = np.abs(embedded.noise).max(-1)
    np.testing.assert_allclose(peaks, 1)


@pytest.mark.parametrize("clips", [1, 700])
def test_embedded_number_of_clips_and_rate(clips):
    corpus = corpora.load_corpus(None, clips, 44_100)
    assert corpus.speech.shape == (clips, 44_100) == (len(corpus.speech_info), 44_100)
    np.testing.assert_allclose(np.abs(corpus.speech).max(-1), 1)
    assert len({(clip.file, clip.start_s) for clip in corpus.speech_info}) == clips


@pytest.mark.parametrize("clips", [-3, 0, 701])
def test_embedded_refuses_other_numbers_of_clips(clips):
    with pytest.raises(InputError, match=str(clips)):
        corpora.load_corpus(None, clips, 16_000)


@pytest.mark.parametrize("rate, fs", [(16_000, 44_100), (44_100, 16_000), (22_050, 44_100), (8_000, 8_000)])
def test_one_second_keeps_pitch_length_and_peak(rate, fs):
    signals = np.stack([tone(1, 1000, rate), 0.1 * tone(1, 2000, rate), np.zeros(rate)])
    clips = corpora.one_second(signals, rate, fs)
    assert clips.shape == (3, fs) and clips.dtype == np.float32
    assert [pitch(clip, fs) for clip in clips[:2]] == [1000, 2000]
    np.testing.assert_allclose(np.abs(clips).max(-1), [1, 1, 0])
    middle = slice(fs // 4, 3 * fs // 4)  # peak 1 may lie in the ripple at the clip's ends
    assert np.abs(clips[:2, middle]).max(-1) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("samples, seconds", [(1, 1), (10, 1), (11, 2), (25, 3)])
def test_cut_pads_the_last_second(samples, seconds):
    pieces = corpora.cut(np.arange(1, samples + 1), 10)
    assert pieces.shape == (seconds, 10)
    assert pieces.ravel()[:samples].tolist() == list(range(1, samples + 1))
    assert not pieces.ravel()[samples:].any()


def test_utterances_go_round_the_speakers_in_number_order(data):
    (data / "LibriSpeech/train-clean-100/README").mkdir()
    names = [path.stem for path in corpora.utterances(data / "LibriSpeech/train-clean-100")]
    assert names == ["9-77-0000", "10-77-0000", "9-77-0001", "10-77-0001", "9-100-0000"]


def test_speech_of_the_publishers_layout(data):
    corpus = corpora.load_corpus(data, 8, 16_000)
    assert corpus.name == "librispeech-esc10-cipic"
    assert [clip.speaker for clip in corpus.speech_info] == ["9"] * 3 + ["10"] * 3 + ["9", "10"]
    assert [clip.start_s for clip in corpus.speech_info] == [0, 1, 2, 0, 1, 2, 0, 0]
    assert corpus.speech_info[3].file == "LibriSpeech/train-clean-100/10/77/10-77-0000.flac"
    assert [pitch(clip, 16_000) for clip in corpus.speech] == [500, 500, 500, 900, 900, 900, 1000, 1800]
    assert not corpus.speech[2][8_100:].any()  # half a second, then padding
    assert corpus.speech[2][:7_900].any()


def test_noise_of_the_publishers_layout(data):
    corpus = corpora.load_corpus(data, 1, RATE)
    assert corpus.noise_classes == tuple(CLASSES) and corpus.noise.shape == (10, 20, RATE)
    assert corpus.noise_files[3] == [f"1-{k:03d}-A-3.wav" for k in range(20)]
    assert [pitch(clip, RATE) for clip in corpus.noise[7]] == [100.0 * (k + 1) for k in range(20)]
    assert not corpus.noise[0, 1, RATE // 2 :].any()  # the short one is zero-padded
    np.testing.assert_allclose(np.abs(corpus.noise).max(-1), 1)


def test_silent_seconds_and_silent_noises_are_left_out(data):
    utterance(data, "3", "1", 0, np.r_[tone(1, 700), np.zeros(RATE), tone(1, 800)])
    soundfile.write(data / "ESC-50/audio/1-000-A-4.wav", np.r_[np.zeros(RATE), tone(1)], RATE)
    corpus = corpora.load_corpus(data, 3, RATE)
    assert [clip.start_s for clip in corpus.speech_info] == [0, 2, 0]
    assert corpus.noise_files[4] == [f"1-{k:03d}-A-4.wav" for k in range(1, 21)]


def test_dev_clean_stands_in_for_train_clean(data):
    (data / "LibriSpeech/train-clean-100").rename(data / "LibriSpeech/dev-clean")
    assert corpora.load_corpus(data, 2, RATE).speech_info[0].file.startswith("LibriSpeech/dev-clean/9/")


def remove(name):
    return lambda data: (data / name).unlink()


def replace_rows(change):
    return lambda data: write_table(data, [change(list(row)) for row in esc_rows()])


def named(name):
    return replace_rows(lambda row: [name, *row[1:]] if row[0] == "1-005-A-2.wav" else row)


def stereo_noise(data):
    soundfile.write(data / "ESC-50/audio/1-003-A-2.wav", np.zeros((RATE, 2)) + 0.1, RATE)


def odd_rate(data):
    soundfile.write(data / "ESC-50/audio/1-003-A-2.wav", tone(1), 1_000)


def truncated(data):
    path = data / "LibriSpeech/train-clean-100/9/77/9-77-0000.flac"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def drop_speech(data):
    (data / "LibriSpeech").rename(data / "elsewhere")


BROKEN = {
    "no speech": (drop_speech, ["LibriSpeech/train-clean-100", "download --to"]),
    "no table": (remove("ESC-50/meta/esc50.csv"), ["ESC-50/meta/esc50.csv", "download --to"]),
    "no head": (remove("cipic/subject_027.sofa"), ["cipic/subject_027.sofa", "1 of 20", "download --to"]),
    "no noise": (remove("ESC-50/audio/1-003-A-2.wav"), ["1-003-A-2.wav", "no such file"]),
    "stereo": (stereo_noise, ["1-003-A-2.wav", "2 channels"]),
    "rate": (odd_rate, ["1-003-A-2.wav", "1000 Hz"]),
    "truncated": (truncated, ["9-77-0000.flac"]),
    "path up": (named("../../secret.wav"), ["esc50.csv", "../../secret.wav"]),
    "path absolute": (named("/etc/passwd"), ["esc50.csv", "/etc/passwd"]),
    "dots": (named(".."), ["esc50.csv"]),
    "no name": (named(""), ["esc50.csv"]),
    "nine classes": (replace_rows(lambda row: [*row[:4], str(row[2] != 9 and row[4])]), ["9 ESC-10 classes"]),
    "none of ESC-10": (replace_rows(lambda row: [*row[:4], "False"]), ["0 ESC-10 classes"]),
    "few files": (replace_rows(lambda row: [row[0], 1, 1, row[3], str(row[0][:5] < "1-019")]), ["19 files"]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_layout_is_one_line(data, case):
    damage, hints = BROKEN[case]
    damage(data)
    with pytest.raises(InputError) as error:
        corpora.load_corpus(data, 8, RATE)
    message = str(error.value)
    assert all(hint in message for hint in hints) and "\n" not in message


def test_too_few_speech_clips_says_how_many(data):
    with pytest.raises(InputError, match="has 9 one-second speech clips, not 10"):
        corpora.load_corpus(data, 10, RATE)
    with pytest.raises(InputError, match="has 9 one-second speech clips, not 10{12}"):
        corpora.load_corpus(data, 10**12, RATE)


def test_an_empty_or_missing_folder_lists_all_it_lacks(tmp_path):
    with pytest.raises(InputError, match="LibriSpeech.*50/meta.*50/audio.*20 of 20 heads.*download --to"):
        corpora.load_corpus(tmp_path, 1, RATE)
    with pytest.raises(InputError, match="no such folder.*download --to"):
        corpora.load_corpus(tmp_path / "nowhere", 1, RATE)

"""Corpora: the embedded one as shipped, the publishers' layouts in miniature, and broken copies of them."""

import io

import numpy as np
import pytest
import soundfile

from ssl_jax.common.files import package_data
from ssl_jax.sounds import corpora, hrtf
from support.runs import refuses

RATE = 8_000  # Hz, of the miniature layouts
TRAIN, AUDIO, TABLE = "LibriSpeech/train-clean-100", "ESC-50/audio", "ESC-50/meta/esc50.csv"
ESC_ROWS = [(f"1-{k:03d}-A-{c}.wav", c, f"class{c}", True) for c in range(10) for k in range(22)]
UTTERANCES = {
    "9/77/9-77-0000": (2.5, 500),
    "10/77/10-77-0000": (2.5, 900),
}  # s and Hz, in the order used
UTTERANCES |= {
    "9/77/9-77-0001": (1, 1000),
    "10/77/10-77-0001": (1, 1800),
    "9/100/9-100-0000": (1, 1500),
}


def tone(seconds, frequency=440.0, rate=RATE):
    return 0.3 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def pitch(clip, fs):
    return np.abs(np.fft.rfft(clip)).argmax() * fs / len(clip)


def encoded(sound, kind="WAV", rate=RATE):
    stream = io.BytesIO()
    soundfile.write(stream, sound, rate, format=kind)
    return stream.getvalue()


def table(rows):
    rows = [
        ("filename", "target", "category", "esc10"),
        *rows,
        ("not-there.wav", 11, "airplane", False),
    ]
    return "\n".join(",".join(map(str, row)) for row in rows).encode()


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.fixture
def data(tmp_path):
    """Two speakers of 2.5 s and 1 s utterances; noise k of 22 has 100 (k + 1) Hz, the second is short."""
    put(tmp_path / TABLE, table(ESC_ROWS[::-1]))  # the order of rows must not matter
    for name, *_ in ESC_ROWS:
        k = int(name.split("-")[1])
        put(tmp_path / AUDIO / name, encoded(tone(0.5 if k == 1 else 1.2, 100 * (k + 1))))
    for name, sound in UTTERANCES.items():
        put(tmp_path / TRAIN / f"{name}.flac", encoded(tone(*sound), "FLAC"))
    for subject in hrtf.CIPIC_SUBJECTS:
        put(tmp_path / f"cipic/subject_{subject}.sofa", b"only its name matters here")
    return tmp_path


def test_embedded_corpus_spans_voices_and_its_clips_are_the_seconds_they_say():
    corpus = corpora.load_corpus(None, 700, 16_000)
    info = corpus.speech_info
    assert (
        corpus.speech.shape == (700, 16_000)
        and len({(clip.file, clip.start_s) for clip in info}) == 700
    )
    assert info[10].name == "main_audio_11"
    assert [clip.file for clip in info[:6]] == [
        f"speech/{x}.ogg" for x in "en es fr it ru en".split()
    ]
    assert [clip.start_s for clip in info[:11]] == [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2]
    assert len({clip.speaker for clip in info}) == 4 and info[0].speaker == info[1].speaker
    for clip, (*_, file, start) in zip(corpus.speech[:11], info):
        whole, rate = soundfile.read(package_data(file))
        second = whole[int(start) * rate :][:rate]
        np.testing.assert_allclose(clip, second / np.abs(second).max(), atol=1e-6)  # float32
    assert corpus.noise.shape == (10, 20, 16_000) and corpus.noise.dtype == np.float32
    assert len(set(corpus.noise_classes)) == 10 and "rain" in corpus.noise_classes
    assert len({name for files in corpus.noise_files for name in files}) == 200
    assert corpus.noise_files[corpus.noise_classes.index("rain")][3] == "noise/rain.ogg#3"
    for clips in (corpus.noise, corpus.speech):
        np.testing.assert_allclose(np.abs(clips).max(-1), 1)
    for number in (-3, 0, 701):
        refuses(str(number), corpora.load_corpus, None, number, 16_000)


@pytest.mark.parametrize(
    "rate, fs", [(16_000, 44_100), (44_100, 16_000), (22_050, 44_100), (8_000, 8_000)]
)
def test_one_second_keeps_pitch_length_and_peak(rate, fs):
    signals = np.stack([tone(1, 1000, rate), 0.1 * tone(1, 2000, rate), np.zeros(rate)])
    clips = corpora.one_second(signals, rate, fs)
    assert clips.shape == (3, fs) and clips.dtype == np.float32
    assert [pitch(clip, fs) for clip in clips[:2]] == [1000, 2000]
    np.testing.assert_allclose(np.abs(clips).max(-1), [1, 1, 0])
    middle = slice(fs // 4, 3 * fs // 4)  # peak 1 may lie in the ripple at the clip's ends
    assert np.abs(clips[:2, middle]).max(-1) == pytest.approx(1, abs=0.15)


def test_speech_and_noise_of_the_publishers_layout(data):
    (data / TRAIN / "README").mkdir()
    paths = corpora.utterances(data / TRAIN)  # of the speakers by number, in turn
    assert paths == [data / TRAIN / f"{name}.flac" for name in UTTERANCES]
    corpus = corpora.load_corpus(data, 9, 16_000)
    assert [clip.speaker for clip in corpus.speech_info] == ["9"] * 3 + ["10"] * 3 + [
        "9",
        "10",
        "9",
    ]
    assert [clip.start_s for clip in corpus.speech_info] == [0, 1, 2, 0, 1, 2, 0, 0, 0]
    assert corpus.speech_info[3].file == f"{TRAIN}/10/77/10-77-0000.flac"
    assert [pitch(clip, 16_000) for clip in corpus.speech] == [500] * 3 + [900] * 3 + [
        1000,
        1800,
        1500,
    ]
    assert corpus.noise_classes == tuple(f"class{c}" for c in range(10))
    assert corpus.noise_files[3] == [f"1-{k:03d}-A-3.wav" for k in range(20)]
    assert [pitch(clip, 16_000) for clip in corpus.noise[7]] == [100.0 * (k + 1) for k in range(20)]
    for clip in (corpus.speech[2], corpus.noise[0, 1]):  # half a second, then padding
        assert clip[:7_900].any() and not clip[8_100:].any()
    np.testing.assert_allclose(np.abs(corpus.noise).max(-1), 1)


def test_silent_seconds_and_noises_are_left_out_and_dev_clean_stands_in(data):
    sound = np.r_[tone(1, 700), np.zeros(RATE), tone(1, 800)]
    put(data / TRAIN / "3/1/3-1-0000.flac", encoded(sound, "FLAC"))
    put(data / AUDIO / "1-000-A-4.wav", encoded(np.r_[np.zeros(RATE), tone(1)]))
    (data / TRAIN).rename(data / "LibriSpeech/dev-clean")
    corpus = corpora.load_corpus(data, 3, RATE)
    assert [clip.start_s for clip in corpus.speech_info] == [0, 2, 0]
    assert corpus.speech_info[0].file == "LibriSpeech/dev-clean/3/1/3-1-0000.flac"
    assert corpus.noise_files[4] == [f"1-{k:03d}-A-4.wav" for k in range(1, 21)]


HEAD, NOISE, FLAC = "cipic/subject_027.sofa", f"{AUDIO}/1-003-A-2.wav", encoded(tone(2.5), "FLAC")
BROKEN = {  # file that is removed or replaced, what by, and what the message says
    "no speech": ("LibriSpeech", None, f"{TRAIN}.*download --to"),
    "no table": (TABLE, None, f"{TABLE}.*download --to"),
    "no head": (HEAD, None, rf"1 of 20 heads \({HEAD}.*download --to"),
    "no noise": (NOISE, None, "1-003-A-2.wav: no such file"),
    "stereo": (NOISE, encoded(np.full((RATE, 2), 0.1)), "1-003-A-2.wav.* 2 channels"),
    "rate": (NOISE, encoded(tone(1), rate=1_000), "1-003-A-2.wav.* 1000 Hz"),
    "truncated": (f"{TRAIN}/9/77/9-77-0000.flac", FLAC[: len(FLAC) // 2], "9-77-0000.flac"),
    "nine classes": (TABLE, table(ESC_ROWS[:-22]), "9 ESC-10 classes"),
    "none of ESC-10": (TABLE, table([]), "0 ESC-10 classes"),
    "few files": (TABLE, table([row for row in ESC_ROWS if row[0] < "1-019"]), "19 files"),
    "few clips": ("none", b"", f"has 9 one-second speech clips, not {10**12}:"),
}
for name in ("../../secret.wav", "/etc/passwd", "..", ""):
    BROKEN[f"name {name}"] = (
        TABLE,
        table([(name, 2, "class2", True), *ESC_ROWS]),
        f"esc50.csv: .*'{name}'",
    )


@pytest.mark.parametrize("case", BROKEN)
def test_broken_layout_is_one_line(data, case):
    file, content, says = BROKEN[case]
    if content is None:
        (data / file).rename(data / "elsewhere")
    else:
        put(data / file, content)
    refuses(says, corpora.load_corpus, data, 10**12, RATE)


def test_an_empty_or_missing_folder_lists_all_it_lacks(tmp_path):
    says = "LibriSpeech.*50/meta.*50/audio.*20 of 20 heads.*download --to"
    refuses(says, corpora.load_corpus, tmp_path, 1, RATE)
    refuses("no such folder.*download --to", corpora.load_corpus, tmp_path / "nowhere", 1, RATE)

"""Sound files: read exactly, and refused in one line where truncated, damaged or absurdly long."""

import os
import struct

import numpy as np
import pytest
import soundfile

from ssl_jax.sounds.reading import read_sound, sound_blocks, sound_info
from support.runs import refused_call as refused

FS = 8_000
CUTS = [
    ("wav", 0.5),
    ("wav", 0.999),
    ("aiff", 0.5),
    ("flac", 0.5),
    ("ogg", 0.03),
    ("ogg", 0.5),
    ("ogg", 0.8),
]


def test_samples_are_kept_in_every_piece(tmp_path):
    path = tmp_path / "a.wav"
    sound = np.random.default_rng(5).uniform(-1, 1, (1000, 2)).astype(np.float32)
    soundfile.write(path, sound, FS, "FLOAT")
    for start, frames in [(0, -1), (0, 10), (990, -1), (990, 50), (1000, -1), (5000, 10)]:
        samples, fs = read_sound(path, start, frames)
        stop = None if frames < 0 else start + frames
        np.testing.assert_array_equal(samples, sound[start:stop])
        assert fs == FS
        assert samples.dtype == np.float32
        assert samples.shape[1] == 2
    blocks = list(sound_blocks(path, 300))
    assert [len(block) for block in blocks] == [300, 300, 300, 100]
    np.testing.assert_array_equal(np.concatenate(blocks), sound)
    soundfile.write(path, np.array([-(2**15), 0, 2**14], np.int16), FS)
    # mono: one column; full scale is 1
    assert read_sound(path)[0].tolist() == [[-1.0], [0.0], [0.5]]


def test_what_is_no_sound_is_refused(tmp_path):
    path = tmp_path / "a.wav"
    refused(read_sound, path, says="no such file")
    refused(read_sound, path.parent, says="is a folder, not a file")
    soundfile.write(path, np.zeros((0, 2)), FS)
    refused(read_sound, path, says="holds no sound")
    for content in (b"", b"no sound at all", b"RIFF\x24\x00\x00\x00WAVEfmt ", b"OggS" + bytes(60)):
        path.write_bytes(content)
        refused(read_sound, path, says="not a readable sound file" if content else "is empty")
    for value in (np.nan, np.inf, -np.inf):
        soundfile.write(path, np.array([0, value, 0], np.float32), FS, "FLOAT")
        refused(read_sound, path, says="NaN or infinite samples")


@pytest.mark.parametrize("kind, keep", CUTS)
def test_a_truncated_sound_is_refused(tmp_path, kind, keep):
    path = tmp_path / f"a.{kind}"
    soundfile.write(path, np.random.default_rng(6).uniform(-0.5, 0.5, 60_000), FS)
    assert len(read_sound(path)[0]) == 60_000
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    says = "malformed" if keep == 0.03 else "decoder" if kind == "flac" else "truncated"
    refused(read_sound, path, says=says)
    if kind == "wav":
        refused(read_sound, path, 0, 10, says="truncated")  # even a piece that is there


@pytest.mark.parametrize("kind", ["RF64", "W64", "AU"])
def test_a_truncated_file_of_a_rarer_format_is_refused(tmp_path, kind):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.random.default_rng(6).uniform(-0.5, 0.5, (9000, 2)), FS, format=kind)
    assert len(read_sound(path)[0]) == 9000
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    refused(read_sound, path, says="truncated")


def test_a_length_left_open_is_no_truncation_but_an_absurd_one_is_refused(tmp_path):
    def header(rate, frames):  # the 44 bytes before so many samples of one byte
        riff_bytes = min(36 + frames, 2**32 - 1)
        start = struct.pack("<4sI8sI", b"RIFF", riff_bytes, b"WAVEfmt ", 16)
        form = struct.pack("<HHIIHH", 1, 1, rate, rate, 1, 8)
        return start + form + struct.pack("<4sI", b"data", frames)

    path = tmp_path / "a.wav"
    path.write_bytes(header(FS, 2**32 - 1) + bytes(1000))  # of a program that writes into a pipe
    assert len(read_sound(path)[0]) == 1000
    for rate in (FS, 1):
        frames = 4 * 3600 * rate + 1
        path.write_bytes(header(rate, frames))
        # the header and the file agree, but nothing is stored on disk
        os.truncate(path, 44 + frames)
        refused(read_sound, path, says="longer than 14400 s")
        # a piece of it is no trouble
        assert len(read_sound(path, 5, 7)[0]) == 7


@pytest.mark.parametrize("stated", [0, 4000, 4001])
@pytest.mark.parametrize("kind", ["PCM_16", "PCM_24", "FLOAT"])
def test_a_wav_that_goes_on_after_its_stated_length_is_read_whole(tmp_path, capsys, kind, stated):
    """A recorder that was killed, and a length of over 4 GiB in 32 bits."""
    path = tmp_path / "a.wav"
    # quiet: none of its samples looks like the name of a chunk
    sound = np.random.default_rng(7).uniform(-1e-3, 1e-3, (9000, 2))
    soundfile.write(path, sound, FS, kind)
    whole, _ = soundfile.read(path, dtype="float32")
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", stated)
    path.write_bytes(content)
    samples, fs = read_sound(path)
    np.testing.assert_array_equal(samples, whole)
    assert fs == FS
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "a.wav: goes on after its stated length" in lines[0]
    np.testing.assert_array_equal(np.concatenate(list(sound_blocks(path, 1234))), whole)
    np.testing.assert_array_equal(read_sound(path, 5000, 100)[0], whole[5000:5100])
    assert sound_info(path).samples == 9000


def test_what_follows_the_sound_of_a_wav_is_no_sound(tmp_path, capsys):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros((1000, 2)) + 0.1, FS)
    content = path.read_bytes()
    for after in (b"LIST" + struct.pack("<I", 20_000) + bytes(20_000), bytes(100), b"TAG" * 42):
        path.write_bytes(content + after)
        assert len(read_sound(path)[0]) == 1000
    assert capsys.readouterr().err == ""


def test_a_pipe_is_named_as_one(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    refused(read_sound, path, says="use - with localise")

"""Sound from a pipe: the lines of a file, each in time, and every bad pipe in one line."""

import io
import struct
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from ssl_jax.recordings import live
from ssl_jax.recordings.localisation import estimates, listener, localise_file
from ssl_jax.recordings.quality import Quality
from support.runs import refused, refuses

FS, LATENCY = 44_100, 0.25  # s, stated in --help
ONE_LINE = 5e-3  # last digits of a posterior: float32 in other batches


def wav(sound, kind="PCM_16", fs=FS):
    out = io.BytesIO()
    soundfile.write(out, sound, fs, kind, format="WAV")
    return out.getvalue()


@pytest.mark.parametrize("kind", ["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_wav_of_every_kind_is_read_as_libsndfile_does(at_60, kind):
    content = wav(at_60, kind)
    fs, blocks = live.sound_of(io.BytesIO(content), "x")
    wanted = soundfile.read(io.BytesIO(content), dtype="float32")[0]
    np.testing.assert_array_equal(np.concatenate(list(blocks)), wanted)
    assert fs == FS


def test_estimates_come_in_time_and_are_those_of_the_file(at_60, tmp_path):
    soundfile.write(tmp_path / "a.wav", at_60, FS)
    whole, sent = localise_file(tmp_path / "a.wav", model="embedded"), []
    ear = listener("x", FS, 1.0, 0.1, "embedded")

    def blocks():
        for block in live.sound_of(io.BytesIO((tmp_path / "a.wav").read_bytes()), "x")[1]:
            sent.append(len(block))
            yield block

    found = []
    for some in estimates(ear, Quality(FS, "x", ear.front), blocks(), live=True):
        assert all(sum(sent) / FS - time - 0.5 <= LATENCY for time in some.times)
        found.append(some)
    posterior = np.concatenate([some.posterior for some in found])
    np.testing.assert_allclose(posterior, whole.posterior, atol=ONE_LINE)
    assert sum((some.flags for some in found), ()) == whole.flags


def test_the_command_prints_the_lines_of_the_file(at_60, tmp_path, call, monkeypatch):
    soundfile.write(tmp_path / "a.wav", at_60, FS)
    lines, content = call(*"localise a.wav --model embedded".split()).out.splitlines(), wav(at_60)

    def piped(content, *options):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
        return call("localise", "-", "--model=embedded", *options)

    assert piped(content).out.splitlines()[1:] == lines[1:]
    ended = piped(content[44:-1], f"--raw={FS}")  # the header is left out
    refused(ended, "middle of a sample, 3 bytes of 4")
    assert len(ended.lines) == 1
    shown = ended.out.splitlines()[1:]
    assert len(shown) > 8 and shown == lines[1 : 1 + len(shown)]
    assert "as lines" in piped(content, "--json=a.json").lines[0]
    assert "give - as the file" in call("localise", "a.wav", "--raw=8000").lines[0]


BAD = {"not a WAV": b"no sound at all, but text that goes on", "ends within its header": b"RIFF"}
BAD |= {"before its sound": b"RIFF\0\0\0\0WAVE" + struct.pack("<4sI", b"LIST", 2**31)}
BAD |= {"two ears are needed": wav(np.zeros(100)), "format 7": wav(np.zeros((100, 2)), "ULAW")}
BAD |= {"ends before its stated length": wav(np.zeros((100, 2)))[:-8]}
BAD |= {"rate is 1000": wav(np.zeros((100, 2)), fs=1000)}


@pytest.mark.parametrize("says", BAD)
def test_bad_pipes_are_refused(says):
    refuses(says, lambda: list(live.sound_of(io.BytesIO(BAD[says]), "standard input")[1]))


def test_a_pipe_that_never_ends_takes_no_more_memory(at_60):
    ear = listener("x", FS, 1.0, 1.0, "embedded")
    quality = Quality(FS, "x", ear.front)
    endless = (at_60[:4410] for _ in range(300))  # half a minute
    count = sum(len(some.times) for some in estimates(ear, quality, endless, live=True))
    assert count == 30 and len(quality.energy) < 250  # frames, 2.5 s

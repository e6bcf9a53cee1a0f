"""Sound from a pipe: the lines of a file, each in time, and every bad pipe in one line."""

import csv
import io
import json
import os
import struct
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from ssl_jax.__main__ import UNREAD
from ssl_jax.recordings import incoming, live, pictures
from ssl_jax.recordings.estimates import live_estimates
from ssl_jax.recordings.localisation import localise_file
from ssl_jax.recordings.windows import WindowSettings, load_listener, watch_sound
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
    sound = live.sound_of(io.BytesIO(content), "x")
    wanted = soundfile.read(io.BytesIO(content), dtype="float32")[0]
    np.testing.assert_array_equal(np.concatenate(list(sound.blocks)), wanted)
    assert sound.fs == FS


def test_estimates_come_in_time_and_are_those_of_the_file(at_60, tmp_path):
    soundfile.write(tmp_path / "a.wav", at_60, FS)
    whole = localise_file(tmp_path / "a.wav")
    listener = load_listener(WindowSettings())
    quality = watch_sound("x", FS, listener.front)
    sent = []  # samples

    def blocks():
        for block in live.sound_of(io.BytesIO((tmp_path / "a.wav").read_bytes()), "x").blocks:
            sent.append(len(block))
            yield block

    parts = []
    for windows in live_estimates(listener, quality, blocks()):
        assert all(sum(sent) / FS - time - 0.5 <= LATENCY for time in windows.times)
        parts.append(windows)
    posterior = np.concatenate([windows.posterior for windows in parts])
    np.testing.assert_allclose(posterior, whole.posterior, atol=ONE_LINE)
    assert sum((windows.flags for windows in parts), ()) == whole.flags


@pytest.fixture
def piped(call, monkeypatch):
    """Localise bytes from standard input."""

    def run(content, *options):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
        return call("localise", "-", *options)

    return run


def test_the_command_prints_the_lines_of_the_file(at_60, call, piped):
    soundfile.write("a.wav", at_60, FS)
    content = wav(at_60)
    lines = call("localise", "a.wav").out.splitlines()
    assert piped(content).out.splitlines()[1:] == lines[1:]
    # the header is left out
    ended = piped(content[44:-1], f"--raw={FS}")
    refused(ended, "middle of a sample, 3 bytes of 4")
    assert len(ended.lines) == 1
    shown = ended.out.splitlines()[1:]
    assert len(shown) > 8
    assert shown == lines[1 : 1 + len(shown)]
    assert "give - as the file" in call("localise", "a.wav", "--raw=8000").lines[0]


def test_rows_of_a_pipe_are_those_of_the_file(at_60, tmp_path, call, piped):
    soundfile.write("a.wav", at_60, FS)
    call("localise", "a.wav", "--step=0.5", "--csv=a.csv", "--json=a.json")
    # it ends too early: what was known before is kept
    ended = piped(wav(at_60)[:-4], "--step=0.5", "--csv=b.csv", "--json=b.json")
    refused(ended, "ends before its stated length")
    of_file = json.loads((tmp_path / "a.json").read_text())["files"][0]["windows"]
    of_pipe = [json.loads(line) for line in (tmp_path / "b.json").read_text().splitlines()]
    assert len(of_pipe) >= 2
    for ours, wanted in zip(of_pipe, of_file, strict=False):
        assert ours["time_s"] == wanted["time_s"]
        np.testing.assert_allclose(ours["posterior"], wanted["posterior"], atol=ONE_LINE)
    times = [row["time_s"] for row in csv.DictReader((tmp_path / "b.csv").open())]
    assert times == [f"{window['time_s']:.3f}" for window in of_pipe]


def test_json_of_a_pipe_can_be_printed(at_60, piped):
    lines = piped(wav(at_60), "--step=0.5", "--json=-").out.splitlines()
    assert [json.loads(line)["time_s"] for line in lines] == [0.5, 1.0, 1.5]


def test_the_picture_of_a_pipe_is_that_of_the_file(at_60, monkeypatch, call, piped):
    drawn = []
    monkeypatch.setattr(pictures, "draw_azimuths", lambda azimuths, *_: drawn.append(azimuths))
    soundfile.write("a.wav", at_60, FS)
    assert call("localise", "a.wav", "--step=0.5", "--plot=a.png").status == 0
    assert piped(wav(at_60), "--step=0.5", "--plot=b.png").status == 0
    of_file, of_pipe = drawn
    for field in ("times", "seconds", "window", "notes", "flags"):
        np.testing.assert_array_equal(getattr(of_pipe, field), getattr(of_file, field))
    np.testing.assert_allclose(of_pipe.posterior, of_file.posterior, atol=ONE_LINE)
    assert of_pipe.cues.itd.shape == of_file.cues.itd.shape
    np.testing.assert_array_equal(of_pipe.cues.times, of_file.cues.times)


def test_a_pipe_that_ends_too_early_has_its_picture(at_60, monkeypatch, piped):
    drawn = []
    monkeypatch.setattr(pictures, "draw_azimuths", lambda azimuths, *_: drawn.append(azimuths))
    refused(piped(wav(at_60)[:-4], "--step=0.5", "--plot=a.png"), "ends before its stated length")
    (azimuths,) = drawn
    # sound whose cues are not known yet has no place in it
    assert azimuths.seconds == azimuths.cues.itd.shape[1] / 100 < 2


class Interrupted(io.BytesIO):
    """Bytes of a pipe at whose end somebody presses Ctrl-C."""

    def read1(self, size=-1):
        content = super().read1(size)
        if not content:
            raise KeyboardInterrupt
        return content


def test_ctrl_c_ends_a_pipe_with_all_that_was_known(at_60, tmp_path, call, monkeypatch):
    stdin = SimpleNamespace(buffer=Interrupted(wav(at_60)[44:]))
    monkeypatch.setattr(sys, "stdin", stdin)
    options = (f"--raw={FS}", "--step=0.5", "--csv=a.csv", "--plot=a.png")
    ended = call("localise", "-", *options)
    assert (ended.status, ended.lines) == (0, [])
    assert ended.out.splitlines()[-1].startswith("overall ")
    assert len(list(csv.DictReader((tmp_path / "a.csv").open()))) >= 2
    assert (tmp_path / "a.png").exists()


def test_ctrl_c_before_any_window_is_an_interrupt(at_60, call, monkeypatch):
    stdin = SimpleNamespace(buffer=Interrupted(wav(at_60)[44:4044]))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert call("localise", "-", f"--raw={FS}").status == 130


def test_a_reader_that_leaves_ends_a_pipe_quietly(at_60, piped, monkeypatch):
    printed = []

    def into_a_pipe(text):
        printed.append(text)
        if len(printed) > 2:
            raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(incoming, "print_text", into_a_pipe)
    ended = piped(wav(at_60))
    assert (ended.status, ended.lines, len(printed)) == (UNREAD, [], 3)


def test_a_pipe_that_goes_on_after_its_stated_length_is_read_whole(capsys):
    """Quiet: none of its samples looks like the name of a chunk."""
    sound = np.random.default_rng(8).uniform(-1e-3, 1e-3, (3 * FS, 2))
    content = bytearray(wav(sound))
    content[40:44] = struct.pack("<I", 4 * FS)
    blocks = list(live.sound_of(io.BytesIO(content), "x").blocks)
    wanted = soundfile.read(io.BytesIO(wav(sound)), dtype="float32")[0]
    np.testing.assert_array_equal(np.concatenate(blocks), wanted)
    assert "x: goes on after its stated length" in capsys.readouterr().err
    # a chunk after the sound is no sound
    after = b"LIST" + struct.pack("<I", 50_000) + bytes(50_000)
    blocks = list(live.sound_of(io.BytesIO(wav(sound) + after), "x").blocks)
    assert sum(map(len, blocks)) == 3 * FS


@pytest.mark.skipif(not os.path.exists("/dev/stdin"), reason="no /dev/stdin")
def test_a_file_that_the_shell_sends_in_is_not_overwritten(call, tmp_path):
    (tmp_path / "a.wav").write_bytes(b"sound")
    before = os.dup(0)
    try:
        with open(tmp_path / "a.wav", "rb") as stream:
            os.dup2(stream.fileno(), 0)
        refused(call("localise", "-", "--csv=a.wav"), "a.wav: would replace a file that is read")
    finally:
        os.dup2(before, 0)
        os.close(before)
    assert (tmp_path / "a.wav").read_bytes() == b"sound"


def test_closed_standard_input_is_one_line(call, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    refused(call("localise", "-"), "standard input is closed")


BAD = {
    "not a WAV": b"no sound at all, but text that goes on",
    "ends within its header": b"RIFF",
    "before its sound": b"RIFF\0\0\0\0WAVE" + struct.pack("<4sI", b"LIST", 2**31),
    "two ears are needed": wav(np.zeros(100)),
    "format 7": wav(np.zeros((100, 2)), "ULAW"),
    "ends before its stated length": wav(np.zeros((100, 2)))[:-8],
    "rate is 1000": wav(np.zeros((100, 2)), fs=1000),
}


@pytest.mark.parametrize("says", BAD)
def test_bad_pipes_are_refused(says):
    stream = io.BytesIO(BAD[says])
    refuses(says, lambda: list(live.sound_of(stream, "standard input").blocks))


def test_a_pipe_that_never_ends_takes_no_more_memory(at_60):
    listener = load_listener(WindowSettings(step_s=1.0))
    quality = watch_sound("x", FS, listener.front)
    endless = (at_60[:4410] for _ in range(300))  # half a minute
    count = sum(len(windows.times) for windows in live_estimates(listener, quality, endless))
    assert count == 30
    assert len(quality.energy) < 250  # frames, 2.5 s

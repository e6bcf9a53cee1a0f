"""The command `localise`: table, CSV and JSON say the same, on any terminal, whatever fails."""

import csv
import io
import json
import os
import sys

import numpy as np
import pytest
import soundfile

from ssl_jax import __main__ as cli
from ssl_jax.common.angles import signed_degrees
from ssl_jax.config import AZIMUTHS
from ssl_jax.recordings import commands
from ssl_jax.recordings.localisation import open_recording
from ssl_jax.recordings.tables import print_text
from ssl_jax.recordings.windows import WindowSettings
from support.runs import refused

FS = 44_100
CLEAR = 5  # degrees, one class


@pytest.fixture
def a_wav(call, at_60):
    """a.wav in the empty folder of `call`."""
    soundfile.write("a.wav", at_60, FS)


def test_table_csv_and_json_say_the_same(at_60, tmp_path, call):
    soundfile.write("a.wav", np.concatenate([at_60, np.zeros((FS + 441, 2))]), FS)
    ended = call(*"localise a.wav --step 0.5 --json a.json --csv a.csv".split())
    lines = ended.out.splitlines()
    assert lines[0].startswith("a.wav: 3.01 s at 44100 Hz; network general")
    assert lines[-1].startswith("overall ")
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    windows = json.loads((tmp_path / "a.json").read_text())["files"][0]["windows"]
    times = [0.5, 1.0, 1.5, 2.0, 2.5]
    assert [float(row["time_s"]) for row in rows] == times
    assert [window["time_s"] for window in windows] == times
    assert (rows[-1]["azimuth_deg"], rows[-1]["flags"]) == ("", "silent")
    assert windows[-1]["azimuth_deg"] is None
    assert abs(signed_degrees(float(rows[0]["azimuth_deg"]) - 60)) < CLEAR
    assert len(windows[0]["posterior"]) == AZIMUTHS
    assert lines[2].split()[0] == "0.50"
    assert lines[6].split() == ["2.50", "-", "0.00", "silent"]


def test_json_can_be_printed(a_wav, call):
    out = call("localise", "a.wav", "--step=0.5", "--json=-").out
    assert [window["time_s"] for window in json.loads(out)["files"][0]["windows"]] == [0.5, 1, 1.5]


BAD = {
    "mono.wav": "mono.wav: has 1 channel: two ears are needed",
    "none.wav": "no such file",
    "text.wav": "not a readable sound file",
    "pipe": "pipe: is a pipe or a device, not a file: use -",
    "a.wav a.wav --plot x.png": "give one FILE",
    "a.wav --plot x.jpg": "x.jpg: not a name for a picture",
    "a.wav --csv - --json -": "one of them alone",
    "a.wav --csv ./a.wav": "a.wav: would replace a file that is read",
    "a.wav --model own.safetensors --csv own.safetensors": "own.safetensors: would replace",
    "a.wav --log a.wav": "--log a.wav: is another file of this command",
    "a.wav --csv out --log ./out": "--log out: is another file of this command",
    "a.wav --csv a.txt --json a.txt": "a.txt: would replace",
    "a.wav --csv .": ".: is a folder where a file is needed",
    "a.wav --json a.wav/a.json": "a.wav: a file stands where a folder is needed",
    "pipe --csv mono.wav/a.csv": "mono.wav: a file stands where a folder is needed",
    "a.wav --model nobody": "use one of",
    "- a.wav": "standard input alone",
    "--mic a.wav": "a microphone alone",
    "a.wav --device 3": "give --mic too",
    "": "name a FILE",
}


@pytest.mark.parametrize("words", BAD)
def test_a_bad_file_or_option_is_one_line(a_wav, at_60, tmp_path, call, words):
    soundfile.write("mono.wav", at_60[:, 0], FS)
    (tmp_path / "text.wav").write_text("no sound")
    os.mkfifo("pipe")
    ended = call("localise", *words.split())
    refused(ended, BAD[words])
    assert len(ended.lines) == 1


def test_the_command_line_has_the_defaults_of_the_functions():
    """It repeats them, because --help imports neither JAX nor NumPy."""
    args = cli.parser().parse_args(["localise", "a.wav"])
    named = WindowSettings(args.window, args.step, args.model, args.prior)
    assert named == WindowSettings()


def test_of_several_files_the_good_ones_are_done(a_wav, tmp_path, call, capsys):
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(SystemExit) as ended:
        call("localise", "text.wav", "a.wav", "--step=1", "--csv=a.csv", "--log=log")
    assert ended.value.code == 1
    out, err = capsys.readouterr()
    assert out.startswith("a.wav: 2.00 s")
    assert err.startswith("ssl_jax: text.wav: not a readable sound file")
    assert len(err.splitlines()) == 1
    assert err.strip() in (tmp_path / "log").read_text("utf-8")
    assert {row["file"] for row in csv.DictReader((tmp_path / "a.csv").open())} == {"a.wav"}


def test_an_interrupt_keeps_the_files_before(a_wav, tmp_path, call, monkeypatch):
    def interrupted_at_b(path):
        if path.name == "b.wav":
            raise KeyboardInterrupt
        return open_recording(path)

    monkeypatch.setattr(commands, "open_recording", interrupted_at_b)
    ended = call("localise", "a.wav", "b.wav", "--step=1", "--csv=a.csv")
    assert ended.status == 130
    assert ended.out.startswith("a.wav: 2.00 s")
    assert {row["file"] for row in csv.DictReader((tmp_path / "a.csv").open())} == {"a.wav"}


@pytest.mark.parametrize(
    "encoding, shown",
    [
        ("utf-8", "60.0° ü"),
        ("cp1252", "60.0° ü"),
        ("ascii", "60.0 deg \\xfc"),
    ],
)
def test_any_terminal_shows_a_table(monkeypatch, encoding, shown):
    content = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(content, encoding))
    print_text("60.0° ü")
    assert content.getvalue().decode(encoding).strip() == shown

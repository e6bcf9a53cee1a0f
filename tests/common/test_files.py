"""Files: whole or not at all, and one line for whatever is wrong with one."""

import errno
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from ssl_jax import __main__ as cli
from ssl_jax import files
from ssl_jax.common.errors import InputError
from ssl_jax.common.files import atomic_write, os_error_message, read_csv, read_json, read_sound

FS = 8_000


def refused(call, *args, says):
    """Call it, and check that it is refused in one line that names the file and says `says`."""
    with pytest.raises(InputError) as error:
        call(*args)
    message = str(error.value)
    assert message.startswith(f"{args[0]}: ") and says in message and "\n" not in message
    return message


def names(folder):
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("mode, content", [("wb", b"new"), ("w", "neu: \u00e4\n")])
def test_atomic_write_makes_folders_and_replaces(tmp_path, mode, content):
    path = tmp_path / "far/away.txt"
    for _ in range(2):
        with atomic_write(path, mode) as stream:
            stream.write(content)
    assert path.read_bytes() == (content if isinstance(content, bytes) else content.encode())
    assert names(path.parent) == ["away.txt"]


@pytest.mark.parametrize("before", [None, b"old"])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_an_exception_leaves_what_was_there(tmp_path, before, error):
    path = tmp_path / "a.bin"
    if before:
        path.write_bytes(before)
    with pytest.raises(error), atomic_write(path) as stream:
        stream.write(b"half of it")
        raise error
    assert names(tmp_path) == (["a.bin"] if before else [])
    assert not before or path.read_bytes() == before


def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there/a.bin")
    for content in (b"first", b"second"):
        with atomic_write(tmp_path / "link") as stream:
            stream.write(content)
        assert (tmp_path / "link").is_symlink() and (tmp_path / "there/a.bin").read_bytes() == content
    assert names(tmp_path / "there") == ["a.bin"]


def test_nobody_sees_a_part(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with atomic_write(path) as stream:
        stream.write(b"x" * 10**6)
        stream.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"x" * 10**6


@pytest.mark.parametrize("fails", ["fsync", "replace", "write"])
def test_a_full_disk_names_the_file_the_user_knows(tmp_path, monkeypatch, fails):
    def full(*args):
        raise OSError(
            errno.ENOSPC, os.strerror(errno.ENOSPC), *map(str, args[:1] if fails == "replace" else ())
        )

    path = tmp_path / "a.bin"
    if fails != "write":
        monkeypatch.setattr(files.os, fails, full)
    with pytest.raises(OSError) as error, atomic_write(path) as stream:
        stream.write(b"x")
        if fails == "write":
            full()
    monkeypatch.undo()
    message = os_error_message(error.value)
    assert message == f"{path}: the disk is full: free some space and run the same command again"
    assert names(tmp_path) == []


def test_an_error_about_another_file_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError) as error, atomic_write(tmp_path / "a.bin") as stream:
        stream.write((tmp_path / "other.bin").read_bytes())
    assert os_error_message(error.value).startswith(f"{tmp_path / 'other.bin'}: no such file")


def test_a_file_where_a_folder_is_needed(tmp_path):
    (tmp_path / "taken").write_text("")
    for path in (tmp_path / "taken/a.bin", tmp_path / "taken/deeper/a.bin"):
        with pytest.raises(OSError) as error, atomic_write(path):
            pass
        message = os_error_message(error.value)
        assert (
            message.startswith(str(tmp_path / "taken"))
            and "a file stands where a folder is needed" in message
        )


@pytest.mark.parametrize(
    "error, message",
    [
        (
            PermissionError(errno.EACCES, "Permission denied", "a"),
            "a: permission denied: choose a folder you may",
        ),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "a"), "a: is a folder where a file is needed"),
        (OSError(errno.EROFS, "Read-only", "a"), "a: the file system is read-only: choose another"),
        (OSError(errno.EDQUOT, "Quota", "a"), "a: the disk quota is used up: free some space"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "a"), "a: File name too long"),
        (OSError("strange"), "input/output: strange"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "input/output: Broken pipe"),
    ],
)
def test_os_error_message(error, message):
    assert os_error_message(error).startswith(message)


def test_error_reason_is_one_line_and_never_empty():
    assert files.error_reason(ValueError("first\nsecond")) == "first"
    assert files.error_reason(MemoryError()) == "MemoryError"


HOLDER = """
import sys, time
from pathlib import Path
from ssl_jax.common.files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("stage", ["all", "database", "train"])
def test_a_second_run_in_a_folder_is_refused_until_the_first_is_gone(tmp_path, monkeypatch, capsys, stage):
    work = tmp_path / "work/mine"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, work],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(files.Path(files.__file__).parents[1])},
    )
    try:
        assert holder.stdout.readline() == "held\n"
        for name in ("database", "train", "figures", "report"):
            monkeypatch.setattr(cli, f"run_{name}", lambda *_: print("began"))
        words = [stage, "--name=mine", f"--work={tmp_path / 'work'}", f"--results={tmp_path / 'results'}"]
        assert cli.main(words) == 2
        out, err = capsys.readouterr()
        assert out == "" and err == (
            f"ssl_jax: {work}: is in use by another run (process {holder.pid}): "
            "wait for it or use another --name\n"
        )
        assert cli.main([stage, "--name=other", *words[2:]]) == 0
    finally:
        holder.kill()  # nothing is left to be cleaned up by it
        holder.communicate()
    assert cli.main(words) == 0
    assert (work / "lock").read_text() == f"{os.getpid()}\n"


def test_a_lock_is_given_back(tmp_path):
    for _ in range(2):
        with files.lock_folder(tmp_path / "a"):
            with pytest.raises(InputError, match="in use by another run"), files.lock_folder(tmp_path / "a"):
                pass
            with files.lock_folder(tmp_path / "b"):
                pass


def test_what_a_killed_process_had_begun_is_swept_away(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for name in (
        f".a.npy.{gone.pid}.part",
        f"deeper/.b.json.{gone.pid}.part",
        f".c.npy.{os.getpid()}.part",
        "d.part",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("half")
    files.remove_stale_parts(tmp_path)
    files.remove_stale_parts(tmp_path / "nowhere")
    assert names(tmp_path) == sorted([f".c.npy.{os.getpid()}.part", "d.part", "deeper"])
    assert names(tmp_path / "deeper") == []


@pytest.mark.parametrize("note", [None, b"", b"\xff\xfe\x00", b"0" * 64, b"# a comment"])
def test_a_file_counts_only_with_its_checksum(tmp_path, note):
    path = tmp_path / "a.npy"
    path.write_bytes(b"content")
    files.write_checksum(path)
    assert files.checksum_agrees(path)
    if note is None:
        path.with_suffix(".sha256").unlink()
    else:
        path.with_suffix(".sha256").write_bytes(note)
    assert not files.checksum_agrees(path)


def test_json_goes_there_and_back(tmp_path):
    content = {"a": [1, 2.5, None], "\u00e4": "\u00b5"}
    files.write_json(tmp_path / "a.json", content)
    assert read_json(tmp_path / "a.json") == content


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": 1', b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_is_refused(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    refused(read_json, tmp_path / "a.json", says="delete it and run again")


def test_csv_rows_by_column(tmp_path):
    (tmp_path / "a.csv").write_text('name,n\n"x, y",1\nz,2\n')
    assert read_csv(tmp_path / "a.csv", ("n",)) == [{"name": "x, y", "n": "1"}, {"name": "z", "n": "2"}]


@pytest.mark.parametrize(
    "content, says",
    [
        (b"", "no column 'name'"),
        (b"name,m\nx,1\n", "no column 'n'"),
        (b"name,n\nx,1\ny\n", "line 3 is cut short"),
        (b"name,n\n\xff\xfe,1\n", "not a readable CSV"),
        (b"name,n\n" + b"x" * 200_000 + b",1\n", "not a readable CSV"),
        (b"name,n\n" + b"x,1\n" * 4, "more than 3 rows"),
    ],
)
def test_csv_that_is_refused(tmp_path, content, says):
    (tmp_path / "a.csv").write_bytes(content)
    refused(read_csv, tmp_path / "a.csv", ("name", "n"), 3, says=says)


def test_csv_that_is_not_there(tmp_path):
    refused(read_csv, tmp_path / "a.csv", ("n",), says="no such file")
    refused(read_csv, tmp_path, ("n",), says="is a folder")


@pytest.fixture
def stereo(tmp_path):
    sound = np.random.default_rng(5).uniform(-1, 1, (1000, 2)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", sound, FS, "FLOAT")
    return tmp_path / "a.wav", sound


@pytest.mark.parametrize(
    "start, frames, rows",
    [
        (0, -1, slice(0, 1000)),
        (0, 10, slice(0, 10)),
        (990, -1, slice(990, 1000)),
        (990, 50, slice(990, 1000)),
        (1000, -1, slice(0, 0)),
        (5000, 10, slice(0, 0)),
    ],
)
def test_read_sound_keeps_ears_apart(stereo, start, frames, rows):
    path, sound = stereo
    found, fs = read_sound(path, start, frames)
    np.testing.assert_array_equal(found, sound[rows])
    assert fs == FS and found.dtype == np.float32 and found.shape[1] == 2


def test_a_mono_sound_has_one_column_and_full_scale_one(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.array([-(2**15), 0, 2**14], np.int16), FS)
    assert read_sound(tmp_path / "a.wav")[0].tolist() == [[-1.0], [0.0], [0.5]]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_sound_with_nan_or_infinity_is_refused(tmp_path, value):
    soundfile.write(tmp_path / "a.wav", np.array([0, value, 0], np.float32), FS, "FLOAT")
    refused(read_sound, tmp_path / "a.wav", says="NaN or infinite samples")


@pytest.mark.parametrize(
    "content, says",
    [
        (None, "no such file"),
        (b"", "is empty"),
        (b"no sound at all", "not a readable sound file"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "not a readable sound file"),
        (b"OggS" + bytes(60), "not a readable sound"),
    ],
)
def test_what_is_no_sound_is_refused(tmp_path, content, says):
    if content is not None:
        (tmp_path / "a.wav").write_bytes(content)
    refused(read_sound, tmp_path / "a.wav", says=says)


def test_a_folder_is_no_sound(tmp_path):
    refused(read_sound, tmp_path, says="no such file")


def test_a_sound_without_samples_is_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros((0, 2)), FS)
    refused(read_sound, tmp_path / "a.wav", says="holds no sound")


@pytest.mark.parametrize(
    "kind, keep",
    [("wav", 0.5), ("wav", 0.999), ("aiff", 0.5), ("flac", 0.5), ("ogg", 0.03), ("ogg", 0.5), ("ogg", 0.8)],
)
def test_a_truncated_sound_is_refused(tmp_path, kind, keep):
    path = tmp_path / f"a.{kind}"
    soundfile.write(path, np.random.default_rng(6).uniform(-0.5, 0.5, 60_000), FS)
    assert len(read_sound(path)[0]) == 60_000
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    refused(read_sound, path, says="malformed" if keep == 0.03 else "truncated")
    if kind == "wav":
        refused(read_sound, path, 0, 10, says="truncated")


def test_a_length_left_open_is_no_truncation(tmp_path):
    """What programs write that cannot go back in a pipe."""
    soundfile.write(tmp_path / "a.wav", np.zeros(1000), FS)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    at = content.index(b"data")
    content[4:8] = content[at + 4 : at + 8] = b"\xff" * 4
    (tmp_path / "a.wav").write_bytes(content)
    assert len(read_sound(tmp_path / "a.wav")[0]) == 1000


@pytest.mark.parametrize("rate, frames", [(FS, 4 * 3600 * FS + 1), (1, 4 * 3600 + 1)])
def test_an_absurd_length_is_refused_before_it_is_read(tmp_path, rate, frames):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(8, np.uint8).astype(np.int16), rate, "PCM_U8")
    with open(path, "r+b") as stream:  # the header and the file agree, but nothing is stored on disk
        header = stream.read()
        at = header.index(b"data")
        stream.truncate(at + 8 + frames)
        stream.seek(4)
        stream.write((at + frames).to_bytes(4, "little"))
        stream.seek(at + 4)
        stream.write(frames.to_bytes(4, "little"))
    refused(read_sound, path, says="longer than 14400 s")
    assert len(read_sound(path, 5, 7)[0]) == 7  # a piece of it is no trouble

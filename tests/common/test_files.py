"""Files: whole or not at all, locked, checked, and one line for whatever is wrong with one."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ssl_jax import __main__ as cli
from ssl_jax import pipeline
from ssl_jax.common import files
from ssl_jax.common.errors import InputError, error_reason, os_error_message
from ssl_jax.common.files import (
    atomic_write,
    check_outputs,
    checksum_agrees,
    compare_settings,
    read_csv,
    read_json,
    settle_settings,
)
from support.runs import ROOT
from support.runs import refused_call as refused


def content_of(path):
    return path.read_bytes() if path.exists() else None


@pytest.mark.parametrize("mode, linked", [("wb", False), ("w", False), ("w", True)])
def test_atomic_write_makes_folders_and_replaces_and_nobody_sees_a_part(tmp_path, mode, linked):
    """A link stays, and what it leads to is written."""
    there = tmp_path / "far/away.txt"
    path = there
    if linked:
        there.parent.mkdir()
        path = tmp_path / "link"
        path.symlink_to("far/away.txt")
    for text in ("alt\n", "neu: \u00e4\n" * 10**5):
        before = content_of(path)
        with atomic_write(path, mode) as stream:
            stream.write(text if mode == "w" else text.encode())
            stream.flush()
            assert content_of(path) == before
        assert content_of(there) == text.encode() and os.listdir(there.parent) == ["away.txt"]
        assert path.is_symlink() == linked


@pytest.mark.parametrize("before", [None, b"old"])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_an_exception_leaves_what_was_there(tmp_path, before, error):
    path = tmp_path / "a.bin"
    if before:
        path.write_bytes(before)
    with pytest.raises(error), atomic_write(path) as stream:
        stream.write(b"half of it")
        raise error
    assert os.listdir(tmp_path) == ([] if before is None else ["a.bin"])
    assert content_of(path) == before


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_a_full_disk_names_the_file_the_user_knows(tmp_path, monkeypatch, fails):
    def full(*args):
        file = args[:1] if fails == "replace" else ()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), *map(str, file))

    path = tmp_path / "a.bin"
    monkeypatch.setattr(files.os, fails, full)
    with pytest.raises(OSError) as error, atomic_write(path) as stream:
        stream.write(b"x")
    monkeypatch.undo()
    says = f"{path}: the disk is full: free some space and run the same command again"
    assert os_error_message(error.value) == says and os.listdir(tmp_path) == []


def test_an_empty_name_and_a_folder_are_no_files(tmp_path):
    for path in (Path(""), Path("/"), tmp_path):
        with pytest.raises(IsADirectoryError) as error, atomic_write(path):
            pass
        assert os_error_message(error.value).startswith(f"{path}: is a folder where a file is")
    assert os.listdir(tmp_path) == []


def test_no_output_replaces_an_input_or_another_output(tmp_path):
    sound, link, table = (tmp_path / name for name in ("a.wav", "link", "a.csv"))
    sound.write_bytes(b"sound")
    link.symlink_to(sound)
    check_outputs([table, Path("/dev/null"), Path("/dev/null")], [sound])
    for outputs in ([sound], [link], [tmp_path / "b/../a.wav"], [table, table]):
        with pytest.raises(InputError, match="would replace"):
            check_outputs(outputs, [sound])
    assert sound.read_bytes() == b"sound"


def test_an_error_names_the_file_it_is_about(tmp_path):
    taken, other = tmp_path / "taken", tmp_path / "other.bin"
    taken.write_text("")
    with pytest.raises(FileNotFoundError) as error, atomic_write(tmp_path / "a.bin") as stream:
        stream.write(other.read_bytes())
    assert os_error_message(error.value).startswith(f"{other}: no such file")
    for path in (taken / "a.bin", taken / "deeper/a.bin"):
        with pytest.raises(OSError, match=str(taken)) as error, atomic_write(path):
            pass
        assert "a file stands where a folder is needed" in os_error_message(error.value)


OF_THE_SYSTEM = {
    "EACCES": "permission denied: choose a folder",
    "EISDIR": "is a folder where a file is needed",
    "EROFS": "the file system is read-only: choose another",
    "EDQUOT": "the disk quota is used up: free some space",
    "ENAMETOOLONG": "its own words",
}


@pytest.mark.parametrize("name", OF_THE_SYSTEM)
def test_an_error_of_the_system_names_file_and_remedy(name):
    error = OSError(getattr(errno, name), "its own words", "a")
    assert os_error_message(error).startswith(f"a: {OF_THE_SYSTEM[name]}")


def test_an_error_without_a_file_says_what_it_knows():
    assert os_error_message(OSError("strange")) == "input/output: strange"
    assert os_error_message(OSError(errno.EPIPE, "Broken pipe")) == "input/output: Broken pipe"


def test_a_reason_is_one_line_that_is_never_empty():
    assert error_reason(ValueError("first\nsecond")) == "first"
    assert error_reason(MemoryError()) == "MemoryError"


HOLDER = """
import pathlib, sys, time, ssl_jax.common.files
with ssl_jax.common.files.lock_folder(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("stage", ["all", "database", "train"])
def test_a_second_run_is_refused_until_the_first_is_gone(tmp_path, monkeypatch, capsys, stage):
    """The first is killed, and cleans nothing up."""
    work, env = tmp_path / "work/mine", os.environ | {"PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", HOLDER, work]
    holder = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=env)
    try:
        assert holder.stdout.readline() == "held\n"
        monkeypatch.setattr(pipeline, "run_stage", lambda *_: print("began"))
        words = [
            stage,
            "--name=mine",
            *(f"--{k}={tmp_path / k}" for k in ("work", "results", "figures")),
        ]
        assert cli.main(words) == 2
        says = f"ssl_jax: {work}: is in use by another run: wait for it or use another --work\n"
        assert capsys.readouterr() == ("", says)
        assert cli.main([stage, "--name=other", *words[2:]]) == 0
    finally:
        holder.kill()
        holder.communicate()
    for _ in range(2):  # a lock is given back, and keeps this process out as well
        assert cli.main(words) == 0 and "began" in capsys.readouterr().out
        with files.lock_folder(work):
            assert cli.main(words) == 2


def test_what_a_killed_process_had_begun_is_swept_away(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    still_written = [f".c.npy.{os.getpid()}.part", "d.part"]
    (tmp_path / "deeper").mkdir()
    for name in (f".a.npy.{gone.pid}.part", f"deeper/.b.json.{gone.pid}.part", *still_written):
        (tmp_path / name).write_text("half")
    files.remove_stale_parts(tmp_path)
    files.remove_stale_parts(tmp_path / "nowhere")
    assert sorted(os.listdir(tmp_path)) == [*still_written, "deeper"]
    assert os.listdir(tmp_path / "deeper") == []


def test_a_file_counts_only_with_its_checksum(tmp_path):
    path, note, content = tmp_path / "a.npy", tmp_path / "a.sha256", b"content"
    path.write_bytes(content)
    files.write_checksum(path)
    good = note.read_bytes()
    assert checksum_agrees(path)
    for damaged, bad in (
        (path, b""),
        (path, b"conten"),
        (path, b"cOntent"),
        (path, None),
        (note, None),
    ):
        damaged.unlink() if bad is None else damaged.write_bytes(bad)
        assert not checksum_agrees(path)
        path.write_bytes(content)
    for bad in (b"", b"\xff\xfe\x00", b"0" * 64, b"# a comment", good[:-2]):
        note.write_bytes(bad)
        assert not checksum_agrees(path)
    note.write_bytes(good)
    assert checksum_agrees(path)


def test_json_goes_there_and_back_and_what_is_none_is_refused(tmp_path):
    path, content = tmp_path / "a.json", {"a": [1, 2.5, None], "\u00e4": "\u00b5"}
    files.write_json(path, content)
    assert read_json(path) == content
    for bad in (b"", b"{", b'{"a": 1', b"\xff\xfe", b"[" * 100_000):
        path.write_bytes(bad)
        refused(read_json, path, says="delete it and run again")


def test_csv_rows_by_column(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('name,n\n"x, y",1\nz,2\n')
    assert read_csv(path, ("n",)) == [{"name": "x, y", "n": "1"}, {"name": "z", "n": "2"}]


NO_TABLES = [
    (b"", "no column 'name'"),
    (b"name,m\nx,1\n", "no column 'n'"),
    (b"name,n\nx,1\ny\n", "line 3 is cut short"),
    (b"name,n\n\xff\xfe,1\n", "not a readable CSV"),
    (b"name,n\n" + b"x" * 200_000 + b",1\n", "not a readable CSV"),
    (b"name,n\n" + b"x,1\n" * 4, "more than 3 rows"),
]


@pytest.mark.parametrize("content, says", NO_TABLES, ids=[says for _, says in NO_TABLES])
def test_what_is_no_whole_table_is_refused(tmp_path, content, says):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    refused(read_csv, path, ("name", "n"), 3, says=says)


def test_a_table_that_is_not_there_or_a_folder_is_refused(tmp_path):
    refused(read_csv, tmp_path / "b.csv", ("n",), says="no such file")
    refused(read_csv, tmp_path, ("n",), says="is a folder")


SETTINGS = {"front": {"hop": 441, "cues": ("itd", "ild")}}


def test_settings_are_written_once_and_found_the_same(tmp_path):
    path = tmp_path / "store.json"
    settle_settings(path, SETTINGS)
    written = path.read_bytes()
    settle_settings(path, SETTINGS)  # tuples and all
    assert path.read_bytes() == written


def test_a_setting_that_differs_is_named(tmp_path):
    path = tmp_path / "store.json"
    settle_settings(path, SETTINGS)
    says = "was made with front.hop = 441, now 882"
    refused(settle_settings, path, {"front": {"hop": 882}}, says=says)


def test_an_older_version_may_know_fewer_fields(tmp_path):
    path = tmp_path / "store.json"
    settle_settings(path, SETTINGS)
    newer = {"front": {**SETTINGS["front"], "tau": 1}}
    compare_settings(path, newer, {"front": {"tau": 1}})
    refused(compare_settings, path, newer, {"front": {"tau": 2}}, says="front.tau = 2, now 1")
    refused(compare_settings, path, newer, says="front.tau = None, now 1")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"front": 3}'])
def test_damaged_settings_are_refused(tmp_path, text):
    path = tmp_path / "store.json"
    path.write_text(text)
    refused(settle_settings, path, SETTINGS, says="")


def test_files_whose_settings_are_lost_are_refused(tmp_path):
    (tmp_path / "a.sha256").write_text("")
    says = "is missing, so nobody knows how the files beside it"
    refused(settle_settings, tmp_path / "store.json", SETTINGS, says=says)

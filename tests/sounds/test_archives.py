"""Archives that try to write elsewhere, lie about their size, or arrive damaged."""

import hashlib

import pytest

from ssl_jax import archives
from ssl_jax.common.errors import InputError
from ssl_jax.sounds.archives import extract
from support.made_archives import BAD, EVIL, GOOD, KINDS, MAX_BYTES, NINE, make_zip, names


def unpack(content, file, tmp_path):
    """Unpack bytes into a folder of its own, two levels down, as `extract` is used."""
    (tmp_path / "data").mkdir()
    archive = tmp_path / "data" / f"{file}.part"
    archive.write_bytes(content)
    extract(archive, tmp_path / "data/goal", MAX_BYTES)


@pytest.mark.parametrize("file, make", KINDS)
def test_a_sound_archive_is_unpacked_whole(tmp_path, file, make):
    unpack(make(GOOD), file, tmp_path)
    assert {name: (tmp_path / "data/goal" / name).read_bytes() for name, _ in GOOD} == dict(GOOD)


@pytest.mark.parametrize("case", BAD)
def test_bad_archives_are_refused_and_reach_nothing_outside(tmp_path, case):
    file, content, hint = BAD[case]
    with pytest.raises(InputError, match=hint) as error:
        unpack(content, file, tmp_path)
    assert "\n" not in str(error.value)
    outside = [name for name in names(tmp_path) if not name.startswith("data/goal")]
    assert outside == ["data", f"data/{file}.part"] and not EVIL.exists()
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))


@pytest.mark.parametrize("file, make", KINDS)
@pytest.mark.parametrize("most, fits", [(9, True), (8, False)])
def test_members_are_counted(tmp_path, monkeypatch, file, make, most, fits):
    monkeypatch.setattr(archives, "MAX_MEMBERS", most)
    if fits:
        unpack(make(NINE), file, tmp_path)
        assert len(names(tmp_path / "data/goal/top")) == 9
    else:
        with pytest.raises(InputError, match="over 8 files"):
            unpack(make(NINE), file, tmp_path)


def test_an_existing_folder_is_not_written_into(tmp_path):
    (tmp_path / "data/goal").mkdir(parents=True)
    (tmp_path / "x.zip").write_bytes(make_zip(GOOD))
    with pytest.raises(InputError):
        extract(tmp_path / "x.zip", tmp_path / "data/goal", MAX_BYTES)
    assert names(tmp_path / "data/goal") == []


@pytest.mark.parametrize("file, make", KINDS)
def test_a_large_archive_shows_progress(tmp_path, monkeypatch, file, make):
    shown = []

    def track(items, label, total):
        shown.append([label, total, 0])
        for item in items:
            yield item
            shown[-1][2] += 1

    monkeypatch.setattr(archives, "track", track)
    unpack(make(GOOD), file, tmp_path)
    assert not shown  # a small one is done at once
    monkeypatch.setattr(archives, "SHOW_FROM", 0)
    noise = [(str(k), hashlib.shake_256(bytes([k])).digest(2**19)) for k in range(5)]
    unpack(make(noise), file, tmp_path / "data")
    ((label, total, done),) = shown
    assert label == f"unpacking {file} (MiB)" and total == 3 and 2 <= done <= 3

"""Archives that try to write elsewhere, lie about their size, or arrive damaged."""

import pytest

from ssl_jax.sounds import archives
from support.made_archives import BAD, EVIL, GOOD, KINDS, MAX_BYTES, names
from support.runs import refuses


def unpack(content, file, folder):
    """Unpack bytes into a folder of its own below `folder`, as `extract` is used."""
    folder.mkdir(exist_ok=True)
    (folder / f"{file}.part").write_bytes(content)
    archives.extract(folder / f"{file}.part", folder / "goal", MAX_BYTES)


@pytest.mark.parametrize("file, make", KINDS)
def test_a_sound_archive_is_unpacked_whole_into_a_new_folder(tmp_path, monkeypatch, file, make):
    monkeypatch.setattr(archives, "MAX_MEMBERS", len(GOOD))
    unpack(make(GOOD), file, tmp_path)
    assert {name: (tmp_path / "goal" / name).read_bytes() for name, _ in GOOD} == dict(GOOD)
    (tmp_path / "goal/top/a.txt").unlink()
    refuses("names a file twice", unpack, make(GOOD), file, tmp_path)
    assert not (tmp_path / "goal/top/a.txt").exists()
    refuses(
        f"over {len(GOOD)} files", unpack, make([*GOOD, ("more", b"x")]), file, tmp_path / "data"
    )


@pytest.mark.parametrize("case", BAD)
def test_bad_archives_are_refused_and_reach_nothing_outside(tmp_path, case):
    file, content, hint = BAD[case]
    refuses(hint, unpack, content, file, tmp_path / "data")
    outside = [name for name in names(tmp_path) if not name.startswith("data/goal")]
    assert outside == ["data", f"data/{file}.part"] and not EVIL.exists()
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))

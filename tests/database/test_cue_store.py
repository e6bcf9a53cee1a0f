"""The cue store: damage, other settings and foreign files are noticed and named."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import write_checksum
from ssl_jax.config import Database, FrontEnd
from ssl_jax.database.build import build
from ssl_jax.database.cue_store import CueStore, Shard, check_settings

FRONT = FrontEnd()
CONFIG = Database(clips=2, shard=48)  # 144 mixtures in three shards


DAMAGE = {
    "a bit in the middle": lambda path: path.write_bytes(flipped(path.read_bytes())),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "empty": lambda path: path.write_bytes(b""),
    "no checksum": lambda path: path.with_suffix(".sha256").unlink(),
    "a checksum of garbage": lambda path: path.with_suffix(".sha256").write_bytes(b"\xff\xfe\x00"),
}


def flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.fixture(scope="module")
def made(tmp_path_factory, corpus, heads):
    """A folder with a whole store, not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    build(folder, CONFIG, FRONT, corpus, heads)
    return folder


@pytest.fixture
def copied(made, tmp_path):
    shutil.copytree(made, tmp_path / "copy")
    return CueStore(tmp_path / "copy/cues", CONFIG, FRONT)


def test_a_damaged_shard_is_named_refused_and_made_again(copied, corpus, heads, capsys):
    """Every kind of damage, one after the other on the middle shard."""
    path, good = copied.path(1), copied.path(1).read_bytes()
    for damage in DAMAGE.values():
        damage(path)
        with pytest.raises(
            InputError, match="cues-00001.npy: missing or damaged: run the database stage again"
        ):
            copied.read()
    capsys.readouterr()
    build(copied.folder.parent, CONFIG, FRONT, corpus, heads)
    assert "cues-00001.npy: damaged or not finished: made again" in capsys.readouterr().err
    assert path.read_bytes() == good and len(copied.read()) == 3


@pytest.mark.parametrize("damage", DAMAGE)
def test_each_damage_is_noticed(copied, damage):
    DAMAGE[damage](copied.path(1))
    assert [copied.whole(shard) for shard in range(3)] == [True, False, True]


@pytest.mark.parametrize(
    "content", [np.zeros((48, 3, 32, 99), np.float16), np.zeros((48, 3, 32, 100), np.float32), b"x"]
)
def test_what_is_no_shard_is_refused_though_its_checksum_agrees(copied, content):
    if isinstance(content, bytes):
        copied.path(2).write_bytes(content)
        write_checksum(copied.path(2))
    else:
        copied.write(2, content)
    with pytest.raises(InputError, match="cues-00002.npy: is no shard of this store"):
        copied.read()


@pytest.mark.parametrize(
    "part, change, says",
    [
        (
            "database",
            {"disjoint": ("speaker", "head")},
            r"database.disjoint = \[\], now \['speaker', 'head'\]",
        ),
        ("database", {"bits": 0}, "database.bits = 16, now 0"),
        ("database", {"seed": 1}, "database.seed = 0, now 1"),
        ("front", {"hair_cell": "none"}, "front.hair_cell = 'roman', now 'none'"),
    ],
)
def test_a_store_of_other_settings_is_not_trained_on(made, part, change, says):
    """Though its shards have the right shape."""
    config, front = (
        replace(c, **change) if part == p else c for p, c in (("database", CONFIG), ("front", FRONT))
    )
    with pytest.raises(InputError, match=f"store.json: was made with {says}: use another --name"):
        CueStore(made / "cues", config, front).read()


def test_shards_without_their_settings_are_refused(copied, corpus, heads):
    (copied.folder / "store.json").unlink()
    with pytest.raises(InputError, match="store.json: is missing, so nobody knows"):
        copied.read()
    with pytest.raises(InputError, match="store.json: is missing, so nobody knows"):
        build(copied.folder.parent, CONFIG, FRONT, corpus, heads)


def test_another_configuration_is_refused_by_name(tmp_path, corpus, heads):
    CueStore(tmp_path / "cues", CONFIG, FRONT).open()
    with pytest.raises(InputError, match=r"store.json: was made with front.hair_cell = 'roman', now 'none'"):
        build(tmp_path, CONFIG, replace(FRONT, hair_cell="none"), corpus, heads)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"front": 3}'])
def test_damaged_settings_are_refused(tmp_path, text):
    (tmp_path / "store.json").write_text(text)
    with pytest.raises(InputError, match="store.json"):
        check_settings(tmp_path / "store.json", {"front": {"hop": 441}})


def test_rows_of_a_shard_are_those_of_the_file(made):
    shard, maps = CueStore(made / "cues", CONFIG, FRONT).read()[1], np.load(made / "cues/cues-00001.npy")
    assert len(shard) == 48 and shard.shape == maps.shape
    for row in (0, 17, 47):
        np.testing.assert_array_equal(shard[row], maps[row])
    for row in (-1, 48):
        with pytest.raises(IndexError):
            shard[row]


def test_a_shard_cut_short_or_gone_while_it_is_read_is_named(copied):
    shard = copied.read()[2]
    content = shard.path.read_bytes()
    shard.path.write_bytes(content[:-1])
    assert np.isfinite(shard[46]).all()
    with pytest.raises(InputError, match="cues-00002.npy: has been cut short"):
        shard[47]
    shard.path.unlink()
    with pytest.raises(FileNotFoundError, match="cues-00002.npy"):
        shard[0]


@pytest.mark.parametrize(
    "content", [np.zeros((48, 3, 32, 100), ">f2"), np.zeros((48, 3, 32, 100), np.float16, "F")]
)
def test_another_order_of_bytes_or_axes_is_no_shard(copied, content):
    np.save(copied.path(0), content)
    with pytest.raises(InputError, match="cues-00000.npy: is no shard of this store"):
        Shard(copied.path(0), (48, 3, 32, 100))

"""Files that come from outside, damaged in 2,640 drawn ways: read, or refused in one line, and nothing else.

Nothing else: no traceback, no crash or hang of a C library, no more than 1 GiB more memory, and no file outside the
target folder. test_bombs.py has what such damage does not hit upon.
"""

import gzip
import io
import json
import tarfile
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile
from flax import serialization
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import ssl_jax
from ssl_jax.config import fingerprint
from ssl_jax.networks.three_branch import build_model
from ssl_jax.studies.published_weights import published_variables
from ssl_jax.training.checkpoints import named_arrays
from support.damage import damaged, resealed_ogg, resealed_tar
from support.guarded import COLUMNS, STORE
from support.made_archives import EVIL, LINK, make_tar, make_zip
from support.made_sofa import declared, write_sofa

CASES = {
    "sofa bytes": 300,
    "sofa fields": 200,
    "sound": 400,
    "table": 150,
    "manifest": 150,
    "document": 100,
    "checkpoint": 300,
    "checkpoint fields": 100,
    "network": 40,
    "front": 40,
    "published": 160,
    "shard": 150,
    "tar.gz": 100,
    "tar headers": 200,
    "zip": 150,
    "members": 100,
}
PACKAGE = Path(ssl_jax.__file__).parent


def hostile(name):
    """So many cases, the same in every run; the clock of `Guarded` takes the place of a deadline."""
    return settings(
        max_examples=CASES[name],
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )


def test_there_are_enough_cases():
    assert sum(CASES.values()) == 2640


def saved(save, *args, **arrays):
    stream = io.BytesIO()
    save(stream, *args, **arrays)
    return stream.getvalue()


# ---- SOFA

FEW = {
    "Data__IR": np.random.default_rng(1).normal(size=(4, 2, 4)),
    "SourcePosition": np.array([[90.0 * k, 0, 1] for k in range(4)]),
}


def sofa(**changes):
    with tempfile.TemporaryDirectory() as folder:
        return write_sofa(Path(folder) / "a.sofa", **FEW | changes).read_bytes()


SOFA = [
    sofa(),
    sofa(
        Data__IR=dict(data=FEW["Data__IR"], chunks=(2, 1, 4), compression="gzip", shuffle=True),
        SOFAConventions=np.bytes_("SimpleFreeFieldHRIR"),
        DataType=np.bytes_("FIR"),
    ),
]
LENGTHS = st.sampled_from([1, 2, 3, 4, 2**12, 2**14, 20_000, 2**31, 2**40])
FITTING = st.sampled_from(
    [(4, 2, 4), (4, 2, 1), (4, 3), (4, 2), (4,), (1, 2), (1, 3), (2, 3), (2, 3, 1), (1,)]
)
SHAPES = FITTING | st.lists(LENGTHS, max_size=3).filter(lambda shape: np.prod(shape, dtype=float) < 2**60)
VALUES = st.sampled_from([np.nan, np.inf, -1.0, 0.0, 1.0, 1e300, 44_100.0])
FIELDS = st.one_of(
    SHAPES.filter(len).map(lambda shape: declared(*shape)),
    st.builds(np.full, FITTING | st.lists(st.integers(0, 4), max_size=4), VALUES),
    st.sampled_from(
        [
            None,
            np.full(4, b"text"),
            "text",
            np.bytes_("x" * 5000),
            h5py.Empty("f8"),
            h5py.SoftLink("/Data.IR"),
            dict(data=np.ones((4, 2, 4)), chunks=(1, 1, 1), compression="lzf"),
        ]
    ),
)
NAMES = (
    "SOFAConventions",
    "DataType",
    "Data__IR",
    "Data__SamplingRate",
    "Data__Delay",
    "SourcePosition",
    "ReceiverPosition",
    "ListenerView",
)


@hostile("sofa bytes")
@given(content=damaged(*SOFA))
def test_a_damaged_sofa_is_read_or_refused(judge, content):
    judge("sofa", content, "hostile.sofa")


@hostile("sofa fields")
@given(changes=st.dictionaries(st.sampled_from(NAMES), FIELDS, min_size=1, max_size=2))
def test_a_sofa_with_other_fields_is_read_or_refused(judge, changes):
    judge("sofa", sofa(**changes), "hostile.sofa")


# ---- sounds

KINDS = (
    ("WAV", "PCM_16"),
    ("WAV", "FLOAT"),
    ("WAVEX", "PCM_24"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("AIFF", "PCM_16"),
)
NOISE = np.random.default_rng(2).uniform(-0.5, 0.5, (300, 2))
SOUNDS = [saved(soundfile.write, NOISE, 8_000, subtype, format=kind) for kind, subtype in KINDS]


@hostile("sound")
@given(content=damaged(*SOUNDS))
def test_a_damaged_sound_is_read_or_refused(judge, content):
    judge("sound", resealed_ogg(content), "hostile.wav")


# ---- tables and notes

ROWS = "".join(f'{k},"a, {k}",1.5,{k},{{}}\n' for k in range(4))
TABLES = [
    (",".join((*COLUMNS, "snr_1_db", "snr_2_db", "part")) + "\n" + ROWS.format(*parts)).encode()
    for parts in ([""] * 4, ["training"] * 3 + ["evaluation"])
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@pytest.mark.parametrize("reader", ["table", "manifest"])
def test_damaged_tables_are_read_or_refused(judge, reader):
    @hostile(reader)
    @given(content=damaged(*TABLES))
    def of_one_reader(content):
        judge(reader, content, "hostile.csv")

    of_one_reader()


@hostile("document")
@given(content=damaged(b'{"a": [1, 2.5e3, null, "\\u00e4"], "b": {"c": {}}}'))
def test_damaged_notes_are_read_or_refused(judge, content):
    judge("document", content, "hostile.json")


# ---- what was trained

ARRAYS = named_arrays("x", {"a": np.arange(3, dtype=np.float32)})
CHECKPOINT = serialization.msgpack_serialize(
    {"arrays": ARRAYS, "log": np.ones((2, 3)), "number": 1 + 2j, "text": "{}"}
)
WEIGHTS = (PACKAGE / "data/weights/embedded.msgpack").read_bytes()
NOTES = json.loads((PACKAGE / "data/weights/embedded.json").read_text())
NPZ = {
    name: np.zeros(variable[...].shape[::-1], np.float32)
    for name, variable in published_variables(build_model("three_branch", 0))
}
STORE_NOTES = json.dumps(fingerprint(**STORE)).encode()


SHARD = saved(np.save, np.zeros((72, 3, 1, 1), np.float16))


@hostile("checkpoint")
@given(content=damaged(CHECKPOINT))
def test_a_damaged_checkpoint_is_read_or_refused(judge, content):
    judge("checkpoint", content, "hostile.msgpack")


@hostile("checkpoint fields")
@given(
    content=st.dictionaries(st.sampled_from(["arrays", "log", "__msgpack_chunked_array__", "chunks"]), JSON)
    | JSON
)
def test_a_checkpoint_of_other_things_is_read_or_refused(judge, content):
    judge("checkpoint", serialization.msgpack.packb(content, default=str), "hostile.msgpack")


@hostile("network")
@given(content=damaged(WEIGHTS))
def test_damaged_weights_are_read_or_refused(judge, content):
    judge("network", content, "hostile.msgpack", hostile__json=json.dumps(NOTES).encode())


@hostile("front")
@given(
    fields=st.dictionaries(st.sampled_from(list(NOTES["front"])), JSON, min_size=1), model=st.none() | JSON
)
def test_weights_with_other_notes_are_read_or_refused(judge, fields, model):
    notes = NOTES | {"front": NOTES["front"] | fields, "model": model or NOTES["model"]}
    judge("network", WEIGHTS, "hostile.msgpack", hostile__json=json.dumps(notes).encode())


@hostile("published")
@given(
    content=damaged(
        saved(np.savez_compressed, **NPZ), saved(np.savez, a=np.zeros(3)), saved(np.save, np.zeros(3))
    )
)
def test_damaged_published_weights_are_read_or_refused(judge, content):
    judge("published", content, "hostile.npz")


@hostile("shard")
@given(content=damaged(SHARD, saved(np.savez, a=np.zeros(3))))
def test_a_damaged_shard_is_read_or_refused(judge, content):
    judge("shard", content, "cues-00000.npy", store__json=STORE_NOTES)


# ---- archives

MEMBERS = [("top/a.txt", b"alpha" * 200), ("top/deep/b", b"beta"), ("n" * 120 + "/\u00e4", b"long")]
TAR, ZIP = make_tar(MEMBERS, "w:"), make_zip(MEMBERS)
PARTS = st.sampled_from(["a", "a", "b", "..", "..", ".", ""]) | st.sampled_from(
    ["a", "\\", "C:", "\n", "n" * 300]
)
PATHS = st.lists(PARTS, min_size=1, max_size=3)
LINKS = st.sampled_from(
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE, b"S"]
)


@pytest.mark.parametrize(
    "case, starts, seal",
    [("tar.gz", [gzip.compress(TAR)], bytes), ("tar headers", [TAR], resealed_tar), ("zip", [ZIP], bytes)],
)
def test_a_damaged_archive_stays_within_its_folder(judge, case, starts, seal):
    @hostile(case)
    @given(content=damaged(*starts))
    def of_one_kind(content):
        judge("archive", seal(content), f"hostile.{'zip' if case == 'zip' else 'tar.gz'}")

    of_one_kind()


@pytest.mark.filterwarnings("ignore:Duplicate name")
@hostile("members")
@given(
    members=st.lists(st.tuples(PATHS, st.sampled_from([0, 9, 150_000]), st.none() | LINKS), max_size=4),
    absolute=st.booleans(),
)
def test_an_archive_of_strange_members_stays_within_its_folder(judge, members, absolute):
    names = [f"{EVIL}/" * absolute + "/".join(path) for path, *_ in members]
    kinds = [(bytes(size), *([] if kind is None else [kind, "../.."])) for _, size, kind in members]
    tar = make_tar([(name, *(kind[1:] or kind)) for name, kind in zip(names, kinds)])
    judge("archive", tar, "hostile.tar.gz")
    pack = make_zip([(name, kind[0], LINK if len(kind) > 1 else 0) for name, kind in zip(names, kinds)])
    judge("archive", pack, "hostile.zip")


# ---- and what is not damaged


@pytest.mark.parametrize(
    "reader, name, content",
    [
        *[("sofa", "a.sofa", content) for content in SOFA],
        *[("sound", "a.wav", content) for content in (*SOUNDS, *map(resealed_ogg, SOUNDS))],
        *[(reader, "a.csv", content) for content in TABLES for reader in ("table", "manifest")],
        ("checkpoint", "a.msgpack", CHECKPOINT),
        ("network", "a.msgpack", WEIGHTS),
        ("published", "a.npz", saved(np.savez, **NPZ)),
        ("shard", "cues-00000.npy", SHARD),
        ("archive", "a.tar.gz", resealed_tar(TAR)),
        ("archive", "a.zip", ZIP),
    ],
)
def test_what_is_not_damaged_is_read(judge, reader, name, content):
    assert judge(reader, content, name, a__json=json.dumps(NOTES).encode(), store__json=STORE_NOTES) == "read"

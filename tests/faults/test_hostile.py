"""Files that come from outside, damaged in drawn ways: read, or refused in one line.

And nothing else: no traceback, no crash or hang of a C library, no more than 1 GiB more memory. At
the end is what such damage does not hit upon.
"""

import io
import zipfile

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from safetensors import numpy as safetensors

from ssl_jax.common.files import package_data
from ssl_jax.config import FrontEnd
from ssl_jax.networks import packed, registry, serialisation
from ssl_jax.networks.array_file import ArrayFile, to_bytes
from ssl_jax.studies.published_weights import published_variables
from ssl_jax.training.log import EpochRow
from support.damage import (
    SOFA,
    SOUNDS,
    STORE_NOTES,
    damaged,
    resealed_ogg,
    saved,
    sofa,
)
from support.guarded import COLUMNS
from support.made_sofa import declared


def hostile(cases, **drawn):
    """So many cases, the same in every run; the clock of `Guarded` stands for a deadline."""
    steps = (Phase.explicit, Phase.generate, Phase.shrink)
    alike = {"derandomize": True, "database": None, "deadline": None}
    alike |= {"max_examples": cases, "phases": steps, "suppress_health_check": list(HealthCheck)}
    return lambda test: settings(**alike)(given(**drawn)(test))


WEIGHTS, NOTES = (
    package_data("weights/baseline.safetensors").read_bytes(),
    packed.describe("baseline"),
)
ARRAYS = serialisation.named_arrays("x", {"a": np.arange(3, dtype=np.float32)})
ROW = EpochRow(1, 20, 3.5, 5.9, 63.9, 3.1, 10.3, 76.1, 40.0, 12.3, 1e-3)
CHECKPOINT_NOTES = {"epoch": 1, "log": [ROW.columns()], "settings": {"training": {"seed": 0}}}
CHECKPOINT = to_bytes(ArrayFile(CHECKPOINT_NOTES, ARRAYS))
VARIABLES = published_variables(registry.build_model("three_branch", 0, FrontEnd()))
NPZ = {name: np.zeros(variable[...].shape[::-1], np.float32) for name, variable in VARIABLES}
PUBLISHED = saved(np.savez_compressed, **NPZ)
OTHER = [saved(np.savez, a=np.zeros(3)), saved(np.save, np.zeros(3))]
SHARD = saved(np.save, np.zeros((72, 3, 1, 1), np.float16))

HEAD = ",".join((*COLUMNS, "head", "snr_1_db", "snr_2_db", "part")) + "\n"
ROWS = "".join(f'{k},"a, {k}",h,1.5,{k},{{}}\n' for k in range(4))
TABLES = [
    (HEAD + ROWS.format(*parts)).encode() for parts in ([""] * 4, ["training"] * 3 + ["evaluation"])
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
)

# reader, cases, file name, what to damage, what makes its checksums right again, files beside it
DAMAGED = {
    "a sofa": ("sofa", 300, "a.sofa", SOFA, bytes, {}),
    "a sound": ("sound", 400, "a.wav", SOUNDS, resealed_ogg, {}),
    "a table": ("table", 150, "a.csv", TABLES, bytes, {}),
    "a manifest": ("manifest", 150, "a.csv", TABLES, bytes, {}),
    "notes": (
        "document",
        100,
        "a.json",
        [b'{"a": [1, 2.5e3, null, "\\u00e4"], "b": {"c": {}}}'],
        bytes,
        {},
    ),
    "a checkpoint": ("checkpoint", 300, "a.safetensors", [CHECKPOINT], bytes, {}),
    "weights": ("network", 40, "a.safetensors", [WEIGHTS], bytes, {}),
    "published weights": ("published", 160, "a.npz", [PUBLISHED, *OTHER], bytes, {}),
    "a shard": (
        "shard",
        150,
        "cues-00000.npy",
        [SHARD, OTHER[0]],
        bytes,
        {"store__json": STORE_NOTES},
    ),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_what_is_whole_is_read_and_what_is_damaged_read_or_refused(judge, what):
    reader, cases, name, starts, seal, beside = DAMAGED[what]
    for content in (content for content in starts if content not in OTHER):
        assert seal(content) == content  # its checksums are what we take them for
        assert judge(reader, seal(content), name, **beside) == "read"

    @hostile(cases, content=damaged(*starts))
    def judge_all(content):
        judge(reader, seal(content), name, **beside)

    judge_all()


# ---- fields, members and notes that say something else

LENGTHS = st.sampled_from([1, 2, 3, 4, 2**12, 2**14, 20_000, 2**31, 2**40])
FIT = [(4, 2, 4), (4, 2, 1), (4, 3), (4, 2), (4,), (1, 2), (1, 3), (2, 3), (2, 3, 1), (1,)]
FITTING = st.sampled_from(FIT)
SHAPES = FITTING | st.lists(LENGTHS, max_size=3).filter(
    lambda shape: np.prod(shape, dtype=float) < 2**60
)
VALUES = st.sampled_from([np.nan, np.inf, -1.0, 0.0, 1.0, 1e300, 44_100.0])
ODD = [
    None,
    np.full(4, b"text"),
    "text",
    np.bytes_("x" * 5000),
    h5py.Empty("f8"),
]
FIELDS = st.one_of(
    SHAPES.filter(len).map(lambda shape: declared(*shape)),
    st.builds(np.full, FITTING | st.lists(st.integers(0, 4), max_size=4), VALUES),
    st.sampled_from([*ODD, dict(data=np.ones((4, 2, 4)), chunks=(1, 1, 1), compression="lzf")]),
)
NAMES = "SOFAConventions DataType Data__IR Data__SamplingRate Data__Delay"
NAMES = f"{NAMES} SourcePosition ReceiverPosition ListenerView".split()


@hostile(200, changes=st.dictionaries(st.sampled_from(NAMES), FIELDS, min_size=1, max_size=2))
def test_a_sofa_with_other_fields_is_read_or_refused(judge, changes):
    judge("sofa", sofa(**changes), "hostile.sofa")


ENTRIES = st.dictionaries(st.sampled_from(["epoch", "log", "settings"]), JSON)
COLUMNS_OF_A_ROW = st.dictionaries(st.sampled_from([*ROW.columns(), "colour"]), JSON, max_size=3)


@hostile(60, changes=ENTRIES)
def test_a_checkpoint_of_other_things_is_read_or_refused(judge, changes):
    content = ArrayFile(CHECKPOINT_NOTES | changes, ARRAYS)
    judge("checkpoint", to_bytes(content), "hostile.safetensors")


@hostile(40, changes=COLUMNS_OF_A_ROW)
def test_a_checkpoint_of_another_log_is_read_or_refused(judge, changes):
    notes = CHECKPOINT_NOTES | {"log": [ROW.columns() | changes]}
    judge("checkpoint", to_bytes(ArrayFile(notes, ARRAYS)), "hostile.safetensors")


FRONT = st.dictionaries(st.sampled_from(list(NOTES["front"])), JSON, min_size=1)


@hostile(40, fields=FRONT, model=st.none() | JSON)
def test_weights_with_other_notes_are_read_or_refused(judge, fields, model):
    notes = NOTES | {"front": NOTES["front"] | fields, "model": model or NOTES["model"]}
    judge("network", to_bytes(ArrayFile(notes, safetensors.load(WEIGHTS))), "hostile.safetensors")


# ---- small files that unpack to much, declare much, or lead a library round in circles

ZEROS = bytes(2**24)


def sofa_with_a_hole():
    """Zeros in the store of texts, as an interrupted download leaves them: HDF5 would loop."""
    content = bytearray(SOFA[0])
    first_entry = content.index(b"GCOL") + 16
    content[first_entry : first_entry + 64] = bytes(64)
    return bytes(content)


def header(content):
    """A safetensors file of nothing but a header."""
    return len(content).to_bytes(8, "little") + content


def npy(shape):
    header = {"shape": shape, "fortran_order": False, "descr": "<f4"}
    return saved(np.lib.format.write_array_header_1_0, header)


def npz(content):
    """An .npz file of one array."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as pack:
        pack.writestr(BIAS, content)
    return stream.getvalue()


def flac_of_hours():
    content = bytearray(SOUNDS[3])
    # 20 bits of the rate, 3 of the channels less 1, 5 of a sample's bits less 1, 36 of the length
    content[18:26] = (44_100 << 44 | 1 << 41 | 15 << 36 | 2 * 3600 * 44_100).to_bytes(8, "big")
    return bytes(content)


BIAS = "fc.bias.npy"
FAR = dict(Data__IR=declared(20_000, 2, 3_000), SourcePosition=np.ones((20_000, 3)) * [0, 0, 1])
WIDE = b",".join([*map(str.encode, COLUMNS), *[b"x"] * 200_000]) + b"\n"
LONG = b"\x93NUMPY\2\0" + (16 * len(ZEROS)).to_bytes(4, "little")
WORST = {
    "a hole among the texts": ("sofa", "a.sofa", sofa_with_a_hole),
    "responses that are not there": ("sofa", "a.sofa", lambda: sofa(**FAR)),
    "a sound of hours": ("sound", "a.flac", flac_of_hours),
    "columns without end": ("table", "a.csv", lambda: WIDE + b"1,a\n" * 2_000),
    "long notes": ("document", "a.json", lambda: b"[" + b"{}," * 2**23 + b"{}]"),
    "deep notes of a checkpoint": (
        "checkpoint",
        "a.safetensors",
        lambda: header(b"[" * 100_000),
    ),
    "long notes of a checkpoint": (
        "checkpoint",
        "a.safetensors",
        lambda: header(b"[" + b"{}," * 2**23 + b"{}]"),
    ),
    "an array that is not there": (
        "checkpoint",
        "a.safetensors",
        lambda: header(b'{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4]}}'),
    ),
    "a header that is not there": (
        "network",
        "a.safetensors",
        lambda: (2**40).to_bytes(8, "little"),
    ),
    "weights that are not there": ("published", "a.npz", lambda: npz(npy((2**30,)))),
    "a long header of weights": (
        "published",
        "a.npz",
        lambda: npz(LONG + 16 * ZEROS),
    ),
    "a shard that is not there": ("shard", "cues-00000.npy", lambda: npy((2**40,))),
}


@pytest.mark.parametrize("case", WORST)
def test_little_that_makes_much_is_refused(judge, case):
    reader, name, make = WORST[case]
    assert judge(reader, make(), name, store__json=STORE_NOTES) == "refused"

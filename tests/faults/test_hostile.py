"""Files that come from outside, damaged in drawn ways: read, or refused in one line.

And nothing else: no traceback, no crash or hang of a C library, no more than 1 GiB more memory. At
the end is what such damage does not hit upon.
"""

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field

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


WEIGHTS = package_data("weights/baseline.safetensors").read_bytes()
NOTES = packed.describe("baseline")
ARRAYS = serialisation.named_arrays("x", {"a": np.arange(3, dtype=np.float32)})
ROW = EpochRow(1, 20, 3.5, 5.9, 63.9, 3.1, 10.3, 76.1, 40.0, 12.3, 1e-3)
CHECKPOINT_NOTES = {"epoch": 1, "log": [ROW.columns()], "settings": {"training": {"seed": 0}}}
CHECKPOINT = to_bytes(ArrayFile(CHECKPOINT_NOTES, ARRAYS))
VARIABLES = published_variables(registry.build_model("three_branch", 0, FrontEnd()))
NPZ = {name: np.zeros(variable[...].shape[::-1], np.float32) for name, variable in VARIABLES}
PUBLISHED = saved(np.savez_compressed, **NPZ)
OTHER = [saved(np.savez, a=np.zeros(3)), saved(np.save, np.zeros(3))]
SHARD = saved(np.save, np.zeros((72, 3, 1, 1), np.float16))
STORE_BESIDE = {"store__json": STORE_NOTES}
DOCUMENT = b'{"a": [1, 2.5e3, null, "\\u00e4"], "b": {"c": {}}}'

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


@dataclass(frozen=True)
class Kind:
    """Files of a kind, to be damaged."""

    reader: str
    cases: int
    name: str  # of the file
    whole: list[bytes]
    others: list[bytes] = field(default_factory=list)  # files of other kinds, damaged as well
    seal: Callable[[bytes], bytes] = bytes  # makes checksums in the file right again
    beside: dict[str, bytes] = field(default_factory=dict)  # files, see `judge`


KINDS = {
    "a sofa": Kind("sofa", 300, "a.sofa", SOFA),
    "a sound": Kind("sound", 400, "a.wav", SOUNDS, seal=resealed_ogg),
    "a table": Kind("table", 150, "a.csv", TABLES),
    "a manifest": Kind("manifest", 150, "a.csv", TABLES),
    "notes": Kind("document", 100, "a.json", [DOCUMENT]),
    "a checkpoint": Kind("checkpoint", 300, "a.safetensors", [CHECKPOINT]),
    "weights": Kind("network", 40, "a.safetensors", [WEIGHTS]),
    "published weights": Kind("published", 160, "a.npz", [PUBLISHED], others=OTHER),
    "a shard": Kind("shard", 150, "cues-00000.npy", [SHARD], OTHER[:1], beside=STORE_BESIDE),
}


@pytest.mark.parametrize("what", KINDS)
def test_what_is_whole_is_read(judge, what):
    kind = KINDS[what]
    for content in kind.whole:
        assert judge(kind.reader, content, kind.name, **kind.beside) == "read"


@pytest.mark.parametrize("what", KINDS)
def test_sealing_changes_nothing_of_what_is_whole(what):
    """The checksums are what we take them for."""
    kind = KINDS[what]
    assert [kind.seal(content) for content in kind.whole] == kind.whole


@pytest.mark.parametrize("what", KINDS)
def test_what_is_damaged_is_read_or_refused(judge, what):
    kind = KINDS[what]

    @hostile(kind.cases, content=damaged(*kind.whole, *kind.others))
    def judge_all(content):
        judge(kind.reader, kind.seal(content), kind.name, **kind.beside)

    judge_all()


# ---- fields, members and notes that say something else

FIT = [(4, 2, 4), (4, 2, 1), (4, 3), (4, 2), (4,), (1, 2), (1, 3), (2, 3), (2, 3, 1), (1,)]
FITTING = st.sampled_from(FIT)
LENGTHS = st.sampled_from([1, 2, 3, 4, 2**12, 2**14, 20_000, 2**31, 2**40])
# HDF5 itself makes no dataset of more
POSSIBLE = st.lists(LENGTHS, max_size=3).filter(lambda shape: np.prod(shape, dtype=float) < 2**60)
SHAPES = FITTING | POSSIBLE
VALUES = st.sampled_from([np.nan, np.inf, -1.0, 0.0, 1.0, 1e300, 44_100.0])
ODD = [None, np.full(4, b"text"), "text", np.bytes_("x" * 5000), h5py.Empty("f8")]
FIELDS = st.one_of(
    SHAPES.filter(len).map(lambda shape: declared(*shape)),
    st.builds(np.full, FITTING | st.lists(st.integers(0, 4), max_size=4), VALUES),
    st.sampled_from([*ODD, dict(data=np.ones((4, 2, 4)), chunks=(1, 1, 1), compression="lzf")]),
)
NAMES = (
    *("SOFAConventions", "DataType", "Data__IR", "Data__SamplingRate", "Data__Delay"),
    *("SourcePosition", "ReceiverPosition", "ListenerView"),
)


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
LONG_LIST = b"[" + b"{}," * 2**23 + b"{}]"
FAR_ARRAY = b'{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4]}}'
WORST = {  # reader, file name, what makes the content
    "a hole among the texts": ("sofa", "a.sofa", sofa_with_a_hole),
    "responses that are not there": ("sofa", "a.sofa", lambda: sofa(**FAR)),
    "a sound of hours": ("sound", "a.flac", flac_of_hours),
    "columns without end": ("table", "a.csv", lambda: WIDE + b"1,a\n" * 2_000),
    "long notes": ("document", "a.json", lambda: LONG_LIST),
    "deep notes of a checkpoint": ("checkpoint", "a.safetensors", lambda: header(b"[" * 100_000)),
    "long notes of a checkpoint": ("checkpoint", "a.safetensors", lambda: header(LONG_LIST)),
    "an array that is not there": ("checkpoint", "a.safetensors", lambda: header(FAR_ARRAY)),
    "a header that is not there": (
        "network",
        "a.safetensors",
        lambda: (2**40).to_bytes(8, "little"),
    ),
    "a long header of weights": ("published", "a.npz", lambda: npz(LONG + 16 * ZEROS)),
    "a shard that is not there": ("shard", "cues-00000.npy", lambda: npy((2**40,))),
}


@pytest.mark.parametrize("case", WORST)
def test_little_that_makes_much_is_refused(judge, case):
    reader, name, make = WORST[case]
    assert judge(reader, make(), name, **STORE_BESIDE) == "refused"

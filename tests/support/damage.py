"""Small files to damage, drawn damage, and checksums made right again so that readers see it."""

import io
import json
import tempfile
import zlib
from pathlib import Path

import numpy as np
import soundfile
from hypothesis import strategies as st

from ssl_jax.config import as_settings
from support.guarded import STORE
from support.made_sofa import head_responses, ring, write_sofa

DAMAGE = st.sampled_from(["cut", "flip", "number", "number", "garbage", "join"])
NUMBERS = [0, 1, -1, -512, 2**15, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**40]
NUMBERS += [2**62, 2**63 - 1, 0x7FFF0000]
MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
FOUR = 90.0 * np.arange(4)
# few and short, so that damage hits what describes them
RESPONSES = head_responses(FOUR, taps=20)[..., :4] + 0.1
FEW = {"Data__IR": RESPONSES, "SourcePosition": ring(FOUR)}
KINDS = "WAV PCM_16", "WAV FLOAT", "WAVEX PCM_24", "FLAC PCM_16", "OGG VORBIS", "AIFF PCM_16"
NOISE = np.random.default_rng(2).uniform(-0.5, 0.5, (300, 2))


def saved(save, *args, **arrays):
    stream = io.BytesIO()
    save(stream, *args, **arrays)
    return stream.getvalue()


def sofa(**changes):
    with tempfile.TemporaryDirectory() as folder:
        return write_sofa(Path(folder) / "a.sofa", **FEW | changes).read_bytes()


PACKED = dict(data=RESPONSES, chunks=(2, 1, 4), compression="gzip", shuffle=True)
NAMED = {"SOFAConventions": np.bytes_("SimpleFreeFieldHRIR"), "DataType": np.bytes_("FIR")}
SOFA = [sofa(), sofa(Data__IR=PACKED, **NAMED)]
SOUNDS = [
    saved(soundfile.write, NOISE, 8_000, kind.split()[1], format=kind.split()[0]) for kind in KINDS
]
STORE_NOTES = json.dumps(as_settings(**STORE)).encode()


@st.composite
def damaged(draw, *starts):
    """A file cut, with bits flipped, a number replaced, something put in, or joined to another."""
    content = bytearray(draw(st.sampled_from(starts)))
    for damage in draw(st.lists(DAMAGE, min_size=1, max_size=3)):
        last = max(len(content) - 1, 0)
        # the start says most about a file
        at = draw(st.integers(0, last) | st.integers(0, min(last, 300)))
        if damage == "cut":
            del content[at:]
        elif damage == "flip" and content:
            content[at] ^= draw(st.integers(1, 255))
        elif damage == "number":
            size = draw(st.sampled_from([1, 2, 4, 8]))
            number = draw(st.sampled_from(NUMBERS)) % 2 ** (8 * size)
            content[at : at + size] = number.to_bytes(
                size, draw(st.sampled_from(["little", "big"]))
            )
        elif damage == "garbage":
            content[at:at] = draw(st.binary(min_size=1, max_size=40))
        elif damage == "join":
            other = draw(st.sampled_from(starts))
            content[at:] = other[draw(st.integers(0, len(other))) :]
    return bytes(content)


def resealed_ogg(content):
    """Checksums of the pages made right: CRC-32 from 0 (RFC 3533), zlib's with mirrored bits."""
    content, at = bytearray(content), 0
    while (at := content.find(b"OggS", at)) >= 0 and at + 27 <= len(content):
        end = at + 27 + content[at + 26]
        end += sum(content[at + 27 : end])
        content[at + 22 : at + 26] = bytes(4)
        crc = zlib.crc32(content[at:end].translate(MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
        content[at + 22 : at + 26] = int(f"{crc:032b}"[::-1], 2).to_bytes(4, "little")
        at += 4
    return bytes(content)

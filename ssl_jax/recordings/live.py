"""Sound from a pipe, as it comes: raw or WAV, in blocks of a tenth of a second."""

import io
import math
import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import soundfile

from ssl_jax.common.errors import InputError
from ssl_jax.sounds.reading import CUT_SHORT, check_rate

BLOCK_SECONDS = 0.1
UNKNOWN = 0x7FFF0000  # bytes: programs that write to a pipe state 0, this or more
MAX_HEADER = 2**20  # bytes that may come before a WAV's sound
KINDS = {
    (1, 16): "PCM_16",
    (1, 24): "PCM_24",
    (1, 32): "PCM_32",
    (3, 32): "FLOAT",
    (3, 64): "DOUBLE",
}
WAV_WANTED = "use WAV of 16, 24 or 32 bits, or raw sound with --raw FS"


def _exactly(stream: BinaryIO, size: int, name: str) -> bytes:
    if len(content := stream.read(size)) < size:
        raise InputError(f"{name}: ends within its header: {WAV_WANTED}")
    return content


def wav_header(stream: BinaryIO, name: str) -> tuple[int, tuple[int, int], float]:
    """Rate, (format, bits) and bytes (or infinity) of a stereo WAV, read up to its sound; or InputError."""
    head = _exactly(stream, 12, name)
    if head[:4] not in (b"RIFF", b"RF64") or head[8:] != b"WAVE":
        raise InputError(f"{name}: not a WAV: {WAV_WANTED}")
    left, found = MAX_HEADER, None
    while True:
        kind, size = struct.unpack("<4sI", _exactly(stream, 8, name))
        if kind == b"data":
            break
        if (left := left - size - 8) < 0:
            raise InputError(f"{name}: over {MAX_HEADER >> 20} MiB before its sound: {WAV_WANTED}")
        content = _exactly(stream, size + size % 2, name)
        if kind == b"fmt " and size >= 16:
            found = struct.unpack("<HHIIHH", content[:16])
            if found[0] == 0xFFFE and size >= 26:  # the format is given further on
                found = (int.from_bytes(content[24:26], "little"), *found[1:])
    if found is None:
        raise InputError(f"{name}: a WAV that does not say its format: {WAV_WANTED}")
    code, ears, fs, _, _, bits = found
    if ears != 2:
        raise InputError(
            f"{name}: has {ears} channel{'s' * (ears != 1)}: two ears are needed, left first"
        )
    if (code, bits) not in KINDS:
        raise InputError(f"{name}: WAV of format {code} and {bits} bits: {WAV_WANTED}")
    return fs, (code, bits), size if 0 < size < UNKNOWN else math.inf


def sound_of(
    stream: BinaryIO, name: str, raw: int | None = None
) -> tuple[int, Iterator[np.ndarray]]:
    """Rate and blocks (any, 2) of what comes from `stream`: a WAV, or 16-bit little-endian stereo at `raw`
    Hz. Raises InputError, while it is read too, where it is no such sound or ends too early."""
    fs, kind, length = (raw, (1, 16), math.inf) if raw is not None else wav_header(stream, name)
    check_rate(name, fs)
    return fs, _blocks(stream, name, fs, kind, length)


def _blocks(stream: BinaryIO, name: str, fs: int, kind, left: float) -> Iterator[np.ndarray]:
    frame, held = 2 * kind[1] // 8, b""
    form: dict = {"channels": 2, "format": "RAW", "subtype": KINDS[kind], "endian": "LITTLE"}
    while left:
        wanted = min(round(BLOCK_SECONDS * fs) * frame - len(held), left)
        content = stream.read1(wanted)  # type: ignore[attr-defined]  # what is there, without waiting
        if not content:
            break
        left -= len(content)
        held += content
        if whole := len(held) // frame * frame:
            yield soundfile.read(io.BytesIO(held[:whole]), dtype="float32", samplerate=fs, **form)[
                0
            ]
        held = held[whole:]
    if held:
        cut = f"ends in the middle of a sample, {len(held)} bytes of {frame}"
        raise InputError(f"{name}: {cut}: send it whole")
    if 0 < left < math.inf:
        raise InputError(f"{name}: {CUT_SHORT}")

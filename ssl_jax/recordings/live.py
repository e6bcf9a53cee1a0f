"""Sound from a pipe, as it comes: raw or WAV, in blocks of a tenth of a second."""

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import soundfile

from ssl_jax.common.errors import InputError
from ssl_jax.common.progress import say
from ssl_jax.sounds.reading import CUT_SHORT, GOES_ON, UNKNOWN_BYTES, check_rate, ears_needed
from ssl_jax.sounds.wav import (
    MAX_HEADER_BYTES,
    WAV_WANTED,
    WavHeader,
    is_chunk,
    read_wav_header,
)

BLOCK_S = 0.1
# libsndfile's names of a WAV's (format, bits)
SUBTYPES = {
    (1, 16): "PCM_16",
    (1, 24): "PCM_24",
    (1, 32): "PCM_32",
    (3, 32): "FLOAT",
    (3, 64): "DOUBLE",
}


@dataclass(frozen=True)
class IncomingSound:
    """A sound that is coming in."""

    name: str  # for messages and tables
    fs: int  # Hz
    blocks: Iterator[np.ndarray]  # (any, 2) float32 each


@dataclass(frozen=True)
class _Format:
    """How the bytes of a pipe are sound."""

    fs: int  # Hz
    subtype: str  # see SUBTYPES
    frame_bytes: int  # of one sample of both ears

    @property
    def block_bytes(self) -> int:
        return round(BLOCK_S * self.fs) * self.frame_bytes


def sound_of(stream: BinaryIO, name: str, raw_fs: int | None = None) -> IncomingSound:
    """What comes from `stream`: a WAV, or 16-bit little-endian stereo at `raw_fs` Hz.

    Raises
    ------
    InputError
        Where it is no such sound, or, while it is read, ends too early.
    """
    if raw_fs is not None:
        check_rate(name, raw_fs)
        pcm_16 = _Format(raw_fs, "PCM_16", 4)
        return IncomingSound(name, raw_fs, _decoded(_endless(stream, pcm_16), pcm_16, name))
    header = read_wav_header(stream, name)
    if header.channels != 2:
        raise InputError(f"{name}: {ears_needed(header.channels)}")
    if (header.code, header.bits) not in SUBTYPES:
        raise InputError(
            f"{name}: WAV of format {header.code} and {header.bits} bits: {WAV_WANTED}"
        )
    check_rate(name, header.fs)
    wav = _Format(header.fs, SUBTYPES[header.code, header.bits], 2 * header.bits // 8)
    blocks = _decoded(_wav_bytes(stream, header, wav, name), wav, name)
    return IncomingSound(name, header.fs, blocks)


def _endless(stream: BinaryIO, form: _Format) -> Iterator[bytes]:
    """What comes until the pipe is closed, without waiting for a whole block."""
    while True:
        content = stream.read1(form.block_bytes)  # type: ignore[attr-defined]
        if not content:
            return
        yield content


def _wav_bytes(stream: BinaryIO, header: WavHeader, form: _Format, name: str) -> Iterator[bytes]:
    """The sound of a WAV, and what follows its stated length where that is sound too."""
    # a program that writes to a pipe may not know the length when it writes the header
    is_known = 0 < header.data_bytes < UNKNOWN_BYTES
    missing_bytes = header.data_bytes if is_known else math.inf
    while missing_bytes:
        size = min(form.block_bytes, missing_bytes)
        content = stream.read1(size)  # type: ignore[attr-defined]
        if not content:
            break
        missing_bytes -= len(content)
        yield content
    if missing_bytes and is_known:
        # only now: the windows of all samples before the cut are out
        raise InputError(f"{name}: {CUT_SHORT}")
    rest = stream.read(header.least_rest_bytes)
    is_sound = len(rest) == header.least_rest_bytes and not is_chunk(rest, MAX_HEADER_BYTES)
    if is_sound:
        say(f"ssl_jax: note: {name}: {GOES_ON}")
        yield rest
        yield from _endless(stream, form)


def _decoded(parts: Iterator[bytes], form: _Format, name: str) -> Iterator[np.ndarray]:
    """Blocks (any, 2) float32 of bytes that may end within a sample."""
    waiting = b""
    for part in parts:
        waiting += part
        whole = len(waiting) // form.frame_bytes * form.frame_bytes
        if whole:
            block, _ = soundfile.read(
                io.BytesIO(waiting[:whole]),
                dtype="float32",
                samplerate=form.fs,
                channels=2,
                format="RAW",
                subtype=form.subtype,
                endian="LITTLE",
            )
            yield block
        waiting = waiting[whole:]
    if waiting:
        raise InputError(
            f"{name}: ends in the middle of a sample, {len(waiting)} bytes of {form.frame_bytes}: "
            "send it whole"
        )

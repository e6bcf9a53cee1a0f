"""The header of a WAV, and sound that goes on after the length that the header states.

Recorders that are killed leave the length at 0 or at what they had written down last. Lengths of
over 4 GiB do not fit into their 32 bits. In both cases more sound follows.
"""

import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ssl_jax.common.errors import InputError

MAX_HEADER_BYTES = 2**20  # before the sound
# a shorter rest is no sound: some programs leave a few bytes behind
LEAST_REST_S = 0.1
# codes of integers, floats, A-law and mu-law: any number of their samples can be read
UNCOMPRESSED = (1, 3, 6, 7)
# bytes of a chunk that says the format, as the oldest WAVs have it
FORM_BYTES = 16
# the format's code stands further on in that chunk: at these bytes
EXTENSIBLE = 0xFFFE
EXTENSIBLE_CODE = slice(24, 26)
PRINTABLE = range(0x20, 0x7F)  # ASCII, of which names of chunks are
DS64_BYTES = 16  # of a chunk "ds64": the lengths of the file and of the sound
# a length of 32 bits that says: see the chunk ds64
SEE_DS64 = 0xFFFFFFFF
WAV_WANTED = "use WAV of 16, 24 or 32 bits, or raw sound with --raw FS"


@dataclass(frozen=True)
class WavHeader:
    """What a WAV says before its sound."""

    form: bytes  # content of its chunk "fmt "
    code: int  # 1 for integers, 3 for floats
    channels: int
    fs: int  # Hz
    frame_bytes: int  # of one sample of all channels
    bits: int  # of one sample of one channel
    data_start: int  # bytes before the sound
    data_bytes: int  # of the sound, as stated

    @property
    def least_rest_bytes(self) -> int:
        """The least number of bytes after the stated length that count as sound."""
        return max(round(LEAST_REST_S * self.fs) * self.frame_bytes, 8)


def read_wav_header(stream: BinaryIO, name: str) -> WavHeader:
    """Read a WAV up to its sound.

    Raises
    ------
    InputError
        Where it is no WAV, or does not state its format.
    """
    head = _read_exactly(stream, 12, name)
    if head[:4] not in (b"RIFF", b"RF64") or head[8:] != b"WAVE":
        raise InputError(f"{name}: not a WAV: {WAV_WANTED}")
    position = 12
    form = b""
    long_bytes = SEE_DS64  # of the sound, as RF64 states it beforehand
    while True:
        kind, size = struct.unpack("<4sI", _read_exactly(stream, 8, name))
        position += 8
        if kind == b"data":
            break
        # a chunk of an odd size is followed by one more byte
        position += size + size % 2
        if position > MAX_HEADER_BYTES:
            limit = MAX_HEADER_BYTES >> 20
            raise InputError(f"{name}: over {limit} MiB before its sound: {WAV_WANTED}")
        content = _read_exactly(stream, size + size % 2, name)
        if kind == b"fmt " and size >= FORM_BYTES:
            form = content[:size]
        if kind == b"ds64" and size >= DS64_BYTES:
            _, long_bytes = struct.unpack("<QQ", content[:DS64_BYTES])
    if size == SEE_DS64:
        size = long_bytes
    if not form:
        raise InputError(f"{name}: a WAV that does not say its format: {WAV_WANTED}")
    code, channels, fs, _, frame_bytes, bits = struct.unpack("<HHIIHH", form[:FORM_BYTES])
    if code == EXTENSIBLE and len(form) >= EXTENSIBLE_CODE.stop:
        code = int.from_bytes(form[EXTENSIBLE_CODE], "little")
    return WavHeader(form, code, channels, fs, frame_bytes, bits, position, size)


def _read_exactly(stream: BinaryIO, size: int, name: str) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise InputError(f"{name}: ends within its header: {WAV_WANTED}")
    return content


def is_chunk(content: bytes, most_bytes: int) -> bool:
    """Do these bytes begin a chunk of at most so many bytes? Else they are sound."""
    name, size = struct.unpack("<4sI", content[:8])
    return all(letter in PRINTABLE for letter in name) and size <= most_bytes


def header_of_longer_wav(path: Path) -> WavHeader | None:
    """The header of a WAV whose sound goes on after the stated length; None for any other file."""
    with open(path, "rb") as stream:
        try:
            header = read_wav_header(stream, str(path))
        except InputError:
            return None
        if header.code not in UNCOMPRESSED:
            return None
        stated_end = header.data_start + header.data_bytes + header.data_bytes % 2
        rest_bytes = path.stat().st_size - stated_end
        if rest_bytes < header.least_rest_bytes:
            return None
        stream.seek(stated_end)
        chunk_follows = is_chunk(stream.read(8), rest_bytes)
    return None if chunk_follows else header


class _LongerWav(io.RawIOBase):
    """A WAV from disk, with a header that states how much sound there is."""

    def __init__(self, path: Path, header: WavHeader):
        sound_bytes = path.stat().st_size - header.data_start
        sound_bytes -= sound_bytes % max(header.frame_bytes, 1)
        self._head = _rf64_header(header.form, sound_bytes)
        self._shift = header.data_start - len(self._head)
        self._size = len(self._head) + sound_bytes
        self._position = 0
        self._file = open(path, "rb")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origins = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}
        self._position = max(origins[whence] + offset, 0)
        return self._position

    def readinto(self, buffer) -> int:
        if self._position < len(self._head):
            content = self._head[self._position :][: len(buffer)]
        else:
            self._file.seek(self._position + self._shift)
            content = self._file.read(min(len(buffer), max(self._size - self._position, 0)))
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def open_longer_wav(path: Path, header: WavHeader) -> io.BufferedReader:
    """A WAV of `header_of_longer_wav` with all its sound, as libsndfile reads it."""
    return io.BufferedReader(_LongerWav(path, header))


def _rf64_header(form: bytes, sound_bytes: int) -> bytes:
    """A header for any number of bytes of sound (EBU Tech 3306)."""
    before_data = struct.pack("<4sI", b"fmt ", len(form)) + form + bytes(len(form) % 2)
    before_data += struct.pack("<4sI", b"data", SEE_DS64)
    # the sizes of the whole and of the sound, the number of samples (not used), no more sizes
    riff_bytes = 4 + 36 + len(before_data) + sound_bytes
    sizes = struct.pack("<4sIQQQI", b"ds64", 28, riff_bytes, sound_bytes, 0, 0)
    return struct.pack("<4sI4s", b"RF64", SEE_DS64, b"WAVE") + sizes + before_data

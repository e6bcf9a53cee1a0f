"""Files damaged in drawn ways, and checksums made right again so that readers get to the damage."""

import gzip
import zlib

from hypothesis import strategies as st

DAMAGE = st.sampled_from(["cut", "flip", "number", "number", "garbage", "join"])
NUMBERS = [0, 1, -1, -512, 2**15, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1, 0x7FFF0000]
MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@st.composite
def damaged(draw, *starts):
    """One of the files cut, with bits flipped, a number replaced, something put in, or joined to another one."""
    content = bytearray(draw(st.sampled_from(starts)))
    for damage in draw(st.lists(DAMAGE, min_size=1, max_size=3)):
        last = max(len(content) - 1, 0)
        at = draw(
            st.integers(0, last) | st.integers(0, min(last, 300))
        )  # a file says most about itself at its start
        if damage == "cut":
            del content[at:]
        elif damage == "flip" and content:
            content[at] ^= draw(st.integers(1, 255))
        elif damage == "number":
            size = draw(st.sampled_from([1, 2, 4, 8]))
            number = draw(st.sampled_from(NUMBERS)) % 2 ** (8 * size)
            content[at : at + size] = number.to_bytes(size, draw(st.sampled_from(["little", "big"])))
        elif damage == "garbage":
            content[at:at] = draw(st.binary(min_size=1, max_size=40))
        elif damage == "join":
            other = draw(st.sampled_from(starts))
            content[at:] = other[draw(st.integers(0, len(other))) :]
    return bytes(content)


def resealed_ogg(content):
    """Checksums of the pages made right, so that what is in them is looked at.

    RFC 3533: CRC-32 from 0, which is zlib's with the bits of all bytes and of the sum the other way round.
    """
    content, at = bytearray(content), 0
    while (at := content.find(b"OggS", at)) >= 0 and at + 27 <= len(content):
        end = at + 27 + content[at + 26]
        end += sum(content[at + 27 : end])
        content[at + 22 : at + 26] = bytes(4)
        mirrored = content[at:end].translate(MIRRORED)
        crc = zlib.crc32(mirrored, 0xFFFFFFFF) ^ 0xFFFFFFFF
        content[at + 22 : at + 26] = int(f"{crc:032b}"[::-1], 2).to_bytes(4, "little")
        at += 4
    return bytes(content)


def resealed_tar(content):
    """Checksums of the headers made right, so that what is in them is looked at."""
    content = bytearray(content)
    for at in range(0, len(content) - 511, 512):
        if content[at + 257 : at + 262] == b"ustar":
            content[at + 148 : at + 156] = b" " * 8
            content[at + 148 : at + 156] = b"%06o\0 " % sum(content[at : at + 512])
    return gzip.compress(content, 1)

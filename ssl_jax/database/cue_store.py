"""The cue store: every mixture's cue maps on disk, in shards that count only when whole."""

import io
import math
from pathlib import Path

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import atomic_write, checksum_agrees, settle_settings, write_checksum
from ssl_jax.config import AZIMUTHS, Database, FrontEnd, as_settings


def _header(shape: tuple[int, ...]) -> bytes:
    """What a .npy file of float16 of this shape begins with."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "<f2", "fortran_order": False, "shape": shape}
    )
    return stream.getvalue()


class Shard:
    """One file of the store, whose rows are read when they are asked for.

    It is not memory-mapped: pages read would count as memory, and a file cut short would end the
    program.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]):
        self.path = path
        self.shape = shape
        self.dtype = np.dtype(np.float16)
        header = _header(shape)
        self.first = len(header)  # byte of the first row
        with open(path, "rb") as stream:
            stored_header = stream.read(self.first)
        if stored_header != header or path.stat().st_size != self.first + 2 * math.prod(shape):
            raise InputError(
                f"{path}: is no shard of this store: delete it and run the database stage again"
            )

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, row: int) -> np.ndarray:
        """Maps (maps, channels, frames) of a mixture, float16; InputError where the file is cut."""
        if not 0 <= row < len(self):
            raise IndexError(row)
        maps = np.empty(self.shape[1:], self.dtype)
        # a buffer would take longer to fill than the row
        with open(self.path, "rb", buffering=0) as stream:
            stream.seek(self.first + row * maps.nbytes)
            if stream.readinto(maps.data.cast("B")) != maps.nbytes:
                raise InputError(f"{self.path}: has been cut short: run the database stage again")
        return maps


class CueStore:
    """Shards of (mixtures, maps, channels, frames) float16, each with its checksum beside it."""

    def __init__(self, folder: Path, config: Database, front: FrontEnd):
        self.folder = Path(folder)
        self.config = config
        self.front = front
        self.count = config.clips * AZIMUTHS
        self.shards = math.ceil(self.count / config.shard)
        self.shape = (front.map_count, front.channels, front.fs // front.hop)

    def path(self, shard: int) -> Path:
        """Where a shard is."""
        return self.folder / f"cues-{shard:05d}.npy"

    def size(self, shard: int) -> int:
        """Mixtures in a shard; the last may be shorter."""
        return min(self.config.shard, self.count - shard * self.config.shard)

    def settle_settings(self) -> None:
        """Write the settings, or check them; InputError names the one that differs."""
        settle_settings(
            self.folder / "store.json", as_settings(database=self.config, front=self.front)
        )

    def write(self, shard: int, cues: np.ndarray) -> None:
        """Write a shard, whole or not at all, and its checksum after it."""
        with atomic_write(self.path(shard)) as stream:  # np.save would not report a full disk
            stream.write(_header(cues.shape))
            stream.write(np.ascontiguousarray(cues).data)
        write_checksum(self.path(shard))

    def read(self) -> list[Shard]:
        """All shards; raises InputError if one is missing or damaged, or the settings differ."""
        for shard in range(self.shards):
            if not checksum_agrees(self.path(shard)):
                raise InputError(
                    f"{self.path(shard)}: missing or damaged: run the database stage again"
                )
        self.settle_settings()
        return [
            Shard(self.path(shard), (self.size(shard), *self.shape)) for shard in range(self.shards)
        ]

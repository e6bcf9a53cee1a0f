"""The cue store: every mixture's cue maps on disk, in shards that count only when whole."""

import math
from pathlib import Path

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import atomic_write, check_settings, checksum_agrees, write_checksum
from ssl_jax.config import AZIMUTHS, Database, FrontEnd, fingerprint


class Shard:
    """One file of the store, whose rows are read when they are asked for.

    It is not memory-mapped: pages read would count as the program's memory, which would grow with the
    store, and a file that is cut short while in use would end the program without a word.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]):
        self.path, self.shape, self.dtype = path, shape, np.dtype(np.float16)
        try:
            with open(path, "rb") as stream:
                version = np.lib.format.read_magic(stream)
                there = version == (1, 0) and np.lib.format.read_array_header_1_0(stream)
                self.first = stream.tell()  # byte of the first row
        except OSError:
            raise
        except Exception:  # corrupt bytes can raise almost any exception in NumPy
            there = None
        if there != (shape, False, self.dtype) or path.stat().st_size != self.first + 2 * math.prod(shape):
            raise InputError(f"{path}: is no shard of this store: delete it and run the database stage again")

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, row: int) -> np.ndarray:
        """(3, channels, frames) float16 of a mixture; raises InputError where the file has become shorter."""
        if not 0 <= row < len(self):
            raise IndexError(row)
        maps = np.empty(self.shape[1:], self.dtype)
        with open(self.path, "rb", buffering=0) as stream:  # a buffer would take longer to fill than the row
            stream.seek(self.first + row * maps.nbytes)
            read = stream.readinto(maps.data.cast("B"))
        if read != maps.nbytes:
            raise InputError(f"{self.path}: has been cut short: run the database stage again")
        return maps


class CueStore:
    """Cue maps on disk: shards of (mixtures, 3, channels, frames) float16.

    A shard counts only when its checksum file stands beside it and agrees.
    """

    def __init__(self, folder: Path, config: Database, front: FrontEnd):
        self.folder, self.config, self.front = Path(folder), config, front
        self.count = config.clips * AZIMUTHS
        self.shards = math.ceil(self.count / config.shard)
        self.shape = (3, front.channels, front.fs // front.hop)

    def path(self, shard: int) -> Path:
        return self.folder / f"cues-{shard:05d}.npy"

    def size(self, shard: int) -> int:
        """Mixtures in a shard; the last may be shorter."""
        return min(self.config.shard, self.count - shard * self.config.shard)

    def open(self) -> None:
        """Write the settings, or check them: raises InputError, which names the one that differs."""
        check_settings(self.folder / "store.json", fingerprint(database=self.config, front=self.front))

    def whole(self, shard: int) -> bool:
        """Is the shard there, and as it was written?"""
        return checksum_agrees(self.path(shard))

    def write(self, shard: int, cues: np.ndarray) -> None:
        header = np.lib.format.header_data_from_array_1_0(cues)
        with atomic_write(self.path(shard)) as stream:  # np.save would not report a full disk
            np.lib.format.write_array_header_1_0(stream, header)
            stream.write(np.ascontiguousarray(cues).data)
        write_checksum(self.path(shard))

    def read(self) -> list[Shard]:
        """All shards; raises InputError if one is missing or damaged, or the settings differ."""
        for shard in range(self.shards):
            if not self.whole(shard):
                raise InputError(f"{self.path(shard)}: missing or damaged: run the database stage again")
        self.open()
        return [Shard(self.path(shard), (self.size(shard), *self.shape)) for shard in range(self.shards)]

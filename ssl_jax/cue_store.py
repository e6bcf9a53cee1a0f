"""The cue store: every mixture's cue maps on disk, in shards that count only when whole."""

import json
import os
from pathlib import Path

import numpy as np

from .config import AZIMUTHS, Database, FrontEnd, fingerprint
from .files import InputError, atomic_write, is_whole, read_json, write_checksum, write_json


class Shard:
    """One file of the store, whose rows are read when they are asked for.

    Not memory-mapped: pages read would count as the program's memory, which would grow with the store, and a file
    that is cut short while it is in use would end the program without a word.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]):
        self.path, self.shape, self.dtype = path, shape, np.dtype(np.float16)
        try:
            with open(path, "rb") as stream:
                there = np.lib.format.read_magic(stream) == (1, 0) and np.lib.format.read_array_header_1_0(stream)
                self.first = stream.tell()  # byte of the first row
        except OSError:
            raise
        except Exception:  # of strange bytes NumPy makes nearly every error there is
            there = None
        if there != (shape, False, self.dtype) or path.stat().st_size != self.first + 2 * int(np.prod(shape)):
            raise InputError(f"{path}: is no shard of this store: delete it and run the database stage again")

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, row: int) -> np.ndarray:
        """(3, channels, frames) float16 of a mixture; InputError where the file has become shorter."""
        if not 0 <= row < len(self):
            raise IndexError(row)
        maps = np.empty(self.shape[1:], self.dtype)
        file = os.open(self.path, os.O_RDONLY)  # a stream would take ten times as long as the reading
        try:
            read = os.preadv(file, [maps.data], self.first + row * maps.nbytes)
        finally:
            os.close(file)
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
        self.shards = -(-self.count // config.shard)
        self.shape = (3, front.channels, front.fs // front.hop)

    def path(self, shard: int) -> Path:
        return self.folder / f"cues-{shard:05d}.npy"

    def size(self, shard: int) -> int:
        """Mixtures in a shard; the last may be shorter."""
        return min(self.config.shard, self.count - shard * self.config.shard)

    def open(self) -> None:
        """Make the folder ours, or check that it is: InputError names the setting that differs."""
        check_settings(self.folder / "store.json", fingerprint(database=self.config, front=self.front))

    def whole(self, shard: int) -> bool:
        """Is the shard there, and as it was written?"""
        return is_whole(self.path(shard))

    def write(self, shard: int, cues: np.ndarray) -> None:
        with atomic_write(self.path(shard)) as stream:  # NumPy's own writing would not say that the disk is full
            np.lib.format.write_array_header_1_0(stream, np.lib.format.header_data_from_array_1_0(cues))
            stream.write(np.ascontiguousarray(cues).data)
        write_checksum(self.path(shard))

    def read(self) -> list[Shard]:
        """All shards; InputError if one is missing or damaged, or the settings differ."""
        for shard in range(self.shards):
            if not self.whole(shard):
                raise InputError(f"{self.path(shard)}: missing or damaged: run the database stage again")
        self.open()
        return [Shard(self.path(shard), (self.size(shard), *self.shape)) for shard in range(self.shards)]


def check_settings(path: Path, settings: dict, made: str = "*.sha256", older: bool = False) -> None:
    """Write settings where none are, else insist on equal ones.

    Parameters
    ----------
    made : str
        Pattern of the files beside it that the settings stand for.
    older : bool
        Let a field pass that the file does not have: an older version wrote it.

    Raises
    ------
    InputError
        The file holds other settings; the message names the first field that differs. Or it is
        not there, but files that were made with settings nobody knows are.
    """
    settings = json.loads(json.dumps(settings))  # tuples are lists in the file
    if not path.exists():
        if any(path.parent.glob(made)):
            raise InputError(f"{path}: is missing, so nobody knows how the files beside it were made: "
                             "use another --name, or delete that folder")
        write_json(path, settings)
        return
    before = read_json(path)
    for part, fields in settings.items():
        there = before.get(part) if isinstance(before, dict) else None
        for field, value in fields.items():
            if older and isinstance(there, dict) and field not in there:
                continue
            old = there.get(field) if isinstance(there, dict) else None
            if old != value:
                raise InputError(
                    f"{path}: was made with {part}.{field} = {old!r}, now {value!r}: "
                    f"use another --name, or delete that folder"
                )

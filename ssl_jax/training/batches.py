"""Which mixtures train and evaluate, and their cue maps batch by batch, read ahead of their use."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from jax.sharding import Mesh

from ssl_jax.common.devices import local_rows, on_all, shared_out, to_devices
from ssl_jax.config import AZIMUTHS, Database, FrontEnd, Training, as_settings
from ssl_jax.database.cue_store import CueStore, Shard
from ssl_jax.database.manifest import Manifest
from ssl_jax.database.parts import two_parts

SPLIT = 1  # what a generator is for, part of its seed
EVALUATION_BATCH = 32  # small activations stay in the cache; 256 measured a fifth slower a mixture
AHEAD = 4  # batches read before they are asked for


@dataclass(frozen=True)
class Mixtures:
    """Cue maps and classes by mixture number, how they were made, and what the manifest says of them."""

    shards: list[Shard] | list[np.ndarray]
    database: Database
    front: FrontEnd
    manifest: Manifest | None = None

    @classmethod
    def of(cls, store: CueStore, manifest: Manifest | None = None) -> "Mixtures":
        """Those of a store; raises InputError where it is not whole."""
        return cls(store.read(), store.config, store.front, manifest)

    @property
    def settings(self) -> dict:
        """How they were made, ready for JSON."""
        return as_settings(database=self.database, front=self.front)

    def split(self, config: Training) -> tuple[np.ndarray, np.ndarray]:
        """Mixture numbers to train on and to evaluate on."""
        count = config.clips * AZIMUTHS
        if self.manifest is not None and (part := self.manifest.part) is not None:
            # all of them evaluate, however few clips train: on the validation part, where there is one
            return np.flatnonzero(part[:count] == 0), np.flatnonzero(part == part.max())
        return two_parts(
            count, config.evaluation_share, (config.seed, SPLIT)
        )  # at random (published)

    def last(self, config: Training) -> np.ndarray:
        """Mixture numbers of the run's last clips, trained on or not (`last_share`)."""
        first = min(round((1 - config.last_share) * config.clips), config.clips - 1)
        return np.arange(first * AZIMUTHS, config.clips * AZIMUTHS)

    def batch(
        self, numbers: np.ndarray, mirrored: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(n, maps, channels, frames) float16 and (n,) int32; sides swapped where `mirrored` (n,)."""
        size = len(self.shards[0])
        cues = np.stack([self.shards[i // size][i % size] for i in numbers.tolist()])
        labels = (numbers % AZIMUTHS).astype(np.int32)
        if mirrored is not None:
            cues[mirrored, :2] *= -1  # ITD and ILD; IC has no side
            labels = np.where(mirrored, -labels % AZIMUTHS, labels)
        return cues, labels


def prefetch(items: Iterable) -> Iterator:
    """The same items, made in another thread up to AHEAD ahead."""
    source, end = iter(items), object()
    with ThreadPoolExecutor(1) as thread:
        waiting = deque(thread.submit(next, source, end) for _ in range(AHEAD))
        try:
            while (item := waiting.popleft().result()) is not end:
                waiting.append(thread.submit(next, source, end))
                yield item
        finally:
            for future in waiting:
                future.cancel()


def batches_of(
    mixtures: Mixtures, numbers, size: int, mesh: Mesh, mirrored=None, frames=None
) -> Iterator:
    """Cue maps and classes of the given mixtures, `size` at a time, read ahead and by each process for its
    own devices. `mirrored`, by mixture number, says which to mirror; `frames`, by batch, what to use."""

    def batch(k):  # one that does not divide among all devices is whole on each
        part = numbers[k * size : (k + 1) * size]
        even = len(part) % mesh.size == 0
        ours = part[local_rows(mesh, len(part))] if even else part
        cues, labels = mixtures.batch(ours, None if mirrored is None else mirrored[ours])
        rows = cues if frames is None else np.ascontiguousarray(cues[..., frames[k]]), labels
        return to_devices(rows, shared_out(mesh) if even else on_all(mesh))

    return prefetch(batch(k) for k in range(-(-len(numbers) // size)))

"""Which mixtures train and evaluate, and their cue maps batch by batch, read ahead of their use."""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from jax.sharding import Mesh

from ssl_jax.common.devices import copy_on_each, local_rows, split_rows, to_devices
from ssl_jax.config import (
    AZIMUTHS,
    EVALUATION,
    SIDED_MAPS,
    TRAINING,
    VALIDATION,
    Database,
    FrontEnd,
    Training,
    as_settings,
)
from ssl_jax.database.cue_store import CueStore, Shard
from ssl_jax.database.manifest import Manifest
from ssl_jax.database.parts import two_parts
from ssl_jax.metrics import swapped_class

# what the split's generator is for: part of its seed
SPLIT = 1
# small activations stay in the cache; 256 measured a fifth slower a mixture
EVALUATION_BATCH = 32
# batches read before they are asked for
AHEAD = 4


@dataclass(frozen=True)
class Split:
    """Numbers of the mixtures that a run trains on and is evaluated on."""

    training: np.ndarray  # (n,)
    evaluation: np.ndarray  # (m,)


@dataclass(frozen=True)
class Mixtures:
    """Cue maps and classes by mixture number.

    Mixture i is of speech clip i // 72 and of class i % 72.
    """

    shards: list[Shard] | list[np.ndarray]  # each (mixtures, maps, channels, frames) float16
    database: Database
    front: FrontEnd
    manifest: Manifest | None = None  # part and SNR of each mixture, where they are known

    @classmethod
    def of(cls, store: CueStore, manifest: Manifest | None = None) -> "Mixtures":
        """Those of a store; raises InputError where it is not whole."""
        return cls(store.read(), store.config, store.front, manifest)

    @property
    def settings(self) -> dict:
        """How they were made, ready for JSON."""
        return as_settings(database=self.database, front=self.front)

    def split(self, config: Training) -> Split:
        """Share the run's mixtures out.

        By the manifest's parts where it has some. Then all mixtures of the validation part are
        evaluated, or of the evaluation part where there is none, however few clips train. Else at
        random (published).
        """
        count = config.clips * AZIMUTHS
        part = None if self.manifest is None else self.manifest.part
        if part is None:
            training, evaluation = two_parts(count, config.evaluation_share, (config.seed, SPLIT))
            return Split(training, evaluation)
        training = np.flatnonzero(part[:count] == TRAINING)
        evaluated = VALIDATION if (part == VALIDATION).any() else EVALUATION
        return Split(training, np.flatnonzero(part == evaluated))

    def last(self, config: Training) -> np.ndarray:
        """Numbers of the mixtures of the run's last clips, trained on or not (`last_share`)."""
        clips = config.last_clips
        return np.arange(clips.start * AZIMUTHS, clips.stop * AZIMUTHS)

    def batch(
        self, numbers: np.ndarray, swapped: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Cue maps and classes of some mixtures.

        Parameters
        ----------
        numbers : ndarray
            Of the mixtures, (n,).
        swapped : ndarray of bool, optional
            Whose ears are swapped, (n,).

        Returns
        -------
        cues : ndarray
            (n, maps, channels, frames) float16
        labels : ndarray
            (n,) int32
        """
        size = len(self.shards[0])
        cues = np.stack([self.shards[i // size][i % size] for i in numbers.tolist()])
        labels = (numbers % AZIMUTHS).astype(np.int32)
        if swapped is not None:
            cues[swapped, SIDED_MAPS] *= -1
            labels = np.where(swapped, swapped_class(labels), labels)
        return cues, labels


def prefetch(items: Iterable) -> Iterator:
    """The same items, made in another thread up to AHEAD ahead."""
    source = iter(items)
    end = object()
    with ThreadPoolExecutor(1) as thread:
        waiting = deque(thread.submit(next, source, end) for _ in range(AHEAD))
        try:
            while True:
                item = waiting.popleft().result()
                if item is end:
                    return
                waiting.append(thread.submit(next, source, end))
                yield item
        finally:
            for future in waiting:
                future.cancel()


def batches_of(
    mixtures: Mixtures,
    numbers: np.ndarray,
    size: int,
    mesh: Mesh,
    swapped: np.ndarray | None = None,
    frames: Sequence[slice] | None = None,
) -> Iterator[tuple[Any, Any]]:
    """Cue maps and classes on the devices, batch by batch, read ahead.

    Parameters
    ----------
    mixtures : Mixtures
    numbers : ndarray
        Of the mixtures in their order, (n,).
    size : int
        Mixtures in a batch; the last batch may be smaller.
    mesh : Mesh
        The devices. Each process reads for its own. A batch that does not divide among all devices
        is whole on each.
    swapped : ndarray of bool, optional
        By mixture number, (mixtures,): whose ears are swapped.
    frames : sequence of slice, optional
        By batch: what it takes of the frames.

    Yields
    ------
    tuple
        Maps (size, maps, channels, frames) float16 and classes (size,) int32.
    """

    def batch(number: int):
        ours = numbers[number * size : (number + 1) * size]
        divides = len(ours) % mesh.size == 0
        if divides:
            ours = ours[local_rows(mesh, len(ours))]
        cues, labels = mixtures.batch(ours, None if swapped is None else swapped[ours])
        if frames is not None:
            cues = np.ascontiguousarray(cues[..., frames[number]])
        return to_devices((cues, labels), split_rows(mesh) if divides else copy_on_each(mesh))

    return prefetch(batch(number) for number in range(math.ceil(len(numbers) / size)))

"""The cue maps of a whole recording in few columns, for pictures."""

from collections.abc import Iterable, Iterator

import numpy as np

from ssl_jax.frontend.cues import Cues

COLUMNS = 4000  # at most: more than a picture can show


class Overview:
    """Collects means of the cues of a sound while they pass by, COLUMNS in all at most."""

    def __init__(self, frames: int):
        self.column_frames = -(-frames // COLUMNS)
        self._columns: list[np.ndarray] = []  # (maps, channels, any) each

    def collect(self, runs: Iterable[Cues]) -> Iterator[Cues]:
        """Yield the same runs of cues, (channels, any) each."""
        waiting: np.ndarray | None = None
        for cues in runs:
            part = np.stack(cues).astype(np.float32)
            waiting = part if waiting is None else np.concatenate([waiting, part], axis=-1)
            whole = waiting.shape[-1] // self.column_frames * self.column_frames
            starts = np.arange(0, whole, self.column_frames)
            sums = np.add.reduceat(waiting[..., :whole], starts, axis=-1)
            self._columns.append(sums / self.column_frames)
            waiting = waiting[..., whole:]
            yield cues

    def cues(self) -> Cues:
        """The means, (channels, columns) each. Frames that fill no column are left out."""
        return Cues(*np.concatenate(self._columns, axis=-1))

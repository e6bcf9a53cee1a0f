"""The cue maps of a whole recording in few columns, for pictures."""

from collections.abc import Iterable, Iterator

import numpy as np

from ssl_jax.frontend.cues import Cues

MOST_COLUMNS = 4000  # more than a picture can show


class Overview:
    """Collects means of the cues of a sound while they pass by, in at most MOST_COLUMNS columns.

    Columns double their width when they are too many: nobody knows how long a pipe goes on.
    """

    def __init__(self) -> None:
        self.column_frames = 1  # frames that a column is the mean of
        self._columns: np.ndarray | None = None  # (maps, channels, columns)

    def collect(self, runs: Iterable[Cues]) -> Iterator[Cues]:
        """Yield the same runs of cues, (channels, at most MOST_COLUMNS) each."""
        waiting: np.ndarray | None = None  # (maps, channels, frames) that fill no column yet
        for cues in runs:
            part = np.stack(cues).astype(np.float32)
            waiting = part if waiting is None else np.concatenate([waiting, part], axis=-1)
            whole = waiting.shape[-1] // self.column_frames * self.column_frames
            starts = np.arange(0, whole, self.column_frames)
            sums = np.add.reduceat(waiting[..., :whole], starts, axis=-1)
            unpaired = self._append(sums / self.column_frames)
            waiting = np.concatenate([unpaired, waiting[..., whole:]], axis=-1)
            yield cues

    def _append(self, columns: np.ndarray) -> np.ndarray:
        """Add columns, and join all in pairs where they are too many then.

        Returns
        -------
        (maps, channels, any)
            The frames of a last column without a pair, each with the column's mean; else none.
        """
        if self._columns is not None:
            columns = np.concatenate([self._columns, columns], axis=-1)
        self._columns = columns
        if columns.shape[-1] <= MOST_COLUMNS:
            return columns[..., :0]
        even = columns.shape[-1] // 2 * 2
        self._columns = (columns[..., 0:even:2] + columns[..., 1:even:2]) / 2
        unpaired = np.repeat(columns[..., even:], self.column_frames, axis=-1)
        self.column_frames *= 2
        return unpaired

    @property
    def frames(self) -> int:
        """Frames that fill the columns so far."""
        return 0 if self._columns is None else self.column_frames * self._columns.shape[-1]

    def cues(self) -> Cues:
        """The means, (channels, columns) each. Frames that fill no column are left out.

        Raises
        ------
        ValueError
            No cues have passed by yet.
        """
        if self._columns is None:
            raise ValueError("no cues passed by: consume what `collect` yields first")
        return Cues(*self._columns)

"""What a recording is like while it passes by, in a few numbers per 10 ms at most; and its cue maps."""

import math
from collections.abc import Iterable, Iterator

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.config import FrontEnd
from ssl_jax.frontend.binaural_feature import Cues

SILENT = 1e-5  # RMS, full scale 1 (-100 dB): less than a bit of 16
QUIET = 10 ** (-50 / 20)  # RMS relative to the loudest window so far, or to the other ear
CLIPPED = (
    0.999,
    1.0001,
)  # of full scale: three samples in a row there were cut off; floats may go beyond
LOUDEST = 1e6  # full scale is 1; beyond this the numbers are something else
COLUMNS = 4000  # of an overview's cue maps at most


class Quality:
    """Notes what matters of a sound at `fs` Hz, in frames of the front-end, as long as windows need it."""

    def __init__(self, fs: int, name: str, front: FrontEnd):
        self.fs, self.name, self.front, self.rate = (
            fs,
            name,
            front,
            front.fs / front.hop,
        )  # frames a second
        self.samples, self.first, self.ended = (
            0,
            0,
            False,
        )  # so far; frame that the rows below begin with
        empty = int(np.sum(front.cfs >= fs / 2))
        self.narrow = (
            f"{empty} of {front.channels} channels are empty" if empty > front.channels / 4 else ""
        )
        self.energy = np.zeros((0, 2))  # per frame and ear, sum of squares
        self.clipped = np.zeros(0, bool)  # per frame
        self.total, self.loudest, self.clipped_at = np.zeros(2), 0.0, math.nan  # of all; RMS; s
        self.same, self.heard = True, False  # both ears; anything
        self.before = np.zeros((2, 2), np.float32)  # the last two samples

    @property
    def frames(self) -> int:
        """Frames of cues that the sound so far has."""
        return math.ceil(self.samples * self.front.fs / self.fs) // self.front.hop

    def watch(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The blocks (any, 2) as float32, noted on their way; raises InputError for NaN and infinity."""
        for block in blocks:
            if (bad := ~(np.abs(block) <= LOUDEST).all(axis=1)).any():
                first = bad.argmax()
                at, finite = (self.samples + first) / self.fs, np.isfinite(block[first]).all()
                what = f"values over {LOUDEST:g}" if finite else "NaN or infinite samples"
                raise InputError(
                    f"{self.name}: holds {what} at {at:.2f} s: export it again, full scale is 1"
                )
            if len(block):
                self._note(block)
            yield np.asarray(block, np.float32)
        self.ended = True

    def _note(self, block: np.ndarray) -> None:
        frame = ((self.samples + np.arange(len(block))) * self.rate / self.fs).astype(
            int
        ) - self.first
        more = max(frame[-1] + 1 - len(self.energy), 0)
        self.energy, self.clipped = (
            np.pad(self.energy, ((0, more), (0, 0))),
            np.pad(self.clipped, (0, more)),
        )
        squares = np.square(block, dtype=float)
        for ear in range(2):
            np.add.at(self.energy[:, ear], frame, squares[:, ear])
        joined = np.concatenate([self.before, block])
        full = (np.abs(joined) >= CLIPPED[0]) & (np.abs(joined) <= CLIPPED[1])
        cut = frame[(full[:-2] & full[1:-1] & full[2:]).any(axis=1)]
        self.clipped[cut] = True
        if len(cut) and math.isnan(self.clipped_at):
            self.clipped_at = (cut[0] + self.first) / self.rate
        self.total += squares.sum(0)
        self.same &= bool((block[:, 0] == block[:, 1]).all())
        self.before = joined[-2:]
        self.samples += len(block)

    def flags(self, first: np.ndarray, span: int) -> dict[str, np.ndarray]:
        """By flag, which windows (n,) of `span` frames from `first` (n,) have it; forgets what is before."""
        start = first - self.first

        def total(values):
            sums = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])
            return (
                sums[np.minimum(start + span, len(values))] - sums[np.minimum(start, len(values))]
            )

        rms = np.sqrt(total(self.energy) * self.rate / (self.fs * span))  # n, 2
        loudest, softest = rms.max(axis=1), rms.min(axis=1)
        silent, so_far = loudest < SILENT, np.maximum.accumulate(np.maximum(loudest, self.loudest))
        self.heard |= not silent.all()
        cases = {"silent": silent, "quiet": ~silent & (loudest < QUIET * so_far)}
        cases |= {
            "one ear": ~silent & (softest < QUIET * loudest),
            "clipped": total(self.clipped) > 0,
        }
        cases |= {"narrow band": np.full(len(first), bool(self.narrow))}
        drop = min(start[-1], len(self.energy))
        self.loudest, self.first = so_far[-1], self.first + drop
        self.energy, self.clipped = self.energy[drop:], self.clipped[drop:]
        return cases

    def notes(self) -> tuple[str, ...]:
        """What is to be said of the whole recording, a line each."""
        notes = [f"sampled at {self.fs} Hz: {self.narrow}: expect less"] if self.narrow else []
        if self.same:
            notes.append(
                "both ears hold the same sound: this is mono stored as stereo, or straight ahead"
            )
        elif self.total.min() < QUIET**2 * self.total.max():
            notes.append("one ear is silent: check the cable, and that both channels were recorded")
        if not math.isnan(self.clipped_at):
            notes.append(f"clipped, first at {self.clipped_at:.1f} s: record at a lower level")
        return tuple(notes)


def overview(runs: Iterable[Cues], maps: list, frames: int) -> Iterator[Cues]:
    """The same cues, `frames` in all; `maps` gets means, (4, channels, columns), COLUMNS in all at most."""
    size, waiting = -(-frames // COLUMNS), None
    for cues in runs:
        part = np.stack(cues).astype(np.float32)
        waiting = part if waiting is None else np.concatenate([waiting, part], axis=-1)
        whole = waiting.shape[-1] // size * size
        maps.append(
            np.add.reduceat(waiting[..., :whole], np.arange(0, whole, size), axis=-1) / size
        )
        waiting = waiting[..., whole:]
        yield cues

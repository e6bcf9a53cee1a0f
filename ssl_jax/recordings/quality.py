"""What a recording is like while it passes by: how loud, clipped, whether two ears; and its cue maps.

Everything here grows by a few numbers per 10 ms at most, however long the sound.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.frontend.binaural_feature import Cues

SILENT = 1e-5  # RMS, full scale 1 (-100 dB): less than a bit of 16
QUIET = 10 ** (-50 / 20)  # RMS relative to the loudest window, or to the other ear
CLIPPED = (0.999, 1.0001)  # of full scale: three samples in a row there were cut off; floats may go beyond
LOUDEST = 1e6  # full scale is 1; beyond this the numbers are something else
COLUMNS = 4000  # of an overview's cue maps at most


class Quality:
    """Notes what matters of a sound of `samples` at rate `fs`, in frames of 1 / `rate` seconds."""

    def __init__(self, samples: int, fs: int, name: str, rate: float):
        self.fs, self.name, self.rate = fs, name, rate
        self.samples = 0  # so far
        frames = int(samples * rate / fs) + 1
        self.energy = np.zeros((frames, 2))  # per frame and ear, sum of squares
        self.clipped = np.zeros(frames, bool)  # per frame
        self.same = True  # both ears so far
        self.before = np.zeros((2, 2), np.float32)  # the last two samples

    def look_at(self, block: np.ndarray) -> None:
        """Note the next (samples, 2) of the sound; InputError for NaN, infinity or no sound at all."""
        bad = ~(np.abs(block) <= LOUDEST).all(axis=1)
        if bad.any():
            worst, at = block[bad.argmax()], (self.samples + bad.argmax()) / self.fs
            what = f"values over {LOUDEST:g}" if np.isfinite(worst).all() else "NaN or infinite samples"
            raise InputError(f"{self.name}: holds {what} at {at:.2f} s: export it again, full scale is 1")
        frame = ((self.samples + np.arange(len(block))) * self.rate / self.fs).astype(int)
        for ear in range(2 * bool(len(block))):
            sums = np.bincount(frame - frame[0], np.square(block[:, ear], dtype=float))
            self.energy[frame[0] : frame[-1] + 1, ear] += sums
        level = np.abs(np.concatenate([self.before, block]))
        full = (level >= CLIPPED[0]) & (level <= CLIPPED[1])
        self.clipped[frame[(full[:-2] & full[1:-1] & full[2:]).any(axis=1)]] = True
        self.same &= bool((block[:, 0] == block[:, 1]).all())
        self.before = np.concatenate([self.before, block])[-2:]
        self.samples += len(block)

    def flags(self, first: np.ndarray, span: int, cfs) -> tuple[np.ndarray, list[tuple[str, ...]]]:
        """Which windows of `span` frames from frames `first` (n,) on are silent, and every one's flags.

        InputError where all are silent.
        """

        def total(values):
            sums = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])
            return sums[np.minimum(first + span, len(values))] - sums[first]

        rms = np.sqrt(total(self.energy) * self.rate / (self.fs * span))  # n, 2
        loudest, softest = rms.max(axis=1), rms.min(axis=1)
        silent = loudest < SILENT
        if silent.all():
            raise InputError(f"{self.name}: silent: use a recording that something sounds in")
        cases = {
            "silent": silent,
            "quiet": ~silent & (loudest < QUIET * loudest.max()),
            "one ear": ~silent & (softest < QUIET * loudest),
            "clipped": total(self.clipped) > 0,
            "narrow band": np.full(len(first), self._narrow(cfs)),
        }
        return silent, [tuple(name for name, there in cases.items() if there[i]) for i in range(len(first))]

    def _narrow(self, cfs) -> bool:
        return np.mean(np.asarray(cfs) >= self.fs / 2) > 0.25

    def notes(self, cfs) -> tuple[str, ...]:
        """What is to be said of the whole recording, a line each."""
        notes = []
        if self._narrow(cfs):
            empty = np.sum(np.asarray(cfs) >= self.fs / 2)
            notes.append(
                f"sampled at {self.fs} Hz: {empty} of {len(cfs)} channels lie above its highest frequency "
                "and are empty: expect less of it"
            )
        if self.same:
            notes.append("both ears hold the same sound: this is mono stored as stereo, or straight ahead")
        elif self.energy.sum(axis=0).min() < QUIET**2 * self.energy.sum(axis=0).max():
            notes.append("one ear is silent: check the cable, and that both channels were recorded")
        if self.clipped.any():
            notes.append(
                f"clipped, first at {self.clipped.argmax() / self.rate:.1f} s: record at a lower level"
            )
        return tuple(notes)


def watched(blocks: Iterable[np.ndarray], quality: Quality) -> Iterator[np.ndarray]:
    """The same blocks as float32, noted on their way."""
    for block in blocks:
        quality.look_at(block)
        yield np.asarray(block, np.float32)


def overview(runs: Iterable[Cues], maps: list, frames: int) -> Iterator[Cues]:
    """The same cues, (channels, some) each; their means over at most COLUMNS columns are left in `maps`.

    `frames` is how many there will be in all; `maps` gets arrays (4, channels, columns).
    """
    size, waiting = -(-frames // COLUMNS), None
    for cues in runs:
        part = np.stack(cues).astype(np.float32)
        waiting = part if waiting is None else np.concatenate([waiting, part], axis=-1)
        columns = waiting.shape[-1] // size
        if columns:
            use = waiting[..., : columns * size]
            maps.append(np.add.reduceat(use, np.arange(0, columns * size, size), axis=-1) / size)
            waiting = waiting[..., columns * size :]
        yield cues

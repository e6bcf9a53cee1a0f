"""What a recording is like while it passes by, in a few numbers per 10 ms at most; and its cue maps."""

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
    """Notes what matters of `samples` of sound at `fs`, in frames at `rate` Hz, for channels `cfs` (Hz)."""

    def __init__(self, samples: int, fs: int, name: str, rate: float, cfs):
        self.fs, self.name, self.rate, self.samples = fs, name, rate, 0  # samples so far
        empty, frames = int(np.sum(cfs >= fs / 2)), int(samples * rate / fs) + 1
        self.narrow = f"{empty} of {len(cfs)} channels are empty" if empty > len(cfs) / 4 else ""
        self.energy = np.zeros((frames, 2))  # per frame and ear, sum of squares
        self.clipped = np.zeros(frames, bool)  # per frame
        self.same = True  # both ears so far
        self.before = np.zeros((2, 2), np.float32)  # the last two samples

    def watch(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The blocks (any, 2) as float32, noted on their way; raises InputError for NaN and infinity."""
        for block in blocks:
            bad = ~(np.abs(block) <= LOUDEST).all(axis=1)
            if bad.any():
                first = bad.argmax()
                at, finite = (self.samples + first) / self.fs, np.isfinite(block[first]).all()
                what = f"values over {LOUDEST:g}" if finite else "NaN or infinite samples"
                raise InputError(f"{self.name}: holds {what} at {at:.2f} s: export it again, full scale is 1")
            frame = ((self.samples + np.arange(len(block))) * self.rate / self.fs).astype(int)
            for ear in range(2):
                np.add.at(self.energy[:, ear], frame, np.square(block[:, ear], dtype=float))
            joined = np.concatenate([self.before, block])
            full = (np.abs(joined) >= CLIPPED[0]) & (np.abs(joined) <= CLIPPED[1])
            self.clipped[frame[(full[:-2] & full[1:-1] & full[2:]).any(axis=1)]] = True
            self.same &= bool((block[:, 0] == block[:, 1]).all())
            self.before = joined[-2:]
            self.samples += len(block)
            yield np.asarray(block, np.float32)

    def flags(self, first: np.ndarray, span: int) -> tuple[np.ndarray, list[tuple[str, ...]]]:
        """Which windows of `span` frames from `first` (n,) on are silent (not all may be), and all flags."""

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
            "narrow band": np.full(len(first), bool(self.narrow)),
        }
        return silent, [tuple(name for name, there in cases.items() if there[i]) for i in range(len(first))]

    def notes(self) -> tuple[str, ...]:
        """What is to be said of the whole recording, a line each."""
        notes = [f"sampled at {self.fs} Hz: {self.narrow}: expect less"] if self.narrow else []
        if self.same:
            notes.append("both ears hold the same sound: this is mono stored as stereo, or straight ahead")
        elif self.energy.sum(axis=0).min() < QUIET**2 * self.energy.sum(axis=0).max():
            notes.append("one ear is silent: check the cable, and that both channels were recorded")
        if self.clipped.any():
            at = self.clipped.argmax() / self.rate
            notes.append(f"clipped, first at {at:.1f} s: record at a lower level")
        return tuple(notes)


def overview(runs: Iterable[Cues], maps: list, frames: int) -> Iterator[Cues]:
    """The same cues (channels, some), `frames` in all; means over at most COLUMNS columns in all are left in
    `maps`, as arrays (4, channels, columns)."""
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

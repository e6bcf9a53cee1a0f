"""What is to be said of a recording's quality, by windows and as a whole, while it passes by."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.config import FrontEnd
from ssl_jax.recordings.alignment import EarCorrelation
from ssl_jax.recordings.blocks import (
    OFFSET_START_S,
    first_offset,
    remove_offset,
    with_long_start,
)

# RMS, full scale 1 (-90 dB): one bit of 16. Silence of 16 bits with dither has half of it.
SILENT = 10 ** (-90 / 20)
QUIET = 10 ** (-50 / 20)  # RMS relative to the loudest window so far, or to the other ear
# Of full scale: three samples in a row there were cut off. Floats may go beyond it.
CLIPPED = (0.999, 1.0001)
LOUDEST = 1e6  # full scale is 1; beyond this the numbers are no sound
NARROW_SHARE = 0.25  # of the channels: so many may be empty


@dataclass(frozen=True)
class Levels:
    """What n windows are like."""

    rms: np.ndarray  # (n, 2), full scale 1, without an offset
    clipped: np.ndarray  # (n,), whether a sample was cut off


def level_flags(levels: Levels, loudest_before: float) -> dict[str, np.ndarray]:
    """Which windows (n,) have each flag; `loudest_before` is the RMS of the loudest one before."""
    louder_ear = levels.rms.max(axis=1)
    softer_ear = levels.rms.min(axis=1)
    silent = louder_ear < SILENT
    loudest_so_far = np.maximum.accumulate(np.maximum(louder_ear, loudest_before))
    return {
        "silent": silent,
        "quiet": ~silent & (louder_ear < QUIET * loudest_so_far),
        "one ear": ~silent & (softer_ear < QUIET * louder_ear),
        "clipped": levels.clipped,
    }


def sum_windows(values: np.ndarray, start: np.ndarray, span: int) -> np.ndarray:
    """Sums of values (frames, ...) over `span` frames from each `start` (n,) on."""
    sums = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])
    last = len(values)
    return sums[np.minimum(start + span, last)] - sums[np.minimum(start, last)]


class Quality:
    """Watches a sound at `fs` Hz in frames of the front-end, as long as windows need them."""

    def __init__(self, fs: int, name: str, front: FrontEnd):
        self.fs = fs
        self.name = name  # of the sound, for messages
        self.front = front
        self.frame_rate = front.fs / front.hop  # Hz
        self.samples = 0  # so far
        self.ended = False
        self.loudest = 0.0  # RMS of the loudest window so far
        self.heard = False  # whether any window was not silent
        self.first_frame = 0  # the frame that the next two begin with
        self.energy = np.zeros((0, 2))  # per frame and ear: sum of squares
        self.clipped = np.zeros(0, bool)  # per frame
        self._offset: np.ndarray | None = None  # (2,), the sound's slow mean
        self._last_two = np.zeros((2, 2), np.float32)  # samples
        self._total_energy = np.zeros(2)  # per ear: sum of squares of the whole sound
        self._clipped_at_s = math.nan  # where it is clipped first
        self._ears_same = True
        self._ear_correlation = EarCorrelation(fs)

    @property
    def frames(self) -> int:
        """Frames of cues that the sound so far has."""
        return math.ceil(self.samples * self.front.fs / self.fs) // self.front.hop

    @property
    def empty_channels(self) -> int:
        """Channels of the front-end that a sound at this rate does not reach."""
        return int(np.sum(self.front.cfs >= self.fs / 2))

    @property
    def narrow(self) -> bool:
        """Whether too many channels are empty."""
        return self.empty_channels > NARROW_SHARE * self.front.channels

    def watch(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield blocks (any, 2) as float32, without their offset; note what they are like.

        Raises
        ------
        InputError
            Where a sample is NaN, infinite or beyond LOUDEST.
        """
        for block in with_long_start(blocks, round(OFFSET_START_S * self.fs)):
            if not len(block):
                continue
            self._check_samples(block)
            if self._offset is None:
                self._offset = first_offset(block, self.fs)
            centred, self._offset = remove_offset(block, self._offset, self.fs)
            self._note_block(block, centred)
            yield centred
        self.ended = True

    def _check_samples(self, block: np.ndarray) -> None:
        """Raise InputError where `watch` does."""
        # in float16 LOUDEST itself would be infinite
        magnitude = np.abs(block.astype(np.float32) if block.dtype.itemsize < 4 else block)
        # not `> LOUDEST`, which NaN is not
        bad = ~(magnitude <= LOUDEST).all(axis=1)
        if not bad.any():
            return
        first = bad.argmax()
        at_s = (self.samples + first) / self.fs
        fault = "NaN or infinite samples"
        if np.isfinite(block[first]).all():
            fault = f"values over {LOUDEST:g}"
        raise InputError(
            f"{self.name}: holds {fault} at {at_s:.2f} s: export it again, full scale is 1"
        )

    def _note_block(self, block: np.ndarray, centred: np.ndarray) -> None:
        """Note what the next block (samples, 2) is like, as it came and `centred`: less offset."""
        numbers = self.samples + np.arange(len(block))
        # of each sample, counted from `first_frame`
        frame = (numbers * self.frame_rate / self.fs).astype(int) - self.first_frame
        new_frames = max(frame[-1] + 1 - len(self.energy), 0)
        self.energy = np.pad(self.energy, ((0, new_frames), (0, 0)))
        self.clipped = np.pad(self.clipped, (0, new_frames))
        squares = np.square(centred, dtype=float)
        for ear in range(2):
            np.add.at(self.energy[:, ear], frame, squares[:, ear])
        self._note_clipping(block, frame)
        self._total_energy += squares.sum(axis=0)
        self._ears_same &= bool((block[:, 0] == block[:, 1]).all())
        self._ear_correlation.add(centred)
        self.samples += len(block)

    def _note_clipping(self, block: np.ndarray, frame: np.ndarray) -> None:
        """Note which frames are clipped; `frame` (samples,) is that of each sample of the block."""
        joined = np.concatenate([self._last_two, block])
        low, high = CLIPPED
        full = (np.abs(joined) >= low) & (np.abs(joined) <= high)
        ends_three = (full[:-2] & full[1:-1] & full[2:]).any(axis=1)
        clipped_frames = frame[ends_three]
        self.clipped[clipped_frames] = True
        if len(clipped_frames) and math.isnan(self._clipped_at_s):
            self._clipped_at_s = (clipped_frames[0] + self.first_frame) / self.frame_rate
        self._last_two = joined[-2:]

    def window_levels(self, first: np.ndarray, span: int) -> Levels:
        """Levels of the windows of `span` frames from each frame `first` (n,) on."""
        start = first - self.first_frame
        samples = self.fs * span / self.frame_rate
        rms = np.sqrt(sum_windows(self.energy, start, span) / samples)
        return Levels(rms, sum_windows(self.clipped, start, span) > 0)

    def advance(self, first_frame: int, levels: Levels) -> None:
        """Forget the frames before `first_frame`, and keep the loudest of windows with `levels`."""
        louder_ear = levels.rms.max(axis=1)
        self.loudest = max(self.loudest, float(louder_ear.max()))
        self.heard |= bool((louder_ear >= SILENT).any())
        drop = min(first_frame - self.first_frame, len(self.energy))
        self.first_frame += drop
        self.energy = self.energy[drop:]
        self.clipped = self.clipped[drop:]

    def notes(self) -> tuple[str, ...]:
        """What is to be said of the whole recording, a line each."""
        notes = []
        if self.narrow:
            notes.append(
                f"sampled at {self.fs} Hz: {self.empty_channels} of {self.front.channels} channels "
                "are empty: expect less"
            )
        if self._ears_same:
            notes.append(
                "both ears hold the same sound: this is mono stored as stereo, or straight ahead"
            )
        elif self._total_energy.min() < QUIET**2 * self._total_energy.max():
            notes.append("one ear is silent: check the cable, and that both channels were recorded")
        else:
            fault = self._ear_correlation.note()
            if fault is not None:
                notes.append(fault)
        if not math.isnan(self._clipped_at_s):
            notes.append(f"clipped, first at {self._clipped_at_s:.1f} s: record at a lower level")
        return tuple(notes)

"""Sounds block by block: without an offset, at another rate, and in blocks of one size."""

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np
from scipy import signal as sps

# Hz, where the removal of an offset begins: far below the lowest channel's 80 Hz
OFFSET_HZ = 5.0
# The removal starts from the mean of so much. So a sound that begins loud gets no bump.
OFFSET_START_S = 0.1


def with_long_start(blocks: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """The same sound. Its first block has at least `size` samples, unless the sound is shorter."""
    waiting: list[np.ndarray] = []
    started = False
    for block in blocks:
        if started:
            yield block
            continue
        waiting.append(block)
        if sum(map(len, waiting)) >= size:
            yield np.concatenate(waiting)
            started = True
    if waiting and not started:
        yield np.concatenate(waiting)


def first_offset(block: np.ndarray, fs: int) -> np.ndarray:
    """The mean (2,) of the first OFFSET_START_S of a sound, whose first block this is."""
    return block[: round(OFFSET_START_S * fs)].mean(axis=0, dtype=float)


def remove_offset(block: np.ndarray, offset: np.ndarray, fs: int) -> tuple[np.ndarray, np.ndarray]:
    """A block less its slow mean: a first-order high-pass at OFFSET_HZ, the same in any blocks.

    Parameters
    ----------
    block : (samples, 2)
    offset : (2,) float64, the slow mean before the block
    fs : Hz

    Returns
    -------
    block : (samples, 2) float32
    offset : (2,) float64, the slow mean at the end of the block
    """
    decay = math.exp(-2 * math.pi * OFFSET_HZ / fs)
    # mean[n] = decay mean[n-1] + (1 - decay) x[n]
    block = np.asarray(block, float)
    means, _ = sps.lfilter([1 - decay], [1, -decay], block, axis=0, zi=decay * offset[None])
    return (block - means).astype(np.float32), means[-1]


def resample_blocks(blocks: Iterable[np.ndarray], fs: int, wanted_fs: int) -> Iterator[np.ndarray]:
    """The sound at another rate: block by block what `resample_poly` makes of the whole.

    Parameters
    ----------
    blocks : (any, 2) each
    fs, wanted_fs : Hz, before and after
    """
    up, down = Fraction(wanted_fs, fs).as_integer_ratio()
    if up == down:
        yield from blocks
        return
    longest = max(up, down)
    # resample_poly's own filter, designed once
    taps = sps.firwin(20 * longest + 1, 1 / longest, window=("kaiser", 5.0)).astype(np.float32)
    reach = math.ceil(10 * longest / up) + 1  # samples on either side that a result may need
    # `waiting` begins where a sample of one rate is at the time of one of the other. The results of
    # its first `done` samples are out.
    waiting = np.zeros((0, 2), np.float32)
    done = 0
    for block in blocks:
        waiting = np.concatenate([waiting, block])
        # the last such place whose result needs no sample that is still to come
        stop = (len(waiting) - reach) // down * down
        if stop <= done:
            continue
        result = sps.resample_poly(waiting[: stop + reach], up, down, axis=0, window=taps)
        yield result[done // down * up : stop // down * up].astype(np.float32)
        drop = max(stop - math.ceil(reach / down) * down, 0)
        waiting = waiting[drop:]
        done = stop - drop
    if len(waiting) > done:
        result = sps.resample_poly(waiting, up, down, axis=0, window=taps)
        yield result[done // down * up :].astype(np.float32)


def cut_evenly(parts: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """The same rows in parts of one size, and so in one compiled program.

    Zeros fill up the last part.
    """
    waiting: np.ndarray | None = None
    for part in parts:
        waiting = part if waiting is None else np.concatenate([waiting, part])
        while len(waiting) >= size:
            yield waiting[:size]
            waiting = waiting[size:]
    if waiting is not None and len(waiting):
        missing = np.zeros((size - len(waiting), *waiting.shape[1:]), waiting.dtype)
        yield np.concatenate([waiting, missing])

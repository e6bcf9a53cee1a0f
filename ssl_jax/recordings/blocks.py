"""Sounds block by block: at another rate, and in blocks of one size."""

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain

import numpy as np
from scipy import signal as sps


def resampled(blocks: Iterable[np.ndarray], fs: int, wanted: int) -> Iterator[np.ndarray]:
    """The sound at another rate, block by block: what `scipy.signal.resample_poly` makes of the whole."""
    up, down = Fraction(wanted, fs).as_integer_ratio()
    if up == down:
        yield from blocks
        return
    longest = max(up, down)
    taps = sps.firwin(20 * longest + 1, 1 / longest, window=("kaiser", 5.0)).astype(
        np.float32
    )  # its default
    reach = math.ceil(10 * longest / up) + 1  # samples on either side that a result may need
    held, known = (
        np.zeros((0, 2), np.float32),
        0,
    )  # from where rates meet; samples whose results were given
    for block in chain(blocks, [None]):
        stop = end = len(held)  # of the sound, unless another block has come
        if block is not None:
            held = np.concatenate([held, block])
            stop = (
                (len(held) - reach) // down * down
            )  # where rates meet too; needs nothing that is to come
            end = stop + reach
        if stop > known:
            result = sps.resample_poly(held[:end], up, down, axis=0, window=taps)
            yield result[known // down * up : math.ceil(stop * up / down)].astype(np.float32)
            drop = max(stop - math.ceil(reach / down) * down, 0)
            held, known = held[drop:], stop - drop


def filled(parts: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """The same rows in parts of one size, and so in one compiled program; zeros fill up the last one."""
    held = None
    for part in parts:
        held = part if held is None else np.concatenate([held, part])
        while len(held) >= size:
            yield held[:size]
            held = held[size:]
    if held is not None and len(held):
        yield np.concatenate([held, np.zeros((size - len(held), *held.shape[1:]), held.dtype)])

"""Another sampling rate, block after block: what `scipy.signal.resample_poly` makes of the whole sound.

A sample of the result needs a few samples of the sound on either side; those are kept from the
block before, and the result comes that much late. The state goes in and comes out.
"""

from math import gcd
from typing import NamedTuple

import numpy as np
from scipy import signal as sps


class ResampleStream(NamedTuple):
    """A change of rate in the middle of a sound."""

    up: int
    down: int  # rate wanted / rate given = up / down, in lowest terms
    taps: np.ndarray  # float32, of the low-pass filter at `up` times the rate given
    waiting: np.ndarray  # (samples, ears): the last ones given, from a multiple of `down` on
    margin: int  # of `waiting`, those whose result was given already: context, a multiple of `down`


def start_resampling(fs: int, wanted: int, ears: int = 2) -> ResampleStream:
    """Before the first block; `fs` and `wanted` in Hz, whole numbers.

    The filter is the default one of `scipy.signal.resample_poly`: a Kaiser window (beta 5) of ten
    zero crossings on either side.
    """
    if not (fs == int(fs) > 0 and wanted == int(wanted) > 0):
        raise ValueError(f"rates must be whole numbers of Hz above 0, not {fs} and {wanted}")
    common = gcd(int(fs), int(wanted))
    up, down = int(wanted) // common, int(fs) // common
    if up == down:
        return ResampleStream(1, 1, np.ones(1, np.float32), np.zeros((0, ears), np.float32), 0)
    longest = max(up, down)
    taps = sps.firwin(20 * longest + 1, 1 / longest, window=("kaiser", 5.0)).astype(np.float32)
    return ResampleStream(up, down, taps, np.zeros((0, ears), np.float32), 0)


def resampled_length(samples: int, fs: int, wanted: int) -> int:
    """Samples that a sound of so many will have: ceil(samples * wanted / fs)."""
    return -(-samples * int(wanted) // int(fs))


def resample_block(stream: ResampleStream, block, last: bool = False) -> tuple[ResampleStream, np.ndarray]:
    """Resample the next block.

    Parameters
    ----------
    stream : ResampleStream
    block : (samples, ears)
    last : bool
        The sound ends with this block: what was waiting for more is given too.

    Returns
    -------
    stream : ResampleStream
    signal : (samples, ears) float32, those not given before
    """
    up, down, taps, waiting, margin = stream
    block = np.asarray(block, np.float32)
    if up == down:
        return stream, block
    waiting = np.concatenate([waiting, block])
    reach = -(-(len(taps) // 2) // up) + 1  # samples on either side that a result may need
    # results that need nothing after what is here, up to a sample where both rates meet
    stop = len(waiting) if last else max((len(waiting) - reach) // down * down, margin)
    if stop == margin:
        return stream._replace(waiting=waiting), np.zeros((0, waiting.shape[1]), np.float32)
    there = sps.resample_poly(waiting[: stop if last else stop + reach], up, down, axis=0, window=taps)
    signal = there[margin // down * up : -(-stop * up // down)]
    keep = max(stop - -(-reach // down) * down, 0)
    return stream._replace(waiting=waiting[keep:], margin=stop - keep), signal.astype(np.float32)

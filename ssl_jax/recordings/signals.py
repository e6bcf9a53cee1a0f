"""Arrays of any type of number as blocks of floats."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from ssl_jax.common.errors import InputError

BLOCK_SAMPLES = 2**16  # that are looked at at a time
# what integers are divided by; soundfile and SciPy read files of 24 bits as int32 too
FULL_SCALE = {"int8": 2.0**7, "int16": 2.0**15, "int32": 2.0**31}
# uint8 counts from here, as in WAV files of 8 bits
UINT8_ZERO = 128.0
LARGEST_OF_16_BITS = 2**15


def plain_array(name: str, sound: ArrayLike) -> np.ndarray:
    """A sound as a NumPy array; InputError for a masked one, as nothing here heeds masks."""
    if isinstance(sound, np.ma.MaskedArray):
        raise InputError(f"{name}: is a masked array: use {name}.filled(0), or leave samples out")
    return np.asarray(sound)


def signal_blocks(signal: np.ndarray) -> Iterator[np.ndarray]:
    """Blocks (any, 2) of floats, full scale 1, of a signal (samples, 2); see `localise`.

    Raises
    ------
    InputError
        For another shape, and for numbers whose full scale is not known.
    """
    if signal.ndim != 2 or signal.shape[1] != 2:
        remedy = ""
        if signal.ndim == 2 and signal.shape[0] == 2:
            remedy = ": transpose it: signal.T"
        if signal.ndim == 3 and signal.shape[2] == 2:
            remedy = ": for several sounds use localise_batch"
        raise InputError(
            f"signal: has shape {signal.shape}: two ears are needed, (samples, 2), left first"
            f"{remedy}"
        )
    _check_numbers(signal)
    starts = range(0, len(signal), BLOCK_SAMPLES)
    return (_as_floats(signal[start : start + BLOCK_SAMPLES]) for start in starts)


def _check_numbers(signal: np.ndarray) -> None:
    dtype = signal.dtype
    if dtype.kind not in "iuf":
        raise InputError(f"signal: holds {dtype}, not real numbers: use floats, full scale 1")
    if dtype.kind == "f" or dtype.name == "uint8":
        return
    if dtype.name not in FULL_SCALE:
        raise InputError(
            f"signal: holds {dtype}, whose full scale is not known: use int16, int32, or floats "
            "of full scale 1"
        )
    if dtype.name == "int32" and len(signal):
        largest = max(int(signal.max()), -int(signal.min()))
        if 0 < largest <= LARGEST_OF_16_BITS:
            raise InputError(
                f"signal: holds int32 up to {largest}, as of 16 bits: use signal.astype('int16')"
            )


def _as_floats(block: np.ndarray) -> np.ndarray:
    if block.dtype.kind == "f":
        return block
    if block.dtype.name == "uint8":
        return (block - np.float32(UINT8_ZERO)) / np.float32(UINT8_ZERO)
    return block / np.float32(FULL_SCALE[block.dtype.name])

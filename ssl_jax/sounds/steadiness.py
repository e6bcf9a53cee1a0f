"""How steady a sound is: rain is, a barking dog is not."""

import numpy as np

LEVEL_S = 0.05  # s of sound behind each level
FLOOR = 1e-10  # of the mean square of the sound: -100 dB, where digital silence counts


def steadiness(sounds: np.ndarray, fs: int) -> np.ndarray:
    """Standard deviation over time of levels in 50 ms, in dB (...), of sounds (..., samples).

    Silence counts as 100 dB below the sound's mean level, so that no level is infinite.
    """
    size = round(LEVEL_S * fs)
    count = sounds.shape[-1] // size
    pieces = sounds[..., : count * size].reshape(*sounds.shape[:-1], count, size)
    power = np.square(pieces, dtype=float).mean(-1)
    least = np.maximum(FLOOR * power.mean(-1, keepdims=True), np.finfo(float).tiny)
    return 10 * np.log10(np.maximum(power, least)).std(-1)

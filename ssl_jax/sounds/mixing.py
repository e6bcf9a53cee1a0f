"""From sources to two ears: responses applied, a source carried around, noises added. Pure JAX."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.fft import next_fast_len

Array = jax.Array | np.ndarray

POSITIONS = 32  # of a moving source, rendered at a time
PARTIAL_SUMS = 128  # of a power: however XLA splits them among threads, the bytes are the same


def spatialise(source: Array, hrir: Array) -> jax.Array:
    """Sources (..., samples) through responses (..., 2, taps): ears (..., 2, samples).

    What rings on after the last sample is cut off.
    """
    samples = source.shape[-1]
    size = next_fast_len(samples + hrir.shape[-1] - 1, real=True)
    spectrum = jnp.fft.rfft(source, size)[..., None, :] * jnp.fft.rfft(hrir, size)
    return jnp.fft.irfft(spectrum, size)[..., :samples]


def spatialise_endless(source: Array, hrir: Array, tail: Array) -> jax.Array:
    """Sources that repeat for ever, through responses (..., 2, taps), tails (..., 2, samples)."""
    samples = source.shape[-1]
    no_padding = [(0, 0)] * (hrir.ndim - 1)
    whole = tail + jnp.pad(hrir, [*no_padding, (0, samples - hrir.shape[-1])])
    return jnp.fft.irfft(jnp.fft.rfft(source)[..., None, :] * jnp.fft.rfft(whole), samples)


def mean_power(ears: Array) -> jax.Array:
    """Mean square over both ears and all samples: (..., 2, samples) to (...)."""
    samples = ears.shape[-1]
    no_padding = [(0, 0)] * (ears.ndim - 1)
    square = jnp.pad(ears**2, [*no_padding, (0, -samples % PARTIAL_SUMS)])
    partial = square.reshape(*ears.shape[:-1], -1, PARTIAL_SUMS).sum((-3, -2))
    return partial.sum(-1) / (2 * samples)


def mix(target: Array, noises: Array, snr: Array) -> jax.Array:
    """Add noises to a target.

    Each noise is scaled by itself to its SNR, a ratio of mean powers over both ears, and then
    divided by the square root of how many there are (published, with two).

    Parameters
    ----------
    target : (..., 2, samples)
    noises : (..., k, 2, samples); a silent one stays silent
    snr : (..., k) dB

    Returns
    -------
    (..., 2, samples), scaled to peak 1 unless silent
    """
    power = mean_power(target)[..., None]
    noise_power = mean_power(noises)
    silent = noise_power == 0
    count = snr.shape[-1]
    gain = jnp.sqrt(power / jnp.where(silent, 1, noise_power) * 10 ** (-snr / 10) / count)
    gain = jnp.where(silent, 0, gain)
    # term by term: XLA's own sum over so short an axis takes fifty times as long on a CPU
    noise = sum(gain[..., k, None, None] * noises[..., k, :, :] for k in range(count))
    mixture = jnp.asarray(target) + noise
    peak = jnp.max(jnp.abs(mixture), axis=(-2, -1), keepdims=True)
    return mixture / jnp.where(peak == 0, 1, peak)


def carry_around(source: np.ndarray, hrirs: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Carry a source past positions at equal times.

    Each position renders the stretch of the source about its time, under a triangle that reaches
    to its neighbours; the triangles add up to 1.

    Parameters
    ----------
    source : (samples,)
    hrirs : (n, 2, taps)
    numbers : (positions,), which of them each position has; two positions or more

    Returns
    -------
    ears : (2, samples)
    """
    source = np.asarray(source)
    hrirs = np.asarray(hrirs)
    samples = len(source)
    positions = len(numbers)
    taps = hrirs.shape[-1]
    spacing = (samples - 1) / (positions - 1)  # samples between positions
    first = np.ceil((np.arange(positions) - 1) * spacing).astype(int)  # samples of the triangles
    length = int(2 * spacing) + 2  # of a triangle
    early = -first[0]  # the first triangle reaches before the sound
    padded = np.pad(source, (early, length))
    ears = np.zeros((2, early + samples + length + taps), source.dtype)
    for start in range(0, positions, POSITIONS):
        rows = np.arange(start, min(start + POSITIONS, positions))
        number = first[rows][:, None] + np.arange(length)  # of each sample under each triangle
        weight = np.maximum(0, 1 - np.abs(number / spacing - rows[:, None])).astype(source.dtype)
        spare = (0, POSITIONS - len(rows))  # one shape is one compiled program
        stretches = np.pad(weight * padded[number + early], (spare, (0, taps - 1)))
        responses = np.pad(hrirs[numbers[rows]], (spare, (0, 0), (0, 0)))
        parts = np.asarray(spatialise(stretches, responses))[: len(rows)]
        for begin, part in zip(first[rows] + early, parts, strict=True):
            ears[:, begin : begin + part.shape[1]] += part
    return ears[:, early : early + samples]

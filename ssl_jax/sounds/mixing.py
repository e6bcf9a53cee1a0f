"""From sources to two ears: responses applied, a source carried around, noises added. Pure JAX."""

import jax.numpy as jnp
import numpy as np
from scipy.fft import next_fast_len

POSITIONS = 32  # of a moving source, rendered at a time


def spatialise(source, hrir):
    """Sources (..., samples) through responses (..., 2, taps): ears (..., 2, samples), the first samples."""
    samples = source.shape[-1]
    size = next_fast_len(samples + hrir.shape[-1] - 1, real=True)
    spectrum = jnp.fft.rfft(source, size)[..., None, :] * jnp.fft.rfft(hrir, size)
    return jnp.fft.irfft(spectrum, size)[..., :samples]


def spatialise_endless(source, hrir, tail):
    """The same of sources that repeat for ever, through responses and a `tail` (..., 2, samples) added."""
    samples = source.shape[-1]
    whole = tail + jnp.pad(hrir, [(0, 0)] * (hrir.ndim - 1) + [(0, samples - hrir.shape[-1])])
    return jnp.fft.irfft(jnp.fft.rfft(source)[..., None, :] * jnp.fft.rfft(whole), samples)


def mean_power(ears):
    """Mean square over both ears and all samples: (..., 2, samples) to (...)."""
    samples = ears.shape[-1]
    # 128 partial sums: however XLA splits them among threads, a store has the same bytes
    square = jnp.pad(ears**2, [(0, 0)] * (ears.ndim - 1) + [(0, -samples % 128)])
    return square.reshape(*ears.shape[:-1], -1, 128).sum((-3, -2)).sum(-1) / (2 * samples)


def mix(target, noises, snr):
    """Add noises (..., k, 2, samples) to a target (..., 2, samples) at snr (..., k) in dB of mean powers,
    each by itself, then divided by sqrt(k) (published, k = 2); the peak becomes 1."""
    power, noise_power = mean_power(target)[..., None], mean_power(noises)
    silent = noise_power == 0
    gain = jnp.sqrt(power / jnp.where(silent, 1, noise_power) * 10 ** (-snr / 10) / snr.shape[-1])
    gain = jnp.where(silent, 0, gain)
    mixture = target + jnp.sum(gain[..., None, None] * noises, axis=-3)
    peak = jnp.max(jnp.abs(mixture), axis=(-2, -1), keepdims=True)
    return mixture / jnp.where(peak == 0, 1, peak)


def carry_around(source, hrirs):
    """A source (samples,) carried past two or more `hrirs` (positions, 2, taps) at equal times, to ears
    (2, samples). Each renders it under a triangle that reaches to its neighbours; they add up to 1."""
    source, hrirs = np.asarray(source), np.asarray(hrirs)
    samples, (positions, _, taps) = len(source), hrirs.shape
    apart = (samples - 1) / (positions - 1)  # samples between positions
    first = np.ceil((np.arange(positions) - 1) * apart).astype(int)  # samples of the triangles
    length, early = int(2 * apart) + 2, -first[0]  # the first triangle reaches before the sound
    padded = np.pad(source, (early, length))
    ears = np.zeros((2, early + samples + length + taps), source.dtype)
    for at in range(0, positions, POSITIONS):
        rows = np.arange(at, min(at + POSITIONS, positions))
        number = first[rows][:, None] + np.arange(length)
        weight = np.maximum(0, 1 - np.abs(number / apart - rows[:, None])).astype(source.dtype)
        spare = (0, POSITIONS - len(rows))  # one shape is one compiled program
        stretches = np.pad(weight * padded[number + early], (spare, (0, taps - 1)))
        responses = np.pad(hrirs[rows], (spare, (0, 0), (0, 0)))
        parts = np.asarray(spatialise(stretches, responses))[: len(rows)]
        for start, part in zip(first[rows] + early, parts, strict=True):
            ears[:, start : start + part.shape[1]] += part
    return ears[:, early : early + samples]

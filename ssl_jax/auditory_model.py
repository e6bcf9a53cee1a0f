"""The auditory periphery: gammatone filterbank and inner hair cell, pure functions of arrays.

Filters are designed on the host in float64 and applied as jitted JAX in the dtype of the sound.

A Slaney gammatone is an exact recursion with one complex pole p of order four: its output is a
weighted sum of four cascaded one-pole filters, q_m[n] = p q_m[n-1] + q_(m-1)[n] with q_0 = x.
A block of samples is therefore filtered by one matrix product with the block's own samples plus
the free response of the four states, eight real numbers per channel, left by all samples before.
"""

from functools import lru_cache, partial
from math import comb
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from scipy import signal as sps

from .config import HAIR_CELLS

EAR_Q = 9.26449  # Glasberg & Moore (1990)
MIN_BANDWIDTH = 24.7  # Hz, Glasberg & Moore (1990)
BLOCK = 64  # samples per matrix product at most; 16 to 64 measured, larger is faster on CPU


def erb(f):
    """Equivalent rectangular bandwidth in Hz at `f` Hz (Glasberg & Moore 1990)."""
    return MIN_BANDWIDTH + np.asarray(f, np.float64) / EAR_Q


def centre_frequencies(fs: float, channels: int = 32, low_freq: float = 80.0, high_freq=None):
    """Centre frequencies evenly spaced on the ERB scale, highest first.

    Parameters
    ----------
    fs : float, Hz
    channels : int
    low_freq : float, Hz
        The last centre frequency.
    high_freq : float, Hz, optional
        The scale ends one step above the first centre frequency; fs / 2 unless given.

    Returns
    -------
    cfs : (channels,) float64, Hz, descending

    Notes
    -----
    Slaney (1993), Apple TR 35, `ERBSpace`.
    """
    high_freq = fs / 2 if high_freq is None else high_freq
    if not 0 < low_freq < high_freq <= fs / 2 or channels < 1:
        raise ValueError(
            f"need 0 < low_freq < high_freq <= fs / 2 and channels >= 1, "
            f"not {low_freq}, {high_freq}, {fs / 2}, {channels}"
        )
    offset = EAR_Q * MIN_BANDWIDTH
    step = np.log((low_freq + offset) / (high_freq + offset)) / channels
    return (high_freq + offset) * np.exp(step * np.arange(1, channels + 1)) - offset


def gammatone_sos(fs: float, cfs) -> np.ndarray:
    """Slaney's gammatone as second-order sections, as `scipy.signal.sosfilt` takes them.

    Parameters
    ----------
    fs : float, Hz
    cfs : (channels,), Hz, below fs / 2

    Returns
    -------
    sos : (channels, 4, 6) float64, unit gain at the centre frequency

    Notes
    -----
    Slaney (1993), Apple TR 35, equations 8 to 14 (`MakeERBFilters`).
    """
    cfs = np.asarray(cfs, np.float64)
    if cfs.ndim != 1 or not ((cfs > 0) & (cfs < fs / 2)).all():
        raise ValueError(f"centre frequencies must be a list between 0 and fs / 2 = {fs / 2} Hz")
    t = 1.0 / fs
    pole = _pole(fs, cfs)
    roots = [s * np.sqrt(3 + r * 2**1.5) for r in (1, -1) for s in (1, -1)]
    a1 = [-t * (pole.real + root * pole.imag) for root in roots]
    z = np.exp(2j * np.pi * cfs * t)
    response = np.prod([t + a / z for a in a1], axis=0)
    response /= (1 - 2 * pole.real / z + np.abs(pole) ** 2 / z**2) ** 4
    gain = np.abs(response) ** 0.25
    one, zero = np.ones_like(cfs), np.zeros_like(cfs)
    sections = [
        np.stack([t / gain, a / gain, zero, one, -2 * pole.real, np.abs(pole) ** 2], axis=-1)
        for a in a1
    ]
    return np.stack(sections, axis=1)


def _pole(fs: float, cfs: np.ndarray) -> np.ndarray:
    """The pole in the upper half plane; 1.019 ERB makes the four-fold pole's bandwidth."""
    return np.exp((2j * np.pi * cfs - 1.019 * 2 * np.pi * erb(cfs)) / fs)


class BlockFilter(NamedTuple):
    """A filterbank ready for blocks of B samples; C channels, 8 state numbers each."""

    direct: np.ndarray  # (B, B, C): input sample i of the block -> output sample t
    inject: np.ndarray  # (B, 8, C): input sample i -> states at the end of the block
    observe: np.ndarray  # (8, B, C): states at the start -> output sample t
    advance: np.ndarray  # (8, 8, C): states at the start -> states at the end


def _partial_fractions(sos: np.ndarray, pole: np.ndarray) -> np.ndarray:
    """g (4, C) with H = 2 Re sum_m g_m / (1 - p/z)^m, m = 1..4, of a 4-fold pole pair.

    Taylor expansion in v = 1 - p/z of numerator * (1 - p*/z)^-4 about v = 0.
    """
    series = np.zeros((4, len(pole)), complex)
    series[0] = 1.0

    def times(series, constant, linear):
        out = constant * series
        out[1:] += linear * series[:-1]
        return out

    ratio = pole.conj() / pole
    for k in range(4):
        b0, b1 = sos[:, k, 0], sos[:, k, 1]
        series = times(series, b0 + b1 / pole, -b1 / pole)
        # divide by (1 - ratio) + ratio v
        quotient = np.zeros_like(series)
        for i in range(4):
            before = quotient[i - 1] if i else 0.0
            quotient[i] = (series[i] - ratio * before) / (1 - ratio)
        series = quotient
    return series[::-1]  # coefficient of v^k belongs to order m = 4 - k


@lru_cache(maxsize=32)
def block_filter(fs: float, cfs: tuple, block: int) -> BlockFilter:
    """Design the gammatone filterbank for blocks of `block` samples.

    Parameters
    ----------
    fs : float, Hz
    cfs : tuple of float, Hz
    block : int
        Samples per block.

    Returns
    -------
    BlockFilter of float64 arrays, C = len(cfs) channels.
    """
    pole = _pole(fs, np.asarray(cfs))
    g = _partial_fractions(gammatone_sos(fs, cfs), pole)
    # states are kept near the size of the output: q_m grows like (1 / (1 - |p|))^m
    scale = (1 - np.abs(pole)) ** np.arange(1, 5)[:, None]

    def free(n, m, i):  # q_i at time 0 -> q_m at time n >= 1 (or input -> q_m when i = 1, n + 1)
        return comb(n + m - i - 1, m - i) * pole**n if m >= i else np.zeros_like(pole)

    def real(matrix):  # (.., out re/im, in re/im): a complex product as a real one
        return np.array([[matrix.real, -matrix.imag], [matrix.imag, matrix.real]])

    channels = len(pole)
    impulse = np.array(  # q_m at n for a unit impulse at 0
        [[comb(n + m - 1, m - 1) * pole**n for m in range(1, 5)] for n in range(block)]
    )  # (n, m, C)
    h = 2 * np.einsum("mc,nmc->nc", g, impulse).real
    direct = np.zeros((block, block, channels))
    for i in range(block):
        direct[i, i:] = h[: block - i]
    ends = impulse[::-1] * scale  # (i, m, C)
    inject = np.concatenate([ends.real, ends.imag], axis=1)
    decay = np.array([[[free(n, m, i) for i in range(1, 5)] for m in range(1, 5)]
                      for n in range(1, block + 1)])  # (n, m, i, C)
    seen = 2 * np.einsum("mc,nmic->nic", g, decay) / scale
    observe = np.concatenate([seen.real, -seen.imag], axis=1).transpose(1, 0, 2)
    last = real(decay[-1] * scale[:, None] / scale[None])  # (2, 2, m, i, C)
    advance = last.transpose(0, 2, 1, 3, 4).reshape(8, 8, channels)
    return BlockFilter(direct, inject, observe, advance)


def design(fs: float, cfs, samples: int, filter_type: str = "gammatone") -> tuple[BlockFilter, ...]:
    """Banks whose blocks, one after the other and each repeated, make up `samples` samples.

    Raises
    ------
    ValueError
        Unknown filter type, or a centre frequency outside 0 to fs / 2.
    """
    if filter_type != "gammatone":
        raise ValueError(f"filter_type {filter_type!r} is not known: use 'gammatone'")
    cfs = tuple(float(f) for f in np.asarray(cfs).ravel())
    whole = [b for b in range(BLOCK // 2, BLOCK + 1) if samples % b == 0]
    sizes = [whole[-1]] if whole else [BLOCK] * (samples >= BLOCK) + [samples % BLOCK]
    return tuple(block_filter(float(fs), cfs, size) for size in sizes)


def start_state(rows: int, channels: int, dtype=jnp.float32):
    """State of `rows` silent sounds, (rows, 8, channels), for `filter_samples`."""
    return jnp.zeros((rows, 8, channels), dtype)


def filter_samples(banks: tuple[BlockFilter, ...], state, x):
    """Filter the next samples of a sound.

    Parameters
    ----------
    banks : tuple of BlockFilter
        As `design` gives them for this many samples.
    state : (rows, 8, C), what the samples before left behind; zeros at the start
    x : (rows, samples), the next samples of each row

    Returns
    -------
    state : (rows, 8, C)
    y : (rows, samples, C), filter outputs, time before channel
    """
    pieces = []
    for bank in banks:
        size = bank.direct.shape[0]
        use = x.shape[1] // size * size
        state, y = _filter_blocks(bank, state, x[:, :use])
        pieces.append(y)
        x = x[:, use:]
    return state, pieces[0] if len(pieces) == 1 else jnp.concatenate(pieces, axis=1)


def _filter_blocks(bank: BlockFilter, state, x):
    """`filter_samples` where x is a whole number of the bank's blocks."""
    block, _, channels = bank.direct.shape
    rows, count = x.shape[0], x.shape[1] // block
    direct, inject, observe, advance = (jnp.asarray(m, x.dtype) for m in bank)
    # float32 proper: TF32 on a GPU would lose the 5e-5 tolerance against the float64 cascade
    product = partial(lax.dot, precision=lax.Precision.HIGHEST)
    pieces = x.reshape(-1, block)  # rows * count, B
    y = product(pieces, direct.reshape(block, -1)).reshape(rows, count, block, channels)
    kicks = product(pieces, inject.reshape(block, -1)).reshape(rows, count, 8, channels)

    def step(state, kick):
        return sum(advance[:, j] * state[:, j, None] for j in range(8)) + kick, state

    state, before = lax.scan(step, state, kicks.swapaxes(0, 1), unroll=min(count, 8))
    before = before.swapaxes(0, 1)  # rows, count, 8, C: states at the start of each block
    y = y + sum(before[:, :, j, None] * observe[j] for j in range(8))
    return state, y.reshape(rows, count * block, channels)


@partial(jax.jit, static_argnames=("fs", "cfs", "filter_type"))
def _spectrogram(x, fs, cfs, filter_type):
    """(rows, samples) -> (rows, samples, C), in frames that stay within the cache."""
    rows, samples = x.shape
    frame = min(samples, 16 * BLOCK)
    frames = -(-samples // frame)
    xs = jnp.pad(x, ((0, 0), (0, frames * frame - samples)))
    banks = design(fs, cfs, frame, filter_type)
    state = start_state(rows, len(cfs), x.dtype)
    _, y = lax.scan(partial(filter_samples, banks), state, xs.reshape(rows, frames, frame).swapaxes(0, 1))
    return y.swapaxes(0, 1).reshape(rows, frames * frame, -1)[:, :samples]


def GF_spectrogram(signal, fs: float, cfs=None, filter_type: str = "gammatone"):
    """Filter a sound with a gammatone filterbank.

    Parameters
    ----------
    signal : (..., samples)
    fs : float, Hz
    cfs : (channels,), Hz, optional
        Centre frequencies; 32 on the ERB scale from 80 Hz, highest first, unless given.
    filter_type : str

    Returns
    -------
    audiogram : (..., channels, samples), same dtype as `signal` (float32 for integers)

    Notes
    -----
    Slaney (1993), Apple TR 35; unit gain at the centre frequency. The recursion is exact: no
    impulse response is cut short.
    """
    x = _as_sound(signal)
    cfs = centre_frequencies(fs) if cfs is None else np.asarray(cfs, np.float64)
    y = _spectrogram(x.reshape(-1, x.shape[-1]), float(fs), tuple(cfs.tolist()), filter_type)
    return y.swapaxes(1, 2).reshape(*x.shape[:-1], len(cfs), x.shape[-1])


def _as_sound(signal):
    """The signal as a floating-point JAX array with at least one sample."""
    x = jnp.asarray(signal)
    x = x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.float32)
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ValueError(f"a sound needs at least one sample, its shape is {x.shape}")
    return x


def halfwave(x):
    """Half-wave rectification: the positive part of x."""
    return jnp.maximum(x, 0)


def Roman(x):
    """Square root of the half-wave rectified filter output (Roman, Wang & Brown 2003).

    The derivative is 0, not infinite, where x <= 0.
    """
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1)), 0)


# Hair cells that look at one sample at a time; the cue scan applies them block by block.
MEMORYLESS = {"none": lambda x: x, "halfwave": halfwave, "roman": Roman}


def _analytic_envelope(x):
    """Magnitude of the analytic signal along the last axis, as `scipy.signal.hilbert` has it."""
    n = x.shape[-1]
    weights = np.zeros(n)
    weights[0] = 1
    weights[1 : (n + 1) // 2] = 2
    if n % 2 == 0:
        weights[n // 2] = 1
    return jnp.abs(jnp.fft.ifft(jnp.fft.fft(x) * jnp.asarray(weights, x.dtype)))


def _lowpass(x, sos):
    """Causal second-order sections along the last axis (transposed direct form II)."""
    sos = np.asarray(sos)

    def step(state, sample):
        after = []
        for (b0, b1, b2, _, a1, a2), (s1, s2) in zip(sos.tolist(), state, strict=True):
            out = b0 * sample + s1
            after.append((b1 * sample - a1 * out + s2, b2 * sample - a2 * out))
            sample = out
        return tuple(after), sample

    zero = jnp.zeros(x.shape[:-1], x.dtype)
    start = tuple((zero, zero) for _ in sos)
    return jnp.moveaxis(lax.scan(step, start, jnp.moveaxis(x, -1, 0))[1], 0, -1)


@partial(jax.jit, static_argnames=("fs", "model_type"))
def haircell_model(audiogram, fs: float, model_type: str = "roman"):
    """Inner hair cell: from filter output to firing rate envelope.

    Parameters
    ----------
    audiogram : (..., samples)
    fs : float, Hz
    model_type : str
        none: the filter output itself.
        halfwave: its positive part.
        roman: square root of the positive part (Roman, Wang & Brown 2003); the default.
        envelope: half-wave rectification, then the envelope (magnitude of the analytic signal).
        lindemann: positive part, 1st-order low-pass at 800 Hz (Lindemann 1986).
        breebaart: positive part, five 1st-order low-passes, together 3 dB down at 770 Hz
        (Breebaart, van de Par & Kohlrausch 2001).
        bernstein: envelope compressed to the power 0.23, positive part squared, 4th-order
        low-pass at 425 Hz (Bernstein, van de Par & Trahiotis 1999; Faller & Merimaa 2004).

    Returns
    -------
    envelope : (..., samples)

    Raises
    ------
    ValueError
        Unknown model_type, or fs too low for its low-pass filter.
    """
    if model_type in MEMORYLESS:
        return MEMORYLESS[model_type](audiogram)
    if model_type == "envelope":
        return _analytic_envelope(halfwave(audiogram))
    if model_type not in HAIR_CELLS:
        raise ValueError(f"hair cell {model_type!r} is not known: use one of {', '.join(HAIR_CELLS)}")
    cutoff = {"lindemann": 800.0, "breebaart": 770.0, "bernstein": 425.0}[model_type]
    if fs <= 2 * cutoff:
        raise ValueError(f"fs = {fs} Hz is too low for the {cutoff} Hz low-pass of {model_type!r}")
    if model_type == "lindemann":
        return _lowpass(halfwave(audiogram), sps.butter(1, cutoff, fs=fs, output="sos"))
    if model_type == "breebaart":
        # one stage is 3/5 dB down at 770 Hz
        single = cutoff / np.sqrt(2 ** (1 / 5) - 1)
        stage = sps.butter(1, min(single, 0.49 * fs), fs=fs, output="sos")
        return _lowpass(halfwave(audiogram), np.repeat(stage, 5, axis=0))
    envelope = _analytic_envelope(audiogram)
    loud = envelope > 0
    compressed = jnp.where(loud, audiogram * jnp.where(loud, envelope, 1) ** (0.23 - 1), 0)
    return _lowpass(halfwave(compressed) ** 2, sps.butter(4, cutoff, fs=fs, output="sos"))


def auditory_peripheral(signal, fs: float, cfs=None, filter_type="gammatone", model_type="roman"):
    """Filterbank and hair cell of both ears.

    Parameters
    ----------
    signal : (samples, 2), left ear first
    fs : float, Hz
    cfs : (channels,), Hz, optional
        32 on the ERB scale from 80 Hz, highest first, unless given.
    filter_type, model_type : str
        See `GF_spectrogram` and `haircell_model`.

    Returns
    -------
    audiogram, envelope : (channels, samples, 2)

    Raises
    ------
    ValueError
        The signal does not have two ears.
    """
    x = _as_sound(signal)
    if x.ndim != 2 or x.shape[1] != 2:
        raise ValueError(f"signal must be (samples, 2), left ear first, not {x.shape}")
    audiogram = GF_spectrogram(x.T, fs, cfs, filter_type)  # 2, channels, samples
    envelope = haircell_model(audiogram, float(fs), model_type)
    return jnp.moveaxis(audiogram, 0, -1), jnp.moveaxis(envelope, 0, -1)

"""The auditory periphery: gammatone filterbank and inner hair cell, pure functions of arrays.

Filters are designed on the host in float64 (filter_design.py) and applied as jitted JAX in the dtype
of the sound, block by block with carried states.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from scipy import signal as sps

from .config import HAIR_CELLS
from .filter_design import BLOCK, BlockFilter, centre_frequencies, design

FRAME = 8 * BLOCK  # samples filtered at a time: their outputs stay in the cache
ZERO_PHASE = ("butterworth",)  # filters that need the whole sound


def start_state(banks: tuple[BlockFilter, ...], rows: int, dtype=jnp.float32):
    """State of `rows` silent sounds, (rows, S, channels), for `filter_samples`."""
    return jnp.zeros((rows, *banks[0].steady.shape), dtype)


def filter_samples(banks: tuple[BlockFilter, ...], state, x):
    """Filter the next samples of a sound.

    Parameters
    ----------
    banks : tuple of BlockFilter
        As `design` gives them for this many samples.
    state : (rows, S, C), what the samples before left behind; zeros at the start
    x : (rows, samples), the next samples of each row

    Returns
    -------
    state : (rows, S, C)
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


def _filter_blocks(bank: BlockFilter, state, x, channels_first: bool = False):
    """`filter_samples` where x is a whole number of the bank's blocks.

    With `channels_first` y is (rows, blocks, C, B): runs of B samples that a channel's whole output
    is put together from, where putting single samples in order would take three times as long.
    """
    block, size, channels = bank.inject.shape
    rows, count = x.shape[0], x.shape[1] // block
    order = (1, 0) if channels_first else (0, 1)  # of time and channel in a block's output
    direct = bank.direct.transpose(0, *(1 + i for i in order)).reshape(block, -1)
    observe = bank.observe.transpose(0, *(1 + i for i in order))
    direct, observe, inject, advance = (
        jnp.asarray(m, x.dtype) for m in (direct, observe, bank.inject.reshape(block, -1), bank.advance)
    )
    # float32 proper: TF32 on a GPU would lose the 5e-5 tolerance against the float64 cascade
    product = partial(lax.dot, precision=lax.Precision.HIGHEST)
    pieces = x.reshape(-1, block)  # rows * count, B
    y = product(pieces, direct).reshape(rows, count, *observe.shape[1:])
    kicks = product(pieces, inject).reshape(rows, count, size, channels)

    def step(state, kick):
        return sum(advance[:, j] * state[:, j, None] for j in range(size)) + kick, state

    state, before = lax.scan(step, state, kicks.swapaxes(0, 1), unroll=min(count, 8))
    before = before.swapaxes(0, 1)  # rows, count, S, C: states at the start of each block
    along_time = (..., None) if channels_first else (slice(None), slice(None), None)
    y = y + sum(before[:, :, j][along_time] * observe[j] for j in range(size))
    return state, y if channels_first else y.reshape(rows, count * block, channels)


@partial(jax.jit, static_argnames=("fs", "cfs", "filter_type"))
def filter_sound(x, fs: float, cfs: tuple, filter_type: str, state):
    """(rows, samples) from a given state -> (rows, C, samples), in frames that stay in the cache.

    Returns
    -------
    state : (rows, S, C)
    y : (rows, C, samples)
    """
    rows, samples = x.shape
    whole = samples // FRAME * FRAME
    frames = x[:, :whole].reshape(rows, -1, FRAME).swapaxes(0, 1)
    bank = design(fs, cfs, FRAME, filter_type)[0]

    def put(carry, item):  # straight to its place: stacked frames would be moved through memory once more
        state, y = carry
        start, frame = item
        state, blocks = _filter_blocks(bank, state, frame, channels_first=True)
        blocks = blocks.swapaxes(1, 2).reshape(rows, len(cfs), FRAME)
        return (state, lax.dynamic_update_slice_in_dim(y, blocks, start, axis=2)), None

    y = jnp.zeros((rows, len(cfs), samples), x.dtype)
    if whole:
        (state, y), _ = lax.scan(put, (state, y), (jnp.arange(0, whole, FRAME), frames))
    if whole < samples:
        state, rest = filter_samples(design(fs, cfs, samples - whole, filter_type), state, x[:, whole:])
        y = lax.dynamic_update_slice_in_dim(y, rest.swapaxes(1, 2), whole, axis=2)
    return state, y


def _zero_phase(x, fs, cfs, filter_type):
    """Forwards and backwards with odd extension, as `scipy.signal.sosfiltfilt` has it."""
    banks = design(fs, cfs, 1, filter_type)
    edge = min(21, x.shape[1] - 1)  # three times the seven coefficients of a 6th-order filter
    x = jnp.concatenate([2 * x[:, :1] - x[:, edge:0:-1], x, 2 * x[:, -1:] - x[:, -2 : -edge - 2 : -1]], axis=1)

    def once(x, cfs, steady):  # (rows, samples) -> (rows, len(cfs), samples), as if it had always stood there
        return filter_sound(x, fs, cfs, filter_type, x[:, :1, None] * jnp.asarray(steady, x.dtype))[1]

    y = once(x, cfs, banks[0].steady)
    # backwards every channel is a sound of its own
    back = [once(y[:, c, ::-1], cfs[c : c + 1], banks[0].steady[:, c : c + 1]) for c in range(len(cfs))]
    return jnp.concatenate(back, axis=1)[:, :, ::-1][:, :, edge : y.shape[2] - edge]


def GF_spectrogram(signal, fs: float, cfs=None, filter_type: str = "gammatone"):
    """Filter a sound with an auditory filterbank.

    Parameters
    ----------
    signal : (..., samples)
    fs : float, Hz
    cfs : (channels,), Hz, optional
        Centre frequencies; 32 on the ERB scale from 80 Hz, highest first, unless given.
    filter_type : str
        gammatone: Slaney (1993), Apple TR 35, four cascaded biquads; the default.
        allpole: the same poles without zeros (Lyon 1996).
        butterworth: 6th order, one ERB wide, forwards and backwards (zero phase).

    Returns
    -------
    audiogram : (..., channels, samples), same dtype as `signal` (float32 for integers)

    Raises
    ------
    ValueError
        Unknown filter type, or a centre frequency outside 0 to fs / 2.

    Notes
    -----
    Unit gain at the centre frequency. The recursions are exact: no impulse response is cut short.
    """
    x = as_sound(signal)
    rows = x.reshape(-1, x.shape[-1])
    cfs = as_cfs(cfs, fs)
    if filter_type in ZERO_PHASE:
        y = _zero_phase(rows, float(fs), cfs, filter_type)
    else:
        state = start_state(design(fs, cfs, 1, filter_type), len(rows), x.dtype)
        y = filter_sound(rows, float(fs), cfs, filter_type, state)[1]
    return y.reshape(*x.shape[:-1], len(cfs), x.shape[-1])


def as_cfs(cfs, fs: float) -> tuple[float, ...]:
    """Centre frequencies as a hashable tuple; the default 32 where none are given."""
    return tuple(np.asarray(centre_frequencies(fs) if cfs is None else cfs, np.float64).ravel().tolist())


def as_sound(signal):
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
    x = as_sound(signal)
    if x.ndim != 2 or x.shape[1] != 2:
        raise ValueError(f"signal must be (samples, 2), left ear first, not {x.shape}")
    audiogram = GF_spectrogram(x.T, fs, cfs, filter_type)  # 2, channels, samples
    envelope = haircell_model(audiogram, float(fs), model_type)
    return jnp.moveaxis(audiogram, 0, -1), jnp.moveaxis(envelope, 0, -1)

"""The auditory periphery: filterbank and inner hair cell, jitted JAX in the dtype of the sound."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import ArrayLike
from scipy import signal as sps

from ssl_jax.frontend import HAIR_CELLS
from ssl_jax.frontend.block_filter import filter_sound, start_state
from ssl_jax.frontend.filter_design import as_cfs, block_filters

ZERO_PHASE = ("butterworth",)  # filters that need the whole sound


def _zero_phase(x, fs, cfs, filter_type):
    """Forwards and backwards with odd extension, as `scipy.signal.sosfiltfilt` has it."""
    start = block_filters(fs, cfs, 1, filter_type)[0].steady
    edge = min(21, x.shape[1] - 1)  # three times the seven coefficients of a 6th-order filter
    before, after = 2 * x[:, :1] - x[:, edge:0:-1], 2 * x[:, -1:] - x[:, -2 : -edge - 2 : -1]
    x = jnp.concatenate([before, x, after], axis=1)

    def once(
        x, cfs, steady
    ):  # (rows, samples) -> (rows, C, samples), from the first sample's steady state
        return filter_sound(x, fs, cfs, filter_type, x[:, :1, None] * jnp.asarray(steady, x.dtype))[
            1
        ]

    y = once(x, cfs, start)
    # backwards every channel is a sound of its own
    back = [once(y[:, c, ::-1], cfs[c : c + 1], start[:, c : c + 1]) for c in range(len(cfs))]
    return jnp.concatenate(back, axis=1)[:, :, ::-1][:, :, edge : y.shape[2] - edge]


def GF_spectrogram(
    signal: ArrayLike, fs: float, cfs: ArrayLike | None = None, filter_type="gammatone"
) -> jax.Array:
    """Filter a sound with an auditory filterbank, of unit gain at the centre frequencies.

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
    """
    x, cfs = as_sound(signal), as_cfs(cfs, fs)
    rows = x.reshape(-1, x.shape[-1])
    if filter_type in ZERO_PHASE:
        y = _zero_phase(rows, float(fs), cfs, filter_type)
    else:
        state = start_state(fs, cfs, filter_type, len(rows), x.dtype)
        y = filter_sound(rows, float(fs), cfs, filter_type, state)[1]
    return y.reshape(*x.shape[:-1], *y.shape[1:])


def as_sound(signal: ArrayLike, ears: bool = False) -> jax.Array:
    """The signal as a floating-point JAX array with at least one sample, (..., samples, 2) if of two ears."""
    x = jnp.asarray(signal)
    if ears and (x.ndim < 2 or x.shape[-1] != 2):
        raise ValueError(
            f"a sound of two ears must be (..., samples, 2), left ear first, not {x.shape}"
        )
    x = x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.float32)
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ValueError(f"a sound needs at least one sample, its shape is {x.shape}")
    return x


def Roman(x: jax.Array | np.ndarray) -> jax.Array:
    """Square root of the positive part (Roman, Wang & Brown 2003); its derivative is 0 where x <= 0."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1)), 0)


# Hair cells that look at one sample at a time; the cue scan applies them block by block.
MEMORYLESS = {"none": lambda x: x, "halfwave": jax.nn.relu, "roman": Roman}


def _analytic_envelope(x):
    """Magnitude of the analytic signal along the last axis, as `scipy.signal.hilbert` has it."""
    k = np.arange(x.shape[-1])
    weights = 1.0 + np.sign(len(k) - 2 * k)  # positive frequencies twice, negative ones not at all
    weights[0] = 1
    return jnp.abs(jnp.fft.ifft(jnp.fft.fft(x) * jnp.asarray(weights, x.dtype)))


def _lowpass(x, sos):
    """Causal second-order sections along the last axis (transposed direct form II)."""

    def step(state, sample):
        after = []
        for (b0, b1, b2, _, a1, a2), (s1, s2) in zip(sos.tolist(), state, strict=True):
            out = b0 * sample + s1
            after.append((b1 * sample - a1 * out + s2, b2 * sample - a2 * out))
            sample = out
        return tuple(after), sample

    start = ((jnp.zeros(x.shape[:-1], x.dtype),) * 2,) * len(sos)
    return jnp.moveaxis(lax.scan(step, start, jnp.moveaxis(x, -1, 0))[1], 0, -1)


@partial(jax.jit, static_argnames=("fs", "model_type"))
def haircell_model(
    audiogram: jax.Array | np.ndarray, fs: float, model_type: str | None = "roman"
) -> jax.Array:
    """Inner hair cell: from filter output to firing rate envelope.

    Parameters
    ----------
    audiogram : (..., samples)
    fs : float, Hz
    model_type : str, optional
        none, or None: the filter output itself; halfwave: its positive part.
        roman: square root of the positive part (Roman, Wang & Brown 2003); the default.
        envelope: half-wave rectification, then the envelope (magnitude of the analytic signal).
        lindemann: positive part, 1st-order low-pass at 800 Hz (Lindemann 1986).
        breebaart: positive part, five 1st-order low-passes, together 3 dB down at 770 Hz
        (Breebaart, van de Par & Kohlrausch 2001).
        bernstein: envelope compressed to the power 0.23, positive part squared, 4th-order low-pass at 425 Hz
        (Bernstein, van de Par & Trahiotis 1999; Faller & Merimaa 2004).

    Returns
    -------
    envelope : (..., samples)

    Raises
    ------
    ValueError
        Unknown model_type, or fs too low for its low-pass filter.
    """
    model_type = model_type or "none"
    if model_type in MEMORYLESS:
        return MEMORYLESS[model_type](audiogram)
    if model_type == "envelope":
        return _analytic_envelope(jax.nn.relu(audiogram))
    if model_type not in HAIR_CELLS:
        raise ValueError(
            f"hair cell {model_type!r} is not known: use one of {', '.join(HAIR_CELLS)}"
        )
    cutoff = {"lindemann": 800.0, "breebaart": 770.0, "bernstein": 425.0}[model_type]
    if fs <= 2 * cutoff:
        raise ValueError(f"fs = {fs} Hz is too low for the {cutoff} Hz low-pass of {model_type!r}")
    if model_type == "lindemann":
        return _lowpass(jax.nn.relu(audiogram), sps.butter(1, cutoff, fs=fs, output="sos"))
    if model_type == "breebaart":
        single = cutoff / np.sqrt(2 ** (1 / 5) - 1)  # Hz; one stage is 3/5 dB down at 770 Hz
        stage = sps.butter(1, min(single, 0.49 * fs), fs=fs, output="sos")
        return _lowpass(jax.nn.relu(audiogram), np.repeat(stage, 5, axis=0))
    envelope = _analytic_envelope(audiogram)
    loud = envelope > 0
    compressed = jnp.where(loud, audiogram * jnp.where(loud, envelope, 1) ** (0.23 - 1), 0)
    return _lowpass(jax.nn.relu(compressed) ** 2, sps.butter(4, cutoff, fs=fs, output="sos"))


def auditory_peripheral(
    signal: ArrayLike,
    fs: float,
    cfs: ArrayLike | None = None,
    filter_type="gammatone",
    model_type="roman",
) -> tuple[jax.Array, jax.Array]:
    """Filterbank and hair cell of both ears.

    Parameters
    ----------
    signal : (..., samples, 2), left ear first
    fs : float, Hz
    cfs, filter_type, model_type
        See `GF_spectrogram` and `haircell_model`.

    Returns
    -------
    audiogram, envelope : (..., channels, samples, 2)

    Raises
    ------
    ValueError
        The signal does not have two ears, or what `GF_spectrogram` and `haircell_model` raise it for.
    """
    sound = jnp.moveaxis(as_sound(signal, ears=True), -1, 0)
    audiogram = GF_spectrogram(sound, fs, cfs, filter_type)  # 2, ..., channels, samples
    envelope = haircell_model(audiogram, float(fs), model_type)
    return jnp.moveaxis(audiogram, 0, -1), jnp.moveaxis(envelope, 0, -1)

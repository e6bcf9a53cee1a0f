"""The auditory periphery: filterbank and inner hair cell, jitted JAX in the dtype of the sound."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import ArrayLike
from scipy import signal as sps

from ssl_jax.frontend import HAIR_CELLS
from ssl_jax.frontend.block_design import steady_states
from ssl_jax.frontend.block_filter import filter_sound, start_state
from ssl_jax.frontend.filter_design import as_cfs
from ssl_jax.frontend.sound_checks import as_ears, as_floats, as_sound, require_time_last

# Filters that need the whole sound, because they run backwards too.
ZERO_PHASE = ("butterworth",)

# Samples by which a sound is extended at either end before it is filtered forwards and backwards:
# three times the seven coefficients of a 6th-order filter, as `scipy.signal.sosfiltfilt` has it.
EXTENSION = 21


def _zero_phase(rows, fs, cfs, filter_type):
    """Filter (rows, samples) forwards and backwards, extended oddly, to (rows, C, samples)."""
    steady = steady_states(fs, cfs, filter_type)  # S, C
    edge = min(EXTENSION, rows.shape[1] - 1)
    before = 2 * rows[:, :1] - rows[:, edge:0:-1]
    after = 2 * rows[:, -1:] - rows[:, -2 : -edge - 2 : -1]
    extended = jnp.concatenate([before, rows, after], axis=1)

    def filter_from_steady(x, cfs, steady):
        state = x[:, :1, None] * jnp.asarray(steady, x.dtype)
        return filter_sound(x, fs, cfs, filter_type, state)[1]

    forwards = filter_from_steady(extended, cfs, steady)
    backwards = []
    # now every channel is a sound of its own
    for c in range(len(cfs)):
        one = slice(c, c + 1)
        backwards.append(filter_from_steady(forwards[:, c, ::-1], cfs[one], steady[:, one]))
    y = jnp.concatenate(backwards, axis=1)[:, :, ::-1]
    return y[:, :, edge : forwards.shape[2] - edge]


def GF_spectrogram(
    signal: ArrayLike, fs: float, cfs: ArrayLike | None = None, filter_type: str = "gammatone"
) -> jax.Array:
    """Filter a sound with an auditory filterbank, of unit gain at the centre frequencies.

    Also called `gammatone_filterbank`.

    Parameters
    ----------
    signal : (..., samples)
        Of each ear by itself: `auditory_peripheral` takes (..., samples, 2).
    fs : float, Hz
    cfs : (channels,), Hz, optional
        Centre frequencies; 32 on the ERB scale from 80 Hz, highest first, unless given.
        `centre_frequencies(fs)[::-1]` gives the lowest first, as librosa has it.
    filter_type : str
        gammatone: Slaney (1993), Apple TR 35, four cascaded biquads; the default.
        allpole: the same poles without zeros (Lyon 1996).
        butterworth: 6th order, one ERB wide, forwards and backwards (zero phase).

    Returns
    -------
    audiogram : (..., channels, samples)
        float32; float64 if `signal` is that and JAX is set to keep it (`jax_enable_x64`).

    Raises
    ------
    ValueError
        Unknown filter type, a centre frequency outside 0 to fs / 2, no samples, NaN or infinity,
        or two ears along the last axis.
    """
    x = as_sound(signal)
    require_time_last(x)
    return filter_channels(x, fs, as_cfs(cfs, fs), filter_type)


gammatone_filterbank = GF_spectrogram


def filter_channels(x: jax.Array, fs: float, cfs: tuple[float, ...], filter_type: str) -> jax.Array:
    """`GF_spectrogram` of sound that is checked already."""
    rows = x.reshape(-1, x.shape[-1])
    if filter_type in ZERO_PHASE:
        y = _zero_phase(rows, float(fs), cfs, filter_type)
    else:
        state = start_state(fs, cfs, filter_type, len(rows), x.dtype)
        _, y = filter_sound(rows, float(fs), cfs, filter_type, state)
    return y.reshape(*x.shape[:-1], *y.shape[1:])


def Roman(x: ArrayLike) -> jax.Array:
    """Square root of the positive part (Roman, Wang & Brown 2003).

    It halves the ILD (dB): the ratio of two levels becomes its square root.

    Parameters
    ----------
    x : array of any shape

    Returns
    -------
    root : the shape of x
        Its derivative is 0, not infinite, where x <= 0.

    Raises
    ------
    ValueError
        No samples, NaN or infinity.
    """
    x = as_floats(x)
    if x.size == 0:
        raise ValueError(f"a sound needs at least one sample, its shape is {x.shape}")
    return _root_of_positive(x)


@jax.custom_jvp
def _root_of_positive(x: jax.Array) -> jax.Array:
    """Root of the positive part; its slope stands apart, so that the root takes one selection."""
    return jnp.sqrt(jnp.where(x > 0, x, 0))


@_root_of_positive.defjvp
def _root_and_change(primals, tangents):
    """The root and its change by 1 / (2 root), or by none where it is 0 and its slope infinite."""
    (x,) = primals
    (change,) = tangents
    root = _root_of_positive(x)
    is_positive = root > 0
    slope = jnp.where(is_positive, 0.5 / jnp.where(is_positive, root, 1), 0)
    return root, slope * change


def _identity(x):
    return x


# Hair cells that look at one sample at a time; the cue scan applies them block by block.
MEMORYLESS: dict[str, Callable] = {
    "none": _identity,
    "halfwave": jax.nn.relu,
    "roman": Roman,
}

# Hz, where the low-pass of a hair cell is 3 dB down.
CUTOFFS = {"lindemann": 800.0, "breebaart": 770.0, "bernstein": 425.0}

BREEBAART_STAGES = 5
BERNSTEIN_POWER = 0.23


def _analytic_envelope(x):
    """Magnitude of the analytic signal along the last axis, as `scipy.signal.hilbert` has it."""
    k = np.arange(x.shape[-1])
    # positive frequencies twice, negative ones not at all; 0 and fs / 2 once
    weights = 1.0 + np.sign(len(k) - 2 * k)
    weights[0] = 1
    return jnp.abs(jnp.fft.ifft(jnp.fft.fft(x) * jnp.asarray(weights, x.dtype)))


def _lowpass(x, sos):
    """Causal second-order sections along the last axis (transposed direct form II)."""

    def step(state, sample):
        next_state = []
        for (b0, b1, b2, _, a1, a2), (s1, s2) in zip(sos.tolist(), state, strict=True):
            out = b0 * sample + s1
            next_state.append((b1 * sample - a1 * out + s2, b2 * sample - a2 * out))
            sample = out
        return tuple(next_state), sample

    zero = jnp.zeros(x.shape[:-1], x.dtype)
    silence = tuple((zero, zero) for _ in sos)
    _, y = lax.scan(step, silence, jnp.moveaxis(x, -1, 0))
    return jnp.moveaxis(y, 0, -1)


def _breebaart_sections(fs: float) -> np.ndarray:
    """Five 1st-order low-passes in a row, together 3 dB down at the cutoff."""
    # of this cutoff one stage is 3 / 5 dB down at 770 Hz
    single = CUTOFFS["breebaart"] / np.sqrt(2 ** (1 / BREEBAART_STAGES) - 1)  # Hz
    # where fs is low, that would be above fs / 2
    stage = sps.butter(1, min(single, 0.49 * fs), fs=fs, output="sos")
    return np.repeat(stage, BREEBAART_STAGES, axis=0)


def haircell_model(audiogram: ArrayLike, fs: float, hair_cell: str | None = "none") -> jax.Array:
    """Inner hair cell: from filter output to firing rate envelope.

    Also called `hair_cell`. Two of them compress, and with the levels their difference between the
    ears: roman halves an ILD (dB), bernstein leaves 0.46 of it. The others keep it.

    Parameters
    ----------
    audiogram : (..., samples)
    fs : float, Hz
    hair_cell : str
        none: the filter output itself; the default. None is the same.
        halfwave: its positive part.
        roman: square root of the positive part (Roman, Wang & Brown 2003). The ILD is half that of
        the sound.
        envelope: half-wave rectification, then the envelope (magnitude of the analytic signal).
        lindemann: positive part, 1st-order low-pass at 800 Hz (Lindemann 1986).
        breebaart: positive part, five 1st-order low-passes, together 3 dB down at 770 Hz
        (Breebaart, van de Par & Kohlrausch 2001).
        bernstein: envelope compressed to the power 0.23, positive part squared, 4th-order
        low-pass at 425 Hz (Bernstein, van de Par & Trahiotis 1999; Faller & Merimaa 2004). The ILD
        is 0.46 of that of the sound.

    Returns
    -------
    envelope : (..., samples)

    Raises
    ------
    ValueError
        Unknown hair cell, fs too low for its low-pass filter, no samples, NaN or infinity.
    """
    x = as_sound(audiogram)
    hair_cell = hair_cell or "none"
    if hair_cell not in MEMORYLESS:
        require_time_last(x)
    return apply_hair_cell(x, float(fs), hair_cell)


hair_cell = haircell_model


def check_hair_cell(hair_cell: str) -> None:
    """Raise ValueError unless it is one of HAIR_CELLS."""
    if hair_cell not in HAIR_CELLS:
        raise ValueError(
            f"hair cell {hair_cell!r} is not known: use one of {', '.join(HAIR_CELLS)}"
        )


@partial(jax.jit, static_argnames=("fs", "hair_cell"))
def apply_hair_cell(audiogram: jax.Array, fs: float, hair_cell: str) -> jax.Array:
    """`haircell_model` of an audiogram that is checked already."""
    if hair_cell in MEMORYLESS:
        return MEMORYLESS[hair_cell](audiogram)
    check_hair_cell(hair_cell)
    if hair_cell == "envelope":
        return _analytic_envelope(jax.nn.relu(audiogram))
    cutoff = CUTOFFS[hair_cell]
    if fs <= 2 * cutoff:
        raise ValueError(f"fs = {fs} Hz is too low for the {cutoff} Hz low-pass of {hair_cell!r}")
    if hair_cell == "lindemann":
        return _lowpass(jax.nn.relu(audiogram), sps.butter(1, cutoff, fs=fs, output="sos"))
    if hair_cell == "breebaart":
        return _lowpass(jax.nn.relu(audiogram), _breebaart_sections(fs))
    envelope = _analytic_envelope(audiogram)
    loud = envelope > 0
    gain = jnp.where(loud, envelope, 1) ** (BERNSTEIN_POWER - 1)
    compressed = jnp.where(loud, audiogram * gain, 0)
    return _lowpass(jax.nn.relu(compressed) ** 2, sps.butter(4, cutoff, fs=fs, output="sos"))


def auditory_peripheral(
    signal: ArrayLike,
    fs: float,
    cfs: ArrayLike | None = None,
    filter_type: str = "gammatone",
    hair_cell: str | None = "none",
) -> tuple[jax.Array, jax.Array]:
    """Filterbank and hair cell of both ears.

    Parameters
    ----------
    signal : (..., samples, 2), left ear first
    fs : float, Hz
    cfs, filter_type, hair_cell
        See `GF_spectrogram` and `haircell_model`.

    Returns
    -------
    audiogram, envelope : (..., channels, samples, 2)

    Raises
    ------
    ValueError
        The last axis is not two ears, or what `GF_spectrogram` and `haircell_model` refuse.
    """
    # (2, ..., samples) -> (2, ..., channels, samples)
    sound = jnp.moveaxis(as_ears(signal), -1, 0)
    audiogram = filter_channels(sound, fs, as_cfs(cfs, fs), filter_type)
    envelope = apply_hair_cell(audiogram, float(fs), hair_cell or "none")
    return jnp.moveaxis(audiogram, 0, -1), jnp.moveaxis(envelope, 0, -1)

"""Sounds as the front-end takes them: floats, finite, with samples, and ears where they belong."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

# sums of squares of larger values would overflow float32, and cues be NaN
LARGEST = 1e15


def _as_array(signal: ArrayLike) -> jax.Array:
    """The signal as JAX takes it: bytes in this machine's order; ValueError for no numbers."""
    if isinstance(signal, np.ndarray):
        if signal.dtype.kind in "OSUmM":
            raise ValueError(f"the sound holds {signal.dtype}: use floats, signal.astype(float)")
        if not signal.dtype.isnative:
            signal = signal.astype(signal.dtype.newbyteorder("="))
    return jnp.asarray(signal)


def as_floats(signal: ArrayLike) -> jax.Array:
    """The signal in float32, or in float64 if it is float64 and JAX is set to keep that.

    Raises
    ------
    ValueError
        Complex or unsigned numbers; NaN, infinity or values over LARGEST. Values that JAX traces
        are not known: they pass.
    """
    x = _as_array(signal)
    if jnp.iscomplexobj(x):
        raise ValueError("the sound holds complex numbers: use its real part")
    if jnp.issubdtype(x.dtype, jnp.unsignedinteger):
        # uint8 of a WAV file counts from 128: taken as it is, the cues would be of that offset
        raise ValueError(f"the sound holds {x.dtype}, without a sign: subtract its zero as floats")
    if x.dtype not in (np.float32, np.float64):
        x = x.astype(jnp.float32)
    if isinstance(x, jax.core.Tracer):
        return x
    # by NumPy: JAX would compute it on devices that may be busy, and take three passes
    values = np.asarray(x)
    # neither extreme of values with NaN lies within any limits
    if values.size == 0 or (values.max() <= LARGEST and values.min() >= -LARGEST):
        return x
    if not np.isfinite(values).all():
        raise ValueError("the sound holds NaN or infinity: numpy.nan_to_num(signal) replaces them")
    raise ValueError(f"the sound holds values over {LARGEST:g}: divide it by its full scale")


def as_sound(signal: ArrayLike) -> jax.Array:
    """`as_floats` of (..., samples); ValueError if there is no sample."""
    x = as_floats(signal)
    if x.ndim == 0 or x.size == 0:
        raise ValueError(f"a sound needs at least one sample, its shape is {x.shape}")
    return x


def require_two_ears(signal: ArrayLike) -> jax.Array:
    """The signal (..., samples, 2) as it is; ValueError for another shape."""
    x = _as_array(signal)
    if x.ndim >= 2 and x.shape[-1] == 2:
        return x
    remedy = ""
    if x.ndim == 2 and x.shape[0] == 2:
        remedy = ": transpose it: signal.T"
    elif x.ndim > 2 and x.shape[-2] == 2:
        remedy = ": swap its last axes: signal.swapaxes(-1, -2)"
    raise ValueError(
        f"a sound of two ears must be (..., samples, 2), left ear first, not {x.shape}{remedy}"
    )


def as_ears(signal: ArrayLike) -> jax.Array:
    """`as_sound` of (..., samples, 2); ValueError for another number of ears."""
    return as_sound(require_two_ears(signal))


def require_time_last(x: jax.Array) -> None:
    """Raise ValueError for (..., samples, 2): filters run along the last axis."""
    if x.ndim >= 2 and x.shape[-1] == 2 and x.shape[-2] > 2:
        raise ValueError(
            f"time must be the last axis, not the ears: {x.shape}: "
            "give each ear by itself, signal[..., 0] and signal[..., 1]"
        )

"""Sounds as the front-end takes them: floats, finite, with samples, and ears where they belong."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

# sums of squares of larger values would overflow float32, and cues be NaN
LARGEST = 1e15


def _as_array(signal: ArrayLike) -> np.ndarray | jax.Array:
    """The signal as an array, NumPy's where it is one; ValueError for no numbers."""
    if not isinstance(signal, np.ndarray):
        return jnp.asarray(signal)
    if signal.dtype.kind in "OSUmM":
        raise ValueError(f"the sound holds {signal.dtype}: use floats, signal.astype(float)")
    return signal


def _with_floats(x: np.ndarray | jax.Array) -> np.ndarray | jax.Array:
    """Numbers in float32, or in float64 if they are and JAX is set to keep that.

    Raises ValueError for complex or unsigned numbers.
    """
    if jnp.iscomplexobj(x):
        raise ValueError("the sound holds complex numbers: use its real part")
    if jnp.issubdtype(x.dtype, jnp.unsignedinteger):
        # uint8 of a WAV file counts from 128: taken as it is, the cues would be of that offset
        raise ValueError(f"the sound holds {x.dtype}, without a sign: subtract its zero as floats")
    is_double = x.dtype == np.float64 and jax.dtypes.canonicalize_dtype(np.float64) == np.float64
    # what overflows is infinite, and refused as that
    with np.errstate(over="ignore"):
        return x.astype(np.float64 if is_double else np.float32)


def _has_usable_values(x: np.ndarray | jax.Array) -> bool:
    """Whether all values are at most LARGEST either way; NaN is not."""
    if isinstance(x, np.ndarray):
        # with a NaN both extremes are NaN, and no comparison holds
        return x.size == 0 or bool(x.max() <= LARGEST and x.min() >= -LARGEST)
    # while another function is traced, this is still computed at once
    with jax.ensure_compile_time_eval():
        return bool((jnp.abs(x) <= LARGEST).all())


def checked_floats(signal: ArrayLike) -> np.ndarray | jax.Array:
    """`as_floats` where the signal is: NumPy's arrays are neither moved nor kept waiting."""
    x = _with_floats(_as_array(signal))
    if isinstance(x, jax.core.Tracer) or _has_usable_values(x):
        return x
    if not np.isfinite(x).all():
        raise ValueError("the sound holds NaN or infinity: numpy.nan_to_num(signal) replaces them")
    raise ValueError(f"the sound holds values over {LARGEST:g}: divide it by its full scale")


def as_floats(signal: ArrayLike) -> jax.Array:
    """The signal in float32, or in float64 if it is float64 and JAX is set to keep that.

    Raises
    ------
    ValueError
        Complex or unsigned numbers; NaN, infinity or values over LARGEST. Values that JAX traces
        are not known: they pass.
    """
    return jnp.asarray(checked_floats(signal))


def as_sound(signal: ArrayLike) -> jax.Array:
    """`as_floats` of (..., samples); ValueError if there is no sample."""
    x = as_floats(signal)
    if x.ndim == 0 or x.size == 0:
        raise ValueError(f"a sound needs at least one sample, its shape is {x.shape}")
    return x


def require_two_ears(signal: ArrayLike) -> np.ndarray | jax.Array:
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

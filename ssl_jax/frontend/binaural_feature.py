"""Interaural cues by running cross-correlation: ITD, ILD, IC and power per channel and frame.

Left l[n], right r[n] (zero outside), lags m = -D..D, D = round(fs max_itd), a = 1 / (tau fs):

    LR[n,m] = (1-a) LR[n-1,m] + a l[n] r[n+m]        LL[n]   = (1-a) LL[n-1]   + a l[n]^2
    RR[n,m] = (1-a) RR[n-1,m] + a r[n+m]^2           gamma   = LR / sqrt(LL RR)
    m* = argmax_m gamma     ITD = m*/fs     IC = gamma[m*]     ILD = 10 log10(LL / RR[m*])

after Faller & Merimaa (2004). Positive ITD and ILD: the source is on the left.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from numpy.typing import ArrayLike

from ssl_jax.frontend.auditory_model import (
    MEMORYLESS,
    ZERO_PHASE,
    GF_spectrogram,
    as_sound,
    haircell_model,
)
from ssl_jax.frontend.block_filter import filter_samples, start_state
from ssl_jax.frontend.filter_design import as_cfs, block_filters
from ssl_jax.frontend.running_correlation import scan_cues, settings


class Cues(NamedTuple):
    """Interaural cues, each (..., channels, frames)."""

    itd: jax.Array  # ms, positive = source on the left
    ild: jax.Array  # dB, positive = source on the left, clipped
    ic: jax.Array  # interaural coherence, 0..1
    power: jax.Array  # LL + RR[m*]


def to_cues(cues, fs: float, shape: tuple) -> Cues:
    """What `scan_cues` gives, as Cues with the leading axes `shape`."""
    lag, ild, ic, power = (c.reshape(*shape, *c.shape[-2:]) for c in cues)
    return Cues(lag * (1000.0 / fs), ild, ic, power)


@partial(jax.jit, static_argnames=("fs", "w"))
def _cues_of_envelopes(left, right, fs, w):
    *shape, channels, samples = left.shape
    rows = jnp.stack([left, right]).reshape(2, -1, channels, samples).transpose(1, 0, 3, 2)
    return to_cues(
        scan_cues(w, samples, channels, rows, (), lambda s, f: (s, f), left.dtype), fs, shape
    )


def filterbank_step(fs: float, cfs, filter_type: str, hair_cell: str, step: int):
    """The filterbank and a memoryless hair cell, as `scan_steps` runs them."""
    banks = block_filters(fs, cfs, step, filter_type)

    def ears(state, sound):  # (clips, 2, step) -> (clips, 2, step, C)
        state, y = filter_samples(banks, state, sound.reshape(-1, step))
        return state, MEMORYLESS[hair_cell](y).reshape(*sound.shape, y.shape[-1])

    return ears


@partial(jax.jit, static_argnames=("fs", "cfs", "filter_type", "hair_cell", "w"))
def _cues_of_sound(signal, fs, cfs, filter_type, hair_cell, w):
    *shape, samples, _ = signal.shape
    rows = signal.reshape(-1, samples, 2).swapaxes(1, 2)  # clips, 2, samples
    state = start_state(fs, cfs, filter_type, 2 * rows.shape[0], signal.dtype)
    ears = filterbank_step(fs, cfs, filter_type, hair_cell, w.step)
    return to_cues(scan_cues(w, samples, len(cfs), rows, state, ears, signal.dtype), fs, shape)


def calculate_itd_ild_ic(left: ArrayLike, right: ArrayLike, fs: float, tau: float = 0.010,
                         max_itd: float = 0.001, max_ild: float = 7.0, hop: int | None = None,
                         sharpness: float | None = None) -> Cues:  # fmt: skip
    """Interaural cues of two sets of filter outputs or envelopes.

    Parameters
    ----------
    left, right : (..., channels, samples)
    fs : float, Hz
    tau : float, s, time constant of the exponential window
    max_itd : float, s, lags of up to this much are searched
    max_ild : float, dB, the ILD is clipped to plus or minus this
    hop : int, samples
        1 gives every sample; 441 the value at samples 440, 881, ...; 10 ms unless given.
    sharpness : float, optional
        The ITD is then the mean lag weighted by softmax(sharpness * gamma), which has a derivative, instead
        of the lag of the maximum. At 500 Hz 500 interpolates between lags, more is closer to the maximum;
        narrower peaks of gamma, at higher frequencies, need less.

    Returns
    -------
    Cues, each (..., channels, samples // hop)

    Raises
    ------
    ValueError
        Shapes differ, the sound is shorter than one hop, or a setting makes no sense.

    Notes
    -----
    Faller & Merimaa (2004), equations 3 to 9. Silence gives ITD 0, ILD 0 and IC 0.
    """
    left, right = as_sound(left), as_sound(right)
    if left.shape != right.shape or left.ndim < 2:
        raise ValueError(
            f"left, right must both be (..., channels, samples): {left.shape}, {right.shape}"
        )
    return _cues_of_envelopes(
        left, right, float(fs), settings(fs, tau, max_itd, max_ild, hop, sharpness)
    )


def get_cues_clean(signal: ArrayLike, fs: float, cfs: ArrayLike | None = None,
                   filter_type: str = "gammatone", model_type: str | None = "roman",
                   **correlation) -> Cues:  # fmt: skip
    """Interaural cues of a two-ear sound: filterbank, hair cell, running correlation.

    Parameters
    ----------
    signal : (..., samples, 2), left ear first
    fs : float, Hz
    cfs : (channels,), Hz, optional
        32 on the ERB scale from 80 Hz, highest first, unless given.
    filter_type, model_type : str
        See `GF_spectrogram` and `haircell_model`.
    **correlation
        tau=0.010, max_itd=0.001, max_ild=7.0, hop=None, sharpness=None, of `calculate_itd_ild_ic`.

    Returns
    -------
    Cues, each (..., channels, samples // hop)

    Raises
    ------
    ValueError
        The last axis is not two ears, the sound is too short, or a setting makes no sense.
    """
    signal, cfs, model_type = as_sound(signal, ears=True), as_cfs(cfs, fs), model_type or "none"
    w = settings(fs, **correlation)
    if model_type in MEMORYLESS and filter_type not in ZERO_PHASE:
        return _cues_of_sound(signal, float(fs), cfs, filter_type, model_type, w)
    # these look at the whole sound, so the scan gets their envelopes
    audiogram = GF_spectrogram(jnp.moveaxis(signal, -1, 0), fs, cfs, filter_type)
    left, right = haircell_model(audiogram, float(fs), model_type)
    return _cues_of_envelopes(left, right, float(fs), w)

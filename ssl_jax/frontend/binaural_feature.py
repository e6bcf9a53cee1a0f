"""Interaural cues of whole sounds: ITD, ILD, IC and power per channel and frame.

The equations: `reference.running_cues`, after Faller & Merimaa (2004).
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from numpy.typing import ArrayLike

from ssl_jax.frontend.auditory_model import (
    GF_spectrogram,
    PeripherySettings,
    as_ears,
    as_sound,
    haircell_model,
    periphery_settings,
    periphery_step,
    silent_periphery,
)
from ssl_jax.frontend.correlation_settings import CorrelationSettings, correlation_settings
from ssl_jax.frontend.cue_scan import scan_cues
from ssl_jax.frontend.lag_cues import FrameCues


class Cues(NamedTuple):
    """Interaural cues, each (..., channels, frames)."""

    itd: jax.Array  # ms, positive = source on the left
    ild: jax.Array  # dB, positive = source on the left, clipped
    ic: jax.Array  # interaural coherence, 0..1
    power: jax.Array  # LL + RR[m*]


def to_cues(cues: FrameCues, fs: float, leading: tuple[int, ...]) -> Cues:
    """Cues (clips, channels, frames) as (*leading, channels, frames), with the lag in ms."""
    cues = FrameCues(*(cue.reshape(*leading, *cue.shape[-2:]) for cue in cues))
    return Cues(cues.lag * (1000.0 / fs), cues.ild, cues.ic, cues.power)


def _pass_on(state, envelopes):
    """The periphery of envelopes: they are filtered already."""
    return state, envelopes


@partial(jax.jit, static_argnames=("fs", "correlation"))
def _cues_of_envelopes(left, right, fs: float, correlation: CorrelationSettings) -> Cues:
    *leading, channels, samples = left.shape
    ears = jnp.stack([left, right]).reshape(2, -1, channels, samples)
    ears = ears.transpose(1, 0, 3, 2)  # clips, 2, samples, channels
    cues = scan_cues(correlation, ears, channels, _pass_on, ())
    return to_cues(cues, fs, tuple(leading))


@partial(jax.jit, static_argnames=("periphery", "correlation"))
def _cues_of_sound(signal, periphery: PeripherySettings, correlation: CorrelationSettings) -> Cues:
    *leading, samples, _ = signal.shape
    ears = signal.reshape(-1, samples, 2).swapaxes(1, 2)  # clips, 2, samples
    state = silent_periphery(periphery, len(ears), signal.dtype)
    step = periphery_step(periphery, correlation.step)
    cues = scan_cues(correlation, ears, len(periphery.cfs), step, state)
    return to_cues(cues, periphery.fs, tuple(leading))


def calculate_itd_ild_ic(
    left: ArrayLike,
    right: ArrayLike,
    fs: float,
    tau: float = 0.010,
    max_itd: float = 0.001,
    max_ild: float = 7.0,
    hop: int | None = None,
    sharpness: float | None = None,
) -> Cues:
    """Interaural cues of two sets of filter outputs or envelopes.

    Parameters
    ----------
    left, right : (..., channels, samples)
    fs : float, Hz
    tau : float, s
        Time constant of the exponential window.
    max_itd : float, s
        Lags of up to this much are searched.
    max_ild : float, dB
        The ILD is clipped to plus or minus this.
    hop : int, samples, optional
        1 gives every sample; 441 the value at samples 440, 881, ...; 10 ms unless given.
    sharpness : float, optional
        The ITD is then the mean lag weighted by softmax(sharpness * gamma), which has a
        derivative, instead of the lag of the maximum. At 500 Hz a sharpness of 500 interpolates
        between lags; a higher one is closer to the maximum. At higher frequencies the peaks of
        gamma are narrower and need less.

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
    left = as_sound(left)
    right = as_sound(right)
    if left.shape != right.shape or left.ndim < 2:
        raise ValueError(
            f"left, right must both be (..., channels, samples): {left.shape}, {right.shape}"
        )
    correlation = correlation_settings(fs, tau, max_itd, max_ild, hop, sharpness)
    return _cues_of_envelopes(left, right, float(fs), correlation)


def get_cues_clean(
    signal: ArrayLike,
    fs: float,
    cfs: ArrayLike | None = None,
    filter_type: str = "gammatone",
    hair_cell: str | None = "roman",
    **correlation,
) -> Cues:
    """Interaural cues of a two-ear sound: filterbank, hair cell, running correlation.

    Parameters
    ----------
    signal : (..., samples, 2), left ear first
    fs : float, Hz
    cfs : (channels,), Hz, optional
        32 on the ERB scale from 80 Hz, highest first, unless given.
    filter_type, hair_cell : str
        See `GF_spectrogram` and `haircell_model`.
    **correlation
        tau=0.010, max_itd=0.001, max_ild=7.0, hop=None and sharpness=None of
        `calculate_itd_ild_ic`.

    Returns
    -------
    Cues, each (..., channels, samples // hop)

    Raises
    ------
    ValueError
        The last axis is not two ears, the sound is too short, or a setting makes no sense.
    """
    signal = as_ears(signal)
    periphery = periphery_settings(fs, cfs, filter_type, hair_cell)
    settings = correlation_settings(fs, **correlation)
    if periphery.runs_in_blocks:
        return _cues_of_sound(signal, periphery, settings)
    # these look at the whole sound, so the scan gets their envelopes
    ears = jnp.moveaxis(signal, -1, 0)
    audiogram = GF_spectrogram(ears, fs, periphery.cfs, filter_type)
    left, right = haircell_model(audiogram, periphery.fs, periphery.hair_cell)
    return _cues_of_envelopes(left, right, periphery.fs, settings)

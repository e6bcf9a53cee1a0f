"""Interaural cues of whole sounds: ITD, ILD, IC and power per channel and frame.

The equations: `reference.running_cues`, after Faller & Merimaa (2004).
"""

from functools import partial
from typing import Unpack

import jax
import jax.numpy as jnp
from numpy.typing import ArrayLike

from ssl_jax.frontend.auditory_model import apply_hair_cell, filter_channels
from ssl_jax.frontend.correlation_settings import (
    CorrelationOptions,
    CorrelationSettings,
    correlation_settings,
)
from ssl_jax.frontend.cue_scan import scan_cues
from ssl_jax.frontend.cues import CueGrid, Cues
from ssl_jax.frontend.lag_cues import FrameCues
from ssl_jax.frontend.periphery import (
    PeripherySettings,
    periphery_settings,
    periphery_step,
    silent_periphery,
)
from ssl_jax.frontend.sound_checks import as_ears, as_sound


def to_cues(cues: FrameCues, grid: CueGrid, leading: tuple[int, ...]) -> Cues:
    """Cues (clips, channels, frames) as (*leading, channels, frames), with the lag in ms."""
    cues = FrameCues(*(cue.reshape(*leading, *cue.shape[-2:]) for cue in cues))
    return Cues(cues.lag * (1000.0 / grid.fs), cues.ild, cues.ic, cues.power, grid)


def _pass_on(state, envelopes):
    """The periphery of envelopes: they are filtered already."""
    return state, envelopes


@partial(jax.jit, static_argnames=("fs", "correlation", "cfs"))
def _cues_of_envelopes(
    left,
    right,
    fs: float,
    correlation: CorrelationSettings,
    cfs: tuple[float, ...] | None = None,
) -> Cues:
    *leading, channels, samples = left.shape
    ears = jnp.stack([left, right]).reshape(2, -1, channels, samples)
    ears = ears.transpose(1, 0, 3, 2)  # clips, 2, samples, channels
    cues = scan_cues(correlation, ears, channels, _pass_on, ())
    grid = CueGrid(fs, correlation.hop, cues.ild.shape[-1], cfs=cfs)
    return to_cues(cues, grid, tuple(leading))


@partial(jax.jit, static_argnames=("periphery", "correlation"))
def _cues_of_sound(signal, periphery: PeripherySettings, correlation: CorrelationSettings) -> Cues:
    *leading, samples, _ = signal.shape
    ears = signal.reshape(-1, samples, 2).swapaxes(1, 2)  # clips, 2, samples
    state = silent_periphery(periphery, len(ears), signal.dtype)
    step = periphery_step(periphery, correlation.step)
    cues = scan_cues(correlation, ears, len(periphery.cfs), step, state)
    grid = CueGrid(periphery.fs, correlation.hop, cues.ild.shape[-1], cfs=periphery.cfs)
    return to_cues(cues, grid, tuple(leading))


def calculate_itd_ild_ic(
    left: ArrayLike,
    right: ArrayLike,
    fs: float,
    **correlation: Unpack[CorrelationOptions],
) -> Cues:
    """Interaural cues of two sets of filter outputs or envelopes.

    Parameters
    ----------
    left, right : (..., channels, samples)
    fs : float, Hz
    tau : float, s, default 0.010
        Time constant of the exponential window.
    max_itd : float, SECONDS, default 0.001
        Lags of up to this much are searched: 0.001 is 1 ms. The ITD that comes out is in ms.
    max_ild : float, dB, default 20.0
        The ILD is clipped to plus or minus this.
    hop : int, samples, default 10 ms
        1 gives every sample; 441 the value at samples 440, 881, ...
    sharpness : float, default None
        The ITD is then the mean lag weighted by softmax(sharpness * gamma), which has a
        derivative, instead of the lag of the maximum. At 500 Hz a sharpness of 500 interpolates
        between lags; a higher one is closer to the maximum. At higher frequencies the peaks of
        gamma are narrower and need less.

    Returns
    -------
    Cues, each (..., channels, samples // hop)
        They know their times; not their centre frequencies, which envelopes come without.

    Raises
    ------
    ValueError
        Shapes differ, the sound is shorter than one hop, NaN or infinity, or a setting makes no
        sense.

    Notes
    -----
    The binaural processor of Faller & Merimaa (2004). Silence gives ITD 0, ILD 0 and IC 0.
    """
    left = as_sound(left)
    right = as_sound(right)
    if left.shape != right.shape or left.ndim < 2:
        raise ValueError(
            f"left, right must both be (..., channels, samples): {left.shape}, {right.shape}"
        )
    settings = correlation_settings(fs, **correlation)
    return _cues_of_envelopes(left, right, float(fs), settings)


def get_cues_clean(
    signal: ArrayLike,
    fs: float,
    cfs: ArrayLike | None = None,
    filter_type: str = "gammatone",
    hair_cell: str | None = "none",
    **correlation: Unpack[CorrelationOptions],
) -> Cues:
    """Interaural cues of a two-ear sound: filterbank, hair cell, running correlation.

    Also called `interaural_cues`. The defaults give the ILD of the sound itself, up to 20 dB. The
    cues of the published networks are `FrontEnd.published().cues(signal)`.

    Parameters
    ----------
    signal : (..., samples, 2), left ear first
    fs : float, Hz
    cfs : (channels,), Hz, optional
        32 on the ERB scale from 80 Hz, highest first, unless given.
        `centre_frequencies(fs)[::-1]` gives the lowest first, as librosa has it.
    filter_type, hair_cell : str
        See `GF_spectrogram` and `haircell_model`. A hair cell that compresses makes ILDs smaller.
    **correlation
        tau=0.010 (s), max_itd=0.001 (SECONDS), max_ild=20.0 (dB), hop=None (10 ms) and
        sharpness=None, as `calculate_itd_ild_ic` takes them.

    Returns
    -------
    Cues, each (..., channels, samples // hop)
        float32; float64 if `signal` is that and JAX is set to keep it (`jax_enable_x64`).

    Raises
    ------
    ValueError
        The last axis is not two ears, the sound is shorter than one hop, NaN or infinity, or a
        setting makes no sense.
    """
    signal = as_ears(signal)
    periphery = periphery_settings(fs, cfs, filter_type, hair_cell)
    settings = correlation_settings(fs, **correlation)
    if periphery.runs_in_blocks:
        return _cues_of_sound(signal, periphery, settings)
    # these look at the whole sound, so the scan gets their envelopes
    ears = jnp.moveaxis(signal, -1, 0)
    audiogram = filter_channels(ears, fs, periphery.cfs, filter_type)
    left, right = apply_hair_cell(audiogram, periphery.fs, periphery.hair_cell)
    return _cues_of_envelopes(left, right, periphery.fs, settings, periphery.cfs)


interaural_cues = get_cues_clean

"""Azimuths without a network: the delay of GCC-PHAT, and cues looked up on a measured head."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.fft import irfft, next_fast_len, rfft, rfftfreq

from ssl_jax.common.angles import circle_degrees
from ssl_jax.common.errors import InputError
from ssl_jax.config import AZIMUTH_STEP, AZIMUTHS, FrontEnd
from ssl_jax.frontend.binaural_feature import get_cues_clean
from ssl_jax.frontend.sound_checks import as_ears
from ssl_jax.sounds.hrtf import KEMAR, select_directions
from ssl_jax.sounds.mixing import spatialise
from ssl_jax.sounds.reading import check_rate
from ssl_jax.sounds.shoebox import SOUND_SPEED
from ssl_jax.sounds.sofa import Sofa, read_sofa

MAX_DELAY_S = FrontEnd.max_itd  # between the ears of a head
# speech is often recorded up to here only, and whitened noise above would count as much
HIGHEST_HZ = 8000.0
UPSAMPLING = 4  # of the correlation: a parabola fits the tip of its peak then
LEAST_CROSS = 1e-10  # of the cross-spectrum's peak: what is below is rounding, without a phase
FRONTAL = np.arange(-90, 91, AZIMUTH_STEP)  # degrees
SPHERE_RADIUS = 0.0875  # m, of an average head
NOISE_S = 0.5  # of white noise from each direction: 50 frames tell how much cues spread
# how much the cues of two people differ from one direction: a tenth of the largest ITD; several dB
ITD_BETWEEN_HEADS = 0.07  # ms
ILD_BETWEEN_HEADS = 3.0  # dB
MOST_SPREADS = 2.0  # a cue that is further off says no more against a direction
IC_POWER = 4  # IC to this power weighs a cue: at 0.5, as in noise, it counts a sixteenth


@dataclass(frozen=True)
class CueTemplates:
    """Cues of white noise from the 72 azimuths of a head, and how far they spread."""

    fs: float  # Hz
    itd: np.ndarray  # (72, channels) ms
    ild: np.ndarray  # (72, channels) dB
    itd_spread: np.ndarray  # (72, channels) ms
    ild_spread: np.ndarray  # (72, channels) dB


def gcc_phat_delay(signal: ArrayLike, fs: float) -> np.ndarray:
    """Time by which the left ear hears a sound before the right one, by GCC-PHAT.

    The lag of the largest value of the phase-transformed cross-correlation, interpolated between
    samples (Knapp & Carter 1976, IEEE Trans. ASSP 24, 320-327).

    Parameters
    ----------
    signal : array_like
        (..., samples, 2), left ear first.
    fs : float
        Hz.

    Returns
    -------
    ndarray
        (...) s, between -0.001 and 0.001. Positive: the source is on the left.

    Raises
    ------
    ValueError
        The last axis is not two ears, or NaN or infinity.
    InputError
        An ear is silent, or the rate is below 2000 Hz.

    Notes
    -----
    Frequencies up to 8 kHz count.
    """
    if not 2 / MAX_DELAY_S <= fs < np.inf:
        raise InputError(f"fs {fs!r}: out of range: use {2 / MAX_DELAY_S:g} Hz or more")
    ears = np.asarray(as_ears(signal), float)
    if not ears.any(axis=-2).all():
        raise InputError("an ear is silent: use a sound that both ears hear")
    # zeros behind the sound, however short it is: no lag wraps around
    size = next_fast_len(2 * max(ears.shape[-2], int(MAX_DELAY_S * fs) + 2), real=True)
    spectra = rfft(ears, size, axis=-2)
    cross = spectra[..., 0].conj() * spectra[..., 1]
    cross = np.where(rfftfreq(size, 1 / fs) <= HIGHEST_HZ, cross, 0)
    magnitude = np.abs(cross)
    has_phase = magnitude > LEAST_CROSS * magnitude.max(axis=-1, keepdims=True)
    phases = np.where(has_phase, cross / np.where(has_phase, magnitude, 1), 0)
    correlation = irfft(phases, UPSAMPLING * size)
    return _peak_lag(correlation, round(MAX_DELAY_S * fs * UPSAMPLING)) / (UPSAMPLING * fs)


def _peak_lag(correlation: np.ndarray, longest: int) -> np.ndarray:
    """Lag (...), samples, of the largest value of circular correlations (..., samples).

    The tip of a parabola through that value, at most `longest` off zero, and its neighbours.
    """
    lags = np.arange(-longest, longest + 1)
    peak = lags[correlation[..., lags].argmax(axis=-1)]
    neighbours = (peak[..., None] + (-1, 0, 1)) % correlation.shape[-1]
    around = np.take_along_axis(correlation, neighbours, axis=-1)
    before, at, after = np.moveaxis(around, -1, 0)
    # at the longest lag the largest value may be no peak
    is_peak = (at >= before) & (at >= after) & (2 * at > before + after)
    curvature = np.where(is_peak, 2 * at - before - after, 1)
    return peak + np.where(is_peak, (after - before) / (2 * curvature), 0)


def sphere_delays(azimuths: ArrayLike) -> np.ndarray:
    """Delays (...), s, between the ears of a sphere, for azimuths (...) of -90 to 90 degrees.

    A ray goes straight to the nearer ear and around the sphere to the other (Woodworth 1938,
    Experimental Psychology).
    """
    angle = np.radians(azimuths)
    return SPHERE_RADIUS / SOUND_SPEED * (angle + np.sin(angle))


def head_delays(head: Sofa) -> np.ndarray:
    """`gcc_phat_delay` of a head's responses from the azimuths FRONTAL (37,), s, put in order.

    Beside the ears some delays shrink again by a sample or two; in order, each has one azimuth.
    """
    responses, _ = select_directions(head, "horizontal", FRONTAL)
    return np.sort(gcc_phat_delay(responses.swapaxes(-1, -2), head.fs))


def gcc_phat_azimuth(signal: ArrayLike, fs: float, head: Sofa | None = None) -> np.ndarray:
    """Azimuth of a sound in the frontal half, by its delay alone.

    A delay cannot tell front from back: a source behind comes out in front.

    Parameters
    ----------
    signal : array_like
        (..., samples, 2), left ear first.
    fs : float
        Hz.
    head : Sofa, optional
        Whose delays tell the azimuth: `gcc_phat_delay` of its responses every 5 degrees,
        interpolated. Woodworth's sphere without.

    Returns
    -------
    ndarray
        (...) degrees: from 0 to 90, or from 270 to below 360.

    Raises
    ------
    ValueError, InputError
        As `gcc_phat_delay` does; the head has no ring of directions on the horizontal plane.
    """
    delays = sphere_delays(FRONTAL) if head is None else head_delays(head)
    return circle_degrees(np.interp(gcc_phat_delay(signal, fs), delays, FRONTAL))


def cue_templates(fs: float, head: Sofa | None = None) -> CueTemplates:
    """What `itd_ild_azimuth` compares with: cues of white noise from 72 azimuths of a head.

    Parameters
    ----------
    fs : float
        Hz.
    head : Sofa, optional
        Of the same rate, as `read_sofa(path, fs)` reads it; the KEMAR of the package without.

    Returns
    -------
    CueTemplates

    Raises
    ------
    InputError
        The rate is out of range; the head is of another one, or has no ring of directions on the
        horizontal plane.
    """
    check_rate("fs", fs)
    if head is None:
        head = read_sofa(KEMAR, round(fs))
    if head.fs != fs:
        raise InputError(
            f"head {head.name!r}: of {head.fs} Hz, not {fs:g}: read it with read_sofa(path, fs)"
        )
    responses, _ = select_directions(head, "horizontal")
    noise = np.random.default_rng(0).standard_normal(round(NOISE_S * fs))
    ears = spatialise(noise.astype(np.float32), responses.astype(np.float32))  # 72, 2, samples
    cues = get_cues_clean(ears.swapaxes(-1, -2), fs)
    itd = np.asarray(cues.itd)
    ild = np.asarray(cues.ild)
    return CueTemplates(
        fs=fs,
        itd=itd.mean(axis=-1),
        ild=ild.mean(axis=-1),
        itd_spread=np.hypot(itd.std(axis=-1), ITD_BETWEEN_HEADS),
        ild_spread=np.hypot(ild.std(axis=-1), ILD_BETWEEN_HEADS),
    )


_kemar_templates = lru_cache(maxsize=1)(cue_templates)


def template_distances(signal: ArrayLike, templates: CueTemplates) -> np.ndarray:
    """How far the cues of sounds (..., samples, 2) are from each azimuth's: (..., 72).

    The mean over channels and frames, weighted by coherence, of the squared distances of ITD and
    ILD in spreads; each counts up to MOST_SPREADS.

    Raises
    ------
    ValueError, InputError
        As `itd_ild_azimuth` does.
    """
    cues = get_cues_clean(signal, templates.fs)
    itd = np.asarray(cues.itd)
    ild = np.asarray(cues.ild)
    weight = np.asarray(cues.ic) ** IC_POWER
    total = weight.sum(axis=(-2, -1))
    if not total.all():
        raise InputError("an ear is silent: use a sound that both ears hear")
    distances = np.empty((*total.shape, AZIMUTHS))
    for number in range(AZIMUTHS):
        itd_off = (itd - templates.itd[number, :, None]) / templates.itd_spread[number, :, None]
        ild_off = (ild - templates.ild[number, :, None]) / templates.ild_spread[number, :, None]
        squared = np.minimum(itd_off**2, MOST_SPREADS**2) + np.minimum(ild_off**2, MOST_SPREADS**2)
        distances[..., number] = (weight * squared).sum(axis=(-2, -1)) / total
    return distances


def itd_ild_azimuth(
    signal: ArrayLike, fs: float, templates: CueTemplates | None = None
) -> np.ndarray:
    """Azimuth of a sound by looking its cues up among those of a measured head.

    The nearest of 72 azimuths (`template_distances`), one for the whole sound. Front and back
    differ in ILD over channels. After the lookup of ITD and ILD by Raspaud, Viste & Evangelista
    (2010, IEEE Trans. ASLP 18, 68-77) and the weights by coherence of Faller & Merimaa (2004).

    Parameters
    ----------
    signal : array_like
        (..., samples, 2), left ear first.
    fs : float
        Hz.
    templates : CueTemplates, optional
        `cue_templates(fs, head)`, of the KEMAR of the package unless given.

    Returns
    -------
    ndarray
        (...) degrees, multiples of 5 from 0 to 355.

    Raises
    ------
    ValueError
        As `get_cues_clean` does.
    InputError
        An ear is silent, or the templates are of another rate.
    """
    if templates is None:
        templates = _kemar_templates(fs)
    if templates.fs != fs:
        raise InputError(
            f"templates of {templates.fs:g} Hz, not {fs:g}: use cue_templates(fs, head)"
        )
    return AZIMUTH_STEP * template_distances(signal, templates).argmin(axis=-1)

"""What the fast code is held to: equations sample by sample, sections for SciPy; and sounds in pieces."""

import numpy as np
from scipy import signal as sps

from ssl_jax.frontend.filter_design import allpole_sos, erb, gammatone_sos


def butterworth_sos(fs, cfs):
    edges = [(f - erb(f) / 2, f + erb(f) / 2) for f in cfs]
    return [sps.butter(3, edge, "bandpass", fs=fs, output="sos") for edge in edges]


SECTIONS = {"gammatone": gammatone_sos, "allpole": allpole_sos, "butterworth": butterworth_sos}


def pieces(x, sizes):
    """Consecutive blocks of x (samples, 2) of the given sizes, over and over."""
    cuts = np.cumsum(np.resize(sizes, len(x)))
    return np.split(x, cuts[cuts < len(x)])


def cue_loop(left, right, fs, tau=0.010, max_itd=0.001, max_ild=7.0, hop=1):
    """ITD (ms), ILD (dB), IC and power, each (channels, samples // hop), of (channels, samples)."""
    left, right = np.asarray(left, np.float64), np.asarray(right, np.float64)
    channels, samples = left.shape
    lags = round(fs * max_itd)
    a = 1 / (tau * fs)
    padded = np.pad(right, ((0, 0), (lags, lags)))  # r is zero outside
    cross = np.zeros((channels, 2 * lags + 1))
    right_energy = np.zeros((channels, 2 * lags + 1))
    left_energy = np.zeros(channels)
    kept = []
    for n in range(samples):
        around = padded[:, n : n + 2 * lags + 1]  # r[n + m], m = -lags..lags
        cross = (1 - a) * cross + a * left[:, n, None] * around
        right_energy = (1 - a) * right_energy + a * around**2
        left_energy = (1 - a) * left_energy + a * left[:, n] ** 2
        if (n + 1) % hop:
            continue
        size = np.sqrt(left_energy[:, None] * right_energy)
        gamma = np.divide(cross, size, out=np.zeros_like(cross), where=size > 0)
        best = gamma.argmax(axis=1)
        at_best = right_energy[np.arange(channels), best]
        heard = (left_energy > 0) & (at_best > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            ild = 10 * (np.log10(left_energy) - np.log10(at_best))
        ild = np.where((left_energy == 0) & (at_best == 0), 0, ild)
        itd = np.where(heard, 1000 * (best - lags) / fs, 0)
        ic = np.where(heard, np.maximum(gamma[np.arange(channels), best], 0), 0)
        kept.append((itd, np.clip(ild, -max_ild, max_ild), ic, left_energy + at_best))
    return tuple(np.stack(values, axis=-1) for values in zip(*kept, strict=True))

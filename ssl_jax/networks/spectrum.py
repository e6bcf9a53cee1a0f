"""A window's mean spectrum, less what a microphone may have added: what tells front from back.

A head with two like ears has ITD and ILD of 0 both in front and behind; what differs is the
spectrum. Microphones are smooth over frequency and ears are not, so a cubic over the channels is
taken out of the levels.

In shape comments B is the batch, T frames, C channels.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ssl_jax.config import FrontEnd
from ssl_jax.networks.layers import BatchNorm, linear

# Hz up to which the cubic is fitted; recordings at 16 kHz end a little higher
FITTED_HZ = 7500.0
DEGREE = 3
# dB below the loudest moment of any channel: below it noise floors differ, not ears
FLOOR = 60.0
# dB in one unit of a level, and how many units are told apart
UNIT = 5.0
MOST = 4.0
# of a window that is closed to all moments: its means are of nothing
LEAST_POWER = 1e-9
LEAST_OPENING = 1e-3
HIDDEN = 768
# features that tell about a window as a whole
OUTPUTS = 384
# 10 log10(x) = DECIBEL ln(x)
DECIBEL = 10 / np.log(10)


def without_smooth_part(cfs: np.ndarray) -> np.ndarray:
    """The matrix (C, C) that takes a smooth curve out of levels (C,) at frequencies `cfs`, Hz.

    Channels up to FITTED_HZ lose their cubic over the channels' order, which is the ERB scale. The
    others, where many recordings have nothing, lose the mean of the fitted ones.
    """
    cfs = np.asarray(cfs)
    fitted = np.flatnonzero(cfs <= FITTED_HZ)
    others = np.flatnonzero(cfs > FITTED_HZ)
    positions = np.linspace(-1, 1, len(fitted))
    degree = min(DEGREE, len(fitted) - 1)
    basis = np.linalg.qr(np.vander(positions, degree + 1))[0]
    matrix = np.eye(len(cfs))
    matrix[np.ix_(fitted, fitted)] -= basis @ basis.T
    matrix[np.ix_(others, fitted)] -= 1 / len(fitted)
    return matrix.astype(np.float32)


class Spectrum(nnx.Module):
    """Mean spectra and ILDs of a window to a few features: (B, OUTPUTS).

    Raises
    ------
    ValueError
        For a front-end without levels.
    """

    def __init__(self, rngs: nnx.Rngs, front: FrontEnd):
        if not front.levels:
            raise ValueError("a spectrum needs a front-end with levels: use FrontEnd(levels=True)")
        self.max_ild = front.max_ild
        self.matrix = without_smooth_part(front.cfs)
        self.hidden = linear(3 * front.channels, HIDDEN, rngs)
        self.hidden_norm = BatchNorm(HIDDEN)
        self.out = linear(HIDDEN, OUTPUTS, rngs)
        self.out_norm = BatchNorm(OUTPUTS)

    def features(self, level: jax.Array, ild: jax.Array, gate: jax.Array) -> jax.Array:
        """(B, 3 C): the mean spectrum, that of moments whose gate is open, and their mean ILD."""
        below_loudest = level - level.max((1, 2), keepdims=True)
        # (B, C, T), 0 to 1
        power = jnp.exp(jnp.maximum(below_loudest, -FLOOR) / DECIBEL)
        gated = gate * power
        # (B, C)
        gated_sum = gated.sum(-1) + LEAST_POWER
        mean = DECIBEL * jnp.log(power.mean(-1))
        gated_mean = DECIBEL * jnp.log(gated_sum / (gate.sum(-1) + LEAST_OPENING))
        gated_mean = jnp.maximum(gated_mean, -FLOOR)
        gated_ild = (gated * ild).sum(-1) / gated_sum
        spectra = jnp.stack([mean, gated_mean], axis=1) @ self.matrix.T / UNIT
        spectra = jnp.clip(spectra, -MOST, MOST)
        return jnp.concatenate([spectra[:, 0], spectra[:, 1], gated_ild / self.max_ild], axis=1)

    def __call__(self, level: jax.Array, ild: jax.Array, gate: jax.Array) -> jax.Array:
        """Features (B, OUTPUTS) of levels (dB), ILDs (dB) and gates (0 to 1), each (B, C, T)."""
        x = self.features(level, ild, gate)
        x = nnx.relu(self.hidden_norm(self.hidden(x)))
        return nnx.relu(self.out_norm(self.out(x)))

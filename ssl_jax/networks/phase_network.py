"""Our network on the same cue maps: interaural phases instead of raw numbers, all cues together.

A linear layer cannot read an ambiguous ITD: above some 700 Hz one direction gives several peaks, a
period apart. So every ITD enters as sines and cosines of its phase at a few frequencies, the
channel's own among them, and every ILD likewise. A gate by IC turns incoherent moments down (Faller
& Merimaa 2004 select cues the same way). All channels and cues of a frame then meet in one layer,
two residual convolutions see some 100 ms, and four attention heads choose the frames to sum up.

In shape comments B is the batch, T frames, F features of a channel, C channels, S sides.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ssl_jax.config import (
    AZIMUTHS,
    IC_MAP,
    ILD_MAP,
    ITD_MAP,
    LEVEL_MAP,
    SIDED_MAPS,
    FrontEnd,
)
from ssl_jax.metrics import swapped_class
from ssl_jax.networks.layers import CUES, BatchNorm, check_cue_maps, conv, linear
from ssl_jax.networks.level_features import Extent, level_features
from ssl_jax.networks.spectrum import OUTPUTS as SPECTRUM_FEATURES
from ssl_jax.networks.spectrum import Spectrum

# cycles per ms: the lowest frequency has one period over lags of +-1 ms and as much again
ITD_CYCLES = 0.25
# cycles per ms of a channel's own phase; the lag grid resolves no more
HIGHEST_CYCLES = 8.0
# IC where the gate starts half open: fields of several sources lie below
GATE_IC = 0.95
# per unit of IC: the gate opens within some 0.1 of it
GATE_SLOPE = 40.0
# IC about which, and units of 1/5 in which, it enters as a feature: most ICs lie at 0.8 to 1
IC_MIDDLE = 0.9
IC_SCALE = 5
# features of a channel in a frame: 8 from phases of the ITD and 4 of the ILD, and the cues
PHASES = 12
FEATURES = PHASES + CUES
ATTENTION_HEADS = 4
CONVOLUTIONS = 2
FRAMES_IN_PAIR = 2  # whose mean the convolutions see
# features between the pooled frames and the classes
HIDDEN = 256
SWAPPED_CLASSES = swapped_class(np.arange(AZIMUTHS))


@dataclass(frozen=True)
class PhaseOptions:
    """The parts of a `PhaseNetwork`; its ablation leaves out one after the other."""

    phases: bool = True  # ITD and ILD as sines and cosines too; without: the cues as they are
    gated: bool = True  # features of ITD are weighted by IC
    convolved: bool = True  # convolutions over frames; without: every frame by itself
    attention: bool = True  # attention heads pool the frames; without: their mean
    dropout: float = 0.4  # share of the hidden features dropped in training
    width: int = 160  # features of a frame
    spectrum: bool = False  # a window's mean spectrum too, see `spectrum`; asks for levels


def _double_angle(sine: jax.Array, cosine: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Sine and cosine of twice the angle, by two multiplications instead of two series."""
    return 2 * sine * cosine, 1 - 2 * sine * sine


class PhaseNetwork(nnx.Module):
    """Cue maps to azimuth classes; 415,628 parameters with the usual options.

    Where the front-end gives levels, each channel's level about its mean in the second around, and
    its rise since the last frame, are features. They also move the gate: the first wavefront tells
    the direction (Litovsky et al. 1999). Once training is over, such a network answers twice, for
    the sound and for its ears swapped, and gives the mean.
    """

    def __init__(self, rngs: nnx.Rngs, front: FrontEnd, options: PhaseOptions = PhaseOptions()):
        width = options.width
        self.options = options
        self.channels = front.channels
        self.max_ild = front.max_ild
        self.levels = front.levels
        self.maps = front.map_count
        # a channel's own frequency, cycles per ms: (channels, 1)
        own_cycles = np.minimum(front.cfs / 1000, HIGHEST_CYCLES)
        self.cycles = own_cycles.astype(np.float32)[:, None]
        self.gate = nnx.Param(jnp.full((self.channels, 1), GATE_IC))
        features = FEATURES if options.phases else CUES
        if self.levels:
            self.gate_level = nnx.Param(jnp.zeros((self.channels, 1)))
            self.gate_onset = nnx.Param(jnp.zeros((self.channels, 1)))
            features += 2
        self.mixed = linear(self.channels * features, width, rngs)
        self.mixed_norm = BatchNorm(width)
        convolutions = CONVOLUTIONS if options.convolved else 0
        self.convs = nnx.List([conv(width, width, (3,), rngs) for _ in range(convolutions)])
        self.norms = nnx.List([BatchNorm(width) for _ in range(convolutions)])
        self.score = linear(width, ATTENTION_HEADS, rngs)
        pooled = width * ATTENTION_HEADS if options.attention else width
        if options.spectrum:
            self.spectrum = Spectrum(rngs, front)
            pooled += SPECTRUM_FEATURES
        self.hidden = linear(pooled, HIDDEN, rngs)
        self.hidden_norm = BatchNorm(HIDDEN)
        self.dropout = nnx.Dropout(options.dropout, rngs=rngs)
        self.classify = linear(HIDDEN, AZIMUTHS, rngs)

    def opened(self, cues: jax.Array, levels: Sequence[jax.Array]) -> jax.Array:
        """How far the gate is open, 0 to 1, of cues (batch, maps, channels, frames)."""
        if not self.options.gated:
            return jnp.ones_like(cues[:, IC_MAP])
        opening = GATE_SLOPE * (cues[:, IC_MAP] - self.gate[...])
        if levels:
            about_mean, rise = levels
            opening += self.gate_level[...] * about_mean + self.gate_onset[...] * rise
        return jax.nn.sigmoid(opening)

    def features(self, cues: jax.Array, levels: Sequence[jax.Array], gate: jax.Array) -> jax.Array:
        """(batch, maps, channels, frames) to (batch, features, channels, frames)."""
        # ms, dB, 0..1: each (B, C, T)
        itd, ild, ic = (cues[:, number] for number in range(CUES))
        plain = [itd * gate, ild / self.max_ild, IC_SCALE * (ic - IC_MIDDLE), *levels]
        if not self.options.phases:
            return jnp.stack(plain, axis=1)
        itd_phases = [wave * gate for wave in self._itd_phases(itd)]
        # F of (B, C, T) -> (B, F, C, T)
        return jnp.stack([*itd_phases, *self._ild_phases(ild), *plain], axis=1)

    def _itd_phases(self, itd: jax.Array) -> list[jax.Array]:
        """Waves of ITDs (ms) at ITD_CYCLES, twice and four times that, and the channel's own."""
        angle = 2 * jnp.pi * itd
        slow = jnp.sin(ITD_CYCLES * angle), jnp.cos(ITD_CYCLES * angle)
        own = jnp.sin(self.cycles * angle), jnp.cos(self.cycles * angle)
        twice = _double_angle(*slow)
        four_times = _double_angle(*twice)
        return [*slow, *twice, *four_times, *own]

    def _ild_phases(self, ild: jax.Array) -> list[jax.Array]:
        """Sines and cosines of ILDs (dB): half a period over +-max_ild, and a whole one."""
        angle = jnp.pi / 2 * ild / self.max_ild
        half = jnp.sin(angle), jnp.cos(angle)
        return [*half, *_double_angle(*half)]

    def __call__(self, cues: jax.Array) -> jax.Array:
        """Logits (batch, 72) of maps (batch, maps, 32, frames); ValueError for another shape."""
        check_cue_maps(cues, self.channels, self.maps)
        cues = jnp.asarray(cues).astype(jnp.float32)
        gate, features = self.frame_features(cues)
        frames = self.convolve(self.mix_sides(features))
        return self.answer(frames, self.cues_of_sides(cues), gate)

    @property
    def sides(self) -> int:
        """2 where the network answers for the sound and for its ears swapped, else 1."""
        return 2 if self.levels and self.dropout.deterministic else 1

    def frame_features(
        self, cues: jax.Array, extent: Extent | None = None
    ) -> tuple[jax.Array, jax.Array]:
        """The gate (B, C, T), and the features (B, F, C, T) of cue maps (B, maps, C, T)."""
        levels = level_features(cues[:, LEVEL_MAP], extent) if self.levels else ()
        gate = self.opened(cues, levels)
        return gate, self.features(cues, levels, gate)

    def mix_sides(self, x: jax.Array) -> jax.Array:
        """Frames (S B, T, width) as they leave the mixing layer, of features (B, F, C, T).

        S sides: first all sounds as heard, then all with their ears swapped.
        """
        if self.sides == 1:
            B, F, C, T = x.shape
            # (B, F, C, T) -> (B, T, F C) -> (B, T, width)
            return self.mixed(x.reshape(B, F * C, T).swapaxes(1, 2))
        # Swapped, ITD and ILD change their sign, and with them the odd features. IC, levels and the
        # gate have no side. So half of the products serves both.
        is_odd = np.isin(np.arange(x.shape[1]), self._odd_features())
        odd = self._mixed_part(x, is_odd)
        even = self._mixed_part(x, ~is_odd) + self.mixed.bias[...]  # type: ignore[index]
        return jnp.concatenate([even + odd, even - odd])

    def cues_of_sides(self, cues: jax.Array) -> jax.Array:
        """Cue maps (S B, maps, C, T) of the sides of cue maps (B, maps, C, T)."""
        if self.sides == 1:
            return cues
        return jnp.concatenate([cues, cues.at[:, SIDED_MAPS].multiply(-1)])

    def _odd_features(self) -> tuple[int, ...]:
        """Numbers of the features that change their sign where the ears are swapped."""
        if not self.options.phases:
            return (ITD_MAP, ILD_MAP)
        # `features` has a sine and a cosine in turn, and then ITD, ILD and IC themselves
        sines = range(0, PHASES, 2)
        return (*sines, PHASES + ITD_MAP, PHASES + ILD_MAP)

    def _mixed_part(self, x: jax.Array, chosen: np.ndarray) -> jax.Array:
        """What the chosen of the features (B, F, C, T) give in the mixing layer, without its bias.

        (B, T, width).
        """
        features, channels = x.shape[1:3]
        kernel = self.mixed.kernel[...].reshape(features, channels, -1)[chosen]
        some = x[:, chosen].reshape(len(x), -1, x.shape[3]).swapaxes(1, 2)
        return some @ kernel.reshape(-1, kernel.shape[2])

    def convolve(self, x: jax.Array, extent: Extent | None = None) -> jax.Array:
        """Frames (B, T, width) from the mixing layer to what is pooled: (B, T / 2, width).

        Frames outside the extent count as zero; it is all of them unless given.
        """
        T = x.shape[1]
        x = nnx.relu(self.mixed_norm(x))
        if T > 1:
            # two frames of 10 ms share most of a 10 ms window and a syllable's direction
            # -> (B, T / 2 rounded down, width)
            pairs = T // FRAMES_IN_PAIR
            x = x[:, : pairs * FRAMES_IN_PAIR].reshape(len(x), pairs, FRAMES_IN_PAIR, -1).mean(2)
        for layer, norm in zip(self.convs, self.norms, strict=True):
            if extent is not None:
                number = FRAMES_IN_PAIR * np.arange(x.shape[1])
                is_heard = (number >= extent.first) & (number + 1 < extent.stop)
                x = jnp.where(is_heard[:, None], x, 0)
            x = x + nnx.relu(norm(layer(x)))
        return x

    def answer(self, x: jax.Array, cues: jax.Array, gate: jax.Array) -> jax.Array:
        """Logits (B, 72) of what `convolve` gives; the mean of both sides where there are two.

        Parameters
        ----------
        x : (S B, T / 2, width)
        cues : (S B, maps, C, T)
        gate : (B, C, T)
        """
        x = self._pool(x)
        if self.options.spectrum:
            gates = jnp.concatenate([gate] * self.sides)
            spectrum = self.spectrum(cues[:, LEVEL_MAP], cues[:, ILD_MAP], gates)
            x = jnp.concatenate([x, spectrum], axis=1)
        # -> (S B, 256) -> (S B, 72)
        x = nnx.relu(self.hidden_norm(self.hidden(x)))
        logits = self.classify(self.dropout(x))
        if self.sides == 1:
            return logits
        as_heard, swapped = jnp.split(logits, 2)
        return (as_heard + swapped[:, SWAPPED_CLASSES]) / 2

    def _pool(self, x: jax.Array) -> jax.Array:
        """Frames (batch, frames, width) to (batch, heads * width); their mean without attention."""
        if not self.options.attention:
            return x.mean(1)
        # (B, T, heads): each head's weights add up to 1 over time
        weights = jax.nn.softmax(self.score(x), axis=1)
        # -> (B, heads, width) -> (B, heads * width)
        return jnp.einsum("bth,btw->bhw", weights, x).reshape(len(x), -1)

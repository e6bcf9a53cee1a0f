"""Our network on the same cue maps: interaural phases instead of raw numbers, all cues together.
A linear layer cannot read an ambiguous ITD: above some 700 Hz one direction gives several peaks, a
period apart. Here every ITD enters as sines and cosines of its phase at a few frequencies, the channel's
own among them, every ILD likewise; what comes from incoherent moments is gated down by IC (Faller &
Merimaa 2004 select cues the same way). All channels and cues of a frame then meet in one layer, two
residual convolutions see some 70 ms, and four attention heads choose the frames to sum up."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ssl_jax.config import AZIMUTHS
from ssl_jax.networks.layers import CUES, BatchNorm, check, conv, linear

ITD_CYCLES = 0.25  # cycles per ms: the lowest has one period over lags of +-1 ms and as much again
HIGHEST_CYCLES = 8.0  # cycles per ms of a channel's own phase; the lag grid resolves no more
GATE_IC = 0.95  # IC where the gate starts half open: fields of several sources lie below
GATE_SLOPE = 40.0  # per unit of IC
FEATURES = 15  # of a channel in a frame: 8 from ITD phases, 4 from ILD, and ITD, ILD, IC themselves
LEVEL_UNIT, LEVEL_MOST = 10.0, 4.0  # dB; units about a channel's mean that are told apart
ONSET_UNIT, ONSET_MOST = 3.0, 3.0  # dB from one frame to the next, and units of it
MIRRORED = -np.arange(AZIMUTHS) % AZIMUTHS  # class of each class's image in the median plane


def _with_double(sine: jax.Array, cosine: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Sine and cosine of twice the angle, for two multiplications instead of two series."""
    return 2 * sine * cosine, 1 - 2 * sine * sine


class PhaseNetwork(nnx.Module):
    """Cue maps to azimuth classes; 415,628 parameters. The options are the rows of its ablation; without
    phases the cues enter as they are, without attention the frames' mean is classified.
    Where there are levels, each channel's about its own mean, which no microphone changes, and its rise since
    the last frame are features and move the gate: the first wavefront tells (Litovsky et al. 1999)."""

    def __init__(
        self,
        rngs,
        front,
        phases=True,
        gated=True,
        convolved=True,
        attention=True,
        dropout=0.4,
        width=160,
    ):
        heads, self.channels, self.max_ild = 4, front.channels, front.max_ild
        self.phases, self.gated, self.attention, self.maps = (
            phases,
            gated,
            attention,
            front.map_count,
        )
        features = (FEATURES if phases else CUES) + 2 * front.levels
        self.cycles = np.minimum(front.cfs / 1000, HIGHEST_CYCLES).astype(np.float32)[
            :, None
        ]  # per ms
        self.gate = nnx.Param(jnp.full((self.channels, 1), GATE_IC))
        if front.levels:
            self.gate_level, self.gate_onset = (
                nnx.Param(jnp.zeros((self.channels, 1))) for _ in range(2)
            )
        self.mixed, self.mixed_norm = (
            linear(self.channels * features, width, rngs),
            BatchNorm(width),
        )
        self.convs = nnx.List([conv(width, width, (3,), rngs) for _ in range(2 * convolved)])
        self.norms = nnx.List([BatchNorm(width) for _ in range(2 * convolved)])
        self.score, pooled = linear(width, heads, rngs), width * (heads if attention else 1)
        self.hidden, self.hidden_norm = linear(pooled, 256, rngs), BatchNorm(256)
        self.dropout = nnx.Dropout(dropout, rngs=rngs)
        self.classify = linear(256, AZIMUTHS, rngs)

    def features(self, cues: jax.Array) -> jax.Array:
        """(batch, maps, channels, frames) to (batch, features, channels, frames)."""
        itd, ild, ic, *power = jnp.moveaxis(cues, 1, 0)  # ms, dB, 0..1, dB
        opening, levels = GATE_SLOPE * (ic - self.gate[...]), []
        for level in power:
            rise = jnp.diff(level, axis=-1, prepend=level[..., :1]) / ONSET_UNIT
            about = (level - level.mean(-1, keepdims=True)) / LEVEL_UNIT
            levels = [
                jnp.clip(about, -LEVEL_MOST, LEVEL_MOST),
                jnp.clip(rise, -ONSET_MOST, ONSET_MOST),
            ]
            opening += self.gate_level[...] * levels[0] + self.gate_onset[...] * levels[1]
        gate = jax.nn.sigmoid(opening) if self.gated else 1.0
        plain = [itd * gate, ild / self.max_ild, 5 * (ic - 0.9), *levels]
        if not self.phases:
            return jnp.stack(plain, axis=1)
        angle = 2 * jnp.pi * itd
        slow, own = (
            (jnp.sin(each * angle), jnp.cos(each * angle)) for each in (ITD_CYCLES, self.cycles)
        )
        twice = _with_double(*slow)
        itd_phases = [wave * gate for wave in (*slow, *twice, *_with_double(*twice), *own)]
        level = jnp.pi / 2 * ild / self.max_ild
        half = jnp.sin(level), jnp.cos(level)
        return jnp.stack([*itd_phases, *half, *_with_double(*half), *plain], axis=1)

    def __call__(self, cues: jax.Array) -> jax.Array:
        """Logits (batch, 72) of cue maps (batch, maps, 32, frames); ValueError for another shape. With levels
        they are, once training is over, the mean of two answers: for the sound, and for its ears swapped."""
        check(cues, self.channels, self.maps)
        if both := self.maps > CUES and self.dropout.deterministic:
            cues = jnp.concatenate([cues, jnp.asarray(cues).at[:, :2].multiply(-1)])
        x = self.features(cues.astype(jnp.float32))  # (B, maps, 32, T) -> (B, F, 32, T)
        B, F, C, T = x.shape
        x = nnx.relu(
            self.mixed_norm(self.mixed(x.reshape(B, F * C, T).swapaxes(1, 2)))
        )  # (B, T, width)
        if T > 1:  # two frames of 10 ms share most of a 10 ms window and a syllable's direction
            x = x[:, : T // 2 * 2].reshape(B, T // 2, 2, -1).mean(2)  # (B, T/2, width)
        for layer, norm in zip(self.convs, self.norms):
            x = x + nnx.relu(norm(layer(x)))
        if self.attention:
            weights = jax.nn.softmax(
                self.score(x), axis=1
            )  # (B, T/2, 4), each adds up to 1 over time
            x = jnp.einsum("bth,btw->bhw", weights, x).reshape(B, -1)  # (B, 4 width)
        else:
            x = x.mean(1)
        x = nnx.relu(self.hidden_norm(self.hidden(x)))  # (B, 256)
        logits = self.classify(self.dropout(x))
        return (logits[: B // 2] + logits[B // 2 :, MIRRORED]) / 2 if both else logits

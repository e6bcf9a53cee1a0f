"""Interaural cues, and where their values lie in time and frequency."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import jax
import numpy as np


@dataclass(frozen=True)
class CueGrid:
    """The times and centre frequencies of cues; settings, so JAX traces none of them."""

    fs: float  # Hz, of the sound
    hop: int  # samples from one frame to the next
    frames: int
    first: int = 0  # number of the first frame: a later block of a stream begins later
    cfs: tuple[float, ...] | None = None  # Hz; None where envelopes came without them


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False, repr=False)
class Cues(Sequence):
    """Interaural cues, each (..., channels, frames).

    They unpack as `itd, ild, ic, power = cues`, and are a pytree of these four arrays.

    The first channel has the highest centre frequency. To have the lowest first, as librosa has,
    ask for it: `get_cues_clean(signal, fs, centre_frequencies(fs)[::-1])`.
    """

    itd: jax.Array  # ms, positive = source on the left
    ild: jax.Array  # dB, positive = source on the left, clipped
    ic: jax.Array  # interaural coherence, 0..1
    power: jax.Array  # LL + RR[m*]
    # None where the cues are put together from arrays
    grid: CueGrid | None = field(default=None, metadata={"static": True})

    @property
    def times(self) -> np.ndarray:
        """(frames,) s, the end of each hop: frame k is known at sample (k + 1) * hop.

        Raises
        ------
        ValueError
            The cues were put together from arrays, or their frames were cut.
        """
        grid = self.known_grid()
        return (grid.first + 1 + np.arange(grid.frames)) * grid.hop / grid.fs

    @property
    def cfs(self) -> np.ndarray:
        """(channels,) Hz, centre frequencies in the order of the channels.

        Raises
        ------
        ValueError
            The cues are of envelopes or arrays that came without them, or channels were cut.
        """
        cfs = self.known_grid().cfs
        if cfs is None:
            raise ValueError(
                "these cues do not know their centre frequencies: calculate_itd_ild_ic gets none"
            )
        channels = np.shape(self.itd)[-2]
        if channels != len(cfs):
            raise ValueError(f"the cues have {channels} channels, not the {len(cfs)} they had")
        return np.array(cfs)

    def plot(self, axes=None):
        """Draw ITD, ILD and IC as maps over time (s) and centre frequency (Hz).

        Parameters
        ----------
        axes : three matplotlib Axes, optional
            A new figure unless given.

        Returns
        -------
        axes : (3,) array of matplotlib Axes

        Raises
        ------
        ValueError
            Cues of several sounds, or as `times` raises it.
        """
        # only who draws needs matplotlib
        from ssl_jax.frontend.cue_plot import draw_cues

        return draw_cues(self, axes)

    def known_grid(self) -> CueGrid:
        """The grid; ValueError if there is none, or one of another number of frames."""
        if self.grid is None:
            raise ValueError("these cues do not know their times: they are made of arrays alone")
        frames = np.shape(self.itd)[-1]
        if frames != self.grid.frames:
            raise ValueError(f"the cues have {frames} frames, not the {self.grid.frames} they had")
        return self.grid

    def _arrays(self) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        return self.itd, self.ild, self.ic, self.power

    def __len__(self) -> int:
        return len(self._arrays())

    def __getitem__(self, index):
        return self._arrays()[index]

    def __repr__(self) -> str:
        # JAX may put other things than arrays in here
        shape = getattr(self.itd, "shape", "")
        text = f"Cues: itd, ild, ic, power, each {shape} {getattr(self.itd, 'dtype', '')}".rstrip()
        if self.grid is None:
            return text
        if self.grid.cfs:
            text += f", {self.grid.cfs[0]:.0f} to {self.grid.cfs[-1]:.0f} Hz"
        start = self.grid.first * self.grid.hop / self.grid.fs
        stop = start + self.grid.frames * self.grid.hop / self.grid.fs
        return f"{text}, {start:g} to {stop:g} s"

"""Filterbank and hair cell of both ears, block by block: the periphery of the cue scan."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
from numpy.typing import ArrayLike

from ssl_jax.frontend.auditory_model import MEMORYLESS, ZERO_PHASE, check_hair_cell
from ssl_jax.frontend.block_design import block_filters, steady_states
from ssl_jax.frontend.block_filter import filter_samples, start_state
from ssl_jax.frontend.filter_design import as_cfs, checked_rate


@dataclass(frozen=True)
class PeripherySettings:
    """Settings of filterbank and hair cell; hashable, because jitted functions take them."""

    fs: float  # Hz
    cfs: tuple[float, ...]  # Hz
    filter_type: str
    hair_cell: str

    @property
    def runs_in_blocks(self) -> bool:
        """Whether no sample depends on later ones, nor the hair cell on earlier ones."""
        return self.hair_cell in MEMORYLESS and self.filter_type not in ZERO_PHASE


def periphery_settings(
    fs: float, cfs: ArrayLike | None, filter_type: str, hair_cell: str | None
) -> PeripherySettings:
    """Settings as `get_cues_clean` takes them: None is the default 32 channels, or no hair cell.

    Raises ValueError for an unknown filter or hair cell, and a centre frequency that cannot be.
    """
    settings = PeripherySettings(
        fs=checked_rate(fs),
        cfs=as_cfs(cfs, fs),
        filter_type=filter_type,
        hair_cell=hair_cell or "none",
    )
    check_hair_cell(settings.hair_cell)
    # the design of a block of one sample raises what a longer one would
    steady_states(settings.fs, settings.cfs, filter_type)
    return settings


def silent_periphery(settings: PeripherySettings, clips: int, dtype) -> jax.Array:
    """State of the filterbank of both ears before `clips` sounds, (clips * 2, S, C)."""
    return start_state(settings.fs, settings.cfs, settings.filter_type, 2 * clips, dtype)


def periphery_step(settings: PeripherySettings, samples: int) -> Callable:
    """The next `samples` samples through the periphery: a step of `cue_scan.scan_steps`.

    The function turns a state and sound (clips, 2, samples) into the next state and envelopes
    (clips, 2, samples, C). Only settings with `runs_in_blocks` have one.
    """
    banks = block_filters(settings.fs, settings.cfs, samples, settings.filter_type)
    rectify = MEMORYLESS[settings.hair_cell]

    def step(state, sound):
        state, y = filter_samples(banks, state, sound.reshape(-1, samples))
        envelope = rectify(y)
        return state, envelope.reshape(*sound.shape, y.shape[-1])

    return step

"""The constants of the running correlation."""

import math
from dataclasses import dataclass
from typing import TypedDict

from ssl_jax.frontend.filter_design import checked_rate

# Short hops are taken together to steps of about 2 D samples and this many more. Every step reads
# 2 D samples again and hands on the filterbank's state, so longer steps do that less often; shorter
# ones hold less in the cache. The number is not critical: at a hop of 1 and 44.1 kHz, 24 and 192
# take as long as 96 within a tenth. It changes speed and the rounding of the filterbank alone.
SAMPLES_OVER_LAGS = 96
# s, far longer than between any two ears: all lags are unrolled, so many more would never compile
LONGEST_ITD = 0.05


class CorrelationOptions(TypedDict, total=False):
    """What a user may set of the running correlation; see `calculate_itd_ild_ic`."""

    tau: float  # s, time constant of the exponential window
    max_itd: float  # SECONDS, not ms: lags of up to this much are searched
    max_ild: float  # dB, the ILD is clipped to plus or minus this
    hop: int | None  # samples from one value to the next
    sharpness: float | None  # of the soft argmax


@dataclass(frozen=True)
class CorrelationSettings:
    """The running correlation's constants; hashable, because jitted functions take them."""

    lags: int  # D
    decay: float  # 1 - a, per sample
    gain: float  # a
    hop: int  # H, samples between kept values
    step: int  # samples of one step of the scan, a multiple of hop, over 2 D
    max_ild: float  # dB
    sharpness: float | None  # of the soft argmax, None for the hard one

    @property
    def span(self) -> int:
        """Number of lags, 2 D + 1."""
        return 2 * self.lags + 1

    @property
    def hops_per_step(self) -> int:
        """One, unless hops are short."""
        return self.step // self.hop


def correlation_settings(
    fs: float,
    tau: float = 0.010,
    max_itd: float = 0.001,
    max_ild: float = 20.0,
    hop: int | None = None,
    sharpness: float | None = None,
) -> CorrelationSettings:
    """Constants for `CorrelationOptions`; ValueError for bad ones."""
    fs = checked_rate(fs)
    if hop is None:
        hop = max(1, round(fs * 0.010))  # 10 ms, the window's own time constant
    if not (1 <= tau * fs < math.inf):
        raise ValueError(f"tau {tau}: use seconds, at least a sample")
    if not (0 < max_itd <= LONGEST_ITD and round(fs * max_itd) >= 1):
        raise ValueError(
            f"max_itd {max_itd}: use seconds, from a sample up to {LONGEST_ITD:g}: 1 ms is 0.001"
        )
    if not max_ild > 0:
        raise ValueError(f"max_ild {max_ild}: use more than 0 dB")
    if not (1 <= hop < math.inf and int(hop) == hop):
        raise ValueError(f"hop {hop}: use a whole number of samples, at least 1")
    if sharpness is not None and not 0 < sharpness < math.inf:
        raise ValueError(f"sharpness {sharpness}: use a number over 0, or None")
    hop = int(hop)
    lags = round(fs * max_itd)
    gain = 1.0 / (tau * fs)
    step = hop
    if hop <= 2 * lags:
        step = hop * (2 * lags // hop + math.ceil(SAMPLES_OVER_LAGS / hop))
    return CorrelationSettings(lags, 1.0 - gain, gain, hop, step, float(max_ild), sharpness)

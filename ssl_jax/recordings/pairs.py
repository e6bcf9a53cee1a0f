"""Which two directions explain the windows of a recording best.

Two talkers take turns, and within a word one of them is the louder. So the posterior of a window
lies near a or near b, where they stand: its likelihood is the mean of what lies near either. The
best pair is that of the largest product over all windows, a mixture of two by maximum likelihood.
The mean posterior says less. What one talker's windows leave open, such as front and back, may be a
higher peak in it than a talker who is seldom the louder.
"""

from typing import NamedTuple

import numpy as np

from ssl_jax.config import AZIMUTHS, class_azimuths
from ssl_jax.metrics import degrees_apart
from ssl_jax.recordings.posteriors import PEAK_REACH

# weights of a class and its neighbours: what is near. So few, that a pair on both sides of a single
# peak misses its middle
NEAR = {-1: 0.5, 0: 1.0, 1: 0.5}
# what a uniform posterior has near a class: so much is added, as if it were known by chance alone
CHANCE = sum(NEAR.values()) / AZIMUTHS
# that windows have near either of a pair, in their geometric mean, CHANCE included: 0.11 if their
# posteriors are uniform
LEAST_NEAR = 0.25
WINDOWS_AT_A_TIME = 64  # they take 2.7 MB


class Part(NamedTuple):
    """One direction of a pair."""

    label: int  # class
    share: float  # of the windows that this direction explains, 0 to 1


class Pairs:
    """Sums over windows for every pair of classes; they do not grow."""

    def __init__(self):
        self.windows = 0
        # (72, 72), sum of the logarithms of twice the likelihood of each pair
        self._log_likelihood = np.zeros((AZIMUTHS, AZIMUTHS))
        # (72, 72), sum of the part of each window that the first class of the pair explains
        self._explained = np.zeros((AZIMUTHS, AZIMUTHS))

    def add(self, posterior: np.ndarray) -> None:
        """Count windows by their posteriors (windows, 72)."""
        parts = [weight * np.roll(posterior, step, axis=-1) for step, weight in NEAR.items()]
        near = CHANCE + np.sum(parts, axis=0)  # (windows, 72)
        for start in range(0, len(near), WINDOWS_AT_A_TIME):
            first = near[start : start + WINDOWS_AT_A_TIME, :, None]
            both = first + first.swapaxes(1, 2)  # (some, 72, 72)
            self._log_likelihood += np.log(both).sum(0)
            self._explained += (first / both).sum(0)
        self.windows += len(near)

    def best(self) -> tuple[Part, Part] | None:
        """The likeliest pair whose peaks share no class, the larger share first.

        None where none explains the windows: LEAST_NEAR.
        """
        azimuths = class_azimuths()
        are_apart = degrees_apart(azimuths[:, None], azimuths) > 2 * PEAK_REACH
        likelihood = np.where(are_apart, self._log_likelihood, -np.inf)
        labels = np.unravel_index(likelihood.argmax(), likelihood.shape)
        if likelihood[labels] < self.windows * np.log(LEAST_NEAR) or not self.windows:
            return None
        first, second = (int(label) for label in labels)
        share = float(self._explained[first, second] / self.windows)
        parts = Part(first, share), Part(second, 1 - share)
        return parts if share >= 0.5 else parts[::-1]

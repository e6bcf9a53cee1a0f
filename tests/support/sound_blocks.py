"""Sounds in pieces, as they arrive from a microphone or a file."""

import numpy as np


def pieces(x, sizes):
    """Consecutive blocks of x (samples, 2) of the given sizes, over and over."""
    cuts = np.cumsum(np.resize(sizes, len(x)))
    return np.split(x, cuts[cuts < len(x)])

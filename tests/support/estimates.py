"""Estimates of posteriors that a test made by hand."""

import numpy as np

from ssl_jax.recordings.azimuths import Windows
from ssl_jax.recordings.posteriors import mirror_azimuth, peak_azimuth


def windows_of(posterior) -> Windows:
    """What windows of these posteriors (n, 72) say, one a tenth of a second, none flagged."""
    posterior = np.asarray(posterior, float)
    azimuth, confidence = peak_azimuth(posterior)
    return Windows(
        times=0.5 + 0.1 * np.arange(len(posterior)),
        azimuth=azimuth,
        confidence=confidence,
        mirrored=mirror_azimuth(posterior),
        posterior=posterior,
        flags=((),) * len(posterior),
    )

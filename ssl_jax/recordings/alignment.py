"""Whether two channels can be the ears of one head, which are never milliseconds apart."""

import numpy as np
from scipy import fft

from ssl_jax.config import FrontEnd

PIECE_S = 0.7  # of sound in one spectrum: long beside SEARCH_S, short beside a recording
SEARCH_S = 0.02  # lags that are searched on either side
HEAD_S = FrontEnd.max_itd  # the lags of a head are within this
# below, rooms make any two channels alike; above, many sounds are weak
BAND_HZ = (100.0, 5000.0)
# A peak at a lag that no head has is a fault if it is so many times the peak within HEAD_S.
# Rendered and measured rooms reach 1.03; inverted or delayed channels have 1.2 to 500, most over 2.
LEAST_RATIO = 1.5
# of a peak that is a fault; channels that have nothing in common reach 0.05 by chance
LEAST_CORRELATION = 0.15


class EarCorrelation:
    """Adds up spectra of a sound's two channels, for one correlation of the whole sound."""

    def __init__(self, fs: int):
        self.fs = fs
        self.size = 2 ** round(np.log2(PIECE_S * fs))  # samples of a piece
        self._window = np.hanning(self.size).astype(np.float32)
        self._waiting = np.zeros((0, 2), np.float32)
        low, high = BAND_HZ
        frequency = fft.rfftfreq(self.size, 1 / fs)
        stop = np.searchsorted(frequency, min(high, 0.45 * fs))
        self._bins = slice(np.searchsorted(frequency, low), stop)
        count = len(frequency[self._bins])
        self._powers = np.zeros((2, count))
        self._cross = np.zeros(count, complex)

    def add(self, block: np.ndarray) -> None:
        """Count a block (any, 2)."""
        waiting = np.concatenate([self._waiting, block])
        while len(waiting) >= self.size:
            powers, cross = self._spectra(waiting[: self.size])
            self._powers += powers
            self._cross += cross
            waiting = waiting[self.size :]
        self._waiting = waiting

    def _spectra(self, piece: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Power spectra (2, bins) and cross-spectrum (bins,) of a piece (size, 2)."""
        spectra = fft.rfft(piece.T * self._window)[:, self._bins]
        return np.abs(spectra) ** 2, spectra[0] * spectra[1].conj()

    def correlation(self) -> tuple[np.ndarray, np.ndarray]:
        """Lags (n,) in s, above 0 where the right channel leads, and the correlation (n,) there.

        Every frequency within BAND_HZ has the same weight: this is the smoothed coherence transform
        (Carter, Nuttall & Cable 1973). Channels that are alike but for one delay have 1 there.
        """
        powers = self._powers
        cross = self._cross
        if not powers.any():
            # a sound shorter than a piece
            missing = self.size - len(self._waiting)
            last_powers, last_cross = self._spectra(np.pad(self._waiting, ((0, missing), (0, 0))))
            powers = powers + last_powers
            cross = cross + last_cross
        scale = np.sqrt(powers.prod(axis=0))
        sounding = scale > 0
        coherence = np.zeros(self.size // 2 + 1, complex)
        coherence[self._bins][sounding] = cross[sounding] / scale[sounding]
        # each bin counts twice, at its positive and its negative frequency
        values = fft.irfft(coherence, self.size) * self.size / max(2 * sounding.sum(), 1)
        reach = round(SEARCH_S * self.fs)
        steps = np.arange(-reach, reach + 1)
        return steps / self.fs, values[steps]

    def note(self) -> str | None:
        """What is wrong with the channels as two ears, in one line; None if nothing is."""
        lags, values = self.correlation()
        within_head = np.abs(lags) <= HEAD_S
        usual_peak = max(values[within_head].max(), 0.0)
        least = max(LEAST_CORRELATION, LEAST_RATIO * usual_peak)
        inverted_peak = -values.min()
        distant_peak = values[~within_head].max()
        if max(inverted_peak, distant_peak) < least:
            return None
        if inverted_peak > distant_peak and within_head[values.argmin()]:
            return (
                "one channel's polarity is inverted: swap the wires of that microphone, or change "
                "the sign of that channel"
            )
        lag_ms = 1000 * lags[np.abs(np.where(within_head, 0, values)).argmax()]
        later = "left" if lag_ms > 0 else "right"
        return (
            f"the {later} channel comes {abs(lag_ms):.1f} ms late, and no head is that wide: "
            "record both ears with one device"
        )

"""Whether two channels can be the ears of one head, which are never milliseconds apart."""

import numpy as np
from scipy import fft

PIECE_S = 0.7  # of sound in one spectrum: long beside SEARCH_S, short beside a recording
SEARCH_S = 0.02  # lags that are searched on either side
HEAD_S = 0.001  # the lags of a head are within this, as in `FrontEnd.max_itd`
# Hz; below, rooms make any two channels alike; above, many sounds are weak
BAND = (100.0, 5000.0)
# The correlation where no head has it, against the highest where heads have it. Rendered and
# measured rooms reach 1.03, inverted or delayed channels have 1.2 to 500, most over 2.
MANY_TIMES = 1.5
# of channels that are alike; channels that have nothing in common reach 0.05 by chance
LEAST_CORRELATION = 0.15


class EarCorrelation:
    """Adds up spectra of a sound's two channels, for one correlation of the whole sound."""

    def __init__(self, fs: int):
        self.fs = fs
        self.size = 2 ** round(np.log2(PIECE_S * fs))  # samples of a piece
        self._window = np.hanning(self.size).astype(np.float32)
        self._waiting = np.zeros((0, 2), np.float32)
        low, high = BAND
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
            self._add_piece(waiting[: self.size])
            waiting = waiting[self.size :]
        self._waiting = waiting

    def _add_piece(self, piece: np.ndarray) -> None:
        spectra = fft.rfft(piece.T * self._window)[:, self._bins]
        self._powers += np.abs(spectra) ** 2
        self._cross += spectra[0] * spectra[1].conj()

    def correlation(self) -> tuple[np.ndarray, np.ndarray]:
        """Lags (n,) in s, above 0 where the right channel leads, and the correlation (n,) there.

        Every frequency within BAND has the same weight: this is the smoothed coherence transform
        (Carter, Nuttall & Cable 1973). Channels that are alike but for one delay have 1 there.
        """
        if not self._powers.any():
            # a sound shorter than a piece
            self._add_piece(np.pad(self._waiting, ((0, self.size - len(self._waiting)), (0, 0))))
        scale = np.sqrt(self._powers.prod(axis=0))
        sounding = scale > 0
        coherence = np.zeros(self.size // 2 + 1, complex)
        coherence[self._bins][sounding] = self._cross[sounding] / scale[sounding]
        # each bin counts twice, at its positive and its negative frequency
        values = fft.irfft(coherence, self.size) * self.size / max(2 * sounding.sum(), 1)
        reach = round(SEARCH_S * self.fs)
        steps = np.arange(-reach, reach + 1)
        return steps / self.fs, values[steps]

    def note(self) -> str | None:
        """What is wrong with the channels as two ears, in one line; None if nothing is."""
        lags, values = self.correlation()
        of_head = np.abs(lags) <= HEAD_S
        usual = max(values[of_head].max(), 0.0)
        least = max(LEAST_CORRELATION, MANY_TIMES * usual)
        inverted = -values.min()
        elsewhere = values[~of_head].max()
        if max(inverted, elsewhere) < least:
            return None
        if inverted > elsewhere and of_head[values.argmin()]:
            return (
                "one channel's polarity is inverted: swap the wires of that microphone, or change "
                "the sign of that channel"
            )
        lag_ms = 1000 * lags[np.abs(np.where(of_head, 0, values)).argmax()]
        later = "left" if lag_ms > 0 else "right"
        return (
            f"the {later} channel comes {abs(lag_ms):.1f} ms late, and no head is that wide: "
            "record both ears with one device"
        )

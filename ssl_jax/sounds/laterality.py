"""What a head's responses say of its two sides: which ear is nearer to a source, and how much."""

import numpy as np

LATERAL = 0.5  # sine of the least lateral angle that votes: 30 degrees from the median plane
BESIDE = np.sin(np.radians(75))  # the same of sources that are about at 90 degrees
VOTERS = 2000  # directions that vote, at most: more of them take memory and decide nothing else
ONSET = 0.1  # of the louder ear's peak: where the direct sound begins
DIRECT = 0.003  # s from there on: what a room has not reached yet
LATERAL_HZ = 1500.0  # below it an ITD grows with the angle to the side and has one value
UPSAMPLING = 4  # of the correlation whose peak is that delay


def direct_sound(hrirs: np.ndarray, fs: int) -> np.ndarray:
    """The direct sound of responses (n, 2, taps) from the onset at the earlier ear on.

    Returns
    -------
    (n, 2, samples), with peak 1 at the louder ear of each direction.
    """
    taps = hrirs.shape[-1]
    louder = np.abs(hrirs).max(axis=1)
    peak = louder.max(axis=-1, keepdims=True)
    onset = (louder > ONSET * peak).argmax(axis=-1)
    samples = onset[:, None, None] + np.arange(max(1, round(DIRECT * fs)))
    values = np.take_along_axis(hrirs, np.minimum(samples, taps - 1), axis=-1)
    return np.where(samples < taps, values, 0) / peak[..., None]


def left_lead(direct: np.ndarray, fs: int) -> np.ndarray:
    """Time (n,), s, by which the left ear hears direct sounds (n, 2, samples) before the right."""
    nfft = 2 * direct.shape[-1]
    spectra = np.fft.rfft(direct, nfft)
    spectra[..., np.fft.rfftfreq(nfft, 1 / fs) > LATERAL_HZ] = 0
    points = UPSAMPLING * nfft
    correlation = np.fft.irfft(spectra[:, 1] * spectra[:, 0].conj(), points)
    lag = correlation.argmax(axis=-1)
    return np.where(lag > points / 2, lag - points, lag) / (UPSAMPLING * fs)


def lateral_directions(azimuth: np.ndarray, elevation: np.ndarray, least: float) -> np.ndarray:
    """Numbers of directions whose lateral angle has a sine over `least`, at most VOTERS of them."""
    lateral = np.flatnonzero(np.abs(left_side(azimuth, elevation)) > least)
    return lateral[:: len(lateral) // VOTERS + 1]


def left_side(azimuth: np.ndarray, elevation: np.ndarray) -> np.ndarray:
    """Sine of the lateral angle of directions (n,), degrees: 1 = left, -1 = right."""
    return np.sin(np.radians(azimuth)) * np.cos(np.radians(elevation))


def side_vote(
    hrirs: np.ndarray, azimuth: np.ndarray, elevation: np.ndarray, fs: int
) -> float | None:
    """How well responses fit the stated directions: the mean of the votes of lateral directions.

    A direction votes 1 where the direct sound is louder at the ear on its stated side, and once
    more where that ear hears it first; -1 where it is the other ear.

    Parameters
    ----------
    hrirs : (n, 2, taps), left ear first
    azimuth, elevation : (n,), degrees, counter-clockwise: 90 = left
    fs : Hz

    Returns
    -------
    Between -1 and 1, or None where no direction votes.
    """
    lateral = lateral_directions(azimuth, elevation, LATERAL)
    direct = direct_sound(hrirs[lateral], fs)
    power = np.square(direct).sum(axis=-1)
    louder = np.sign(power[:, 0] - power[:, 1])
    earlier = np.sign(left_lead(direct, fs))
    side = np.sign(left_side(azimuth[lateral], elevation[lateral]))
    votes = side * np.stack([louder, earlier])
    votes = votes[votes != 0]
    if len(votes) == 0:
        return None
    return float(votes.mean())


def lateral_itd(
    hrirs: np.ndarray, azimuth: np.ndarray, elevation: np.ndarray, fs: int
) -> float | None:
    """Median interaural time difference, s, of sources about at 90 degrees, or None without any.

    Parameters as of `side_vote`. It is positive where the ear on the source's side hears it first.
    """
    beside = lateral_directions(azimuth, elevation, BESIDE)
    if len(beside) == 0:
        return None
    side = np.sign(left_side(azimuth[beside], elevation[beside]))
    return float(np.median(side * left_lead(direct_sound(hrirs[beside], fs), fs)))

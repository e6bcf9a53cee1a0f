"""The front-end's equations as plain NumPy, in float64: slow, and written to be read. Start here.

A sound goes through three stages, a function each:

1. `filterbank`: the sound of an ear is split into channels, as the cochlea splits it;
2. `hair_cell_output`: each channel is rectified, as the hair cells do;
3. `running_cues`: the channels of both ears are compared, sample after sample.

The rest of this folder computes the same in JAX, more than a hundred times faster. The tests hold
it to this page.
"""

from dataclasses import dataclass

import numpy as np
from scipy import signal as sps

from ssl_jax.frontend import HAIR_CELLS
from ssl_jax.frontend.filter_design import FILTERS, allpole_sos, erb, gammatone_sos


@dataclass(frozen=True)
class ReferenceCues:
    """Interaural cues of one sample (channels,) or of many (channels, frames)."""

    itd: np.ndarray  # ms, positive = source on the left
    ild: np.ndarray  # dB, positive = source on the left, clipped
    ic: np.ndarray  # interaural coherence, 0..1
    power: np.ndarray  # LL + RR[m*]


def sections(fs: float, cfs, filter_type: str = "gammatone") -> list[np.ndarray]:
    """The filters of a filterbank.

    Parameters
    ----------
    fs : float, Hz
    cfs : (channels,), Hz
        Centre frequencies.
    filter_type : str
        gammatone (Slaney 1993, equations 8 to 14), allpole (Lyon 1996) or butterworth.

    Returns
    -------
    sos : one array (sections, 6) a channel
        Second-order sections, rows b0, b1, b2, a0, a1, a2.

    Raises
    ------
    ValueError
        Unknown filter type, or a centre frequency outside 0 to fs / 2.
    """
    if filter_type == "gammatone":
        return list(gammatone_sos(fs, cfs))
    if filter_type == "allpole":
        return list(allpole_sos(fs, cfs))
    if filter_type == "butterworth":
        edges = [(f - erb(f) / 2, f + erb(f) / 2) for f in cfs]  # Hz, one ERB apart
        return [sps.butter(3, edge, "bandpass", fs=fs, output="sos") for edge in edges]
    raise ValueError(f"filter_type {filter_type!r} is not known: use one of {', '.join(FILTERS)}")


def filterbank(sound, fs: float, cfs, filter_type: str = "gammatone") -> np.ndarray:
    """Split a sound into channels.

    Parameters
    ----------
    sound : (samples,)
    fs, cfs, filter_type
        See `sections`.

    Returns
    -------
    audiogram : (channels, samples)
    """
    channels = []
    for sos in sections(fs, cfs, filter_type):
        y = np.asarray(sound, np.float64)
        if filter_type == "butterworth":
            # forwards and backwards: no phase shift
            y = sps.sosfiltfilt(sos, y)
        else:
            # a cascade: each section filters what the one before gives
            for section in sos:
                y = sps.lfilter(section[:3], section[3:], y)
        channels.append(y)
    return np.array(channels)


def hair_cell_output(audiogram, fs: float, hair_cell: str = "none") -> np.ndarray:
    """What an inner hair cell makes of a channel.

    Parameters
    ----------
    audiogram : (..., samples)
    fs : float, Hz
    hair_cell : str
        One of `HAIR_CELLS`; their sources are in `auditory_model.haircell_model`.

    Returns
    -------
    envelope : (..., samples)

    Raises
    ------
    ValueError
        Unknown hair cell.
    """
    x = np.asarray(audiogram, np.float64)
    positive = np.maximum(x, 0)
    if hair_cell == "none":
        return x
    if hair_cell == "halfwave":
        return positive
    if hair_cell == "roman":
        return np.sqrt(positive)
    if hair_cell == "envelope":
        return np.abs(sps.hilbert(positive))
    if hair_cell == "lindemann":
        b, a = sps.butter(1, 800, fs=fs)
        return sps.lfilter(b, a, positive)
    if hair_cell == "breebaart":
        # five times 3/5 dB at 770 Hz
        b, a = sps.butter(1, 770 / np.sqrt(2 ** (1 / 5) - 1), fs=fs)
        y = positive
        for _ in range(5):
            y = sps.lfilter(b, a, y)
        return y
    if hair_cell == "bernstein":
        envelope = np.abs(sps.hilbert(x))
        # its envelope is envelope^0.23; silence stays silence
        is_heard = envelope > 0
        compressed = np.where(is_heard, x * np.where(is_heard, envelope, 1) ** (0.23 - 1), 0)
        low_pass = sps.butter(4, 425, fs=fs, output="sos")
        return sps.sosfilt(low_pass, np.maximum(compressed, 0) ** 2)
    raise ValueError(f"hair cell {hair_cell!r} is not known: use one of {', '.join(HAIR_CELLS)}")


def running_cues(
    left,
    right,
    fs: float,
    tau: float = 0.010,
    max_itd: float = 0.001,
    max_ild: float = 20.0,
    hop: int = 1,
) -> ReferenceCues:
    """Interaural cues by running cross-correlation, sample after sample.

    Left l[n], right r[n] (0 outside the sound), lags m = -D..D, D = round(fs max_itd),
    a = 1 / (tau fs). Three sums run along, with an exponential window of the time constant tau:

        LR[n,m] = (1-a) LR[n-1,m] + a l[n] r[n+m]
        LL[n]   = (1-a) LL[n-1]   + a l[n]^2
        RR[n,m] = (1-a) RR[n-1,m] + a r[n+m]^2

    `cues_of_sums` reads the cues off them.

    Parameters
    ----------
    left, right : (channels, samples)
    fs : float, Hz
    tau : float, s
    max_itd : float, s
    max_ild : float, dB
        The ILD is clipped to plus or minus this.
    hop : int, samples
        Every hop-th value is kept, that at the hop's last sample.

    Returns
    -------
    ReferenceCues, each (channels, samples // hop)

    Raises
    ------
    ValueError
        For a hop below 1 or longer than the sound.

    Notes
    -----
    The binaural processor of Faller & Merimaa (2004).
    """
    left = np.asarray(left, np.float64)
    right = np.asarray(right, np.float64)
    channels, samples = left.shape
    if not 1 <= hop <= samples:
        raise ValueError(f"hop {hop}: use 1 to {samples} samples, which the sound has")
    D = round(fs * max_itd)
    a = 1 / (tau * fs)
    padded_right = np.pad(right, ((0, 0), (D, D)))
    LR = np.zeros((channels, 2 * D + 1))
    LL = np.zeros((channels, 1))
    RR = np.zeros((channels, 2 * D + 1))
    frames = []
    for n in range(samples):
        l = left[:, n : n + 1]  # (channels, 1)
        r = padded_right[:, n : n + 2 * D + 1]  # (channels, 2 D + 1): r[n-D] .. r[n+D]
        LR = (1 - a) * LR + a * l * r
        LL = (1 - a) * LL + a * l**2
        RR = (1 - a) * RR + a * r**2
        if (n + 1) % hop == 0:
            frames.append(cues_of_sums(LR, LL, RR, fs, max_ild))
    return ReferenceCues(
        itd=np.stack([frame.itd for frame in frames], axis=-1),
        ild=np.stack([frame.ild for frame in frames], axis=-1),
        ic=np.stack([frame.ic for frame in frames], axis=-1),
        power=np.stack([frame.power for frame in frames], axis=-1),
    )


def cues_of_sums(LR, LL, RR, fs: float, max_ild: float = 20.0) -> ReferenceCues:
    """The cues at one sample, positive where the source is on the left.

        gamma = LR / sqrt(LL RR)    m* = argmax_m gamma    ITD = 1000 m* / fs ms    IC = gamma[m*]
        ILD = 10 log10(LL / RR[m*]) dB, clipped            power = LL + RR[m*]

    Parameters
    ----------
    LR, RR : (channels, 2 D + 1)
    LL : (channels, 1)
    fs : float, Hz
    max_ild : float, dB

    Returns
    -------
    ReferenceCues, each (channels,)
        Silence gives ITD 0, ILD 0 and IC 0.
    """
    D = LR.shape[1] // 2
    root = np.sqrt(LL * RR)
    gamma = np.divide(LR, root, out=np.zeros_like(LR), where=root > 0)
    best = gamma.argmax(axis=1)  # 0 is the lag -D
    channel = np.arange(len(best))
    left_energy = LL[:, 0]
    right_energy = RR[channel, best]
    both_heard = (left_energy > 0) & (right_energy > 0)
    one_heard = (left_energy > 0) | (right_energy > 0)
    # one silent ear gives plus or minus infinity, which is clipped
    with np.errstate(divide="ignore", invalid="ignore"):
        ild = 10 * (np.log10(left_energy) - np.log10(right_energy))
    return ReferenceCues(
        itd=np.where(both_heard, 1000 * (best - D) / fs, 0),
        ild=np.where(one_heard, np.clip(ild, -max_ild, max_ild), 0),
        ic=np.where(both_heard, np.maximum(gamma[channel, best], 0), 0),
        power=left_energy + right_energy,
    )


def cues_of_sound(
    ears, fs: float, cfs, filter_type: str = "gammatone", hair_cell: str = "none", **settings
) -> ReferenceCues:
    """All three stages, from a sound (samples, 2), left ear first, to cues (channels, frames).

    The settings are those of `running_cues`.

    Raises
    ------
    ValueError
        Another shape, NaN or infinity.
    """
    ears = np.asarray(ears, np.float64)
    if ears.ndim != 2 or ears.shape[1] != 2:
        raise ValueError(f"ears must be (samples, 2), not {ears.shape}: transpose (2, samples)")
    if ears.size == 0 or not np.isfinite(ears).all():
        raise ValueError("ears hold no samples, or NaN or infinity")
    envelopes = []
    for sound in np.transpose(ears):
        audiogram = filterbank(sound, fs, cfs, filter_type)
        envelopes.append(hair_cell_output(audiogram, fs, hair_cell))
    left, right = envelopes
    return running_cues(left, right, fs, **settings)

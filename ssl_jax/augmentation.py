"""Cue maps as other heads might have given them: what a few heads cannot teach about all.

Drawn afresh for every mixture and epoch: ITD scaled (size of the head), ILD shifted along the channels
(heads differ in frequency by a factor, Middlebrooks 1999), scaled, and bent by a smooth curve that grows
towards high frequencies (pinnae). Ears are not swapped: a mirrored head would be one more, but also undo
whatever turn of the head all measurements of a set share.
"""

import numpy as np

from .config import FrontEnd

KNOTS = 8  # of the curve over the channels
DRAWS = 3 + KNOTS  # normal numbers a mixture needs
ITD_SCALE = 0.07  # standard deviations: of the factor on ITD
ILD_SCALE = 0.15  # of the factor on ILD
SHIFT = 0.7  # channels, about 1 ERB or 10 % of frequency
BEND_HIGH, BEND_LOW = 2.5, 0.3  # dB, of the curve at the highest and the lowest channel


def vary(cues: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Cue maps of other heads.

    Parameters
    ----------
    cues : (n, 3, channels, frames) float16: ITD, ILD, IC
        Channels from the highest centre frequency to the lowest.
    draws : (n, DRAWS), standard normal

    Returns
    -------
    cues, of the same shape and type; IC is left as it is
    """
    channels = cues.shape[2]
    itd = cues[:, 0] * (1 + ITD_SCALE * draws[:, 0, None, None])
    at = np.clip(np.arange(channels) + SHIFT * draws[:, 1, None], 0, channels - 1)  # (n, channels)
    below = np.minimum(at.astype(int), channels - 2)
    part = (at - below)[..., None].astype(np.float32)
    rows = np.arange(len(cues))[:, None]
    ild = cues[:, 1].astype(np.float32)
    ild = ild[rows, below] * (1 - part) + ild[rows, below + 1] * part
    basis = np.stack([np.interp(np.linspace(0, KNOTS - 1, channels), np.arange(KNOTS), knot) for knot in np.eye(KNOTS)])
    bend = draws[:, 3:] @ (basis * np.linspace(BEND_HIGH, BEND_LOW, channels))  # (n, channels), dB
    ild = ild * (1 + ILD_SCALE * draws[:, 2, None, None]).astype(np.float32) + bend[..., None].astype(np.float32)
    limit = FrontEnd.max_ild
    return np.stack([itd, np.clip(ild, -limit, limit), cues[:, 2]], axis=1).astype(cues.dtype)

"""Which side is left: what a head's responses say of the azimuths and receivers that its file states."""

from pathlib import Path

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.common.progress import say

LATERAL = 0.5  # sine of the least lateral angle that votes: 30 degrees from the median plane
ONSET = 0.1  # of the peak: where a response begins
DIRECT = 0.003  # s from the first onset on: what a room has not reached yet
AGREED = 0.5  # mean vote that decides


def side_vote(
    hrirs: np.ndarray, azimuth: np.ndarray, elevation: np.ndarray, fs: int
) -> float | None:
    """Mean of the votes of all lateral directions, or None where there is none. A direction votes 1 where the
    direct sound is louder at the ear on its stated side, and once more where that ear hears it first; -1
    where it is the other ear. `hrirs` (M, 2, taps), left ear first; `azimuth`, `elevation` (M,), degrees,
    counter-clockwise: 90 = left; `fs`, Hz."""
    side = np.sin(np.radians(azimuth)) * np.cos(np.radians(elevation))  # 1: left
    lateral = np.abs(side) > LATERAL
    responses, side = np.abs(hrirs[lateral]), np.sign(side[lateral])
    onset = (responses > ONSET * responses.max(-1, keepdims=True)).argmax(-1)
    late = np.arange(responses.shape[-1]) > onset.min(-1)[:, None, None] + DIRECT * fs
    power = np.square(np.where(late, 0, responses)).sum(-1)
    votes = side * np.sign([power[:, 0] - power[:, 1], onset[:, 1] - onset[:, 0]])
    votes = votes[votes != 0]  # equal: none
    return float(votes.mean()) if len(votes) else None


def settle_sides(path: Path, hrirs, azimuth, elevation, fs: int, right_first: bool) -> tuple:
    """The responses, left ear first, and counter-clockwise azimuths, as the responses themselves have them.
    `right_first`: the file's ReceiverPosition has put the ears in their place. Where the responses contradict
    it, they are left as they were stored; where they contradict a file with the left ear first, its azimuths
    run clockwise. Either is said in one line. Raises InputError where they vote for neither."""
    vote = side_vote(hrirs, azimuth, elevation, fs)
    if vote is None or vote >= AGREED:
        return hrirs, azimuth
    if vote > -AGREED:
        unclear = (
            "levels and onsets of its responses fit neither its azimuths nor their mirror image"
        )
        raise InputError(
            f"{path}: {unclear}: say how to read it with --ears and --azimuths, or use another"
        )
    said, settled = "its azimuths run clockwise", (hrirs, -azimuth % 360)
    if right_first:
        said, settled = "the ear stated as the right one is the left", (hrirs[:, ::-1], azimuth)
    say(f"{path}: by its responses, {said}: read so; --ears or --azimuths overrides it")
    return settled

"""The front, where people look while they record: scores straight ahead and near it, by prior."""

from collections.abc import Sequence

import numpy as np

from ssl_jax.config import AZIMUTH_STEP
from ssl_jax.metrics import degrees_apart
from ssl_jax.recordings.priors import apply_prior
from ssl_jax.studies.places import Place
from ssl_jax.studies.unseen_heads import SCORE_TITLES, Listening, cells, join_heard, scores_of

PRIORS = ("frontal", "uniform")  # "front" leaves nothing to confuse
# degrees off straight ahead, up to which sources count
RANGES = {
    "straight ahead": AZIMUTH_STEP / 2,  # no other class is nearer
    "front ± 20°": 20.0,
    "all around": 180.0,
}
# of Scores, without the frontal half's, which the priors do not change
SHOWN = ("within_10", "mean_error", "front_back", "sure", "sure_and_right")
FRONT_HEAD = (
    "sounds",
    "from",
    "prior",
    "windows",
    *(SCORE_TITLES[name] for name in SHOWN),
)


def cells_under(prior: str, posterior: np.ndarray, truth: np.ndarray) -> dict[str, str]:
    """Cells of a table by name of the score, for posteriors (n, 72) and azimuths (n,), degrees."""
    scores = scores_of(apply_prior(posterior, prior), truth)
    return dict(zip(SCORE_TITLES, cells(scores), strict=True))


def front_rows(sounds: str, posterior: np.ndarray, truth: np.ndarray) -> list[list[str]]:
    """Rows of FRONT_HEAD for calibrated posteriors (n, 72) and true azimuths (n,), degrees."""
    rows = []
    for name, reach in RANGES.items():
        inside = degrees_apart(truth, 0) <= reach
        for prior in PRIORS:
            cell_of = cells_under(prior, posterior[inside], truth[inside])
            shown = [cell_of[score] for score in SHOWN]
            rows.append([sounds, name, prior, f"{inside.sum():,}", *shown])
    return rows


def front_rows_of(sounds: str, listenings: Sequence[Listening], network: str) -> list[list[str]]:
    """The same for what a network heard at all places together, in windows of 1 s."""
    heard = join_heard([listening[network, 1.0] for listening in listenings])
    return front_rows(sounds, heard.posterior, heard.truth)


def front_rows_by_kind(
    sounds: str, places: Sequence[Place], listenings: Sequence[Listening], network: str
) -> list[list[str]]:
    """The same for heads in the free field by themselves, and for rooms by themselves."""
    rows = []
    for where, is_room in (("heads", False), ("rooms", True)):
        heard = [
            listening
            for place, listening in zip(places, listenings, strict=True)
            if place.is_room == is_room
        ]
        if heard:
            rows += front_rows_of(f"{sounds}, {where}", heard, network)
    return rows

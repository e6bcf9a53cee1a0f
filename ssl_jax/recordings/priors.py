"""What is known of an azimuth before anything is heard."""

import numpy as np
from numpy.typing import ArrayLike

from ssl_jax.common.errors import InputError
from ssl_jax.config import class_azimuths
from ssl_jax.metrics import in_front

DEFAULT_PRIOR = "frontal"
# weights of a class in the front half and of one behind. People look at what they record.
WEIGHTS = {"frontal": (4.0, 1.0), "uniform": (1.0, 1.0), "front": (1.0, 0.0)}
# (72,) of bool: the classes from -90 to 90 degrees
IN_FRONT = in_front(class_azimuths())


def prior_of(name: str) -> np.ndarray:
    """The share (72,) of each class before anything is heard.

    Parameters
    ----------
    name : str
        "frontal": a class of the front half is four times as likely as one behind. "uniform": all
        are alike. "front": those behind are impossible. The sides, 90 and 270 degrees, belong to
        the front half.

    Raises
    ------
    InputError
        There is no such prior.
    """
    if name not in WEIGHTS:
        raise InputError(f"prior {name!r}: unknown: use one of {', '.join(WEIGHTS)}")
    front, back = WEIGHTS[name]
    weights = np.where(IN_FRONT, front, back)
    return weights / weights.sum()


def apply_prior(posterior: ArrayLike, name: str) -> np.ndarray:
    """Posteriors of networks, to which all azimuths were alike, under a prior.

    By Bayes' rule they are multiplied by it and divided by their new sums. The prior counts once
    in each of them: average posteriors of one source, never multiply them.

    Parameters
    ----------
    posterior : (..., 72), as calibrated: shares, each row of sum 1
    name : see `prior_of`

    Returns
    -------
    (..., 72) of the same kind, whole numbers as float64; the prior itself where it excludes all
    of a posterior

    Raises
    ------
    InputError
        There is no such prior.
    """
    posterior = np.asarray(posterior)
    if posterior.dtype.kind != "f":
        # a prior in whole numbers would be nothing but zeros
        posterior = posterior.astype(float)
    prior = prior_of(name).astype(posterior.dtype)
    product = posterior * prior
    total = product.sum(axis=-1, keepdims=True)
    is_possible = total > 0
    return np.where(is_possible, product / np.where(is_possible, total, 1), prior)

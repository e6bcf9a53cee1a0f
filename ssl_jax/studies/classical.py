"""A network beside classical baselines, on the same sounds in the frontal half."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ssl_jax.config import AZIMUTH_STEP
from ssl_jax.database.recipes import Recipes
from ssl_jax.metrics import degrees_apart, frontal_rmse, in_front
from ssl_jax.recordings.baselines import (
    CueTemplates,
    cue_templates,
    gcc_phat_azimuth,
    template_distances,
)
from ssl_jax.recordings.posteriors import peak_azimuth
from ssl_jax.recordings.priors import IN_FRONT, apply_prior
from ssl_jax.sounds.hrtf import KEMAR
from ssl_jax.sounds.noises import Noises
from ssl_jax.sounds.sofa import Sofa, read_sofa
from ssl_jax.studies.places import EarBlock, Place, ears_at, recipes_at
from ssl_jax.studies.unseen_heads import Network, mean_or_nan

NOISY_SNR_DB = (0.0, 20.0)  # of the noisy half of the mixtures
# off straight ahead: sources that an overshoot is told of; half a class about 70 and 80
SIDE_DEGREES = (67.5, 82.5)
GCC_PHAT = "GCC-PHAT"
LOOKUP = "ITD-ILD lookup"


@dataclass(frozen=True)
class Methods:
    """What localises, and what it knows: the baselines know the package's KEMAR."""

    network: Network
    head: Sofa
    templates: CueTemplates

    @classmethod
    def load(cls, network: Network) -> "Methods":
        """A network and the baselines, at its rate."""
        head = read_sofa(KEMAR, network.front.fs)
        return cls(network, head, cue_templates(head.fs, head))

    @property
    def names(self) -> list[str]:
        """Of all methods, as a table calls them."""
        return [GCC_PHAT, LOOKUP, f"`{self.network.name}`"]

    def frontal_azimuths(self, ears: np.ndarray) -> np.ndarray:
        """Estimates (methods, n), degrees in the frontal half, of seconds (n, 2, samples)."""
        signals = ears.swapaxes(1, 2)
        distances = template_distances(signals, self.templates)
        nearest = np.where(IN_FRONT, distances, np.inf).argmin(axis=1)
        posterior = self.network.posterior(self.network.cues(ears))
        azimuth, _ = peak_azimuth(apply_prior(posterior, "front"))
        by_delay = gcc_phat_azimuth(signals, self.head.fs, self.head)
        return np.stack([by_delay, AZIMUTH_STEP * nearest, azimuth])


@dataclass(frozen=True)
class Estimates:
    """What every method says of n seconds from the frontal half."""

    azimuth: np.ndarray  # (methods, n) degrees
    truth: np.ndarray  # (n,) degrees


def frontal_recipes(place: Place, clips: int, noises: Noises) -> dict[str, Recipes]:
    """Mixtures from the frontal half of a place, by how noisy they are."""
    recipes = recipes_at(place, clips, noises, NOISY_SNR_DB)
    recipes = recipes.rows(np.flatnonzero(in_front(place.azimuth[recipes.azimuth])))
    noiseless = replace(recipes, snr=np.full_like(recipes.snr, np.inf))
    return {"none": noiseless, f"{NOISY_SNR_DB[0]:g} to {NOISY_SNR_DB[1]:g} dB": recipes}


def estimates_of(blocks: Iterator[EarBlock], methods: Methods) -> Estimates:
    """What the methods say of blocks of mixtures."""
    azimuths = []
    truths = []
    for block in blocks:
        azimuths.append(methods.frontal_azimuths(block.ears)[:, block.is_new])
        truths.append(block.truth[block.is_new])
    return Estimates(np.concatenate(azimuths, axis=1), np.concatenate(truths))


def overshoot(azimuth: np.ndarray, truth: np.ndarray) -> float:
    """Degrees that estimates (n,) of sources at SIDE_DEGREES are too far out, on average."""
    from_front = degrees_apart(truth, 0)
    at_side = (from_front >= SIDE_DEGREES[0]) & (from_front <= SIDE_DEGREES[1])
    return mean_or_nan((degrees_apart(azimuth, 0) - from_front)[at_side])


def method_cells(estimates: Estimates) -> list[str]:
    """A cell for each method: mean error, RMSE, overshoot."""
    texts = []
    for azimuth in estimates.azimuth:
        mean = degrees_apart(azimuth, estimates.truth).mean()
        rmse = frontal_rmse(azimuth, estimates.truth)
        too_far = overshoot(azimuth, estimates.truth)
        too_far_text = "-" if np.isnan(too_far) else f"{too_far:+.1f}°"
        texts.append(f"{mean:.1f}°, {rmse:.1f}°, {too_far_text}")
    return texts


def classical_rows(
    places: Sequence[Place], voices: np.ndarray, noises: Noises, methods: Methods
) -> list[list[str]]:
    """Rows of `classical_head`: all places together first, then each, by how noisy they are."""
    by_noise: dict[str, list[Estimates]] = {}
    rows = []
    for place in places:
        for noise, recipes in frontal_recipes(place, len(voices), noises).items():
            if not len(recipes.clip):
                continue
            estimates = estimates_of(ears_at(place, voices, noises, recipes), methods)
            by_noise.setdefault(noise, []).append(estimates)
            count = str(len(estimates.truth))
            rows.append([place.name, noise, count, *method_cells(estimates)])
    together = []
    for noise, parts in by_noise.items():
        azimuth = np.concatenate([part.azimuth for part in parts], axis=1)
        everything = Estimates(azimuth, np.concatenate([part.truth for part in parts]))
        count = f"{len(everything.truth):,}"
        together.append(["all", noise, count, *method_cells(everything)])
    return together + rows


def classical_head(methods: Methods) -> list[str]:
    """Names of the columns of `classical_rows`."""
    return ["head or room", "noise", "windows", *methods.names]

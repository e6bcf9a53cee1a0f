"""The packed networks on other heads and rooms: bundled voices from directions of SOFA files."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import numpy as np
from scipy.special import softmax

from ssl_jax.common.provenance import commit, machine
from ssl_jax.config import FrontEnd
from ssl_jax.database.program import extract
from ssl_jax.frontend.programs import WIDE_VECTORS
from ssl_jax.metrics import degrees_apart, front_back_rate, frontal_rmse, in_front
from ssl_jax.networks.packed import available, load_weights, temperature_of
from ssl_jax.recordings.posteriors import PEAK_REACH, SURE, peak_azimuth
from ssl_jax.recordings.priors import apply_prior
from ssl_jax.report.tables import markdown_table
from ssl_jax.sounds.noises import Noises, load_noises
from ssl_jax.studies.pages import show_page
from ssl_jax.studies.places import SNR, Place, ears_at, measured_place, recipes_at
from ssl_jax.studies.voices import bundled_voices

SHORT_WINDOWS = 4  # windows of 0.25 s in a second
# power of a short window that is scored, of the loudest of its second: others hold pauses
LOUD = 10 ** (-20 / 10)
# titles of the fields of Scores, in their order
SCORE_TITLES = {
    "mean_error": "mean error",
    "within_10": "within 10°",
    "front_back": "front-back",
    "frontal_rmse": "frontal RMSE",
    "frontal_mae": "frontal MAE",
    "sure": "stated 0.9 or more",
    "sure_and_right": "of these within 10°",
}
HEAD = ("network", "head or room", "directions", "window", *SCORE_TITLES.values())


@dataclass(frozen=True)
class CheckOptions:
    """What a user chooses of the stage `check`."""

    files: tuple[Path, ...]  # SOFA files
    networks: tuple[str, ...] = ()  # () for all packed ones
    clips: int = 10  # seconds of speech from each direction, each of another speaker
    ears: str = ""  # see `sounds.sofa.read_sofa`
    azimuths: str = ""  # the same
    page: Path | None = None  # to write, beside printing


@dataclass(frozen=True)
class Network:
    """A packed network, ready to listen."""

    name: str
    front: FrontEnd
    cues: Callable  # ears (n, 2, samples) -> maps (n, maps, channels, frames)
    logits: Callable  # maps -> (n, 72)
    temperature: float

    @classmethod
    def load(cls, name: str) -> "Network":
        """The network of that name; InputError where there is none."""
        model, front = load_weights(name)
        cues = jax.jit(partial(extract, front=front), compiler_options=WIDE_VECTORS)
        return cls(name, front, cues, jax.jit(lambda maps: model(maps)), temperature_of(name))

    def posterior(self, maps: jax.Array) -> np.ndarray:
        """The calibrated posterior (n, 72) of maps (n, maps, channels, frames)."""
        return softmax(np.asarray(self.logits(maps)) / self.temperature, axis=1)


@dataclass(frozen=True)
class Heard:
    """What a network says of n windows, and where they came from."""

    posterior: np.ndarray  # (n, 72), calibrated, to which all azimuths are alike
    truth: np.ndarray  # (n,) degrees


# by name of the network and window in seconds
Listening = dict[tuple[str, float], Heard]


@dataclass(frozen=True)
class Scores:
    """Scores of posteriors; NaN where none counts. Errors in degrees, all else in percent.

    Frontal scores are of sources in front, and of estimates among frontal classes, as the
    literature states them.
    """

    mean_error: float
    within_10: float
    front_back: float
    frontal_rmse: float
    frontal_mae: float
    sure: float  # stated with confidence SURE or more
    sure_and_right: float  # of these: no more than 10 degrees off


def loud_windows(ears: np.ndarray) -> np.ndarray:
    """Which short windows of seconds (n, 2, samples) are loud enough: (n, SHORT_WINDOWS)."""
    power = np.square(ears).reshape(len(ears), 2, SHORT_WINDOWS, -1).sum(axis=(1, 3))
    return power >= LOUD * power.max(axis=1, keepdims=True)


def windows_of(maps: jax.Array, loud: np.ndarray) -> Iterator[tuple[float, jax.Array, np.ndarray]]:
    """The whole second and its short windows: seconds, maps, and which of them are scored (n,)."""
    yield 1.0, maps, np.ones(len(maps), bool)
    size = maps.shape[-1] // SHORT_WINDOWS
    for k in range(SHORT_WINDOWS):
        yield 1 / SHORT_WINDOWS, maps[..., k * size : (k + 1) * size], loud[:, k]


def heard_at(
    place: Place, sounds: np.ndarray, noises: Noises, networks: Sequence[Network]
) -> Listening:
    """What every network says of sounds (n, samples) from every direction of a place."""
    parts: dict[tuple[str, float], list[Heard]] = {}
    recipes = recipes_at(place, len(sounds), noises)
    for block in ears_at(place, sounds, noises, recipes):
        loud = loud_windows(block.ears)
        for network in networks:
            for seconds, maps, counts in windows_of(network.cues(block.ears), loud):
                use = counts & block.is_new
                posterior = network.posterior(maps)[use]
                heard = Heard(posterior, block.truth[use])
                parts.setdefault((network.name, seconds), []).append(heard)
    return {condition: join_heard(blocks) for condition, blocks in parts.items()}


def join_heard(parts: Sequence[Heard]) -> Heard:
    """All windows of some blocks."""
    posterior = np.concatenate([part.posterior for part in parts])
    return Heard(posterior, np.concatenate([part.truth for part in parts]))


def mean_or_nan(values: np.ndarray) -> float:
    """The mean of values (n,); NaN of none, without NumPy's warning."""
    return float(np.mean(values)) if len(values) else float("nan")


def scores_of(posterior: np.ndarray, truth: np.ndarray) -> Scores:
    """Scores of posteriors (n, 72) for true azimuths (n,), degrees."""
    azimuth, confidence = peak_azimuth(posterior)
    errors = degrees_apart(azimuth, truth)
    is_right = errors <= PEAK_REACH
    is_sure = confidence >= SURE
    frontal_azimuth, _ = peak_azimuth(apply_prior(posterior, "front"))
    return Scores(
        mean_error=mean_or_nan(errors),
        within_10=100 * mean_or_nan(is_right),
        front_back=front_back_rate(azimuth, truth),
        frontal_rmse=frontal_rmse(frontal_azimuth, truth),
        frontal_mae=mean_or_nan(degrees_apart(frontal_azimuth, truth)[in_front(truth)]),
        sure=100 * mean_or_nan(is_sure),
        sure_and_right=100 * mean_or_nan(is_right[is_sure]),
    )


def cells(scores: Scores) -> list[str]:
    """The scores as cells of a table, under SCORE_TITLES."""
    texts = []
    for name in SCORE_TITLES:
        value = getattr(scores, name)
        unit = "°" if name in ("mean_error", "frontal_rmse", "frontal_mae") else " %"
        texts.append("-" if np.isnan(value) else f"{value:.1f}{unit}")
    return texts


def score_places(
    places: Sequence[Place], networks: Sequence[Network], listenings: Sequence[Listening]
) -> list[list[str]]:
    """Rows of HEAD for every network, place and window, from what was heard at each place."""
    rows = []
    for network in networks:
        for place, listening in zip(places, listenings, strict=True):
            for (name, seconds), heard in listening.items():
                if name == network.name:
                    about = [f"`{name}`", place.name, place.directions, f"{seconds:g} s"]
                    rows.append([*about, *cells(scores_of(heard.posterior, heard.truth))])
    return rows


def introduction(options: CheckOptions) -> str:
    """What was heard, and what made the page."""
    return (
        "# Heads and rooms that no training heard\n\n"
        f"A second each of {options.clips} bundled speakers comes from each direction measured "
        f"nearest to the horizontal plane, two bundled noises at {SNR[0]:g} to "
        f"{SNR[1]:g} dB each from random ones, seed 0; nothing is interpolated. Every packed "
        "network may know these voices and noises from its training; a head that it knows too is "
        "no test of it. All directions are alike beforehand (prior `uniform`). Frontal: sources in "
        "front, and estimates among frontal classes. Windows of 0.25 s that are 20 dB "
        "quieter than the loudest of their second are left out. `ssl_jax check FILE.sofa ...`; "
        f"{machine()}; commit {commit()}.\n"
    )


def run_check(options: CheckOptions) -> None:
    """The stage `check`: print the scores, and write the page that is asked for."""
    networks = [Network.load(name) for name in options.networks or available()]
    fs = networks[0].front.fs
    places = []
    for path in options.files:
        places.append(measured_place(path, fs, options.ears, options.azimuths))
    voices = bundled_voices(options.clips, fs)[:, 0]
    noises = load_noises(None, (), fs)
    listenings = [heard_at(place, voices, noises, networks) for place in places]
    rows = score_places(places, networks, listenings)
    show_page(options.page, introduction(options), markdown_table(list(HEAD), rows))

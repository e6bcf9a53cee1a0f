"""The packed networks on other heads and rooms: bundled voices from directions of SOFA files."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path

import jax
import numpy as np
from scipy.special import softmax

from ssl_jax.common.errors import InputError
from ssl_jax.common.progress import track
from ssl_jax.common.provenance import commit, machine
from ssl_jax.config import AZIMUTH_STEP, AZIMUTHS, Database, FrontEnd
from ssl_jax.database.program import Waveforms, block_size, extract, render
from ssl_jax.database.recipes import Choices, Recipes, draw_recipes
from ssl_jax.experiments import PROTOCOLS
from ssl_jax.metrics import degrees_apart, front_back_rate
from ssl_jax.networks.packed import available, load_weights, temperature_of
from ssl_jax.recordings.posteriors import PEAK_REACH, SURE, peak_azimuth
from ssl_jax.report.tables import markdown_table
from ssl_jax.sounds.hrtf import horizontal_ring, nearest_on_sphere
from ssl_jax.sounds.noises import Noises, load_noises
from ssl_jax.sounds.sofa import ON_GRID, read_sofa
from ssl_jax.studies.pages import show_page
from ssl_jax.studies.voices import bundled_voices

SHORT_WINDOWS = 4  # windows of 0.25 s in a second
# power of a short window that is scored, of the loudest of its second: others hold pauses
LOUD = 10 ** (-20 / 10)
# the SNR that the code of the published experiment states: it asks for the head, not for the noise
SNR = PROTOCOLS["published-code"]
HEAD = (
    *("network", "head or room", "directions", "window", "mean error", "within 10°", "front-back"),
    *("frontal RMSE", "frontal MAE", "stated 0.9 or more", "of these within 10°"),
)


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
class Place:
    """Directions that sound comes from on one head, in the free field or in a room."""

    name: str
    hrirs: np.ndarray  # (n, 2, taps) float32, left ear first, at most a second long
    azimuth: np.ndarray  # (n,) degrees
    elevation: np.ndarray  # (n,) degrees

    @property
    def directions(self) -> str:
        """How many there are, and how far they lie off the horizontal plane, in words."""
        off = np.abs(self.elevation).max()
        count = str(len(self.azimuth))
        return f"{count}, up to {off:.0f}° off the plane" if off > ON_GRID else count


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
        cues = jax.jit(partial(extract, front=front))
        return cls(name, front, cues, jax.jit(lambda maps: model(maps)), temperature_of(name))


@dataclass(frozen=True)
class Heard:
    """What a network says of n windows, and where they came from."""

    logits: np.ndarray  # (n, 72)
    truth: np.ndarray  # (n,) degrees


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


def measured_place(path: Path, fs: int, ears: str = "", azimuths: str = "") -> Place:
    """Directions of a SOFA file on the horizontal plane, or nearest to it; nothing is interpolated.

    Of more than 72 directions the nearest to each class are taken. Responses end after a second:
    what comes later is added at the beginning, for sounds that repeat every second.

    Raises
    ------
    InputError
        As `read_sofa` does.
    """
    sofa = read_sofa(path, fs, ears=ears, azimuths=azimuths)
    classes = AZIMUTH_STEP * np.arange(AZIMUTHS)
    try:
        chosen = horizontal_ring(sofa, classes)
    except InputError:  # the ring has gaps
        chosen = np.unique(nearest_on_sphere(sofa, classes))
    if len(chosen) > AZIMUTHS:
        apart = degrees_apart(sofa.azimuth[chosen], classes[:, None])
        chosen = chosen[np.unique(apart.argmin(axis=1))]
    hrirs = folded(sofa.hrirs[chosen], fs).astype(np.float32)
    return Place(path.stem, hrirs, sofa.azimuth[chosen], sofa.elevation[chosen])


def folded(hrirs: np.ndarray, fs: int) -> np.ndarray:
    """Responses (n, 2, taps) of at most `fs` taps: what comes after a second falls on the next."""
    taps = hrirs.shape[-1]
    if taps <= fs:
        return hrirs
    padded = np.pad(hrirs, ((0, 0), (0, 0), (0, -taps % fs)))
    return padded.reshape(*hrirs.shape[:2], -1, fs).sum(axis=2)


def recipes_at(place: Place, clips: int, noises: Noises) -> Recipes:
    """Each voice from each direction, two noises of a kind from others; drawn with seed 0."""
    config = Database(clips=clips, snr_low=SNR.snr_low, snr_high=SNR.snr_high)
    drawn = draw_recipes(config, Choices(heads=1, noise_files=noises.clip_counts))
    count = len(place.azimuth)
    numbers = np.arange(clips)[:, None] * AZIMUTHS + np.arange(count)
    recipes = drawn.rows(numbers.ravel())
    return replace(recipes, noise_azimuth=recipes.noise_azimuth % count)


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
    place: Place, voices: np.ndarray, noises: Noises, networks: Sequence[Network]
) -> dict[tuple[str, float], Heard]:
    """What every network says of voices (n, samples) from every direction of a place.

    Returns
    -------
    By name of the network and window in seconds.
    """
    recipes = recipes_at(place, len(voices), noises)
    total = len(recipes.clip)
    block = block_size()
    no_tail = np.zeros((1, 2, voices.shape[1]), np.float32)
    waveforms = jax.device_put(Waveforms(noises.waveforms, place.hrirs[None], no_tail))
    rendered = jax.jit(render)
    parts: dict[tuple[str, float], list[Heard]] = {}
    blocks = range(0, total, block)
    for first in track(blocks, place.name, total=len(blocks)):
        # one size is one compiled program: the last block repeats its last mixture
        block_recipes = recipes.rows(np.minimum(np.arange(first, first + block), total - 1))
        is_new = np.arange(first, first + block) < total
        ears = rendered(waveforms, voices[block_recipes.clip], block_recipes)
        truth = place.azimuth[block_recipes.azimuth]
        loud = loud_windows(np.asarray(ears))
        for network in networks:
            for seconds, maps, counts in windows_of(network.cues(ears), loud):
                use = counts & is_new
                heard = Heard(np.asarray(network.logits(maps))[use], truth[use])
                parts.setdefault((network.name, seconds), []).append(heard)
    return {condition: joined(blocks) for condition, blocks in parts.items()}


def joined(parts: Sequence[Heard]) -> Heard:
    """All windows of some blocks."""
    logits = np.concatenate([part.logits for part in parts])
    return Heard(logits, np.concatenate([part.truth for part in parts]))


def mean_or_nan(values: np.ndarray) -> float:
    """The mean of values (n,); NaN of none, without NumPy's warning."""
    return float(np.mean(values)) if len(values) else float("nan")


def scores_of(posterior: np.ndarray, truth: np.ndarray) -> Scores:
    """Scores of posteriors (n, 72) for true azimuths (n,), degrees."""
    azimuth, confidence = peak_azimuth(posterior)
    errors = degrees_apart(azimuth, truth)
    is_right = errors <= PEAK_REACH
    is_sure = confidence >= SURE
    frontal = frontal_errors(posterior, truth)
    return Scores(
        mean_error=mean_or_nan(errors),
        within_10=100 * mean_or_nan(is_right),
        front_back=front_back_rate(azimuth, truth),
        frontal_rmse=mean_or_nan(frontal**2) ** 0.5,
        frontal_mae=mean_or_nan(frontal),
        sure=100 * mean_or_nan(is_sure),
        sure_and_right=100 * mean_or_nan(is_right[is_sure]),
    )


def frontal_errors(posterior: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Degrees off of sources in the frontal half (n,), where estimates behind are not allowed."""
    in_front = degrees_apart(truth, 0) <= 90
    frontal_classes = degrees_apart(AZIMUTH_STEP * np.arange(AZIMUTHS), 0) <= 90
    azimuth, _ = peak_azimuth(posterior[in_front] * frontal_classes)
    return degrees_apart(azimuth, truth[in_front])


def cells(scores: Scores) -> list[str]:
    """The scores as cells of a table, from "mean error" of HEAD on."""
    texts = []
    for field in fields(scores):
        value = getattr(scores, field.name)
        unit = "°" if field.name in ("mean_error", "frontal_rmse", "frontal_mae") else " %"
        texts.append("-" if np.isnan(value) else f"{value:.1f}{unit}")
    return texts


def score_places(
    places: Sequence[Place], networks: Sequence[Network], clips: int, fs: int
) -> list[list[str]]:
    """Rows of HEAD for every network, place and window."""
    voices = bundled_voices(clips, fs)[:, 0]
    noises = load_noises(None, (), fs)
    temperatures = {network.name: network.temperature for network in networks}
    rows: dict[str, list[list[str]]] = {network.name: [] for network in networks}
    for place in places:
        for (name, seconds), heard in heard_at(place, voices, noises, networks).items():
            posterior = softmax(heard.logits / temperatures[name], axis=1)
            about = [f"`{name}`", place.name, place.directions, f"{seconds:g} s"]
            rows[name].append([*about, *cells(scores_of(posterior, heard.truth))])
    return [row for of_network in rows.values() for row in of_network]


def introduction(options: CheckOptions) -> str:
    """What was heard, and what made the page."""
    return (
        "# Heads and rooms that no training heard\n\n"
        f"A second each of {options.clips} bundled speakers comes from each direction measured "
        f"nearest to the horizontal plane, two bundled noises at {SNR.snr_low:g} to "
        f"{SNR.snr_high:g} dB each from others, seed 0; nothing is interpolated. Every packed "
        "network may know these voices and noises from its training, but not these heads. Frontal: "
        "sources in front, and estimates among frontal classes. Windows of 0.25 s that are 20 dB "
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
    rows = score_places(places, networks, options.clips, fs)
    show_page(options.page, introduction(options), markdown_table(list(HEAD), rows))

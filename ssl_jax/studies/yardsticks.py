"""The network for recordings beside the literature: other heads, rooms, and two talkers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import softmax

from ssl_jax.common.errors import InputError
from ssl_jax.common.progress import say, track
from ssl_jax.common.provenance import commit, machine
from ssl_jax.config import AZIMUTH_STEP, AZIMUTHS, EVALUATION, TRAINING, Training
from ssl_jax.database.cue_store import CueStore
from ssl_jax.database.manifest import Manifest, read_manifest
from ssl_jax.experiments import Experiment
from ssl_jax.metrics import degrees_apart
from ssl_jax.networks.packed import default_weights, describe, load_weights, temperature_of
from ssl_jax.recordings.localisation import localise
from ssl_jax.recordings.overall import Overall
from ssl_jax.recordings.posteriors import PEAK_REACH
from ssl_jax.report.tables import markdown_table
from ssl_jax.sounds.hrtf import sofa_files
from ssl_jax.sounds.mixing import mean_power, spatialise_endless
from ssl_jax.sounds.noises import load_noises
from ssl_jax.sounds.rooms import KEMAR_FILES, head_of
from ssl_jax.studies.classical import (
    NOISY_SNR_DB,
    SIDE_DEGREES,
    Methods,
    classical_head,
    classical_rows,
)
from ssl_jax.studies.equalisation import equalisation_section
from ssl_jax.studies.front_scores import FRONT_HEAD, front_rows_by_kind
from ssl_jax.studies.pages import show_page
from ssl_jax.studies.places import FEWEST_DIRECTIONS, Place, measured_place
from ssl_jax.studies.unseen_heads import (
    HEAD,
    Network,
    cells,
    heard_at,
    score_places,
    scores_of,
)
from ssl_jax.studies.voices import bundled_voices, wide_band_sounds
from ssl_jax.training.batches import Mixtures
from ssl_jax.training.microphones import ALIKE, UNLIKE
from ssl_jax.training.trainer import Trainer, predict_all

SCENES = 200  # of two talkers
TALKERS = 30  # whose voices the scenes draw from
SCENE_SECONDS = 3  # of each scene
LEAST_APART = 60  # degrees between two talkers
LEVEL = 0.1  # rms of each talker, of full scale
WINDOW_S = 0.25  # that estimates of two talkers rest on: in a short one, one of them is louder
STEP_S = 0.05
# who, what was known, error, source
LITERATURE = (
    (
        "people, free field",
        "own ears",
        "2° in front, 20° at the side, front-back 6 %",
        "Makous & Middlebrooks 1990",
    ),
    (
        "people, frontal half",
        "loudspeakers, 24 of them",
        "RMSE 6.2° ± 1.8°",
        "Yost et al. 2013",
    ),
    (
        "WaveLoc",
        "Surrey Room A, trained on the same head",
        "RMSE 1.5°",
        "Vecchiotti et al. 2019",
    ),
    (
        "GCC-PHAT and a network",
        "Surrey Room A, trained on the same head",
        "RMSE 2.7°",
        "Vecchiotti et al. 2019",
    ),
)
BESIDE = (
    "## Beside classical methods, in the frontal half\n\n"
    "One voice, windows of 1 s, the same for every method; estimates in the frontal half alone. "
    "Mean error, RMSE, and how far estimates of sources "
    f"{SIDE_DEGREES[0]:g} to {SIDE_DEGREES[1]:g}° to the side are too far out. Two noises from "
    f"random directions at {NOISY_SNR_DB[0]:g} to {NOISY_SNR_DB[1]:g} dB each, or none. GCC-PHAT "
    "and the lookup know the package's KEMAR.\n"
)
EACH = "## Each head and room\n\nUnder the prior `uniform`.\n"


@dataclass(frozen=True)
class YardstickOptions:
    """What a user chooses of the stage `yardsticks`."""

    places: Path  # folder of SOFA files, which no training used
    experiment: Experiment  # whose evaluation part is scored
    network: str | None = None  # packed; None: the default one
    clips: int = 10  # seconds of speech from each direction, and of other sounds
    sounds: Path | None = None  # folder of wide-band sounds; None: the package's noises
    work: Path = Path("work")
    page: Path | None = None  # to write, beside printing


def two_talkers(places: Sequence[Place], network: Network) -> str:
    """How often both of two talkers are found, in a sentence; empty without a place for them."""
    wide = [place for place in places if len(place.azimuth) >= FEWEST_DIRECTIONS]
    if not wide:
        return ""
    voices = bundled_voices(TALKERS, network.front.fs, SCENE_SECONDS)
    rng = np.random.default_rng(0)
    hits_both = 0
    hits_one = 0
    for _ in track(range(SCENES), "two talkers", total=SCENES):
        place = wide[rng.integers(len(wide))]
        directions = two_directions(place, rng)
        talkers = voices[rng.choice(len(voices), 2, replace=False)]
        ears = ears_of_two(place, directions, talkers)
        found = directions_of(ears, network)
        errors = [nearest_error(found, place.azimuth[number]) for number in directions]
        hits_both += max(errors) <= PEAK_REACH
        hits_one += min(errors) <= PEAK_REACH
    heads = ", ".join(place.name for place in wide)
    both_percent = 100 * hits_both / SCENES
    one_percent = 100 * hits_one / SCENES
    return (
        f"Two talkers of {SCENE_SECONDS} s at equal level, {LEAST_APART}° or more apart, {SCENES} "
        f"scenes on {heads}: both within {PEAK_REACH}° in {both_percent:.0f} %, at least one in "
        f"{one_percent:.0f} % (the two directions that explain the windows best, windows of "
        f"{WINDOW_S:g} s, prior `uniform`).\n"
    )


def two_directions(place: Place, rng: np.random.Generator) -> list[int]:
    """Numbers of two directions of a place, at least LEAST_APART degrees from one another."""
    first = int(rng.integers(len(place.azimuth)))
    apart = degrees_apart(place.azimuth, place.azimuth[first])
    second = int(rng.choice(np.flatnonzero(apart >= LEAST_APART)))
    return [first, second]


def ears_of_two(place: Place, directions: Sequence[int], talkers: np.ndarray) -> np.ndarray:
    """Ears (samples, 2) of talkers (2, seconds, fs) from two directions, at equal level."""
    hrirs = place.hrirs[directions][:, None]  # 2, 1, 2, taps
    no_tail = np.zeros((2, talkers.shape[-1]), np.float32)
    ears = np.asarray(spatialise_endless(talkers, hrirs, no_tail))  # 2, seconds, 2, fs
    ears = ears / np.sqrt(np.asarray(mean_power(ears)))[..., None, None]
    mixed = LEVEL * ears.sum(axis=0)  # seconds, 2, fs
    return np.concatenate(mixed, axis=-1).T


def directions_of(ears: np.ndarray, network: Network) -> np.ndarray:
    """The azimuths of the two likeliest directions (2,), or of the only one (1,)."""
    windows = localise(
        ears,
        network.front.fs,
        window=WINDOW_S,
        step=STEP_S,
        model=network.name,
        prior="uniform",
    )
    found = Overall.of(windows).directions
    return np.array([direction.azimuth for direction in found[:2]])


def nearest_error(estimates: np.ndarray, azimuth: float) -> float:
    """Degrees from an azimuth to the nearest of some estimates."""
    return float(degrees_apart(estimates, azimuth).min())


def manifest_of_training(network: Network, folder: Path, ex: Experiment) -> Manifest | None:
    """The manifest of the rooms that a network was trained on; None where `folder` lacks it."""
    left_out = "the evaluation part is left out, and not all heads of training may be known"
    if not (folder / "manifest.csv").exists():
        say(f"{folder}: not there: {left_out} (`ssl_jax database` makes it)")
        return None
    if network.front != ex.front or not ex.database.rooms:
        say(f"{folder}: not what {network.name} was trained on: {left_out}")
        return None
    return read_manifest(folder / "manifest.csv", AZIMUTHS * ex.database.clips)


def heard_in_training(places: Sequence[Place], manifest: Manifest | None) -> list[str]:
    """The places whose head is in the training part of a manifest, by its name's beginning.

    KEMAR alone without one: he is always in training.
    """
    heads = set(KEMAR_FILES)
    if manifest is not None:
        in_training = manifest.part == TRAINING
        heads |= {head_of(name) for name in np.array(manifest.head)[in_training]}
    beginnings = tuple(head.lower() for head in heads)
    return [place.name for place in places if place.name.lower().startswith(beginnings)]


def evaluated_conditions(manifest: Manifest, numbers: np.ndarray) -> dict[str, np.ndarray]:
    """Masks over some mixtures of rooms (n,), by what was heard."""
    names = np.array([manifest.head[number] for number in numbers])
    snr = manifest.snr[numbers]  # dB
    is_free = np.char.find(names, "-free") > 0  # as `sounds.rooms.room_name` calls it
    return {
        "rooms": ~is_free,
        "free field": is_free,
        "free field, 15 to 40 dB": is_free & (snr >= 15),
        "free field, -5 to 5 dB": is_free & (snr < 5),
        "rooms, -5 to 5 dB": ~is_free & (snr < 5),
    }


def evaluation_rows(name: str, folder: Path, ex: Experiment, manifest: Manifest) -> list[list[str]]:
    """Scores on the evaluation part of a store of rooms, in `folder`, that has this manifest."""
    model, front = load_weights(name)
    mixtures = Mixtures.of(CueStore(folder / "cues", ex.database, ex.front), manifest)
    trainer = Trainer(Training(model=describe(name)["model"]), 1, front)
    trainer.set_model(model)
    numbers = np.flatnonzero(manifest.part == EVALUATION)
    conditions = evaluated_conditions(manifest, numbers)
    unlike = {what: conditions[what] for what in ("rooms", "free field")}
    rows = []
    for microphones, about, masks in (
        (ALIKE, "", conditions),
        (UNLIKE, ", unlike microphones", unlike),
    ):
        heard = predict_all(trainer, mixtures, numbers, microphones)
        posterior = softmax(heard.logits / temperature_of(name), axis=1)
        truth = AZIMUTH_STEP * heard.labels
        for what, mask in masks.items():
            scores = cells(scores_of(posterior[mask], truth[mask]))
            rows.append([f"`{name}`", f"evaluation part, {what}{about}", "72", "1 s", *scores])
    return rows


def run_yardsticks(options: YardstickOptions) -> None:
    """The stage `yardsticks`: print the scores, and write the page that is asked for."""
    paths = sofa_files(options.places)
    if not paths:
        raise InputError(f"{options.places}: no .sofa files: name a folder of heads and rooms")
    network = Network.load(options.network or default_weights())
    fs = network.front.fs
    voices = bundled_voices(options.clips, fs)[:, 0]
    sounds = wide_band_sounds(options.sounds, options.clips, fs)
    noises = load_noises(None, (), fs)
    places = [measured_place(path, fs) for path in paths]
    of_voices = [heard_at(place, voices, noises, [network]) for place in places]
    of_sounds = [heard_at(place, sounds, noises, [network]) for place in places]
    folder = options.work / options.experiment.name
    manifest = manifest_of_training(network, folder, options.experiment)
    known = heard_in_training(places, manifest)
    unseen = [number for number, place in enumerate(places) if place.name not in known]
    if not unseen:
        unseen = list(range(len(places)))
    new_places = [places[number] for number in unseen]
    front = []
    for name, listenings in (("voices", of_voices), ("wide-band", of_sounds)):
        heard = [listenings[number] for number in unseen]
        front += front_rows_by_kind(name, new_places, heard, network.name)
    methods = Methods.load(network)
    beside = classical_rows(new_places, voices, noises, methods)
    rows = score_places(places, [network], of_voices)
    if manifest is not None:
        rows += evaluation_rows(network.name, folder, options.experiment, manifest)
    show_page(
        options.page,
        introduction(options, network.name, known, all_known=manifest is not None),
        markdown_table(list(FRONT_HEAD), front),
        BESIDE,
        markdown_table(classical_head(methods), beside),
        *equalisation_section(places, of_voices, voices, noises, network),
        EACH,
        markdown_table(list(HEAD), rows),
        two_talkers(places, network),
        "## Literature\n",
        markdown_table(["who", "what was known", "error", "source"], LITERATURE),
    )


def introduction(
    options: YardstickOptions, network: str, known: Sequence[str], *, all_known: bool
) -> str:
    """What was heard, what made the page, and what stands first on it."""
    heard = ", ".join(known) or "none"
    if not all_known:
        heard += " (and maybe more: the store that it was trained on is not there)"
    sounds = "the package's noises" if options.sounds is None else options.sounds.name
    return (
        f"# Yardsticks\n\nAs [unseen_heads.md](unseen_heads.md), of `{network}`, "
        f"{options.clips} speakers from each direction. Training heard {heard} of "
        "these heads and rooms; the first two tables are of the others, if there are any. "
        "Evaluation heads are turned to their midline (docs/rooms.md). `ssl_jax yardsticks "
        f"DIR`; {machine()}; commit {commit()}.\n\n## In front\n\n"
        "All heads together, in the free field, and all rooms; windows of 1 s. Wide-band: "
        f"{options.clips} sounds of {sounds} that reach over 8 kHz.\n"
    )

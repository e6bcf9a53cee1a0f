"""Trained runs into the package, with notes of what they score on mixtures they never heard."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import read_json
from ssl_jax.common.provenance import note_of
from ssl_jax.config import (
    AZIMUTH_STEP,
    BUNDLED,
    EVALUATION,
    VALIDATION,
    SoundFolders,
    Training,
)
from ssl_jax.database.cue_store import CueStore
from ssl_jax.database.manifest import Manifest, read_manifest
from ssl_jax.experiments import Experiment
from ssl_jax.metrics import (
    Evaluation,
    confusion_matrix,
    degrees_apart,
    error_by_azimuth,
    evaluate,
    scores_by_snr,
)
from ssl_jax.networks.packed import is_own_file, load_weights, pack
from ssl_jax.recordings.posteriors import PEAK_REACH, peak_azimuth
from ssl_jax.studies.card_page import draw_reliability, write_card
from ssl_jax.studies.front_scores import front_rows
from ssl_jax.training.batches import Mixtures
from ssl_jax.training.checkpoints import checkpoint_path
from ssl_jax.training.context import weights_path
from ssl_jax.training.log import csv_text
from ssl_jax.training.microphones import UNLIKE
from ssl_jax.training.trainer import Trainer, predict_all

TENTHS = 10  # bins of confidence in the reliability figure


@dataclass(frozen=True)
class PackOptions:
    """What a user chooses of the stage `pack`."""

    experiment: Experiment
    protocol: str  # of the experiment
    run: str  # whose last weights are packed
    name: str  # of the packed network
    results: Path = Path("results")
    work: Path = Path("work")
    figures: Path = Path("paper_figures")
    card: Path = Path("docs/model-card.md")


def run_pack(options: PackOptions) -> None:
    """The stage `pack`: put weights into one file, of one's own or of the package.

    The figure and the card of all networks of the package follow the latter.
    """
    metrics = pack_run(options)
    print(
        f"{options.name}: Top-1 {metrics['top1']:.2f} %, mean error "
        f"{metrics['mean_angular_error']:.2f} degrees as packed"
    )
    if not is_own_file(options.name):
        draw_reliability(options.figures / "reliability.png")
        write_card(options.card)
        print(f"{options.card} says more")


def pack_run(options: PackOptions) -> dict[str, float]:
    """Put a trained run into the package, with its scores.

    Returns
    -------
    What the packed weights, rounding and all, score on the evaluation mixtures of the run.

    Raises
    ------
    InputError
        Where the run or its cue store is missing.
    """
    source = trained_weights(options)
    ex = options.experiment
    config = ex.runs[options.run]
    work = options.work / ex.name
    store = CueStore(work / "cues", ex.database, ex.front)
    manifest = read_manifest(work / "manifest.csv", store.count)
    mixtures = Mixtures.of(store, manifest)
    timing = read_json(options.results / ex.name / "timing.json")
    notes: dict = {
        "model": config.model,
        "front": dict(vars(ex.front)),
        "protocol": options.protocol,
        "run": options.run,
        "corpus": corpus_name(ex.folders),
        "seed": config.seed,
        "commit": note_of(timing, options.run, "commit"),
        "metrics": {},
    }
    trainer = Trainer(config, 1, ex.front)
    # the scores are those of the weights as packed, rounded
    with TemporaryDirectory() as folder:
        draft = str(Path(folder) / "draft.safetensors")
        pack(source, draft, notes)
        trainer.set_model(load_weights(draft).network)
    notes |= scores_of_run(trainer, mixtures, manifest, config)
    pack(source, options.name, notes)
    return notes["metrics"]


def trained_weights(options: PackOptions) -> Path:
    """The last weights of the run; InputError where it is unknown or not trained."""
    ex = options.experiment
    if options.run not in ex.runs:
        raise InputError(f"--run {options.run}: unknown: use one of {', '.join(ex.runs)}")
    epochs = ex.runs[options.run].epochs
    source = weights_path(options.results / ex.name, options.run, epochs)
    checkpoint = checkpoint_path(options.work / ex.name, options.run, epochs)
    for path in (source, checkpoint):
        if not path.exists():
            remedy = f"ssl_jax train --runs {options.run} with the same options makes it"
            others = "or name other --results and --work, or --quick as in training"
            raise InputError(f"{path}: not there: {remedy}; {others}")
    return source


def corpus_name(folders: SoundFolders) -> str:
    """What a network learnt from: "bundled", or the names of folders that were not."""
    own = [f"{kind} {name}" for kind, name in folders.names().items() if name != BUNDLED]
    return ", ".join(own) or BUNDLED


def scores_of_run(
    trainer: Trainer, mixtures: Mixtures, manifest: Manifest, config: Training
) -> dict:
    """Notes of a packed network: its scores, and its temperature where it can be calibrated."""
    notes: dict = {}
    temperature = 1.0
    numbers = mixtures.split(config).evaluation
    if manifest.part is not None and (manifest.part == VALIDATION).any():
        # then `numbers` are of the validation part
        heard_unlike = predict_all(trainer, mixtures, numbers, UNLIKE)
        temperature = fit_temperature(heard_unlike)
        notes["temperature"] = temperature
        numbers = np.flatnonzero(manifest.part == EVALUATION)
    heard = predict_all(trainer, mixtures, numbers)
    posterior = softmax(heard.logits / temperature, axis=1)
    notes["front_scores"] = front_rows("evaluation part", posterior, AZIMUTH_STEP * heard.labels)
    notes["reliability"] = reliability(heard, temperature)
    notes["metrics"] = evaluate(heard)
    notes["mixtures_evaluated"] = len(numbers)
    notes["by_snr"] = csv_text(scores_by_snr(heard, manifest.snr[numbers])).splitlines()
    notes["error_by_azimuth"] = error_by_azimuth(confusion_matrix(heard)).round(2).tolist()
    return notes


def stated_and_right(heard: Evaluation, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Confidence (n,), and whether the azimuth is within 10 degrees (n,)."""
    azimuth, confidence = peak_azimuth(softmax(heard.logits / temperature, axis=1))
    errors = degrees_apart(azimuth, AZIMUTH_STEP * heard.labels)
    return confidence, errors <= PEAK_REACH


def fit_temperature(heard: Evaluation) -> float:
    """The temperature whose confidences have the least log loss (Guo et al. 2017, ICML)."""

    def loss(log_temperature):
        confidence, is_right = stated_and_right(heard, np.exp(log_temperature))
        likelihood = np.where(is_right, confidence, 1 - confidence)
        return -np.mean(np.log(np.clip(likelihood, 1e-6, 1)))

    best = minimize_scalar(loss, bounds=(-2, 2), method="bounded").x
    return round(float(np.exp(best)), 3)


def reliability(heard: Evaluation, temperature: float) -> list[list[float]]:
    """For each tenth of confidence: its mean, the share within 10 degrees, and how many windows."""
    confidence, is_right = stated_and_right(heard, temperature)
    tenth = np.minimum((TENTHS * confidence).astype(int), TENTHS - 1)
    rows = []
    for number in np.unique(tenth):
        inside = tenth == number
        mean = round(float(confidence[inside].mean()), 4)
        share = round(float(is_right[inside].mean()), 4)
        rows.append([mean, share, int(inside.sum())])
    return rows

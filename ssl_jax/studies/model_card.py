"""docs/model-card.md: what the packed networks were trained on, how well they do, what they cannot do."""

from pathlib import Path

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import read_json, write_text
from ssl_jax.config import AZIMUTH_STEP, AZIMUTHS, Experiment, fingerprint
from ssl_jax.database.cue_store import CueStore
from ssl_jax.database.recipes import read_manifest
from ssl_jax.metrics import confusion_matrix, error_by_azimuth, evaluate, scores_by_snr
from ssl_jax.networks.packed import available, describe, load_weights, pack
from ssl_jax.pipeline import experiment_of
from ssl_jax.report.comparison import CORPORA
from ssl_jax.report.tables import EVALUATED, SCORES, markdown_table, score_cells
from ssl_jax.training.batches import Mixtures
from ssl_jax.training.checkpoints import checkpoint_path
from ssl_jax.training.log import snr_csv
from ssl_jax.training.trainer import Trainer, predict_all

INTRODUCTION = """# Model card

Networks in `ssl_jax/data/weights`, for `ssl_jax localise --model NAME`. Input: ITD, ILD and IC of 32
gammatone channels at 44.1 kHz, one value per 10 ms, from recordings at the two ears; output: 72 azimuths, 5°
apart. `clean` shares no speaker, noise file or head between training and evaluation; `model2` is the
published network under the published protocol, which shares all three; `embedded` is the same network on the
embedded corpus, all of whose heads are one KEMAR scaled in frequency. Figures are of the weights as packed,
printed by `ssl_jax pack`; those of `embedded` are of its training run.
"""
CANNOT = """## What they cannot do

- **Elevation**: every training direction of `clean` lies on the horizontal plane; sources above or below are
  given some azimuth all the same.
- **Rooms**: trained on anechoic responses; reflections were never heard.
- **Several talkers**: one estimate for each window, that of the strongest voice at best.
- **Other ears**: the heads of training were 16 (`clean`) or 20 (`model2`) of CIPIC's. How far off an unknown
  head is stands above for `clean`, whose evaluation heads were never trained on, and in
  [results/unseen_heads.md](../results/unseen_heads.md). For `model2` every head, voice and noise of the
  evaluation was in the training too: its figures say nothing of yours.
- **Noise**: two noises of one class at 15 to 40 dB each; below 15 dB nothing was trained.
- Sounds without speech were never the target.
"""


def pack_run(
    ex: Experiment, run: str, name: str, work: Path, results: Path, folder: Path | None = None
) -> dict:
    """Put a trained run into the package, with what the packed weights score on its evaluation mixtures.

    Returns what NAME.json holds; raises InputError where the run or its cue store is missing.
    """
    if run not in ex.runs:
        raise InputError(f"--run {run}: unknown: use one of {', '.join(ex.runs)}")
    config, home = ex.runs[run], results / ex.name
    source = home / f"{run}_epoch{config.epochs}.msgpack"
    if not source.exists() or not checkpoint_path(work / ex.name, run, config.epochs).exists():
        remedy = f"ssl_jax train --runs {run} with the same options makes it"
        raise InputError(f"{source}: not trained yet: {remedy}")
    store = CueStore(work / ex.name / "cues", ex.database, ex.front)
    mixtures = Mixtures.of(store, read_manifest(work / ex.name / "manifest.csv", store.count))
    info = {"model": config.model, "front": fingerprint(f=ex.front)["f"]}
    info |= {"protocol": "clean" if ex.database.disjoint else "published", "run": run}
    info |= {"corpus": ex.database.corpus, "seed": config.seed}
    info |= {"commit": read_json(home / "timing.json")["commit"], "metrics": {}}
    pack(source, name, info, folder)
    trainer = Trainer(config, 1, ex.front)
    trainer.set_model(load_weights(name, folder)[0])  # as stored, rounding and all
    numbers = mixtures.split(config)[1]
    logits, labels = predict_all(trainer, mixtures, numbers)
    by_snr = scores_by_snr(logits, labels, mixtures.manifest.snr[numbers])
    errors = error_by_azimuth(confusion_matrix(logits, labels)).round(2).tolist()
    info |= {"metrics": evaluate(logits, labels), "mixtures_evaluated": len(labels)}
    info |= {"by_snr": snr_csv(by_snr).splitlines(), "error_by_azimuth": errors}
    pack(source, name, info, folder)
    return info


def write_card(path: Path, folder: Path | None = None) -> str:
    """Write the card of all packed networks and return its text."""
    everything = {name: describe(name, folder) for name in available(folder)}
    infos = {name: info for name, info in everything.items() if "by_snr" in info}
    rows, by_snr, by_azimuth = [], [], []
    for name, info in everything.items():
        about = [f"`{name}`", info["model"], CORPORA.get(info["corpus"], info["corpus"]), info["protocol"]]
        rows.append([*about, f"{info['mixtures_evaluated']:,}", *score_cells(info["metrics"])])
    for name, info in infos.items():
        for low, high, count, best, error, confused in (line.split(",") for line in info["by_snr"][1:]):
            by_snr.append([f"`{name}`", f"{low}-{high}", count, best, f"{error}°", confused])
    for c in range(AZIMUTHS):
        errors = [f"{info['error_by_azimuth'][c]:.2f}" for info in infos.values()]
        by_azimuth.append([f"{AZIMUTH_STEP * c}°", *errors])
    head = ["name", "network", "corpus", "protocol", "evaluated on", *(SCORES[s] for s in EVALUATED)]
    trained = [f"`{name}`: commit {info['commit']}, seed {info['seed']}" for name, info in everything.items()]
    parts = [
        INTRODUCTION,
        markdown_table(head, rows),
        "## By SNR: the lower of two noises'\n",
        markdown_table(["name", "dB", "mixtures", "Top-1", "mean error", "front-back"], by_snr),
        "## By azimuth: mean error in degrees\n",
        markdown_table(["azimuth", *(f"`{name}`" for name in infos)], by_azimuth),
        CANNOT,
        f"Trained at {'; '.join(trained)}. Weights of LibriSpeech (CC BY 4.0), ESC-10 (CC BY 3.0) and CIPIC "
        "(© 2001 The Regents of the University of California) recordings, none of which is in them.\n",
    ]
    text = "\n".join(parts)
    write_text(path, text)
    return text


def run_pack(args) -> None:
    """The stage `pack`."""
    metrics = pack_run(experiment_of(args), args.run, args.packed, args.work, args.results)["metrics"]
    write_card(args.card)
    scores = (
        f"Top-1 {metrics['top1']:.2f} %, mean error {metrics['mean_angular_error']:.2f} degrees as packed"
    )
    print(f"{args.packed}: {scores}; {args.card} says more")

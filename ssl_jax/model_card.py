"""docs/model-card.md: what the networks in the package were trained on, how well they do, and what they cannot do."""

from pathlib import Path

from .audit_report import EVALUATED, SCORES, score_cells
from .checkpoints import checkpoint_path
from .config import AZIMUTH_STEP, AZIMUTHS, Experiment, fingerprint
from .cue_store import CueStore
from .evaluation import confusion_matrix, evaluate, scores_by_snr
from .files import InputError, atomic_write, read_json
from .recipes import read_manifest
from .report import CORPORA, error_by_azimuth, markdown_table
from .trainer import Mixtures, Trainer, predict_all
from .training import split
from .weights import available, describe, load_weights, pack

CANNOT = """## What they cannot do

- **Elevation**: every training direction of `clean` lies on the horizontal plane; sources above or below are given
  some azimuth all the same.
- **Rooms**: trained on anechoic responses; reflections were never heard.
- **Several talkers**: one estimate for each window, that of the strongest voice at best.
- **Other ears**: the heads of training were 16 (`clean`) or 20 (`model2`) of CIPIC's; how far an unknown head is off
  stands above for `clean`, whose evaluation heads were never trained on, and in
  [results/unseen_heads.md](../results/unseen_heads.md). For `model2` every head, voice and noise of the evaluation
  was in the training too: its figures say nothing of yours.
- **Noise**: two noises of one class at 15 to 40 dB each; below 15 dB nothing was trained.
- Sounds without speech were never the target.
"""


def pack_run(ex: Experiment, run: str, name: str, work: Path, results: Path, folder: Path | None = None) -> dict:
    """Put a trained run into the package, with what the packed weights score on its evaluation mixtures.

    Returns
    -------
    dict, as NAME.json holds it; InputError where the run or its cue store is not there.
    """
    if run not in ex.runs:
        raise InputError(f"--run {run}: unknown: use one of {', '.join(ex.runs)}")
    config, home = ex.runs[run], results / ex.name
    source = home / f"{run}_epoch{config.epochs}.msgpack"
    if not source.exists() or not checkpoint_path(work / ex.name, run, config.epochs).exists():
        raise InputError(f"{source}: not trained yet: python -m ssl_jax train --runs {run} with the same options makes it")
    store = CueStore(work / ex.name / "cues", ex.database, ex.front)
    store.open()
    manifest = read_manifest(work / ex.name / "manifest.csv", store.count)
    protocol = "clean" if ex.database.disjoint else "published"
    info = {"model": config.model, "front": fingerprint(f=ex.front)["f"], "protocol": protocol, "run": run,
            "corpus": ex.database.corpus, "seed": config.seed,
            "commit": read_json(home / "timing.json")["commit"], "metrics": {}}
    pack(source, name, info, folder)
    trainer = Trainer(config, 1)
    trainer.take(load_weights(name, folder)[0])  # as stored, rounding and all
    numbers = split(config, manifest.held_out)[1]
    logits, labels = predict_all(trainer, Mixtures(store.read()), numbers)
    info |= {"metrics": evaluate(logits, labels), "mixtures_evaluated": len(labels),
             "by_snr": scores_by_snr(logits, labels, manifest.snr[numbers]).splitlines(),
             "error_by_azimuth": error_by_azimuth(confusion_matrix(logits, labels)).round(2).tolist()}
    pack(source, name, info, folder)
    return info


def write_card(path: Path, folder: Path | None = None) -> str:
    """Write the card of all packed networks and return its text."""
    everything = {name: describe(name, folder) for name in available(folder)}
    infos = {name: info for name, info in everything.items() if "by_snr" in info}
    rows = [[f"`{name}`", info["model"], CORPORA.get(info["corpus"], info["corpus"]), info["protocol"],
             f"{info['mixtures_evaluated']:,}", *score_cells(info["metrics"])] for name, info in everything.items()]
    parts = [
        "# Model card\n",
        "Networks in `ssl_jax/data/weights`, for `python -m ssl_jax localise --model NAME`. Input: ITD, ILD and IC of 32 "
        "gammatone channels at 44.1 kHz, one value per 10 ms, from recordings at the two ears; output: 72 azimuths, 5° "
        "apart. `clean` shares no speaker, noise file or head between training and evaluation; `model2` is the published "
        "network under the published protocol, which shares all three; `embedded` is the same network on the embedded "
        "corpus, all of whose heads are one KEMAR scaled in frequency. Figures are of the weights as packed, printed by "
        "`python -m ssl_jax pack`; those of `embedded` are of its training run.\n",
        markdown_table(["name", "network", "corpus", "protocol", "evaluated on", *(SCORES[s] for s in EVALUATED)], rows),
        "## By SNR: the lower of two noises'\n",
        markdown_table(["name", "dB", "mixtures", "Top-1", "mean error", "front-back"], [
            [f"`{name}`", f"{low}-{high}", count, best, f"{error}°", confused] for name, info in infos.items()
            for low, high, count, best, error, confused in (line.split(",") for line in info["by_snr"][1:])]),
        "## By azimuth: mean error in degrees\n",
        markdown_table(["azimuth", *(f"`{name}`" for name in infos)], [
            [f"{AZIMUTH_STEP * c}°", *(f"{info['error_by_azimuth'][c]:.2f}" for info in infos.values())]
            for c in range(AZIMUTHS)]),
        CANNOT,
        "Trained at " + "; ".join(f"`{name}`: commit {info['commit']}, seed {info['seed']}" for name, info in everything.items())
        + ". Weights of LibriSpeech (CC BY 4.0), ESC-10 (CC BY 3.0) and CIPIC (© 2001 The Regents of the University of "
        "California) recordings, none of which is in them.\n",
    ]
    text = "\n".join(parts)
    with atomic_write(path, "w") as stream:
        stream.write(text)
    return text

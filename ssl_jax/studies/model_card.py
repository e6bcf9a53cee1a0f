"""Trained runs into the package, and their scores into docs/model-card.md."""

import json
import re
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import read_json, write_text
from ssl_jax.config import AZIMUTH_STEP, AZIMUTHS, PROTOCOLS, Experiment
from ssl_jax.database.cue_store import CueStore
from ssl_jax.database.recipes import PARTS, read_manifest
from ssl_jax.metrics import (
    confusion_matrix,
    degrees_apart,
    error_by_azimuth,
    evaluate,
    scores_by_snr,
)
from ssl_jax.networks.packed import available, describe, load_weights, pack
from ssl_jax.pipeline import experiment_of
from ssl_jax.recordings.azimuths import PEAK_REACH, peak_azimuth
from ssl_jax.report.logs import CORPORA
from ssl_jax.report.style import LOOK, plt, save_figure
from ssl_jax.report.tables import (
    EVALUATED,
    SCORES,
    markdown_table,
    put_section,
    score_cells,
    snr_cells,
)
from ssl_jax.training.batches import Mixtures
from ssl_jax.training.checkpoints import checkpoint_path
from ssl_jax.training.context import weights_path
from ssl_jax.training.log import csv_text
from ssl_jax.training.trainer import MICROPHONE_SPREAD_DB, Trainer, predict_all


def pack_run(ex: Experiment, run: str, name: str, work: Path, results: Path) -> dict:
    """Put a trained run into the package: what the packed weights score on its evaluation mixtures. Raises
    InputError where the run or its cue store is missing."""
    if run not in ex.runs:
        raise InputError(f"--run {run}: unknown: use one of {', '.join(ex.runs)}")
    config, home, work, d = ex.runs[run], results / ex.name, work / ex.name, ex.database
    source = weights_path(home, run, config.epochs)
    if not source.exists() or not checkpoint_path(work, run, config.epochs).exists():
        remedy = f"ssl_jax train --runs {run} with the same options makes it"
        raise InputError(f"{source}: not trained yet: {remedy}")
    store, made = CueStore(work / "cues", d, ex.front), read_json(home / "timing.json")["commit"]
    manifest = read_manifest(work / "manifest.csv", store.count)
    mixtures = Mixtures.of(store, manifest)
    settings = d.direction_rule, ex.front.hair_cell, d.disjoint, (d.snr_low, d.snr_high)
    protocol = next((name for name, its in PROTOCOLS.items() if its == settings), ex.name)
    info: dict = {
        "model": config.model,
        "front": dict(vars(ex.front)),
        "protocol": protocol,
        "run": run,
    }
    info |= {"corpus": d.corpus, "seed": config.seed, "commit": made, "metrics": {}}
    pack(source, name, info)
    trainer = Trainer(config, 1, ex.front)
    trainer.set_model(load_weights(name)[0])  # as stored, rounding and all
    numbers, part = mixtures.split(config).evaluation, manifest.part
    if part is not None and part.max() == PARTS.index("validation"):
        heard = predict_all(trainer, mixtures, numbers, 2 * MICROPHONE_SPREAD_DB)
        info |= {"temperature": calibrated(heard.logits, heard.labels)}
        numbers = np.flatnonzero(part == PARTS.index("evaluation"))
    heard = predict_all(trainer, mixtures, numbers)
    info |= {"reliability": reliability(heard.logits / info.get("temperature", 1), heard.labels)}
    by_snr = scores_by_snr(heard, manifest.snr[numbers])
    errors = error_by_azimuth(confusion_matrix(heard)).round(2).tolist()
    info |= {"metrics": evaluate(heard), "mixtures_evaluated": len(numbers)}
    pack(source, name, info | {"by_snr": csv_text(by_snr).splitlines(), "error_by_azimuth": errors})
    return info["metrics"]


def _sure_and_right(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Confidence (n,), and whether the azimuth is within 10 degrees (n,)."""
    azimuth, sure = peak_azimuth(softmax(logits, axis=1))
    return sure, degrees_apart(azimuth, AZIMUTH_STEP * labels) <= PEAK_REACH


def calibrated(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature of the confidences with the least log loss (Guo, Pleiss, Sun & Weinberger 2017)."""

    def loss(log_temperature):
        sure, right = _sure_and_right(logits / np.exp(log_temperature), labels)
        return -np.mean(np.log(np.clip(np.where(right, sure, 1 - sure), 1e-6, 1)))

    return round(float(np.exp(minimize_scalar(loss, bounds=(-2, 2), method="bounded").x)), 3)


def reliability(logits: np.ndarray, labels: np.ndarray) -> list[list[float]]:
    """For each tenth of confidence: its mean, the share within 10 degrees, and how many windows."""
    sure, right = _sure_and_right(logits, labels)
    tenth, found = np.minimum((10 * sure).astype(int), 9), []
    for use in (tenth == k for k in np.unique(tenth)):
        found.append([*(round(float(x[use].mean()), 4) for x in (sure, right)), int(use.sum())])
    return found


def scores_of_packed() -> str:
    """All packed networks as Markdown: what they are, and their scores in all, by SNR and by azimuth."""
    infos = {f"`{name}`": describe(name) for name in available()}
    rows, by_snr, errors = [], [], {}
    for name, info in infos.items():
        about = [name, info["model"], CORPORA.get(info["corpus"], info["corpus"]), info["protocol"]]
        rows.append([*about, f"{info['mixtures_evaluated']:,}", *score_cells(info["metrics"])])
        for line in info.get("by_snr", [])[1:]:
            by_snr.append([name, *snr_cells(line.split(","))])
        if "error_by_azimuth" in info:
            errors[name] = [f"{error:.2f}" for error in info["error_by_azimuth"]]
    by_azimuth = [
        [f"{AZIMUTH_STEP * c}°", *(e[c] for e in errors.values())] for c in range(AZIMUTHS)
    ]
    head = [
        "name",
        "network",
        "corpus",
        "protocol",
        "evaluated on",
        *(SCORES[s] for s in EVALUATED),
    ]
    trained = [
        f"{name}: commit {info['commit']}, seed {info['seed']}" for name, info in infos.items()
    ]
    snr_table = markdown_table(
        ["name", "dB", "mixtures", "Top-1", "mean error", "front-back"], by_snr
    )
    return (
        f"{markdown_table(head, rows)}\n"
        f"Trained at {'; '.join(trained)}. Figures of the weights as packed, by `ssl_jax pack`.\n\n"
        f"By SNR, the lower of two noises':\n\n{snr_table}\n"
        f"By azimuth, mean error in degrees:\n\n{markdown_table(['azimuth', *errors], by_azimuth)}"
    )


def run_pack(args) -> None:
    """The stage `pack`; the scores go between the card's markers, or make a card where there is none."""
    metrics = pack_run(experiment_of(args), args.run, args.packed, args.work, args.results)
    infos = {name: describe(name) for name in available()}
    plt.rcParams.update(LOOK)
    figure, axes = plt.subplots(figsize=(4.2, 4.2), layout="constrained")
    axes.plot([0, 1], [0, 1], color="0.7", lw=1, label="as stated")
    for name, info in infos.items():
        if bins := info.get("reliability"):
            axes.plot(*np.transpose(bins)[:2], marker="o", ms=4, label=name)
    axes.set(
        xlabel="confidence", ylabel="share within 10°", xlim=(0, 1), ylim=(0, 1), aspect="equal"
    )
    axes.legend(loc="upper left")
    save_figure(figure, args.figures / "reliability.png")
    if args.card.exists():
        put_section(args.card, "scores", scores_of_packed())
    else:
        write_text(args.card, scores_of_packed())
    kinds = {"accuracy": "top1", "angular_error": "mean_angular_error"}
    corpora = sorted({part for info in infos.values() for part in info["corpus"].split("-")})
    # what model hubs read at the top of a card: licence, corpora and scores, as YAML
    lines = ["---", "license: apache-2.0", f"datasets: [{', '.join(corpora)}]", "model-index:"]
    for name, info in infos.items():
        measured = [
            {"type": k, "value": round(info["metrics"][score], 2)} for k, score in kinds.items()
        ]
        data = {"type": info["corpus"], "name": f"{info['corpus']}, {info['protocol']}"}
        result = {"task": {"type": "audio-classification"}, "dataset": data, "metrics": measured}
        lines.append("- " + json.dumps({"name": name, "results": [result]}))  # JSON is YAML
    text = re.sub(r"\A---\n.*?\n---\n+", "", args.card.read_text(encoding="utf-8"), flags=re.DOTALL)
    write_text(args.card, "\n".join([*lines, "---\n", text]))
    scores = (
        f"Top-1 {metrics['top1']:.2f} %, mean error {metrics['mean_angular_error']:.2f} degrees"
    )
    print(f"{args.packed}: {scores} as packed; {args.card} says more")

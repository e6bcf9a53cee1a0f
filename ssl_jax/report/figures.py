"""Every figure of the README, from the front-end and from the logs under results/."""

from itertools import product
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from matplotlib import colors

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import read_csv, require_writable
from ssl_jax.common.progress import track
from ssl_jax.config import AZIMUTH_STEP, AZIMUTHS, Experiment, FrontEnd
from ssl_jax.frontend.binaural_feature import Cues
from ssl_jax.metrics import error_by_azimuth
from ssl_jax.report.logs import TITLES, logs_of_seeds, read_confusion, read_reported, reported_table
from ssl_jax.report.style import CUE_MAPS, OURS, REPORTED, STYLE, cue_map, plt, save_figure
from ssl_jax.sounds.hrtf import load_heads
from ssl_jax.sounds.mixing import carry_around, mix, spatialise

COMPARED = (
    "model2",
    "model2_continued",
    "ours",
    "ours_mirrored",
    "general",
)  # in the figure of errors
AROUND = np.deg2rad(AZIMUTH_STEP * np.arange(AZIMUTHS + 1))  # the azimuths, and the first again
SPOKES = np.radians(range(0, 360, 30))
PARTS = {
    "train": ("training", "--", "x"),
    "eval": ("held out", "-", "o"),
    "last": ("last clips", ":", "s"),
}


def surround(front: FrontEnd, path: Path) -> None:
    """A voice carried once around the head: ITD and ILD over time."""
    corpus, heads = load_corpus(None, 45, front.fs), load_heads(None, "horizontal", front.fs)
    cfs, head = front.cfs, heads.hrirs[1]
    voice = corpus.speech[::5].reshape(-1)  # 9 s of one voice
    ears = carry_around(voice, np.concatenate([head, head[:1]]))  # 0 to 360 degrees
    cues = Cues._make(map(np.asarray, front.cues(ears.T)))
    azimuth = 360 * (np.arange(cues.itd.shape[1]) + 1) * front.hop / len(voice)
    heard = cues.power > 1e-3 * cues.power.max(axis=1, keepdims=True)  # pauses hold no direction
    parts = ((cfs < 1500, OURS, "below 1.5 kHz"), (cfs >= 1500, REPORTED, "above"))
    figure, axes = plt.subplots(2, 2, figsize=(11, 6), sharex=True)
    for (left, right), (title, field, limits, colours) in zip(axes, CUE_MAPS[:2], strict=True):
        values = getattr(cues, field)
        image = cue_map(left, np.where(heard, values, np.nan), cfs, 360, limits, colours)
        left.set(title=f"{title} in {len(cfs)} channels", ylabel="centre frequency (Hz)")
        figure.colorbar(image, ax=left, pad=0.01)
        for part, colour, label in parts:
            chosen = np.where(heard & part[:, None], values, np.nan)
            enough = np.isfinite(chosen).sum(0) >= part.sum() / 3
            median = np.nanmedian(np.where(enough, chosen, 0), axis=0)
            right.plot(
                azimuth, np.where(enough, median, np.nan), ".", ms=3, color=colour, label=label
            )
        right.set(title=f"{title}, median over channels", ylim=np.multiply(limits, 1.1))
        right.axhline(0, color="0.5", lw=0.8)
    angle = np.linspace(0, 360, 361)
    kuhn = 3e3 * 0.0875 / 343 * np.sin(np.radians(angle))  # ms: 3 a / c sin(azimuth), a = 8.75 cm
    axes[0, 1].plot(angle, kuhn, color="0.3", lw=1, label="Kuhn (1977), low frequencies")
    axes[0, 1].legend(loc="upper right", markerscale=2)
    plt.setp(
        axes[1], xlabel="azimuth (degrees, 90 = left)", xlim=(0, 360), xticks=range(0, 361, 45)
    )
    figure.suptitle(
        f"A voice carried around the head in 9 s ({heads.names[1]}, hair cell {front.hair_cell})"
    )
    save_figure(figure, path)


def scene(front: FrontEnd, path: Path, azimuth: int = 60, noise_azimuths=(200, 310)) -> None:
    """One scene at SNR 0 and at SNR 15 dB: ITD, ILD and IC maps."""
    corpus, heads = load_corpus(None, 1, front.fs), load_heads(None, "horizontal", front.fs)
    at = [a // AZIMUTH_STEP for a in (azimuth, *noise_azimuths)]
    sources = np.stack([corpus.speech[0], corpus.noise[0, 0], corpus.noise[0, 1]])
    ears = spatialise(jnp.asarray(sources), jnp.asarray(heads.hrirs[1, at]))  # 3, 2, samples
    figure, axes = plt.subplots(2, 3, figsize=(11, 5.6), sharex=True, sharey=True)
    for row, snr in zip(axes, (0, 15), strict=True):
        cues = front.cues(mix(ears[0], ears[1:], jnp.full(2, float(snr))).T)
        for cell, (title, field, limits, colours) in zip(row, CUE_MAPS, strict=True):
            image = cue_map(cell, np.asarray(getattr(cues, field)), front.cfs, 1.0, limits, colours)
            cell.set_title(f"{title}, SNR {snr} dB")
            figure.colorbar(image, ax=cell, pad=0.01)
    plt.setp(axes[:, 0], ylabel="centre frequency (Hz)")
    plt.setp(axes[1], xlabel="time (s)")
    noises = f"{corpus.noise_classes[0]} at {noise_azimuths[0]}° and {noise_azimuths[1]}°"
    figure.suptitle(f"Speech at {azimuth}°, {noises} (hair cell {front.hair_cell})")
    save_figure(figure, path)


def training_curves(results: Path, name: str, runs: list[str], path: Path) -> None:
    """Top-1, Top-5 and loss by epoch: ours as the mean and the range over seeds, reported as points."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.6))
    measures = (("top1", "Top-1 (%)"), ("top5", "Top-5 as published (%)"), ("loss", "loss (nats)"))
    ours = {run: logs_of_seeds(results, name, run) for run in runs}
    reported = {run: read_reported(results, run) for run in runs}
    for (axis, (key, title)), run, part in product(zip(axes, measures, strict=True), runs, PARTS):
        whose, style, marker = PARTS[part]
        logs, measure = ours[run], f"{part}_{key}"
        if measure in logs[0][0]:
            epochs = [row["epoch"] for row in logs[0]]
            values = np.array([[row[measure] for row in log] for log in logs])
            axis.plot(epochs, values.mean(0), style, color=OURS, lw=1.6, label=f"ours, {whose}")
            axis.fill_between(epochs, values.min(0), values.max(0), color=OURS, alpha=0.2, lw=0)
        points = [(at, row[measure]) for at, row in reported[run].items() if measure in row]
        label = f"reported, {whose}" if points else None
        axis.plot(*np.reshape(points, (-1, 2)).T, marker, color=REPORTED, ms=3.5, label=label)
        axis.set(title=title, xlabel="epoch")
        if run != runs[0]:
            axis.axvline(logs[0][0]["epoch"] - 0.5, color="0.4", lw=0.8, ls=":", zorder=0)
    handles = dict(zip(*axes[0].get_legend_handles_labels()[::-1]))  # a label once
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=len(handles))
    seeds = len(ours[runs[0]])
    figure.suptitle(f"{TITLES[runs[0]]}: {name}" + f", {seeds} seeds" * (seeds > 1))
    save_figure(figure, path)


def recall(results: Path, name: str, path: Path) -> None:
    """Share of each azimuth's mixtures that are found, on the last clips: reported and ours."""
    counts = read_confusion(results / name / "model2_to40_last_confusion.csv")
    rows = read_csv(reported_table(results, "epoch39_by_class.csv"), ("azimuth", "recall"))
    figure, axis = plt.subplots(
        figsize=(6, 6), subplot_kw={"projection": "polar", "theta_offset": np.pi / 2}
    )
    ours = np.diag(counts) / np.maximum(counts.sum(1), 1)
    reported = [float(row["recall"]) for row in rows]
    for values, colour, label in (
        (reported, REPORTED, "reported, epoch 39"),
        (ours, OURS, "ours, epoch 40"),
    ):
        axis.plot(
            AROUND, 100 * np.append(values, values[0]), ".-", color=colour, lw=1.4, label=label
        )
    axis.set(xticks=SPOKES, ylim=(0, 100), title="Recall (%) by azimuth on clips 561 to 700")
    figure.legend(loc="outside lower center", ncols=2)
    save_figure(figure, path)


def confusion(results: Path, name: str, run: str, path: Path) -> None:
    """Confusion over azimuth: share of each true azimuth's evaluation mixtures by estimate."""
    counts = read_confusion(results / name / f"{run}_confusion.csv")
    share = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure, axis = plt.subplots(figsize=(6.4, 5.6))
    edge = (-AZIMUTH_STEP / 2, 360 - AZIMUTH_STEP / 2)
    look: dict = {
        "origin": "lower",
        "cmap": "viridis",
        "interpolation": "nearest",
        "extent": (*edge, *edge),
    }
    image = axis.imshow(np.where(share > 0, share, np.nan), norm=colors.LogNorm(0.3, 100), **look)
    axis.set(
        xlabel="estimated azimuth (degrees)", ylabel="true azimuth (degrees)", facecolor="0.97"
    )
    axis.set(xticks=range(0, 360, 45), yticks=range(0, 360, 45))
    axis.set_title(f"{TITLES[run]}\n{name}, {int(counts.sum()):,} mixtures")
    figure.colorbar(image, ax=axis, label="share of the true azimuth (%)", format="%g")
    save_figure(figure, path)


def errors(results: Path, name: str, runs: list[str], path: Path) -> None:
    """Mean error over azimuth, the head seen from above, and over SNR."""
    figure = plt.figure(figsize=(9.6, 4.4))
    around = figure.add_subplot(1, 2, 1, projection="polar", theta_offset=np.pi / 2)  # front up
    along, columns = figure.add_subplot(1, 2, 2), ("snr_from_db", "snr_to_db", "mean_angular_error")
    for run in runs:
        error = error_by_azimuth(read_confusion(results / name / f"{run}_confusion.csv"))
        around.plot(AROUND, np.append(error, error[0]), label=TITLES[run])
        rows = read_csv(results / name / f"{run}_by_snr.csv", columns)
        low, high, error = np.reshape(
            [float(row[column]) for row in rows for column in columns], (-1, 3)
        ).T
        along.plot((low + high) / 2, error, "o-")
    around.set(xticks=SPOKES, title="mean error (degrees) over azimuth")
    along.set(title="over SNR", xlabel="lower SNR of the two noises (dB)")
    along.set(ylabel="mean error (degrees)", ylim=(0, None))
    figure.legend(loc="outside lower center", ncols=len(runs), frameon=False)
    figure.suptitle(name)
    save_figure(figure, path)


def draw_all(results: Path, ex: Experiment, figures: Path) -> None:
    """Draw every figure of an experiment into `figures`/name."""
    own = figures / ex.name
    trained = [run for run in TITLES if (results / ex.name / f"{run}.csv").exists()]
    if missing := [run for run in ex.usual_runs if run not in trained]:
        raise InputError(f"{results / ex.name}: no log of {missing[0]}: run the train stage first")
    require_writable(own)
    compared = [run for run in COMPARED if (results / ex.name / f"{run}_by_snr.csv").exists()]
    continued = ["model2", *(run for run in trained if run.startswith("model2_"))]
    jobs: list[tuple] = [
        (surround, ex.front, own / "surround.png"),
        (scene, ex.front, own / "scene_snr.png"),
    ]
    for runs in (["model1"], continued) if "model1" in trained else [list(ex.usual_runs)]:
        jobs.append((training_curves, results, ex.name, runs, own / f"training_{runs[0]}.png"))
    jobs += [(confusion, results, ex.name, run, own / f"confusion_{run}.png") for run in trained]
    jobs.append((errors, results, ex.name, compared, own / "errors.png"))
    if (results / ex.name / "model2_to40_last_confusion.csv").exists():
        jobs.append((recall, results, ex.name, own / "recall_model2_to40.png"))
    with plt.rc_context(STYLE):
        for draw, *inputs in track(jobs, "figures", total=len(jobs)):
            draw(*inputs)

"""Every figure of the README, from the front-end and from the logs under results/."""

from pathlib import Path

import jax.numpy as jnp
import matplotlib
import numpy as np

from .binaural_feature import Cues, get_cues_clean
from .config import AZIMUTH_STEP, AZIMUTHS, MAIN_RUNS, Experiment, FrontEnd
from .corpora import load_corpus
from .database import mix, spatialise
from .files import InputError, read_csv, require_writable
from .filter_design import centre_frequencies
from .hrtf import load_heads
from .pictures import save_picture
from .progress import track
from .report import TITLES, error_by_azimuth, read_confusion, read_log
from .scene import carry_around

matplotlib.use("Agg")  # no display needed
import matplotlib.pyplot as plt  # noqa: E402

STYLE = {
    "figure.dpi": 130, "savefig.dpi": 130, "font.size": 9, "axes.titlesize": 10, "axes.titleweight": "bold",
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25,
    "legend.frameon": False, "figure.constrained_layout.use": True,
}
OURS, REPORTED = "#1565a7", "#d9730d"
TICKS = (80, 200, 500, 1000, 2000, 4000, 8000, 16000)  # Hz


def _map(axes, values, cfs, seconds: float, limits, colours: str):
    """A cue map (channels, frames): frequency upwards on the ERB scale, time to the right."""
    channels = len(cfs)
    image = axes.imshow(values[::-1], origin="lower", aspect="auto", cmap=colours, vmin=limits[0],
                        vmax=limits[1], extent=(0, seconds, -0.5, channels - 0.5), interpolation="nearest")
    at = np.interp(TICKS, cfs[::-1], np.arange(channels))
    shown = [(a, f) for a, f in zip(at, TICKS, strict=True) if f <= cfs[0]]
    axes.set_yticks([a for a, _ in shown], [f"{f}" if f < 1000 else f"{f // 1000}k" for _, f in shown])
    axes.grid(False)
    return image


CUE_MAPS = (  # title, field, limits, colours
    ("ITD (ms)", "itd", (-1, 1), "RdBu_r"),
    ("ILD (dB)", "ild", (-7, 7), "RdBu_r"),
    ("IC", "ic", (0.5, 1), "viridis"),
)


def surround(front: FrontEnd, path: Path) -> None:
    """A voice carried once around the head: ITD and ILD over time."""
    corpus, heads = load_corpus(None, 45, front.fs), load_heads(None, "horizontal", front.fs)
    seconds = 9
    voice = corpus.speech[::5][:seconds].reshape(-1)  # one voice, second after second
    middle = len(heads.names) // 2
    hrirs = np.concatenate([heads.hrirs[middle], heads.hrirs[middle, :1]])  # 0 to 360 degrees
    ears = carry_around(voice, hrirs)
    cfs = centre_frequencies(front.fs, front.channels, front.low_freq)
    cues = Cues(*(np.asarray(c) for c in get_cues_clean(ears.T, front.fs, cfs, model_type=front.hair_cell,
                                                        hop=front.hop)))
    frames = cues.itd.shape[1]
    azimuth = 360 * (np.arange(frames) + 1) * front.hop / len(voice)
    heard = cues.power > 1e-3 * cues.power.max(axis=1, keepdims=True)  # pauses hold no direction

    figure, axes = plt.subplots(2, 2, figsize=(11, 6), sharex=True)
    for row, (title, field, limits, colours) in zip(axes, CUE_MAPS[:2], strict=True):
        values = getattr(cues, field)
        image = _map(row[0], np.where(heard, values, np.nan), cfs, 360, limits, colours)
        row[0].set(title=f"{title} in {len(cfs)} channels", ylabel="centre frequency (Hz)")
        figure.colorbar(image, ax=row[0], pad=0.01)
        for part, colour, label in ((cfs < 1500, OURS, "below 1.5 kHz"), (cfs >= 1500, REPORTED, "above")):
            chosen = np.where(heard & part[:, None], values, np.nan)
            enough = np.isfinite(chosen).sum(0) >= part.sum() / 3
            middle_value = np.nanmedian(np.where(enough, chosen, 0), axis=0)
            row[1].plot(azimuth, np.where(enough, middle_value, np.nan), ".", ms=3, color=colour, label=label)
        row[1].set(title=f"{title}, median over channels", ylim=np.multiply(limits, 1.1))
        row[1].axhline(0, color="0.5", lw=0.8)
    # Kuhn (1977): 3 a / c sin(azimuth) at low frequencies, a = 8.75 cm
    angle = np.linspace(0, 360, 361)
    axes[0, 1].plot(angle, 3e3 * 0.0875 / 343 * np.sin(np.radians(angle)), color="0.3", lw=1,
                    label="Kuhn (1977), low frequencies")
    axes[0, 1].legend(loc="upper right", markerscale=2)
    for bottom in axes[1]:
        bottom.set(xlabel="azimuth (degrees, 90 = left)", xlim=(0, 360), xticks=range(0, 361, 45))
    figure.suptitle(f"A voice carried around the head in {seconds} s ({heads.names[middle]}, "
                    f"hair cell {front.hair_cell})")
    save_picture(figure, path)


def scene(front: FrontEnd, path: Path, azimuth: int = 60, noise_azimuths=(200, 310)) -> None:
    """One scene at SNR 0 and at SNR 15 dB: ITD, ILD and IC maps."""
    corpus, heads = load_corpus(None, 1, front.fs), load_heads(None, "horizontal", front.fs)
    head = heads.hrirs[len(heads.names) // 2]
    at = [a // AZIMUTH_STEP for a in (azimuth, *noise_azimuths)]
    sources = np.stack([corpus.speech[0], corpus.noise[0, 0], corpus.noise[0, 1]])
    ears = spatialise(jnp.asarray(sources), jnp.asarray(head[at]))  # 3, 2, samples
    cfs = centre_frequencies(front.fs, front.channels, front.low_freq)
    figure, axes = plt.subplots(2, 3, figsize=(11, 5.6), sharex=True, sharey=True)
    for row, snr in zip(axes, (0, 15), strict=True):
        mixture = mix(ears[0], ears[1:], jnp.full(2, float(snr)))
        cues = get_cues_clean(mixture.T, front.fs, cfs, model_type=front.hair_cell, hop=front.hop)
        for cell, (title, field, limits, colours) in zip(row, CUE_MAPS, strict=True):
            image = _map(cell, np.asarray(getattr(cues, field)), cfs, 1.0, limits, colours)
            cell.set_title(f"{title}, SNR {snr} dB")
            figure.colorbar(image, ax=cell, pad=0.01)
        row[0].set_ylabel("centre frequency (Hz)")
    for cell in axes[1]:
        cell.set_xlabel("time (s)")
    figure.suptitle(f"Speech at {azimuth}°, {corpus.noise_classes[0]} at {noise_azimuths[0]}° and "
                    f"{noise_azimuths[1]}° (hair cell {front.hair_cell})")
    save_picture(figure, path)


def training_curves(results: Path, name: str, runs: list[str], path: Path) -> None:
    """Loss, Top-1 and Top-5 by epoch: ours and, beside it, the reported curve."""
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.6))
    measures = (("loss", "loss (nats)"), ("top1", "Top-1 (%)"), ("top5", "Top-5 as published (%)"))
    for source, colour in (("reported", REPORTED), (name, OURS)):
        logs = [read_log(results / source / f"{run}.csv") for run in runs]
        label = "reported" if source == "reported" else "ours"
        for axis, (key, title) in zip(axes, measures, strict=True):
            for log in logs:
                for part, style in (("train", "--"), ("eval", "-")):
                    measure = f"{part}_{key}"
                    points = [(r["epoch"], r[measure]) for r in log if measure in r]  # later ones are not all reported
                    axis.plot(*np.reshape(points, (-1, 2)).T, style, color=colour,
                              lw=1.6, marker="." if part == "eval" or len(points) < 3 else None,
                              label=f"{label}, {part}" if log is logs[0] else None)
            axis.set(title=title, xlabel="epoch")
            if len(logs) > 1 and source == name:
                axis.axvline(logs[1][0]["epoch"] - 0.5, color="0.4", lw=0.8, ls=":", zorder=0,
                             label="rate reduced")
    axes[0].legend()
    figure.suptitle(f"{TITLES[runs[0]]}: {name}")
    save_picture(figure, path)


def confusion(results: Path, name: str, run: str, path: Path) -> None:
    """Confusion over azimuth: share of each true azimuth's evaluation mixtures by estimate."""
    counts = read_confusion(results / name / f"{run}_confusion.csv")
    share = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure, axis = plt.subplots(figsize=(6.4, 5.6))
    edge = (-AZIMUTH_STEP / 2, 360 - AZIMUTH_STEP / 2)
    image = axis.imshow(np.where(share > 0, share, np.nan), origin="lower", extent=(*edge, *edge), cmap="viridis",
                        norm=matplotlib.colors.LogNorm(0.3, 100), interpolation="nearest")
    ticks = range(0, 360, 45)
    axis.set(xlabel="estimated azimuth (degrees)", ylabel="true azimuth (degrees)", xticks=ticks, yticks=ticks,
             title=f"{TITLES[run]}\n{name}, {int(counts.sum()):,} mixtures")
    axis.set_facecolor("0.97")
    figure.colorbar(image, ax=axis, label="share of the true azimuth (%)", format="%g")
    save_picture(figure, path)


def errors(results: Path, name: str, runs: list[str], path: Path) -> None:
    """Mean error over azimuth, the head seen from above, and over SNR."""
    figure = plt.figure(figsize=(9.6, 4.4))
    around = figure.add_subplot(1, 2, 1, projection="polar", theta_offset=np.pi / 2)  # front up, left on the left
    along = figure.add_subplot(1, 2, 2)
    for run in runs:
        error = error_by_azimuth(read_confusion(results / name / f"{run}_confusion.csv"))
        angle = np.deg2rad(AZIMUTH_STEP * np.arange(AZIMUTHS + 1))
        around.plot(angle, np.append(error, error[0]), label=TITLES[run])
        columns = ("snr_from_db", "snr_to_db", "mean_angular_error")
        rows = read_csv(results / name / f"{run}_by_snr.csv", columns)
        rows = [[float(row[column]) for column in columns] for row in rows]
        along.plot([(low + high) / 2 for low, high, _ in rows], [error for *_, error in rows], "o-")
    around.set_thetagrids(range(0, 360, 30))
    around.set_title("mean error (degrees) over azimuth")
    along.set(xlabel="lower SNR of the two noises (dB)", ylabel="mean error (degrees)", ylim=(0, None), title="over SNR")
    figure.legend(loc="outside lower center", ncols=len(runs), frameon=False)
    figure.suptitle(name)
    save_picture(figure, path)


def draw_all(results: Path, ex: Experiment, figures: Path) -> None:
    """Draw every figure of an experiment into `figures`/name."""
    own = figures / ex.name
    trained = [run for run in TITLES if (results / ex.name / f"{run}.csv").exists()]
    for run in MAIN_RUNS:
        if run not in trained:
            raise InputError(f"{results / ex.name}: no log of {run}: run the train stage first")
    require_writable(own)
    compared = [run for run in ("model2", "model2_continued", "ours", "ours_mirrored")
                if (results / ex.name / f"{run}_by_snr.csv").exists()]
    jobs = [
        (surround, ex.front, own / "surround.png"),
        (scene, ex.front, own / "scene_snr.png"),
        (training_curves, results, ex.name, ["model1"], own / "training_model1.png"),
        (training_curves, results, ex.name, ["model2", *(run for run in trained if run.startswith("model2_"))],
         own / "training_model2.png"),
        *((confusion, results, ex.name, run, own / f"confusion_{run}.png") for run in trained),
        (errors, results, ex.name, compared, own / "errors.png"),
    ]
    with matplotlib.rc_context(STYLE):
        for draw, *inputs in track(jobs, "figures", total=len(jobs)):
            draw(*inputs)

"""The packed networks on other heads and rooms: the embedded corpus from the directions of a SOFA file."""

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
from scipy.special import softmax

from ssl_jax.common.errors import InputError
from ssl_jax.common.progress import track
from ssl_jax.common.provenance import commit, machine
from ssl_jax.config import AZIMUTH_STEP, AZIMUTHS, Database
from ssl_jax.database.program import block_size, extract, render
from ssl_jax.database.recipes import draw_recipes
from ssl_jax.metrics import AXIS_MARGIN, degrees_apart
from ssl_jax.networks.packed import available, load_weights, temperature_of
from ssl_jax.recordings.azimuths import SURE, peak_azimuth
from ssl_jax.report.tables import markdown_table, write_page
from ssl_jax.sounds.corpora import Corpus, load_corpus
from ssl_jax.sounds.hrtf import horizontal_ring, nearest_on_sphere
from ssl_jax.sounds.sofa import ON_GRID, Sofa, read_sofa

SHORT = 4  # windows of 0.25 s in a second
LOUD = 10 ** (-20 / 10)  # power of a short window that is scored, of the loudest of its second
HEAD = ["network", "head or room", "directions", "window", "mean error", "within 10°", "front-back"]
HEAD += ["frontal RMSE", "frontal MAE", "stated 0.9 or more", "of these within 10°"]


def measured_place(path: Path, fs: int, **sides) -> Sofa:
    """The measured directions of a SOFA file that lie on the horizontal plane or nearest to it.

    They are the ring about elevation 0, or the direction nearest to each class where a ring has
    gaps; of more than 72 the nearest to each class. Nothing is interpolated.

    Returns
    -------
    Responses are float32, of sounds that repeat every second.
    """
    place = read_sofa(path, fs, **sides)
    classes = AZIMUTH_STEP * np.arange(AZIMUTHS)
    try:
        chosen = horizontal_ring(place, classes)
    except InputError:
        chosen = np.unique(nearest_on_sphere(place, classes))
    if len(chosen) > AZIMUTHS:
        apart = degrees_apart(place.azimuth[chosen], classes[:, None])
        chosen = chosen[np.unique(apart.argmin(1))]
    hrirs = place.hrirs[chosen]
    # what comes after a second falls on the next one, which is the same
    if hrirs.shape[-1] > fs:
        hrirs = np.pad(hrirs, ((0, 0), (0, 0), (0, -hrirs.shape[-1] % fs)))
        hrirs = hrirs.reshape(*hrirs.shape[:2], -1, fs).sum(2)
    return replace(
        place,
        hrirs=hrirs.astype(np.float32),
        azimuth=place.azimuth[chosen],
        elevation=place.elevation[chosen],
    )


def some_voices(clips: int, fs: int) -> Corpus:
    """Every ninth clip of the embedded corpus: voices of all languages, which take turns."""
    corpus = load_corpus(None, clips * 9, fs)
    return corpus._replace(speech=corpus.speech[::9], speech_info=corpus.speech_info[::9])


def heard_at(place: Sofa, corpus: Corpus, networks: dict) -> dict:
    """Logits of every network and window, and true azimuths: {(network, window in s): ((n, 72), (n,))}. Each
    voice comes from each direction, and two noises of a class at 15 to 40 dB from others, seed 0."""
    clips, count, block, found = (
        len(corpus.speech),
        len(place.azimuth),
        block_size(),
        dict[tuple, list](),
    )
    recipes = draw_recipes(Database(clips=clips), 1, *corpus.noise.shape[:2])
    recipes = recipes.rows((np.arange(clips)[:, None] * AZIMUTHS + np.arange(count)).ravel())
    recipes = recipes._replace(noise_azimuth=recipes.noise_azimuth % count)
    tail = np.zeros((1, 2, corpus.speech.shape[1]), np.float32)
    waveforms, mixed = jax.device_put((corpus.noise, place.hrirs[None], tail)), jax.jit(render)
    cues = {
        front: jax.jit(lambda ears, front=front: extract(ears, front))
        for _, front in networks.values()
    }
    heard = {
        name: jax.jit(lambda maps, model=model: model(maps))
        for name, (model, _) in networks.items()
    }
    blocks = range(0, clips * count, block)
    for at in track(blocks, place.name, total=len(blocks)):
        kept = np.arange(at, at + block) < clips * count
        some = recipes.rows(np.minimum(np.arange(at, at + block), clips * count - 1))
        sound, truth = mixed(waveforms, corpus.speech[some.clip], some), place.azimuth[some.azimuth]
        power = (
            np.square(np.asarray(sound)).reshape(block, 2, SHORT, -1).sum((1, 3))
        )  # block, SHORT
        loud = kept[:, None] & (power >= LOUD * power.max(1, keepdims=True))
        for name, (_, front) in networks.items():
            maps = cues[front](sound)
            size = maps.shape[-1] // SHORT
            parts = [(1.0, maps, kept)]
            parts += [
                (1 / SHORT, maps[..., k * size : (k + 1) * size], loud[:, k]) for k in range(SHORT)
            ]
            for window, part, use in parts:
                logits = np.asarray(heard[name](part))
                found.setdefault((name, window), []).append((logits[use], truth[use]))
    return {key: tuple(map(np.concatenate, zip(*pairs))) for key, pairs in found.items()}


def scores_of(posterior: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Errors in degrees and shares in percent of posteriors (n, 72) for true azimuths (n,). "front" is of
    sources in front and of estimates among frontal classes, as the literature states it. NaN of none."""
    azimuth, sure = peak_azimuth(posterior)
    apart, mirror = degrees_apart(azimuth, truth), degrees_apart(azimuth, 180 - truth)
    told = np.abs(np.cos(np.radians(truth))) > np.sin(np.radians(AXIS_MARGIN))
    front = np.cos(np.radians(truth)) > -1e-9
    ahead = np.cos(np.radians(AZIMUTH_STEP * np.arange(AZIMUTHS))) > -1e-9
    off = degrees_apart(peak_azimuth(posterior[front] * ahead)[0], truth[front])

    def mean(values):
        return np.mean(values) if len(values) else np.nan

    scores = {"mean": mean(apart), "within_10": 100 * mean(apart <= 10)}
    scores |= {
        "front_back": 100 * mean(mirror[told] < apart[told]),
        "front_rmse": np.sqrt(mean(off**2)),
    }
    scores |= {"front_mae": mean(off), "sure": 100 * mean(sure >= SURE)}
    return scores | {"sure_right": 100 * mean(apart[sure >= SURE] <= 10)}


def cells(scores: dict) -> list[str]:
    """The scores as cells, from "mean error" of HEAD on."""
    unit = {"mean": "°", "front_rmse": "°", "front_mae": "°"}
    return ["-" if np.isnan(x) else f"{x:.1f}{unit.get(name, ' %')}" for name, x in scores.items()]


def score_places(paths: list[Path], names: list[str], clips: int, **sides) -> list[list[str]]:
    """Rows of HEAD for every network, place and window; InputError for a SOFA file that cannot be used."""
    networks = {name: load_weights(name) for name in names}
    fs = networks[names[0]][1].fs
    corpus, rows = some_voices(clips, fs), []
    for path in paths:
        place = measured_place(path, fs, **sides)
        off = np.abs(place.elevation).max()
        count = f"{len(place.azimuth)}" + f", up to {off:.0f}° off the plane" * bool(off > ON_GRID)
        for (name, window), (logits, truth) in heard_at(place, corpus, networks).items():
            posterior = softmax(logits / temperature_of(name), axis=1)
            about = [f"`{name}`", place.name, count, f"{window:g} s"]
            rows.append([*about, *cells(scores_of(posterior, truth))])
    return sorted(rows, key=lambda row: names.index(row[0].strip("`")))


def run_check(args) -> None:
    """The stage `check`: write results/unseen_heads.md and print it."""
    if not 1 <= args.clips <= 70:
        raise InputError(f"--clips {args.clips}: out of range: use 1 to 70")
    sides = {"ears": args.ears, "azimuths": args.azimuths}
    rows = score_places(args.files, args.model or available(), args.clips, **sides)
    about = (
        f"# Heads and rooms that no training heard\n\n{args.clips} seconds of the embedded corpus's voices "
        "from each direction measured nearest to the horizontal plane, two of its noises at 15 to 40 dB each "
        "from others, seed 0; nothing is interpolated. `embedded` was trained on these voices and noises. "
        "Frontal: sources in front, and estimates among frontal classes. Windows of 0.25 s that are 20 dB "
        f"quieter than the loudest of their second are left out. `ssl_jax check FILE.sofa ...`; {machine()}; "
        f"commit {commit()}.\n"
    )
    write_page(args.results / "unseen_heads.md", about, markdown_table(HEAD, rows))

"""How well the packed networks do on any other head or room: scenes of the embedded corpus through its SOFA
file, from the directions that were measured."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from scipy.special import softmax

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import write_text
from ssl_jax.common.progress import track
from ssl_jax.common.provenance import commit, machine
from ssl_jax.config import AZIMUTH_STEP, AZIMUTHS, Database
from ssl_jax.database.program import block_size, extract, render
from ssl_jax.database.recipes import Recipes, draw_recipes
from ssl_jax.metrics import AXIS_MARGIN
from ssl_jax.networks.packed import available, load_weights, temperature_of
from ssl_jax.recordings.azimuths import SURE, peak_azimuth
from ssl_jax.report.tables import markdown_table
from ssl_jax.sounds.corpora import Corpus, load_corpus
from ssl_jax.sounds.sofa import ON_GRID, read_sofa

SHORT = 4  # windows of 0.25 s in a second
LOUD = 10 ** (-20 / 10)  # power of a short window that is scored, of the loudest of its second
HEAD = ["network", "head or room", "directions", "window", "mean error", "within 10°", "front-back"]
HEAD += ["frontal RMSE", "frontal MAE", "stated 0.9 or more", "of these within 10°"]


class Place(NamedTuple):
    """A head or room in D directions that were measured."""

    name: str
    azimuth: np.ndarray  # (D,) degrees
    elevation: np.ndarray  # (D,) degrees
    responses: np.ndarray  # (D, 2, taps) float32; of sounds that repeat every second


def measured_place(path: Path, fs: int, **sides) -> Place:
    """The directions of a SOFA file on the horizontal plane, or those nearest to it; where they are more than
    72, the nearest to each class. Nothing is interpolated."""
    sofa = read_sofa(path, fs, **sides)
    away = np.abs(sofa.elevation)
    level = np.flatnonzero(away <= away.min() + ON_GRID)
    if len(level) > AZIMUTHS:
        apart = np.abs((sofa.azimuth[level] - AZIMUTH_STEP * np.arange(AZIMUTHS)[:, None] + 180) % 360 - 180)
        level = level[np.unique(apart.argmin(1))]
    hrirs = sofa.hrirs[level]
    hrirs = np.pad(hrirs, ((0, 0), (0, 0), (0, -hrirs.shape[-1] % fs if hrirs.shape[-1] > fs else 0)))
    if hrirs.shape[-1] > fs:  # what comes after a second falls on the next one, which is the same
        hrirs = hrirs.reshape(*hrirs.shape[:2], -1, fs).sum(2)
    return Place(path.stem, sofa.azimuth[level], sofa.elevation[level], hrirs.astype(np.float32))


def some_voices(clips: int, fs: int) -> Corpus:
    """Every ninth clip of the embedded corpus: voices of all languages, which take turns."""
    corpus = load_corpus(None, clips * 9, fs)
    return corpus._replace(speech=corpus.speech[::9], speech_info=corpus.speech_info[::9])


def scenes_of(place: Place, corpus: Corpus) -> Recipes:
    """Each voice from each direction, two noises of a class at 15 to 40 dB from others, seed 0."""
    clips, count = len(corpus.speech), len(place.azimuth)
    recipes = draw_recipes(Database(clips=clips), 1, *corpus.noise.shape[:2])
    rows = recipes.rows((np.arange(clips)[:, None] * AZIMUTHS + np.arange(count)).ravel())
    return rows._replace(noise_azimuth=rows.noise_azimuth % count)


def heard_at(place: Place, corpus: Corpus, networks: dict) -> dict:
    """Logits of every network and window, and true azimuths: {(network, window in s): ((n, 72), (n,))}."""
    recipes, fs = scenes_of(place, corpus), corpus.speech.shape[1]
    waveforms = corpus.noise, place.responses[None], np.zeros((1, 2, fs), np.float32)
    waveforms, block, found = jax.device_put(waveforms), block_size(), {}
    mixed = jax.jit(render)
    cues = {front: jax.jit(partial(extract, front=front)) for _, front in networks.values()}
    heard = {name: jax.jit(lambda maps, model=model: model(maps)) for name, (model, _) in networks.items()}
    blocks = range(0, len(recipes.clip), block)
    for at in track(blocks, place.name, total=len(blocks)):
        rows = np.minimum(np.arange(at, at + block), len(recipes.clip) - 1)
        some, kept = recipes.rows(rows), np.arange(at, at + block) < len(recipes.clip)
        sound = mixed(waveforms, corpus.speech[some.clip], some)
        power = np.square(np.asarray(sound)).reshape(block, 2, SHORT, -1).sum((1, 3))  # block, SHORT
        loud = kept[:, None] & (power >= LOUD * power.max(1, keepdims=True))
        truth = place.azimuth[some.azimuth]
        for name, (_, front) in networks.items():
            maps = cues[front](sound)
            size = maps.shape[-1] // SHORT
            parts = [(1.0, maps, kept)]
            parts += [(1 / SHORT, maps[..., k * size : (k + 1) * size], loud[:, k]) for k in range(SHORT)]
            for window, part, use in parts:
                entry = found.setdefault((name, window), ([], []))
                entry[0].append(np.asarray(heard[name](part))[use])
                entry[1].append(truth[use])
    return {key: tuple(np.concatenate(part) for part in value) for key, value in found.items()}


def scores_of(posterior: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Errors in degrees and shares in percent of posteriors (n, 72) for true azimuths (n,).

    "frontal" is of sources in front and of estimates among frontal classes, as the literature states it.
    """

    def error(posterior, truth):
        azimuth, sure = peak_azimuth(posterior)
        return azimuth, sure, np.abs((azimuth - truth + 180) % 360 - 180)

    azimuth, sure, apart = error(posterior, truth)
    mirror = np.abs((azimuth - (180 - truth) + 180) % 360 - 180)
    told = np.abs(np.cos(np.radians(truth))) > np.sin(np.radians(AXIS_MARGIN))
    front = np.cos(np.radians(truth)) > -1e-9
    ahead = np.cos(np.radians(AZIMUTH_STEP * np.arange(AZIMUTHS))) > -1e-9
    scores = {"windows": len(truth), "mean": apart.mean(), "within_10": 100 * np.mean(apart <= 10)}
    scores["front_back"] = 100 * np.mean(mirror[told] < apart[told]) if told.any() else np.nan
    off = error(posterior[front] * ahead, truth[front])[2] if front.any() else np.array([np.nan])
    scores |= {"front_rmse": np.sqrt(np.mean(off**2)), "front_mae": off.mean()}
    claimed = sure >= SURE
    scores["sure"] = 100 * claimed.mean()
    return scores | {"sure_right": 100 * np.mean(apart[claimed] <= 10) if claimed.any() else np.nan}


def cells(scores: dict) -> list[str]:
    """The scores as cells, from "mean error" of HEAD on."""
    kinds = {"mean": "°", "within_10": " %", "front_back": " %", "front_rmse": "°", "front_mae": "°"}
    kinds |= {"sure": " %", "sure_right": " %"}
    return [f"{scores[k]:.1f}{unit}" if np.isfinite(scores[k]) else "-" for k, unit in kinds.items()]


def score_places(paths: list[Path], names: list[str], clips: int, **sides) -> list[list[str]]:
    """Rows of HEAD for every network, place and window. Raises InputError for a SOFA file that cannot be
    used."""
    networks = {name: load_weights(name) for name in names}
    fs, rows = next(iter(networks.values()))[1].fs, []
    corpus = some_voices(clips, fs)
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
    text = (
        f"# Heads and rooms that no training heard\n\n{args.clips} seconds of the embedded corpus's voices "
        "from each direction measured nearest to the horizontal plane, two of its noises at 15 to 40 dB each "
        "from others, seed 0; nothing is interpolated. `embedded` was trained on these voices and noises. "
        "Frontal: sources in front, and estimates among frontal classes. Windows of 0.25 s that are 20 dB "
        f"quieter than the loudest of their second are left out. `ssl_jax check FILE.sofa ...`; {machine()}; "
        f"commit {commit()}.\n\n"
    )
    text += markdown_table(HEAD, rows)
    write_text(args.results / "unseen_heads.md", text)
    print(text)

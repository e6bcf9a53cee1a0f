"""The network for recordings beside figures of the literature: other heads, rooms, and two talkers."""

from pathlib import Path

import numpy as np
from scipy.special import softmax

from ssl_jax.common.errors import InputError
from ssl_jax.common.progress import say, track
from ssl_jax.common.provenance import commit, machine
from ssl_jax.config import AZIMUTH_STEP, Experiment, Training
from ssl_jax.database.cue_store import CueStore
from ssl_jax.database.recipes import PARTS, read_manifest
from ssl_jax.metrics import degrees_apart
from ssl_jax.networks.packed import default_weights, describe, load_weights, temperature_of
from ssl_jax.pipeline import experiment_of
from ssl_jax.recordings.azimuths import Overall
from ssl_jax.recordings.localisation import localise
from ssl_jax.report.tables import markdown_table, write_page
from ssl_jax.sounds.mixing import mean_power, spatialise_endless
from ssl_jax.studies.unseen_heads import (
    HEAD,
    cells,
    measured_place,
    score_places,
    scores_of,
    some_voices,
)
from ssl_jax.training.batches import Mixtures
from ssl_jax.training.trainer import MICROPHONE_SPREAD_DB, Trainer, predict_all

SCENES, SECONDS, APART, NEAR = (
    200,
    3,
    60,
    10,
)  # of two talkers; s; degrees between them, and of a hit
LITERATURE = """\
| who | what was known | error | source |
| --- | --- | --- | --- |
| people, free field | own ears | 2° in front, 20° at the side, front-back 6 % | Makous & Middlebrooks 1990 |
| people, frontal half | loudspeakers, 24 of them | RMSE 6.2° ± 1.8° | Yost et al. 2013 |
| WaveLoc | Surrey Room A, trained on the same head | RMSE 1.5° | Vecchiotti et al. 2019 |
| GCC-PHAT and a network | Surrey Room A, trained on the same head | RMSE 2.7° | Vecchiotti et al. 2019 |
"""


def two_talkers(paths: list[Path], name: str) -> str:
    """How often both of two talkers are found, at equal level, at least APART degrees from one another."""
    fs = load_weights(name)[1].fs
    places = [place for path in paths if len((place := measured_place(path, fs)).azimuth) >= 24]
    if not places:
        return ""
    speech, rng, both, one = some_voices(60, fs).speech, np.random.default_rng(0), 0, 0
    for _ in track(range(SCENES), "two talkers", total=SCENES):
        place = places[rng.integers(len(places))]
        first = rng.integers(len(place.azimuth))
        second = rng.choice(
            np.flatnonzero(degrees_apart(place.azimuth, place.azimuth[first]) >= APART)
        )
        voice = rng.choice(5, 2, replace=False)  # of the languages, whose clips take turns
        clips = np.array(
            [voice + 5 * k for k in rng.choice(12, SECONDS, replace=False)]
        )  # SECONDS, 2
        which, silent = [first, second], np.zeros((2, fs), np.float32)
        ears = spatialise_endless(speech[clips], place.hrirs[which], silent)  # SECONDS, 2, 2, fs
        ears = np.asarray(ears) / np.sqrt(np.asarray(mean_power(ears)))[..., None, None]
        ears = 0.1 * np.concatenate(ears, axis=-1).sum(0)
        found = (
            Overall().add(localise(ears.T, fs, window=0.25, step=0.05, model=name)).directions[:2]
        )
        off = [min(degrees_apart(azimuth, place.azimuth[k]) for azimuth, _ in found) for k in which]
        both, one = both + (max(off) <= NEAR), one + (min(off) <= NEAR)
    heads = ", ".join(place.name for place in places)
    return (
        f"Two talkers of {SECONDS} s at equal level, {APART}° or more apart, {SCENES} scenes on {heads}: "
        f"both within {NEAR}° in {100 * both / SCENES:.0f} %, at least one in {100 * one / SCENES:.0f} % "
        "(the two highest peaks of the mean posterior, windows of 0.25 s).\n"
    )


def evaluation_rows(name: str, folder: Path, ex: Experiment) -> list[list[str]]:
    """Scores on the evaluation part of a cue store of rooms, by what was heard; none without a store."""
    if not (folder / "manifest.csv").exists():
        say(f"{folder}: not there: the evaluation part is left out (`ssl_jax database` makes it)")
        return []
    store = CueStore(folder / "cues", ex.database, ex.front)
    manifest, (network, front) = (
        read_manifest(folder / "manifest.csv", store.count),
        load_weights(name),
    )
    trainer = Trainer(Training(model=describe(name)["model"]), 1, front)
    trainer.set_model(network)
    numbers = np.flatnonzero(manifest.part == PARTS.index("evaluation"))
    head, snr = np.array([manifest.head[i] for i in numbers]), manifest.snr[numbers]
    free, cipic = np.char.find(head, "-free") > 0, np.char.startswith(head, "subject_")
    parts = {"rooms": ~free, "free field": free, "free field, 15 to 40 dB": free & (snr >= 15)}
    parts |= {f"{what}, CIPIC heads": use & cipic for what, use in parts.items()}
    parts |= {"free field, -5 to 5 dB": free & (snr < 5), "rooms, -5 to 5 dB": ~free & (snr < 5)}
    rows, mixtures = [], Mixtures.of(store, manifest)
    for spread, about in ((0.0, ""), (MICROPHONE_SPREAD_DB, ", unlike microphones")):
        heard = predict_all(trainer, mixtures, numbers, spread)
        posterior = softmax(heard.logits / temperature_of(name), axis=1)
        truth = AZIMUTH_STEP * heard.labels
        for what, use in list(parts.items())[: 2 if spread else None]:
            scores = cells(scores_of(posterior[use], truth[use]))
            rows.append([f"`{name}`", f"evaluation part, {what}{about}", "72", "1 s", *scores])
    return rows


def run_yardsticks(args) -> None:
    """The stage `yardsticks`: write results/yardsticks.md and print it."""
    paths = sorted(args.heads.glob("*.sofa"))
    if not paths:
        raise InputError(f"{args.heads}: no .sofa files: name a folder of heads and rooms")
    args.protocol = args.protocol or "rooms"
    name, ex = args.model or default_weights(), experiment_of(args)
    rows = score_places(paths, [name], args.clips) + evaluation_rows(name, args.work / ex.name, ex)
    about = (
        f"# Yardsticks\n\nAs [unseen_heads.md](unseen_heads.md), of `{name}`, {args.clips} s of each voice "
        "from each direction. It knew only KEMAR of these, and no room. Evaluation heads are turned to "
        f"their midline (docs/rooms.md). `ssl_jax yardsticks --heads DIR`; {machine()}; commit {commit()}.\n"
    )
    text = (
        about,
        markdown_table(HEAD, rows),
        two_talkers(paths, name),
        "## Literature\n",
        LITERATURE,
    )
    write_page(args.results / "yardsticks.md", *text)

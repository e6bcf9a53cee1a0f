"""results/fingerprint.md and its figure: the noise level that the published weights ask for."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib import colors

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import check_settings, lock_folder, read_csv
from ssl_jax.common.progress import track
from ssl_jax.common.provenance import commit, machine
from ssl_jax.config import FrontEnd, as_settings, experiment
from ssl_jax.database.recipes import load_sounds
from ssl_jax.report.logs import CORPORA, reported_table
from ssl_jax.report.style import OURS, REPORTED, STYLE, TICKS, plt, save_figure
from ssl_jax.report.tables import markdown_table, spread, write_page
from ssl_jax.studies import fingerprint as study
from ssl_jax.studies.fingerprint import EVENTS, RANGES, STATIONARY
from ssl_jax.studies.published_weights import load_checkpoints

HOW_TO_READ = """\
Distance, to the checkpoint of the smallest residual: for both BatchNorm layers of the three branches, the
rms of (our mean - running mean) / running standard deviation and the rms of the log ratio of variances,
averaged; 0 is the training set itself. ITD (ms), ILD (dB), IC: rms over the 32 channels of our mean less the
training set's. No accuracy was looked at.
"""
KINDS = {
    f"Stationary noises alone: {', '.join(STATIONARY)}": STATIONARY
}  # of the publishers' noise classes
KINDS |= {f"Events alone: {', '.join(EVENTS)}": EVENTS}
AGAIN = 5  # ranges measured with more mixtures, so that their order can be told from chance
CODE = (15, 40)  # dB, of the published code
CUES = ("itd_ms", "ild_db", "ic")
# data?, changes of the database and of the front-end, and the first few that recipes draw from
VARIANTS = {
    "as found": (True, {}, {}, {}),
    "noise: stationary classes alone": (True, {"noise": STATIONARY}, {}, {}),
    "hair cell: half-wave": (True, {}, {"hair_cell": "halfwave"}, {}),
    "hair cell: Roman": (True, {}, {"hair_cell": "roman"}, {}),
    "directions: horizontal plane": (True, {"direction_rule": "horizontal"}, {}, {}),
    "storage: not rounded to 16 bits": (True, {"bits": 0}, {}, {}),
    "heads: the first five": (True, {}, {}, {"head": 5}),
    "heads: the first one": (True, {}, {}, {"head": 1}),
    "speech: the first 50 clips, of few speakers": (True, {}, {}, {"clip": 50}),
    "the embedded corpus": (False, {}, {}, {}),
    "the embedded corpus, hair cell: Roman": (False, {}, {"hair_cell": "roman"}, {}),
}
named = "{} to {} dB".format  # a range of SNR


def read_means(path: Path) -> np.ndarray:
    """The training set's mean cues (3, channels), from reported/training_set_means.csv."""
    rows = read_csv(path, CUES)
    if len(rows) != FrontEnd.channels:
        raise InputError(
            f"{path}: has {len(rows)} channels, not {FrontEnd.channels}: fetch it again"
        )
    return np.array([[float(row[name]) for row in rows] for name in CUES])


class Table:
    """Checkpoints and the training set's mean cues (3, channels), and databases held against them."""

    def __init__(self, models: dict, means: np.ndarray):
        self.layers, self.means = [study.layers_of(model) for model in models.values()], means
        residuals = [study.training_set_means(model)[1].mean() for model in models.values()]
        self.best = (
            int(np.argmin(residuals)) if models else None
        )  # the statistics of weights at rest
        self.head = ["distance"] * bool(models) + ["ITD", "ILD", "IC"]

    def distances(self, found) -> list[float]:
        """To every checkpoint, of mean cues and layers."""
        return [study.distance(pair, moments) for pair, moments in zip(self.layers, found[1])]

    def values(self, found) -> list[float]:
        """By `head`: the distance to the best checkpoint, and rms differences of the mean cues."""
        near = [] if self.best is None else [self.distances(found)[self.best]]
        return [*near, *np.sqrt(np.mean((found[0] - self.means) ** 2, axis=1))]

    def score(self, found) -> float:
        """What is made smallest: the distance to the best checkpoint; without weights, that of mean IC."""
        return float(self.values(found)[0 if self.layers else -1])

    def cells(self, found) -> list[str]:
        return [f"{value:.3f}" for value in self.values(found)]


def grid_section(title: str, by_range: dict, table: Table, labels: list[int]) -> tuple[str, dict]:
    """The nearest ranges, the neighbours of the nearest, and the code's; and all by range, nearest first."""
    found = {at: made.mean(labels) for at, made in by_range.items()}
    found = dict(sorted(found.items(), key=lambda item: table.score(item[1])))
    low, high = next(iter(found))
    beside = {(low + a, high + b) for a in (-5, 0, 5) for b in (-5, 0, 5)} | {CODE}
    ranked = [(rank, at) for rank, at in enumerate(found, 1) if rank <= 8 or at in beside]
    rows = [[str(rank), named(*at), *table.cells(found[at])] for rank, at in ranked]
    shown = markdown_table(["rank", "SNR of each noise", *table.head], rows)
    return f"## {title}\n\nOf {len(found)} ranges:\n\n{shown}", found


def again_section(draws: list[dict], table: Table) -> tuple[str, tuple[int, int]]:
    """The nearest ranges over all draws of mixtures, and the nearest of them."""
    scores = {at: [table.score(draw[at].mean()) for draw in draws] for at in draws[-1]}
    rows, order = [], sorted(scores, key=lambda at: np.mean(scores[at]))
    for at in order:
        over = [a - b for a, b in zip(scores[at], scores[order[0]])]
        cells = (f"{score:.4f}" for score in (*scores[at], np.mean(scores[at])))
        rows.append([named(*at), *cells, spread(over, digits="+.4f") if any(over) else ""])
    head = [
        "SNR of each noise",
        *(f"draw {k}" for k in range(len(draws))),
        "mean",
        "above the nearest",
    ]
    how = f"{len(draws)} draws of a thousand mixtures each; the least mean is taken.\n"
    how += "Standard deviations are over draws."
    return f"## The nearest again\n\n{how}\n\n{markdown_table(head, rows)}", order[0]


def draw(path: Path, table: Table, by_range: dict, nearest: tuple[int, int]) -> None:
    """Mean IC over centre frequency, theirs and ours, and the distance over SNR ranges."""
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
        lines = [(table.means[2], REPORTED, "o-", "training set, read off the published weights")]
        lines += [
            (by_range[nearest][0][2], OURS, "-", f"ours, {named(*nearest)}, the nearest range")
        ]
        lines += [
            (by_range[CODE][0][2], OURS, ":", "ours, 15 to 40 dB, as the published code says")
        ]
        for values, colour, style, label in lines:
            left.semilogx(FrontEnd().cfs, values, style, color=colour, label=label, ms=3, lw=1.6)
        left.set(
            xlabel="centre frequency (Hz)", ylabel="mean IC", title="Mean interaural coherence"
        )
        left.set_xticks(list(TICKS), list(TICKS.values()))
        left.minorticks_off()
        left.legend()
        scores = {at: table.score(means) for at, means in by_range.items()}
        lows, highs = (sorted(set(ends)) for ends in zip(*scores))
        shown = np.array([[scores.get((low, high), np.nan) for high in highs] for low in lows])
        text: dict = {"ha": "center", "va": "center", "fontsize": 7}
        for (low, high), score in scores.items():
            colour = "white" if score < np.sqrt(np.nanmin(shown) * 0.3) else "black"
            right.text(
                highs.index(high), lows.index(low), f"{score:.3f}".lstrip("0"), color=colour, **text
            )
        right.imshow(shown, cmap="viridis", norm=colors.LogNorm(), aspect="auto")
        title = "Distance to the published weights" if table.layers else "Difference of mean IC"
        right.set(xlabel="highest SNR (dB)", ylabel="lowest SNR (dB)", title=title)
        right.set(
            xticks=range(len(highs)), xticklabels=highs, yticks=range(len(lows)), yticklabels=lows
        )
        right.grid(False)
        save_figure(figure, path)


def run_fingerprint(args) -> None:
    """The stage `fingerprint`: hold databases of many noise levels against the published training set."""
    models = load_checkpoints(args.weights) if args.weights else {}
    table = Table(models, read_means(reported_table(args.results, "training_set_means.csv")))
    ex = experiment(args.data is not None, protocol="published-code", seed=args.seed)
    folder, weights = args.work / "fingerprint", dict.fromkeys(models, True)
    with lock_folder(folder):
        settings = as_settings(database=ex.database, front=ex.front, weights=weights)
        check_settings(folder / "settings.json", settings, "*.npz")
        sounds = study.whole_speech(load_sounds(args.data, ex.database, ex.front.fs))
        given = models.values(), ex.database, ex.front, sounds
        by_range, classes = study.of_ranges(folder, RANGES, *given), sounds.corpus.noise_classes
        kinds = {"All noise classes": classes} | (
            KINDS if set(STATIONARY + EVENTS) == set(classes) else {}
        )
        labels = {title: [classes.index(name) for name in names] for title, names in kinds.items()}
        by_kind = [grid_section(title, by_range, table, chosen) for title, chosen in labels.items()]
        found = by_kind[0][1]
        draws = [by_range] + [
            study.of_ranges(folder, list(found)[:AGAIN], *given, draw) for draw in (1, 2)
        ]
        again, nearest = again_section(draws, table)
        parts = [again, *(text for text, _ in by_kind)]
        if models:
            rows, at = [], np.abs(FrontEnd().cfs - 2000).argmin()
            near = zip(table.distances(found[nearest]), table.distances(found[CODE]))
            for name, model, distances in zip(models, models.values(), near):
                means, residuals = study.training_set_means(model)
                shown = [f"{means[2, at]:.3f}", *(f"{100 * r:.2f} %" for r in residuals)]
                rows.append([name, *shown, *(f"{distance:.3f}" for distance in distances)])
            head = [
                "checkpoint",
                "mean IC at 2 kHz",
                *(f"residual, {cue}" for cue in ("ITD", "ILD", "IC")),
            ]
            head += ["distance, nearest range", "distance, 15 to 40 dB"]
            parts.insert(0, markdown_table(head, rows))
        if args.data:
            rows = []
            for label, (data, changes, front, few) in track(
                VARIANTS.items(), "databases", len(VARIANTS)
            ):
                one = experiment(data, snr_range=nearest, seed=args.seed)
                config, front = replace(one.database, **changes), replace(one.front, **front)
                sounds = study.whole_speech(
                    load_sounds(args.data if data else None, config, front.fs)
                )
                some, recipes = study.some_recipes(config, sounds)
                first = recipes._replace(
                    **{field: getattr(recipes, field) % n for field, n in few.items()}
                )
                alike = np.zeros(len(first.clip), int)
                made = study.statistics(models.values(), some, front, sounds, first, alike).mean()
                rows.append([label, *table.cells(made)])
            parts += [
                f"## Other databases at {named(*nearest)}",
                "",
                markdown_table(["", *table.head], rows),
            ]
    by = f"seed: {args.seed}; device: {machine()}; commit: {commit()}"
    about = f"Corpus: {CORPORA[ex.database.corpus]}; {by}. `ssl_jax fingerprint --data DIR --weights DIR`\n"
    title = "# The fingerprint of the published training set\n"
    write_page(args.results / "fingerprint.md", title, about, HOW_TO_READ, *parts)
    draw(args.figures / "fingerprint.png", table, found, nearest)

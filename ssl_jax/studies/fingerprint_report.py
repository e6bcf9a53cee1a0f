"""results/fingerprint.md and its figure: the noise level that the published weights ask for."""

import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib import colors

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import check_settings, lock_folder, read_csv, write_text
from ssl_jax.common.progress import track
from ssl_jax.common.provenance import commit, machine
from ssl_jax.config import FrontEnd, experiment, fingerprint
from ssl_jax.database.recipes import load_sounds
from ssl_jax.report.logs import CORPORA, reported_table
from ssl_jax.report.style import OURS, REPORTED, STYLE, TICKS, plt, save_figure
from ssl_jax.report.tables import markdown_table
from ssl_jax.studies import fingerprint as study
from ssl_jax.studies.fingerprint import EVENTS, RANGES, STATIONARY
from ssl_jax.studies.published_weights import load_checkpoints

HOW_TO_READ = """\
Distance, to the checkpoint of the smallest residual: for both BatchNorm layers of the three branches, the
rms of (our mean - running mean) / running standard deviation and the rms of the log ratio of variances,
averaged; 0 is the training set itself. ITD (ms), ILD (dB), IC: rms over the 32 channels of our mean less the
training set's. No accuracy was looked at.
"""
AGAIN = 5  # ranges measured with more mixtures, so that their order can be told from chance
CODE = (15, 40)  # dB, of the published code
CUES = ("itd_ms", "ild_db", "ic")
named = "{} to {} dB".format  # a range of SNR


def read_means(path: Path) -> np.ndarray:
    """The training set's mean cues (3, channels), from reported/training_set_means.csv."""
    rows = read_csv(path, CUES)
    if len(rows) != FrontEnd.channels:
        raise InputError(f"{path}: has {len(rows)} channels, not {FrontEnd.channels}: fetch it again")
    return np.array([[float(row[name]) for row in rows] for name in CUES])


class Table:
    """Checkpoints and the training set's mean cues (3, channels), and databases held against them."""

    def __init__(self, models: dict, means: np.ndarray):
        self.layers, self.means = [study.layers_of(model) for model in models.values()], means
        residuals = [study.training_set_means(model)[1].mean() for model in models.values()]
        self.best = int(np.argmin(residuals)) if models else None  # the statistics of weights at rest
        self.head = ["distance"] * bool(models) + ["ITD", "ILD", "IC"]

    def distances(self, found) -> list[float]:
        """To every checkpoint, of mean cues and layers."""
        return [study.distance(pair, moments) for pair, moments in zip(self.layers, found[1])]

    def apart(self, found) -> np.ndarray:
        """Rms differences (3,) of the mean cues."""
        return np.sqrt(np.mean((found[0] - self.means) ** 2, axis=1))

    def score(self, found) -> float:
        """What is made smallest: the distance to the best checkpoint; without weights, that of mean IC."""
        return float(self.apart(found)[2] if self.best is None else self.distances(found)[self.best])

    def cells(self, found) -> list[str]:
        near = [] if self.best is None else [f"{self.score(found):.3f}"]
        return [*near, *(f"{rms:.3f}" for rms in self.apart(found))]


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
    rows, order = [], sorted(scores, key=lambda at: statistics.fmean(scores[at]))
    for at in order:
        over = [a - b for a, b in zip(scores[at], scores[order[0]])]
        spread = f"{statistics.fmean(over):+.4f} ± {statistics.stdev(over):.4f}" if any(over) else ""
        cells = (f"{score:.4f}" for score in (*scores[at], statistics.fmean(scores[at])))
        rows.append([named(*at), *cells, spread])
    head = ["SNR of each noise", *(f"draw {k}" for k in range(len(draws))), "mean", "above the nearest"]
    how = f"{len(draws)} draws of a thousand mixtures each; the least mean is taken.\n"
    how += "Standard deviations are over draws."
    return f"## The nearest again\n\n{how}\n\n{markdown_table(head, rows)}", order[0]


def checkpoints_section(models: dict, table: Table, chosen, code) -> str:
    """What every checkpoint says of its training set, and how near both ranges come to it."""
    rows, at = [], np.abs(FrontEnd().cfs - 2000).argmin()
    for name, model, *near in zip(models, models.values(), table.distances(chosen), table.distances(code)):
        means, residuals = study.training_set_means(model)
        shown = [f"{means[2, at]:.3f}", *(f"{100 * r:.2f} %" for r in residuals)]
        rows.append([name, *shown, *(f"{distance:.3f}" for distance in near)])
    head = ["checkpoint", "mean IC at 2 kHz", *(f"residual, {cue}" for cue in ("ITD", "ILD", "IC"))]
    return markdown_table([*head, "distance, nearest range", "distance, 15 to 40 dB"], rows)


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


def variants_section(args, models: dict, table: Table, snr_range: tuple[int, int]) -> str:
    """Databases that differ in one thing, at the range found."""
    rows = []
    for label, (data, changes, front, few) in track(VARIANTS.items(), "databases", total=len(VARIANTS)):
        protocol, folder = ("published", args.data) if data else ("embedded", None)
        ex = experiment(data, protocol=protocol, snr_range=snr_range, seed=args.seed)
        config, front = replace(ex.database, **changes), replace(ex.front, **front)
        sounds = study.whole_speech(load_sounds(folder, config, front.fs))
        found = study.of_database(list(models.values()), config, front, sounds, few)
        rows.append([label, *table.cells(found)])
    return f"## Other databases at {named(*snr_range)}\n\n{markdown_table(['', *table.head], rows)}"


def draw(path: Path, table: Table, by_range: dict, nearest: tuple[int, int]) -> None:
    """Mean IC over centre frequency, theirs and ours, and the distance over SNR ranges."""
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
        lines = [(table.means[2], REPORTED, "o-", "training set, read off the published weights")]
        lines += [(by_range[nearest][0][2], OURS, "-", f"ours, {named(*nearest)}, the nearest range")]
        lines += [(by_range[CODE][0][2], OURS, ":", "ours, 15 to 40 dB, as the published code says")]
        for values, colour, style, label in lines:
            left.semilogx(FrontEnd().cfs, values, style, color=colour, label=label, ms=3, lw=1.6)
        left.set(xlabel="centre frequency (Hz)", ylabel="mean IC", title="Mean interaural coherence")
        left.set_xticks(TICKS, [f"{f / 1000:g}k" if f >= 1000 else f"{f}" for f in TICKS])
        left.minorticks_off()
        left.legend()
        lows, highs = (sorted({at[k] for at in by_range}) for k in (0, 1))
        shown = np.full((len(lows), len(highs)), np.nan)
        for (a, b), means in by_range.items():
            row, column, value = lows.index(a), highs.index(b), table.score(means)
            shown[row, column] = value
            dark = value < np.sqrt(np.nanmin(shown) * 0.3)
            text = {"ha": "center", "va": "center", "fontsize": 7, "color": "white" if dark else "black"}
            right.text(column, row, f"{value:.3f}".lstrip("0"), **text)
        scale = colors.LogNorm(np.nanmin(shown), np.nanmax(shown))
        right.imshow(shown, cmap="viridis", norm=scale, aspect="auto")
        title = "Distance to the published weights" if table.layers else "Difference of mean IC"
        right.set(xlabel="highest SNR (dB)", ylabel="lowest SNR (dB)", title=title)
        right.set(xticks=range(len(highs)), xticklabels=highs, yticks=range(len(lows)), yticklabels=lows)
        right.grid(False)
        save_figure(figure, path)


def kinds(classes: tuple[str, ...]) -> dict[str, list[int]]:
    """Noise classes by kind."""
    kinds = {"All noise classes": classes}
    if set(STATIONARY + EVENTS) == set(classes):
        kinds |= {f"Stationary noises alone: {', '.join(STATIONARY)}": STATIONARY}
        kinds |= {f"Events alone: {', '.join(EVENTS)}": EVENTS}
    return {title: [classes.index(name) for name in names] for title, names in kinds.items()}


def run_fingerprint(args) -> None:
    """The stage `fingerprint`: hold databases of many noise levels against the published training set."""
    models = load_checkpoints(args.weights) if args.weights else {}
    table = Table(models, read_means(reported_table(args.results, "training_set_means.csv")))
    ex = experiment(args.data is not None, protocol="published-code", seed=args.seed)
    folder, weights = args.work / "fingerprint", dict.fromkeys(models, True)
    settings = fingerprint(database=ex.database, front=ex.front, weights=weights)
    with lock_folder(folder):
        check_settings(folder / "settings.json", settings, "*.npz")
        sounds = study.whole_speech(load_sounds(args.data, ex.database, ex.front.fs))
        given = list(models.values()), ex.database, ex.front, sounds
        by_range, labels = study.of_ranges(folder, RANGES, *given), kinds(sounds.corpus.noise_classes)
        by_kind = [grid_section(title, by_range, table, chosen) for title, chosen in labels.items()]
        found = by_kind[0][1]
        draws = [by_range] + [study.of_ranges(folder, list(found)[:AGAIN], *given, draw) for draw in (1, 2)]
        again, nearest = again_section(draws, table)
        parts = [checkpoints_section(models, table, found[nearest], found[CODE])] if models else []
        parts += [again, *(text for text, _ in by_kind)]
        if args.data:
            parts.append(variants_section(args, models, table, nearest))
    made = f"seed: {args.seed}; device: {machine()}; commit: {commit()}"
    about = f"Corpus: {CORPORA[ex.database.corpus]}; {made}. `ssl_jax fingerprint --data DIR --weights DIR`\n"
    text = "\n".join(["# The fingerprint of the published training set\n", about, HOW_TO_READ, *parts])
    write_text(args.results / "fingerprint.md", text)
    draw(args.figures / "fingerprint.png", table, found, nearest)
    print(text)

"""The stage `fingerprint`: the noise level that the published weights ask for, as a page."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ssl_jax.common.files import lock_folder, sha256_of
from ssl_jax.common.progress import track
from ssl_jax.common.provenance import commit, machine
from ssl_jax.config import AZIMUTHS, IC_MAP, FrontEnd, SoundFolders
from ssl_jax.experiments import Experiment, Options, experiment
from ssl_jax.report.logs import reported_table
from ssl_jax.report.tables import markdown_table, mean_and_deviation
from ssl_jax.studies import fingerprint_corpora
from ssl_jax.studies.fingerprint import Means, layers_of
from ssl_jax.studies.fingerprint_corpora import (
    CODE,
    SETTINGS,
    STEADY_DB,
    Corpus,
    SnrRange,
    load_corpus,
    noise_groups,
    with_noises,
)
from ssl_jax.studies.fingerprint_figure import Curve, FigureContent, draw_figure
from ssl_jax.studies.fingerprint_measurements import Measurements
from ssl_jax.studies.fingerprint_search import (
    DRAWS,
    FINE_STEP,
    TOLD_APART,
    Nearest,
    Reference,
    find_nearest,
    read_means,
    scores_of,
    search,
)
from ssl_jax.studies.pages import command_line, show_page
from ssl_jax.studies.published_weights import checkpoint_files, load_published

SHOWN_RANGES = 8  # of the ranking
SHOWN_FREQUENCY = 2000  # Hz, of the channel whose mean IC stands beside each checkpoint
TITLE = "# The fingerprint of the published training set\n"
HOW_TO_READ = """\
We inferred this from the BatchNorm statistics in the checkpoints; accuracy played no part.

Residual: a first convolution's running means are its weights times the mean cues of the training
set. These are 64 equations for 32 unknowns. The residual is what least squares leaves, as a share
of the spread of the 64.

Distance: to the checkpoint of the smallest residual. For both BatchNorm layers of the three
branches we take the rms of (our mean - running mean) / running standard deviation and the rms of
the log ratio of variances. The distance is the mean of these twelve numbers. It is 0 for the
training set itself.

ITD (ms), ILD (dB), IC: rms over the 32 channels of our mean less the training set's.
"""


@dataclass(frozen=True)
class Study:
    """What all sections of the page are made from."""

    reference: Reference
    measurements: Measurements  # of the corpus that is searched in
    nearest: Nearest

    def means(self, snr_range: SnrRange) -> Means:
        """Of the first draw in a range."""
        return self.measurements.of_range(snr_range).mean()


def checkpoints_section(study: Study) -> str:
    """The checkpoints, how far to believe each, and their distances to two ranges."""
    reference = study.reference
    channel = int(np.abs(FrontEnd().cfs - SHOWN_FREQUENCY).argmin())
    to_nearest = reference.distances(study.means(study.nearest.snr_range))
    to_code = reference.distances(study.means(CODE))
    rows = []
    for number, read_out in enumerate(reference.read_out):
        rows.append(
            [
                reference.names[number],
                f"{read_out.cues[IC_MAP, channel]:.3f}",
                *(f"{100 * residual:.2f} %" for residual in read_out.residuals),
                f"{to_nearest[number]:.3f}",
                f"{to_code[number]:.3f}",
            ]
        )
    head = ["checkpoint", f"mean IC at {SHOWN_FREQUENCY / 1000:g} kHz"]
    head += [f"residual, {cue}" for cue in ("ITD", "ILD", "IC")]
    head += [f"distance, {study.nearest.snr_range.name}", f"distance, {CODE.name}"]
    return markdown_table(head, rows)


def nearest_section(nearest: Nearest) -> str:
    """The nearest range and its neighbours over draws, and which of them are not told apart."""
    rows = []
    for snr_range, scores in nearest.draws.items():
        above = ""
        if snr_range != nearest.least:
            above = mean_and_deviation(nearest.above_least(snr_range), digits="+.4f")
        cells = [f"{score:.4f}" for score in scores]
        rows.append([snr_range.name, *cells, mean_and_deviation(scores, digits=".4f"), above])
    titles = [f"draw {draw}" for draw in range(DRAWS)]
    table = markdown_table(["SNR of each noise", *titles, "mean", "above the least"], rows)
    others = [snr_range.name for snr_range in nearest.tied if snr_range != nearest.least]
    return f"""\
## The nearest range

{DRAWS} draws of mixtures; ends in steps of {FINE_STEP} dB. The least mean is that of
{nearest.least.name}. Standard deviations are over draws. Two ranges are told apart where the mean
of their difference is over {TOLD_APART} times its standard deviation. No finding between
{nearest.least.name} and: {", ".join(others) or "none"}. We take the middle of these, the median of
their lower and of their upper ends: **{nearest.snr_range.name}**.

{table}"""


def ranges_section(study: Study) -> str:
    """The first ranges of the first draw, and the published code's."""
    rows = []
    for rank, snr_range in enumerate(study.nearest.scores, 1):
        if rank <= SHOWN_RANGES or snr_range == CODE:
            cells = study.reference.cells(study.means(snr_range))
            rows.append([str(rank), snr_range.name, *cells])
    table = markdown_table(["rank", "SNR of each noise", *study.reference.columns], rows)
    return f"## All ranges\n\nOf {len(study.nearest.scores)} ranges, in draw 0:\n\n{table}"


def noises_section(study: Study, other: Measurements) -> str:
    """The nearest range of another folder's noises, of its steady kinds and of its events."""
    reference = study.reference
    folder = other.corpus.config.noise
    searched = study.measurements.corpus.config.noise
    nearest = next(iter(study.nearest.scores))
    code = f"{study.nearest.scores[CODE]:.3f}"
    rows = [[f"{searched}, all kinds", nearest.name, *reference.cells(study.means(nearest)), code]]
    notes = []
    for group in noise_groups(other.corpus.sounds.noises, other.front.fs):
        scores = search(partial(scores_of, other, reference, kinds=group.kinds))
        nearest = next(iter(scores))
        cells = reference.cells(other.of_range(nearest).mean(group.kinds))
        rows.append([f"{folder}, {group.title}", nearest.name, *cells, f"{scores[CODE]:.3f}"])
        notes.append(f"- {folder}, {group.title}: {group.text}")
    head = ["noises", "nearest SNR", *reference.columns, f"{reference.score_column}, {CODE.name}"]
    listed = "\n".join(notes)
    return f"""\
## Other noises

In draw 0. In brackets: the standard deviation of levels in 50 ms (dB, median over clips). Kinds
under {STEADY_DB:g} dB are steady, the others are events.

{markdown_table(head, rows)}
{listed}
"""


def settings_section(study: Study, folders: SoundFolders) -> str:
    """The nearest range with one setting changed at a time."""
    snr_range = study.nearest.snr_range
    rows = [["as it is", *study.reference.cells(study.means(snr_range))]]
    for setting in track(SETTINGS, "other settings", total=len(SETTINGS)):
        measured = study.measurements.of_setting(setting, snr_range, folders)
        rows.append([setting.title, *study.reference.cells(measured.mean())])
    table = markdown_table(["", *study.reference.columns], rows)
    return f"## Other settings at {snr_range.name}\n\nIn draw 0:\n\n{table}"


def figure_content(study: Study) -> FigureContent:
    """Mean IC of the training set, the nearest range and the code's; the scores of all ranges."""
    nearest = study.nearest.snr_range
    ic_nearest = study.means(nearest).cues[IC_MAP]
    ic_code = study.means(CODE).cues[IC_MAP]
    ic_training_set = study.reference.means[IC_MAP]
    title = "Distance to the published weights"
    if not study.reference.layers:
        title = "Difference of mean IC"
    return FigureContent(
        training_set=Curve("training set, from the published weights", ic_training_set),
        nearest=Curve(f"ours, {nearest.name}, the nearest range", ic_nearest),
        code=Curve(f"ours, {CODE.name}, as the published code says", ic_code),
        score_title=title,
        scores=study.nearest.scores,
    )


@dataclass(frozen=True)
class FingerprintOptions:
    """What a user chooses of the stage `fingerprint`."""

    folders: SoundFolders = SoundFolders()
    noise_kinds: tuple[str, ...] = ()
    seed: int = 0
    weights: Path | None = None  # of published checkpoints; None: their mean cues alone
    compare_noise: Path | None = None  # a folder of other noises
    results: Path = Path("results")
    work: Path = Path("work")
    figures: Path = Path("paper_figures")

    @property
    def command(self) -> str:
        """The command line that these options stand for."""
        folders = {
            **vars(self.folders),
            "weights": self.weights,
            "compare-noise": self.compare_noise,
        }
        return command_line("fingerprint", folders, self.noise_kinds, self.seed)


def about(options: FingerprintOptions, ex: Experiment) -> str:
    """What the page was made from, and by which command."""
    database = ex.database
    return (
        f"Sounds: speech {database.speech}, noise {database.noise}, heads {database.heads}; "
        f"{fingerprint_corpora.CLIPS * AZIMUTHS} mixtures of each range; seed: {options.seed}; "
        f"device: {machine()}; commit: {commit()}. `{options.command}`\n"
    )


def run_fingerprint(options: FingerprintOptions) -> None:
    """The stage `fingerprint`: hold databases of many noise levels against published weights."""
    files = checkpoint_files(options.weights) if options.weights else {}
    checkpoints = {name: layers_of(load_published(path)) for name, path in files.items()}
    means = read_means(reported_table(options.results, "training_set_means.csv"))
    reference = Reference(checkpoints, means)
    checksums = {name: sha256_of(path) for name, path in files.items()}
    ex = experiment(
        Options(
            protocol="published-code",
            seed=options.seed,
            folders=options.folders,
            noise_kinds=options.noise_kinds,
        )
    )
    folder = options.work / "fingerprint"

    def measurements_of(name: str, corpus: Corpus) -> Measurements:
        measurements = Measurements(folder / name, reference.layers, corpus, ex.front)
        measurements.check(checksums)
        return measurements

    with lock_folder(folder):
        corpus = load_corpus(options.folders, ex.database, ex.front)
        measurements = measurements_of("searched", corpus)
        other = None
        if options.compare_noise:  # read now: a wrong folder is to fail before the long search
            noisy = with_noises(corpus, options.compare_noise, ex.front)
            other = measurements_of(f"noise_{options.compare_noise.name}", noisy)
        study = Study(reference, measurements, find_nearest(measurements, reference))
        parts = [nearest_section(study.nearest), ranges_section(study)]
        if checkpoints:
            parts.insert(0, checkpoints_section(study))
        if other is not None:
            parts.append(noises_section(study, other))
        parts.append(settings_section(study, options.folders))
    page = options.results / "fingerprint.md"
    show_page(page, TITLE, about(options, ex), HOW_TO_READ, *parts)
    draw_figure(options.figures / "fingerprint.png", figure_content(study))

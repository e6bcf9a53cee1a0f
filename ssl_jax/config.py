"""The settings of every stage: one frozen dataclass each, every field with its unit and source. "published"
marks what the code of github.com/Kenzot007/SoundSourceLocalization (commit d5365c4) does.
"""

from collections.abc import Iterable
from dataclasses import dataclass, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ssl_jax.common.errors import InputError

if TYPE_CHECKING:
    import jax
    import numpy as np
    from numpy.typing import ArrayLike

    from ssl_jax.frontend.cues import Cues

AZIMUTHS = 72  # classes on the circle; class = azimuth / AZIMUTH_STEP (published)
AZIMUTH_STEP = 5  # degrees, counter-clockwise, 0 = front, 90 = left (SOFA convention)
DIRECTION_RULES = ("horizontal", "nearest_azimuth", "nearest")
SPLIT_BY = (
    "clip",
    "speaker",
    "noise",
    "head",
)  # what training and evaluation may be kept from sharing


@dataclass(frozen=True)
class FrontEnd:
    """From two ear signals to cue maps."""

    fs: int = 44_100  # Hz, of the sound the cues are computed on (published)
    channels: int = 32  # gammatone filters per ear (published)
    low_freq: float = 80.0  # Hz, lowest centre frequency (published)
    filter_type: str = "gammatone"  # Slaney (1993), 4 cascaded biquads (published)
    hair_cell: str = "roman"  # Roman et al. (2003); published cues bypass it: "none"
    tau: float = 0.010  # s, window of the running correlation (published; Faller & Merimaa 2004)
    max_itd: float = 0.001  # s, lags searched on either side (published)
    max_ild: float = 7.0  # dB, ILD is clipped here (published)
    hop: int = 441  # samples between kept cue values; 1 keeps every sample (published)
    levels: bool = False  # the power of both ears is a fourth map; published: not

    @classmethod
    def published(cls) -> "FrontEnd":
        """The settings of the published cues: no hair cell, ILDs up to 7 dB, 10 ms at 44.1 kHz.

        `FrontEnd.published().cues(signal)` computes them.
        """
        # every other setting has its published value already
        return cls(hair_cell="none")

    @property
    def cfs(self) -> "np.ndarray":
        """Centre frequencies (channels,), Hz, highest first."""
        # here, because `--help` need not wait for SciPy
        from ssl_jax.frontend.filter_design import centre_frequencies

        return centre_frequencies(self.fs, self.channels, self.low_freq)

    def arguments(self) -> dict:
        """These settings as `get_cues_clean` and `start_cues` take them."""
        names = ("fs", "cfs", "filter_type", "hair_cell", "tau", "max_itd", "max_ild", "hop")
        return {name: getattr(self, name) for name in names}

    def cues(self, signal: "ArrayLike") -> "Cues":
        """Cues of a two-ear sound (..., samples, 2) at `fs` Hz; see `get_cues_clean`."""
        from ssl_jax.frontend.binaural_feature import get_cues_clean

        return get_cues_clean(signal, **self.arguments())

    @property
    def map_count(self) -> int:
        """Maps that a network gets: ITD, ILD and IC, and with `levels` power."""
        return 3 + self.levels

    def maps(self, cues: "Cues", axis: int) -> "jax.Array":
        """Cues as a network gets them, float16, stacked along a new `axis`.

        The power is in dB, at least -100.
        """
        import jax.numpy as jnp

        maps = [cues.itd, cues.ild, cues.ic]
        if self.levels:
            maps.append(10 * jnp.log10(jnp.maximum(cues.power, 1e-10)))
        return jnp.stack(maps, axis=axis).astype(jnp.float16)


@dataclass(frozen=True)
class SoundFolders:
    """Folders of one's own sounds; None takes what comes with the package."""

    speech: Path | None = None  # see `sounds.speech.load_speech`
    noise: Path | None = None  # see `sounds.noises.load_noises`
    heads: Path | None = None  # see `sounds.hrtf.load_heads`

    def names(self) -> dict[str, str]:
        """What settings call each folder."""
        paths = vars(self).items()
        return {kind: BUNDLED if path is None else Path(path).name for kind, path in paths}


BUNDLED = "bundled"  # what settings call the package's own sounds


@dataclass(frozen=True)
class Database:
    """Which mixtures there are."""

    speech: str = BUNDLED  # or the name of the folder it comes from; so the next two
    noise: str = BUNDLED
    heads: str = BUNDLED
    clips: int = 700  # one-second speech clips, each from every azimuth (published)
    direction_rule: str = "nearest_azimuth"  # whatever its elevation (published)
    snr_low: float = 15.0  # dB, each noise's SNR is uniform in [snr_low, snr_high) (published code)
    snr_high: float = 40.0  # dB (published code)
    noise_kinds: tuple[str, ...] = ()  # to draw from, () for all of them (published)
    seed: int = 0  # of the run; every mixture draws from (seed, its own number)
    shard: int = 720  # mixtures in one file of the cue store (14 MB at hop 441)
    bits: int = 16  # of the WAV file a mixture passes through (published); 0 keeps floats
    disjoint: tuple[str, ...] = ()  # of SPLIT_BY; published: none, mixtures are split
    evaluation_share: float = 0.2  # of what is split by (published: of mixtures)
    validation_share: float = 0.0  # the same for a third part, on which choices are made
    rooms: int = 0  # rooms and heads to draw from, a third of them the free field; 0: no rooms


@dataclass(frozen=True)
class Training:
    """One training run: a network, its data and its optimiser."""

    model: str = "three_branch"  # a key of networks.registry.NETWORKS
    clips: int = 700  # the first so many speech clips, 72 mixtures each
    epochs: int = 20  # the last epoch to train
    epochs_planned: int = 20  # what the log writes after the slash, as the published log does
    batch: int = 32  # mixtures per step
    learning_rate: float = 2e-3  # AdamW
    weight_decay: float = 0.01  # AdamW, decoupled (PyTorch's default)
    evaluation_share: float = (
        0.2  # of the mixtures, drawn at random (published), where none is kept apart
    )
    start_from: str = ""  # run whose weights it starts from, "" for fresh ones
    start_epoch: int = 0  # epoch of that run
    start_share: float = 0.0  # of those weights in its last ones (Wortsman et al. 2022, CVPR)
    keep_optimiser: bool = False  # go on with that run's optimiser and cosine, not with fresh ones
    cosine_epochs: int = 0  # T_max of a per-epoch cosine, 0 for a constant rate
    cosine_floor: float = 1e-6  # eta_min of that cosine
    warmup_epochs: float = (
        0.0  # above 0: a linear rise so long, then that cosine, both step by step
    )
    restart_epochs: tuple[int, ...] = ()  # epochs that begin with a fresh optimiser and cosine
    label_spread: float = (
        0.0  # degrees, standard deviation of the target about the true class; 0: one class
    )
    last_share: float = 0.0  # this last share of the clips evaluates as well, trained on or not
    short_share: float = (
        0.0  # of batches, seen through a quarter of their frames: for shorter windows
    )
    coloured: float = (
        0.0  # dB, standard deviation of smooth random curves on ILDs: unlike microphones
    )
    mirrored: bool = (
        False  # ears of half the mixtures of an epoch swapped, and left with right: more heads
    )
    seed: int = 0  # of the run: initial weights, split, order of mixtures


MAIN_RUNS = ("model1", "model2", "model2_continued")  # the reported tables, in order

_GENERAL = Training(
    model="phase_levels",
    clips=1100,
    epochs=28,
    epochs_planned=28,
    batch=64,
    weight_decay=0.1,
    cosine_epochs=28,
    warmup_epochs=0.5,
    label_spread=5.0,
    short_share=0.3,
    coloured=0.75,
    mirrored=True,
)
# The runs of the published tables, what the public notebook holds beyond them, and ours.
RUNS = {
    "model1": Training(clips=100, epochs=12, batch=16, learning_rate=1e-3),
    "model2": Training(),
    "model2_continued": Training(
        epochs_planned=40,
        learning_rate=1e-3,
        cosine_epochs=20,
        start_from="model2",
        start_epoch=16,
        restart_epochs=(17, 18),
        last_share=0.2,  # clips 561 to 700
    ),
    "model2_to40": Training(
        epochs=40,
        epochs_planned=40,
        learning_rate=1e-3,
        cosine_epochs=20,
        start_from="model2_continued",
        start_epoch=20,
        keep_optimiser=True,
        last_share=0.2,
    ),
    "model2_to60": Training(
        epochs=60,
        epochs_planned=60,
        learning_rate=1e-4,
        cosine_epochs=20,
        start_from="model2_to40",
        start_epoch=40,
        restart_epochs=(41,),
        last_share=0.2,
    ),
    "resnet": Training(
        model="resnet", clips=100, epochs=5, batch=16, learning_rate=1e-3, weight_decay=0.02
    ),
    "deep": Training(model="deep_three_branch", clips=100, epochs=10),
    "ours": Training(
        model="phase", batch=64, weight_decay=0.1, cosine_epochs=20, warmup_epochs=0.5
    ),
    # for other people's ears: mirrored heads, and few epochs, before it knows the heads too well
    "ours_mirrored": Training(
        model="phase",
        epochs=3,
        epochs_planned=3,
        batch=64,
        weight_decay=0.1,
        cosine_epochs=3,
        warmup_epochs=0.5,
        label_spread=5.0,
        mirrored=True,
    ),
    # for any head and room: first through microphones that differ, at last through equal ones
    "general_coloured": _GENERAL,
    "general": replace(
        _GENERAL,
        epochs=36,
        epochs_planned=36,
        learning_rate=1e-3,
        cosine_epochs=8,
        coloured=0.0,
        start_from="general_coloured",
        start_epoch=28,
        start_share=0.5,
    ),
}
ROOM_RUNS = ("general_coloured", "general")


@dataclass(frozen=True)
class Protocol:
    """How mixtures are made and split."""

    direction_rule: str  # of DIRECTION_RULES
    hair_cell: str  # of frontend.HAIR_CELLS
    snr_low: float  # dB, of each noise
    snr_high: float  # dB
    disjoint: tuple[str, ...] = ()  # of SPLIT_BY: what no two parts share
    clips: int = 700  # seconds of speech
    rooms: int = 0  # rooms and heads to draw from
    evaluation_share: float = 0.2
    validation_share: float = 0.0
    max_ild: float = 7.0  # dB
    levels: bool = False  # the power of both ears is a fourth map
    runs: tuple[str, ...] = tuple(name for name in RUNS if name not in ROOM_RUNS)
    usual_runs: tuple[str, ...] = MAIN_RUNS  # trained unless others are asked for


# What we infer from the BatchNorm statistics in the published checkpoints: results/fingerprint.md
PUBLISHED = Protocol("nearest_azimuth", "none", snr_low=2.5, snr_high=20.0)
PROTOCOLS = {
    "published": PUBLISHED,
    # the SNR that the published code states
    "published-code": replace(PUBLISHED, snr_low=15.0, snr_high=40.0),
    # the one to cite: one plane, and nothing of the evaluation is heard in training
    "clean": Protocol("horizontal", "roman", 15.0, 40.0, disjoint=("speaker", "noise", "head")),
    # for recordings: three parts that share nothing, ILDs of whole heads, levels
    "rooms": Protocol(
        "horizontal",
        "roman",
        snr_low=-5.0,
        snr_high=40.0,
        disjoint=("speaker", "noise", "head"),
        clips=1100,
        rooms=1260,
        evaluation_share=0.1,
        validation_share=0.1,
        max_ild=20.0,
        levels=True,
        runs=ROOM_RUNS,
        usual_runs=ROOM_RUNS,
    ),
}
QUICK_CLIPS = 100
QUICK_EPOCHS = 3


@dataclass(frozen=True)
class Options:
    """What a user chooses of an experiment. None takes what the protocol has."""

    protocol: str = "published"  # of PROTOCOLS
    direction_rule: str | None = None
    hair_cell: str | None = None
    snr_range: tuple[float, float] | None = None  # dB
    hop: int = FrontEnd.hop  # samples
    seed: int = 0
    quick: bool = False  # few clips and epochs
    name: str | None = None  # of the folders under results/ and work/
    folders: SoundFolders = SoundFolders()
    noise_kinds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Experiment:
    """One whole reproduction: `./reproduce.sh` with certain options."""

    name: str  # of the folders under results/ and work/
    database: Database
    front: FrontEnd
    runs: dict[str, Training]
    usual_runs: tuple[str, ...]  # trained unless others are asked for
    folders: SoundFolders


def experiment(options: Options | None = None) -> Experiment:
    """The experiment of some options.

    Raises
    ------
    InputError
        For a hop, a seed, an SNR range or a name out of range.
    """
    options = options or Options()
    protocol = chosen_protocol(options)
    check_options(options, protocol)
    folders = options.folders.names()
    database = Database(
        speech=folders["speech"],
        noise=folders["noise"],
        heads=folders["heads"],
        clips=QUICK_CLIPS if options.quick else protocol.clips,
        direction_rule=protocol.direction_rule,
        snr_low=protocol.snr_low,
        snr_high=protocol.snr_high,
        noise_kinds=options.noise_kinds,
        seed=options.seed,
        disjoint=protocol.disjoint,
        evaluation_share=protocol.evaluation_share,
        validation_share=protocol.validation_share,
        rooms=protocol.rooms,
    )
    front = FrontEnd(
        hair_cell=protocol.hair_cell,
        hop=options.hop,
        max_ild=protocol.max_ild,
        levels=protocol.levels,
    )
    names = protocol.usual_runs if options.quick else protocol.runs
    runs = {name: replace(RUNS[name], seed=options.seed) for name in names}
    if options.quick:
        runs = quick_runs(runs)
    name = options.name or folder_name(options, protocol)
    return Experiment(name, database, front, runs, protocol.usual_runs, options.folders)


def chosen_protocol(options: Options) -> Protocol:
    """The protocol of some options, with what they replace in it."""
    protocol = PROTOCOLS[options.protocol]
    if options.direction_rule is not None:
        protocol = replace(protocol, direction_rule=options.direction_rule)
    if options.hair_cell is not None:
        protocol = replace(protocol, hair_cell=options.hair_cell)
    if options.snr_range is not None:
        low, high = options.snr_range
        protocol = replace(protocol, snr_low=low, snr_high=high)
    return protocol


def check_options(options: Options, protocol: Protocol) -> None:
    """Raise InputError for a number or a name that makes no experiment."""
    if not 1 <= options.hop <= FrontEnd.fs:
        raise InputError(f"hop {options.hop}: out of range: use 1 to {FrontEnd.fs} samples")
    if not 0 <= options.seed < 2**31:
        raise InputError(f"seed {options.seed}: out of range: use 0 to {2**31 - 1}")
    if options.name == "reported":
        raise InputError("--name reported: that folder is for reported tables: use another name")
    low, high = protocol.snr_low, protocol.snr_high
    if not -100 <= low < high <= 100:
        raise InputError(
            f"--snr-range {low:g} {high:g}: not a range: use two numbers from -100 to 100 dB, "
            "low first"
        )


def quick_runs(runs: dict[str, Training]) -> dict[str, Training]:
    """The same runs with few clips and epochs; the last one goes on from the run it starts from."""
    short = {}
    for name, run in runs.items():
        short[name] = replace(
            run, clips=QUICK_CLIPS, epochs=QUICK_EPOCHS, epochs_planned=QUICK_EPOCHS
        )
    last = list(runs)[-1]
    sooner = runs[last].start_epoch - QUICK_EPOCHS
    short[last] = replace(
        short[last],
        start_epoch=QUICK_EPOCHS,
        epochs=2 * QUICK_EPOCHS,
        epochs_planned=2 * QUICK_EPOCHS,
        restart_epochs=tuple(epoch - sooner for epoch in runs[last].restart_epochs),
    )
    return short


def folder_name(options: Options, protocol: Protocol) -> str:
    """The protocol's name, and whatever differs from it: each has a folder of its own."""
    usual = PROTOCOLS[options.protocol]
    parts = [options.protocol]
    if options.quick:
        parts.append("quick")
    for kind, name in options.folders.names().items():
        if name != BUNDLED:
            parts.append(f"{kind}_{name}")
    if options.noise_kinds:
        parts.append("kinds_" + "+".join(options.noise_kinds))
    if protocol.direction_rule != usual.direction_rule:
        parts.append(protocol.direction_rule)
    if protocol.hair_cell != usual.hair_cell:
        parts.append(f"haircell_{protocol.hair_cell}")
    if (protocol.snr_low, protocol.snr_high) != (usual.snr_low, usual.snr_high):
        parts.append(f"snr{protocol.snr_low:g}to{protocol.snr_high:g}")
    if options.hop != FrontEnd.hop:
        parts.append(f"hop{options.hop}")
    if options.seed:
        parts.append(f"seed{options.seed}")
    return "-".join(parts)


def seeded_runs(
    runs: dict[str, Training], wanted: Iterable[str], seeds: int
) -> dict[str, Training]:
    """The runs `wanted`, and each with the `seeds` - 1 next seeds as NAME_seedK.

    A run that starts from another starts from its twin of the same seed.

    Raises
    ------
    InputError
        For a run that the experiment does not have.
    """
    chosen = {}
    for name in wanted:
        if name not in runs:
            raise InputError(
                f"--runs {name}: is none of {', '.join(runs)}: "
                "leave out --quick, or name another --protocol"
            )
        run = runs[name]
        chosen[name] = run
        for seed in range(run.seed + 1, run.seed + seeds):
            start = f"{run.start_from}_seed{seed}" if run.start_from else ""
            chosen[f"{name}_seed{seed}"] = replace(run, seed=seed, start_from=start)
    return chosen


def as_settings(**parts) -> dict:
    """The given settings as one JSON-ready dict; dataclasses become dicts of their fields."""
    return {name: dict(vars(part)) if is_dataclass(part) else part for name, part in parts.items()}

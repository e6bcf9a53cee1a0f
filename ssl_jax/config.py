"""The settings of every stage: one frozen dataclass each, every field with its unit and source. "published"
marks what the code of github.com/Kenzot007/SoundSourceLocalization (commit d5365c4) does."""

from collections.abc import Iterable
from dataclasses import dataclass, is_dataclass, replace

from ssl_jax.common.errors import InputError

AZIMUTHS = 72  # classes on the circle; class = azimuth / AZIMUTH_STEP (published)
AZIMUTH_STEP = 5  # degrees, counter-clockwise, 0 = front, 90 = left (SOFA convention)
DIRECTION_RULES = ("horizontal", "nearest_azimuth")
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

    @property
    def cfs(self):
        """Centre frequencies (channels,), Hz, highest first."""
        from ssl_jax.frontend.filter_design import (
            centre_frequencies,
        )  # here: --help need not wait for JAX

        return centre_frequencies(self.fs, self.channels, self.low_freq)

    def arguments(self) -> dict:
        """These settings as `get_cues_clean` and `start_cues` take them."""
        names = ("fs", "cfs", "filter_type", "hair_cell", "tau", "max_itd", "max_ild", "hop")
        return {name: getattr(self, name) for name in names}

    def cues(self, signal):
        """Cues of a two-ear sound (..., samples, 2); see `get_cues_clean`."""
        from ssl_jax.frontend.binaural_feature import get_cues_clean

        return get_cues_clean(signal, **self.arguments())

    @property
    def map_count(self) -> int:
        """Maps that a network gets: ITD, ILD and IC, and with `levels` power."""
        return 3 + self.levels

    def maps(self, cues, axis: int):
        """Cues as a network gets them, stacked along a new `axis`, float16; power in dB, at least -100."""
        import jax.numpy as jnp

        found = [cues.itd, cues.ild, cues.ic]
        if self.levels:
            found.append(10 * jnp.log10(jnp.maximum(cues.power, 1e-10)))
        return jnp.stack(found, axis=axis).astype(jnp.float16)


@dataclass(frozen=True)
class Database:
    """Which mixtures there are."""

    corpus: str = "embedded"  # "embedded" or the name of the publishers' corpora in use
    clips: int = 700  # one-second speech clips, each from every azimuth (published)
    direction_rule: str = "horizontal"  # published: "nearest_azimuth", whatever its elevation
    snr_low: float = 15.0  # dB, each noise's SNR is uniform in [snr_low, snr_high) (published code)
    snr_high: float = (
        40.0  # dB (published code; the published weights heard more noise, see PROTOCOLS)
    )
    noise: tuple[str, ...] = ()  # noise classes to draw from, () for all ten (published)
    seed: int = 0  # of the run; every mixture draws from (seed, its own index)
    shard: int = 720  # mixtures in one file of the cue store (14 MB at hop 441)
    bits: int = 16  # of the WAV file a mixture passes through (published); 0 keeps floats
    disjoint: tuple[str, ...] = ()  # of SPLIT_BY; published: none, mixtures are split
    evaluation_share: float = 0.2  # of what is split by (published: of mixtures)
    validation_share: float = 0.0  # the same for a third part, on which choices are made
    rooms: int = (
        0  # rooms and heads to draw from, a third of them the free field; 0: heads as they are
    )


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
SHARED: dict = {
    "model": "recordings",
    "clips": 1100,
    "batch": 64,
    "weight_decay": 0.1,
    "warmup_epochs": 0.5,
    "label_spread": 5.0,
    "short_share": 0.3,
    "mirrored": True,
}  # by the two runs for recordings
# The runs of the published tables, and what the public repository and its notebook hold beyond them.
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
        last_share=0.2,
    ),  # clips 561 to 700
    "model2_to40": Training(
        epochs=40,
        epochs_planned=40,
        learning_rate=1e-3,
        last_share=0.2,
        start_epoch=20,
        start_from="model2_continued",
        keep_optimiser=True,
        cosine_epochs=20,
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
    "ours": Training(model="ours", batch=64, weight_decay=0.1, cosine_epochs=20, warmup_epochs=0.5),
    # for other people's ears: mirrored heads, and few epochs, before it knows the training heads too well
    "ours_mirrored": Training(
        model="ours",
        epochs=3,
        epochs_planned=3,
        batch=64,
        weight_decay=0.1,
        cosine_epochs=3,
        warmup_epochs=0.5,
        label_spread=5.0,
        mirrored=True,
    ),
    # for recordings, under the protocol of rooms: first through microphones that differ, at last not
    "recordings_coloured": Training(
        **SHARED, epochs=28, epochs_planned=28, cosine_epochs=28, coloured=0.75
    ),
    "recordings": Training(
        **SHARED,
        epochs=36,
        epochs_planned=36,
        learning_rate=1e-3,
        cosine_epochs=8,
        start_from="recordings_coloured",
        start_epoch=28,
        start_share=0.5,
    ),
}
FOUND = 5.0, 15.0  # dB, nearest to the statistics in the published weights: results/fingerprint.md
PROTOCOLS = {  # direction rule, hair cell, what training and evaluation do not share, SNR range
    "published": (
        "nearest_azimuth",
        "none",
        (),
        FOUND,
    ),  # as the weights tell: elevations leak the class
    "published-code": (
        "nearest_azimuth",
        "none",
        (),
        (15.0, 40.0),
    ),  # the same with that code's noise
    # the one to cite: one plane, and nothing of the evaluation heard in training; the noise of that code
    "clean": ("horizontal", "roman", ("speaker", "noise", "head"), (15.0, 40.0)),
    "embedded": (
        "horizontal",
        "none",
        (),
        FOUND,
    ),  # "published" of heads measured on the plane alone
    # for recordings, and besides what follows: three parts that share nothing, ILDs of whole heads, levels
    "rooms": ("horizontal", "roman", ("speaker", "noise", "head"), (-5.0, 40.0)),
}
ROOMS_DATABASE: dict = {"rooms": 1260, "evaluation_share": 0.1, "validation_share": 0.1}
ROOMS_FRONT: dict = {"max_ild": 20.0, "levels": True}


@dataclass(frozen=True)
class Experiment:
    """One whole reproduction: `./reproduce.sh` with certain options."""

    name: str  # of the folders under results/ and work/
    database: Database
    front: FrontEnd
    runs: dict[str, Training]

    @property
    def usual_runs(self) -> tuple[str, ...]:
        """The runs that are trained unless others are asked for."""
        return MAIN_RUNS if MAIN_RUNS[0] in self.runs else tuple(self.runs)


def experiment(
    data=False,
    rule=None,
    cell=None,
    hop=None,
    seed=0,
    quick=False,
    name=None,
    protocol=None,
    snr_range=None,
) -> Experiment:
    """The experiment of the given options; raises InputError for a hop, seed, SNR or name out of range. The
    default protocol is "published" on the publishers' corpora (`data`) and "embedded" on the embedded one;
    direction `rule`, hair `cell` and SNR range (dB) replace the protocol's own."""
    hop = FrontEnd.hop if hop is None else hop
    if not 1 <= hop <= FrontEnd.fs:
        raise InputError(f"hop {hop}: out of range: use 1 to {FrontEnd.fs} samples")
    if not 0 <= seed < 2**31:
        raise InputError(f"seed {seed}: out of range: use 0 to {2**31 - 1}")
    if name == "reported":
        raise InputError("--name reported: that folder is for reported tables: use another name")
    corpus, usual = ("librispeech-esc10-cipic", "published") if data else ("embedded", "embedded")
    its_rule, its_cell, disjoint, its_range = PROTOCOLS[protocol or usual]
    rule, cell, (low, high) = rule or its_rule, cell or its_cell, snr_range or its_range
    if not -100 <= low < high <= 100:
        wanted = "use two numbers from -100 to 100 dB, low first"
        raise InputError(f"--snr-range {low:g} {high:g}: not a range: {wanted}")
    front, rooms = FrontEnd(hair_cell=cell, hop=hop), protocol == "rooms"
    database = Database(
        corpus, direction_rule=rule, snr_low=low, snr_high=high, seed=seed, disjoint=disjoint
    )
    if rooms:
        database = replace(database, clips=1100 if data else 700, **ROOMS_DATABASE)
        front = replace(front, **ROOMS_FRONT)
    names = ("recordings_coloured", "recordings") if rooms else MAIN_RUNS if quick else tuple(RUNS)
    runs = {key: replace(RUNS[key], seed=seed) for key in names}
    if quick:
        database = replace(database, clips=100)
        runs = {
            key: replace(run, clips=100, epochs=3, epochs_planned=3) for key, run in runs.items()
        }
        last, begun = runs[names[-1]], 3
        restarts = tuple(epoch - last.start_epoch + begun for epoch in last.restart_epochs)
        later: dict = {
            "epochs": 6,
            "epochs_planned": 6,
            "start_epoch": begun,
            "restart_epochs": restarts,
        }
        runs[names[-1]] = replace(last, **later)
    differs = {"quick": quick, protocol: protocol not in (None, usual), rule: rule != its_rule}
    differs |= {
        f"haircell_{cell}": cell != its_cell,
        f"snr{low:g}to{high:g}": (low, high) != its_range,
    }
    differs |= {
        f"hop{hop}": hop != FrontEnd.hop,
        f"seed{seed}": seed != 0,
    }  # each has its own folder
    name = name or "-".join([corpus, *(part for part, shown in differs.items() if shown)])
    return Experiment(name, database, front, runs)


def seeded_runs(
    runs: dict[str, Training], wanted: Iterable[str], seeds: int
) -> dict[str, Training]:
    """The runs `wanted`, and each with the `seeds` - 1 next seeds as NAME_seedK; InputError for others."""
    chosen = {}
    for name in wanted:
        if name not in runs:
            remedy = "leave out --quick, or name another --protocol"
            raise InputError(f"--runs {name}: is none of {', '.join(runs)}: {remedy}")
        run = chosen[name] = runs[name]
        for seed in range(run.seed + 1, run.seed + seeds):
            start = (
                f"{run.start_from}_seed{seed}" if run.start_from else ""
            )  # its twin of that seed
            chosen[f"{name}_seed{seed}"] = replace(run, seed=seed, start_from=start)
    return chosen


def fingerprint(**parts) -> dict:
    """The given settings as one JSON-ready dict; dataclasses become dicts of their fields."""
    return {name: dict(vars(part)) if is_dataclass(part) else part for name, part in parts.items()}

"""What the audit compares: its questions, their rows, and the cue stores that the rows need."""

from dataclasses import dataclass, replace
from pathlib import Path

from ssl_jax.config import Database, FrontEnd, SoundFolders, Training
from ssl_jax.experiments import Experiment, Options, experiment
from ssl_jax.runs import RUNS

EPOCHS = 12  # of every row, as Model 1

# Kinds of noise of the package by whether ESC-10 (Piczak 2015) has them too
BUNDLED_OF_ESC10 = ("chainsaw", "helicopter", "rain", "sea_waves")
BUNDLED_BESIDES = ("boat", "city", "fire", "storm", "stream", "wind")
# ESC-10's kinds. Of the events the median `steadiness` of first seconds is 8 dB or more, of the
# others below 5 dB.
ESC10_EVENTS = ("clock_tick", "crying_baby", "dog", "rooster", "sneezing")
ESC10 = tuple(sorted((*BUNDLED_OF_ESC10, "crackling_fire", *ESC10_EVENTS)))


@dataclass(frozen=True)
class AuditOptions:
    """What a user chooses of the audit."""

    rows: tuple[str, ...] = ()  # names of questions, "switch" and "weights"; () for the usual ones
    clips: int = 100  # seconds of speech of a trained row (Model 1)
    seeds: int = 3  # trainings of each row
    seed: int = 0  # of the mixtures, and the first of the trainings
    weights: Path | None = None  # published checkpoints
    compare_noise: Path | None = None  # a release of ESC-50
    folders: SoundFolders = SoundFolders()
    noise_kinds: tuple[str, ...] = ()  # () for all
    results: Path = Path("results")
    work: Path = Path("work")


@dataclass(frozen=True)
class Variant:
    """One row: mixtures, how they are split, and a network."""

    label: str
    store: str = "published"  # a key of `stores`
    apart: tuple[str, ...] = ()  # of SPLIT_BY: split anew by these, within the store
    network: str = "three_branch"
    like: str = "model1"  # run whose batch and optimiser it takes


@dataclass(frozen=True)
class Question:
    """Rows to compare; the first is what the others are compared with."""

    title: str
    variants: tuple[Variant, ...]
    usual: bool = True  # measured unless --rows asks for something else


PUBLISHED = Variant("as published")
NO_HEAD = Variant("no head in both", "head")


def ablation(store: str) -> Question:
    """Our network, each of its parts left out, and the published network trained the same way."""
    networks = {
        "phase": "ours",
        "phase_raw_cues": "without phases: ITD, ILD and IC as they are",
        "phase_ungated": "without the gate by IC",
        "phase_single_frames": "without convolutions over time",
        "phase_mean_pooling": "without attention over frames",
        "phase_no_dropout": "without dropout",
        "three_branch": "the tables' network, trained as ours",
    }
    variants = []
    for network, label in networks.items():
        variants.append(Variant(label, store, network=network, like="ours"))
    title = f"Our network and its parts, {store} protocol"
    return Question(title, tuple(variants), usual=False)


QUESTIONS = {
    "noises": Question(
        "Kinds of noise",
        (
            replace(PUBLISHED, label="as published: the ten of the package"),
            Variant("the four of them that ESC-10 has", "noise_of_esc10"),
            Variant("the other six", "noise_besides_esc10"),
            Variant("the ten of ESC-10", "esc10"),
            Variant("the five of ESC-10 that are events", "esc10_events"),
        ),
    ),
    "snr": Question(
        "SNR of each noise",
        (
            replace(PUBLISHED, label="as published: 2.5 to 20 dB"),
            Variant("15 to 40 dB, as the published code says", "snr15to40"),
            Variant("5 to 20 dB", "snr5to20"),
            Variant("0 to 20 dB", "snr0to20"),
        ),
    ),
    "heads": Question(
        "Heads",
        (
            replace(PUBLISHED, label="as published: twenty"),
            Variant("the first five", "five_heads"),
            Variant("the first one", "one_head"),
            NO_HEAD,
        ),
    ),
    "directions": Question(
        "Nearest azimuth at any elevation, against the horizontal plane",
        (PUBLISHED, Variant("horizontal plane", "horizontal")),
    ),
    "splits": Question(
        "What training and evaluation share",
        (
            PUBLISHED,
            Variant("no clip in both", apart=("clip",)),
            Variant("no speaker in both", apart=("speaker",)),
            Variant("no noise file in both", "noise"),
            NO_HEAD,
            Variant("no speaker, noise file or head in both", "disjoint"),
        ),
    ),
    "haircells": Question(
        "Hair cell",
        (
            replace(PUBLISHED, label="as published: none"),
            Variant("half-wave rectification", "halfwave"),
            Variant("Roman (square root of half-wave)", "roman"),
            Variant("Bernstein (power 0.23, half-wave, 425 Hz)", "bernstein"),
        ),
    ),
    "hops": Question(
        "Frames under a kernel",
        (
            replace(PUBLISHED, label="as published: five, here of 10 ms each"),
            Variant("one, as good as at hop 1", network="three_branch_held"),
        ),
        usual=False,
    ),
    "storage": Question(
        "Mixtures stored in 16 bits, against floats",
        (PUBLISHED, Variant("floats", "float")),
        usual=False,
    ),
    "protocols": Question(
        "The published protocol, against the clean one at the same noise level",
        (
            PUBLISHED,
            Variant("clean: horizontal plane, Roman's hair cell, nothing in both", "clean"),
        ),
        usual=False,
    ),
    "ablation_published": ablation("published"),
    "ablation_clean": ablation("clean"),
}


@dataclass(frozen=True)
class Store:
    """The settings of a cue store."""

    database: Database
    front: FrontEnd
    folders: SoundFolders
    first_heads: int | None = None  # only so many of the heads; None: all

    def changed(self, **settings) -> "Store":
        """The same with other settings of its database."""
        return replace(self, database=replace(self.database, **settings))

    def with_heads(self, count: int) -> "Store":
        """The same with the first `count` heads alone, which its settings tell."""
        named = self.changed(heads=f"first {count} of {self.database.heads}")
        return replace(named, first_heads=count)


def chosen_experiment(options: AuditOptions, protocol: str) -> Experiment:
    """The experiment of a protocol on the sounds of the audit."""
    chosen = Options(
        protocol=protocol,
        seed=options.seed,
        folders=options.folders,
        noise_kinds=options.noise_kinds,
    )
    return experiment(chosen)


def stores(options: AuditOptions) -> dict[str, Store]:
    """The cue stores that rows can have, by name; some need sounds that are not always there."""
    published = chosen_experiment(options, "published")
    database = replace(published.database, clips=options.clips)
    base = Store(database, published.front, options.folders)
    by_name = {
        "published": base,
        "snr15to40": base.changed(snr_low=15.0, snr_high=40.0),
        "snr5to20": base.changed(snr_low=5.0),
        "snr0to20": base.changed(snr_low=0.0),
        "five_heads": base.with_heads(5),
        "one_head": base.with_heads(1),
        "horizontal": base.changed(direction_rule="horizontal"),
        "noise": base.changed(disjoint=("noise",)),
        "head": base.changed(disjoint=("head",)),
        "disjoint": base.changed(disjoint=("speaker", "noise", "head")),
        "float": base.changed(bits=0),
        "clean": clean_store(options, base),
    }
    for hair_cell in ("halfwave", "roman", "bernstein"):
        by_name[hair_cell] = replace(base, front=replace(base.front, hair_cell=hair_cell))
    return by_name | noise_stores(options, base)


def clean_store(options: AuditOptions, base: Store) -> Store:
    """The clean protocol with the clips and the SNR of `base`."""
    clean = chosen_experiment(options, "clean")
    database = replace(
        clean.database,
        clips=base.database.clips,
        snr_low=base.database.snr_low,
        snr_high=base.database.snr_high,
    )
    return replace(base, database=database, front=clean.front)


def noise_stores(options: AuditOptions, base: Store) -> dict[str, Store]:
    """Stores of other kinds of noise, as far as their sounds are there."""
    by_name = {}
    if options.folders.noise is None and not options.noise_kinds:
        by_name["noise_of_esc10"] = base.changed(noise_kinds=BUNDLED_OF_ESC10)
        by_name["noise_besides_esc10"] = base.changed(noise_kinds=BUNDLED_BESIDES)
    if options.compare_noise is not None:
        folders = replace(options.folders, noise=options.compare_noise)
        named = replace(base, folders=folders).changed(noise=folders.names()["noise"])
        by_name["esc10"] = named.changed(noise_kinds=ESC10)
        by_name["esc10_events"] = named.changed(noise_kinds=ESC10_EVENTS)
    return by_name


def training_of(variant: Variant, clips: int, seed: int) -> Training:
    """How a row is trained: as `variant.like`, but with a cosine.

    At the published constant rate the last evaluation swings by several points.
    """
    return replace(
        RUNS[variant.like],
        model=variant.network,
        clips=clips,
        seed=seed,
        epochs=EPOCHS,
        epochs_planned=EPOCHS,
        cosine_epochs=EPOCHS,
    )

"""Protocols, and the experiment that a user's options make of them."""

from dataclasses import dataclass, replace

from ssl_jax.common.errors import InputError
from ssl_jax.config import BUNDLED, MAX_SNR_DB, Database, FrontEnd, SoundFolders, Training
from ssl_jax.runs import MAIN_RUNS, QUICK_CLIPS, QUICK_ROOMS, ROOM_RUNS, RUNS, quick_run


@dataclass(frozen=True)
class Protocol:
    """How mixtures are made and split."""

    direction_rule: str  # of DIRECTION_RULES
    hair_cell: str  # of frontend.HAIR_CELLS
    snr_low: float  # dB, of each noise
    snr_high: float  # dB
    disjoint: tuple[str, ...] = ()  # of SPLIT_BY: what no two parts share
    clips: int = 700  # targets of a second
    rooms: int = 0  # rooms and heads to draw from
    other_targets: bool = False  # every second target is another sound than speech
    evaluation_share: float = 0.2
    validation_share: float = 0.0
    max_ild: float = 7.0  # dB
    levels: bool = False  # the power of both ears is a fourth map
    runs: tuple[str, ...] = tuple(name for name in RUNS if name not in ROOM_RUNS)
    usual_runs: tuple[str, ...] = MAIN_RUNS  # trained unless others are asked for


# What we infer from the BatchNorm statistics in the published checkpoints: results/fingerprint.md
PUBLISHED = Protocol(direction_rule="nearest_azimuth", hair_cell="none", snr_low=2.5, snr_high=20.0)
PROTOCOLS = {
    "published": PUBLISHED,
    # the SNR that the published code states
    "published-code": replace(PUBLISHED, snr_low=15.0, snr_high=40.0),
    # the one to cite: one plane, and nothing of the evaluation is heard in training
    "clean": Protocol(
        direction_rule="horizontal",
        hair_cell="roman",
        snr_low=15.0,
        snr_high=40.0,
        disjoint=("speaker", "noise", "head"),
    ),
    # for recordings: three parts that share nothing, ILDs of whole heads, levels
    "rooms": Protocol(
        direction_rule="horizontal",
        hair_cell="roman",
        snr_low=-5.0,
        snr_high=40.0,
        disjoint=("speaker", "noise", "head"),
        clips=2800,
        rooms=2520,
        other_targets=True,
        evaluation_share=0.1,
        validation_share=0.1,
        max_ild=20.0,
        levels=True,
        runs=ROOM_RUNS,
        usual_runs=ROOM_RUNS,
    ),
}


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
        For a hop, a seed, an SNR range or a name out of range, or targets that nothing points at.
    """
    options = options or Options()
    protocol = chosen_protocol(options)
    check_options(options, protocol)
    folders = options.folders.names()
    database = Database(
        speech=folders["speech"],
        noise=folders["noise"],
        heads=folders["heads"],
        targets=folders["targets"],
        clips=QUICK_CLIPS if options.quick else protocol.clips,
        direction_rule=protocol.direction_rule,
        snr_low=protocol.snr_low,
        snr_high=protocol.snr_high,
        noise_kinds=options.noise_kinds,
        seed=options.seed,
        disjoint=protocol.disjoint,
        evaluation_share=protocol.evaluation_share,
        validation_share=protocol.validation_share,
        rooms=min(protocol.rooms, QUICK_ROOMS) if options.quick else protocol.rooms,
        other_targets=protocol.other_targets,
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
        runs = {name: quick_run(run) for name, run in runs.items()}
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
    if options.name is not None:
        _check_name(options.name)
    if options.folders.targets is not None and not protocol.other_targets:
        raise InputError(
            f"--targets: protocol {options.protocol} points at voices alone: use --protocol rooms"
        )
    if protocol.rooms and protocol.direction_rule != "horizontal":
        raise InputError(
            f"--directions: protocol {options.protocol} is of the horizontal plane: leave it out"
        )
    low, high = protocol.snr_low, protocol.snr_high
    if not -MAX_SNR_DB <= low < high <= MAX_SNR_DB:
        raise InputError(
            f"--snr-range {low:g} {high:g}: not a range: use two numbers from -{MAX_SNR_DB} to "
            f"{MAX_SNR_DB} dB, low first"
        )


def _check_name(name: str) -> None:
    """Raise InputError for a name that is not one of a folder under results/, work/ and figures."""
    if name == "reported":
        raise InputError("--name reported: that folder is for reported tables: use another name")
    # out of these folders, results, checkpoints and figures would lie in one, on each other
    if name in ("", ".", "..") or any(character in name for character in "/\\\0"):
        raise InputError(
            f"--name {name!r}: not a folder's name: use one without / and \\, such as mine"
        )


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

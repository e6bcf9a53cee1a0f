"""Options that several stages share: one function a group adds them, another reads them back."""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ssl_jax.config import DIRECTION_RULES, SoundFolders
from ssl_jax.experiments import PROTOCOLS, Experiment, Options, experiment
from ssl_jax.frontend import HAIR_CELLS
from ssl_jax.runs import MAIN_RUNS, ROOM_RUNS, RUNS

PROTOCOL_HELP = (
    "published: as the checkpoints tell, nearest azimuth at any elevation, no hair cell; "
    "published-code: the same with the code's noise, 15 to 40 dB; clean: the horizontal plane, "
    "Roman's hair cell, nothing in both parts; rooms: docs/rooms.md (default %(default)s)"
)
# what completes paths in these shells
PATHS = {"bash": "_shtab_compgen_files", "zsh": "_files", "tcsh": "f"}


def add_path(parser, name: str, help: str, **more) -> None:
    """Add an option or argument that is a file or folder, which shells complete."""
    action = parser.add_argument(name, type=Path, help=help, **more)
    action.complete = PATHS


def add_stage(stages, name: str, text: str, run: Callable, epilog: str | None = None):
    """Add a stage that calls `run` with the parsed arguments; its parser."""
    parser = stages.add_parser(name, help=text, description=text, epilog=epilog)
    parser.set_defaults(
        run=run,
        resumes=False,  # keeps what is done, and goes on from there
        verbosity=0,
        no_cache=False,
        needs_devices=True,
        devices=None,
        coordinator=None,
        processes=None,
        process=None,
    )
    add_output_options(parser)
    return parser


def add_output_options(parser) -> None:
    """What a stage says while it works."""
    parser.add_argument(
        "--quiet",
        "-q",
        dest="verbosity",
        action="store_const",
        const=-1,
        help="no progress, no notes",
    )
    parser.add_argument(
        "--verbose",
        "-v",
        dest="verbosity",
        action="store_const",
        const=1,
        help="also name cache folder and devices, and give progress as lines where there is no "
        "terminal",
    )
    add_path(
        parser,
        "--log",
        metavar="FILE",
        help="append notes, errors and lines of progress to FILE, with the time",
    )


def add_cache_option(parser) -> None:
    """Whether compiled programs are kept."""
    parser.add_argument(
        "--no-cache",
        action="store_true",
        help="keep no compiled programs in the user's cache folder",
    )


def add_sound_options(parser) -> None:
    """One's own sounds instead of those of the package."""
    add_path(
        parser,
        "--speech",
        metavar="DIR",
        help="a folder of speech in any sound files (default: 90 speakers of LibriSpeech)",
    )
    add_path(
        parser,
        "--noise",
        metavar="DIR",
        help="a folder of kinds of noise, KIND/*.wav or KIND.ogg, or an unpacked ESC-50 "
        "(default: ten steady kinds)",
    )
    add_path(
        parser,
        "--heads",
        metavar="DIR",
        help="a folder of SOFA files (default: 20 people of CIPIC)",
    )
    parser.add_argument(
        "--noise-kinds",
        type=parse_names,
        default=(),
        metavar="A,B,...",
        help="kinds of noise to use (default: all; of more than ten the ten steadiest)",
    )


def parse_names(text: str) -> tuple[str, ...]:
    """Names with commas between, each once."""
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r}: use names with commas between, such as A,B")
    return tuple(sorted(set(names)))


def add_seed_option(parser) -> None:
    """The seed of all that is drawn."""
    parser.add_argument(
        "--seed",
        type=int,
        metavar="N",
        default=0,
        help="of the whole run, and the first of several (default %(default)s)",
    )


def add_folder_option(parser, name: str, default: str, text: str = "") -> None:
    """A folder that is written to, with its default."""
    help = f"{text} (default %(default)s)".strip()
    add_path(parser, name, metavar="DIR", default=Path(default), help=help)


def add_results_option(parser) -> None:
    """Where results go."""
    add_folder_option(parser, "--results", "results")


def add_work_option(parser) -> None:
    """Where large files go."""
    add_folder_option(parser, "--work", "work", "for cue stores and checkpoints")


def add_figures_option(parser) -> None:
    """Where figures go."""
    add_folder_option(parser, "--figures", "paper_figures")


def add_experiment_options(parser, protocol: str = "published") -> None:
    """Which experiment, and where it is."""
    add_sound_options(parser)
    add_path(
        parser,
        "--targets",
        metavar="DIR",
        help="a folder of kinds of other sounds to localise, as for --noise; protocol rooms alone "
        "uses them, beside speech and the noises",
    )
    parser.add_argument("--protocol", choices=PROTOCOLS, default=protocol, help=PROTOCOL_HELP)
    parser.add_argument(
        "--directions",
        choices=DIRECTION_RULES,
        help="which response an azimuth gets, instead of the protocol's",
    )
    parser.add_argument("--hair-cell", choices=HAIR_CELLS, help="instead of the protocol's")
    parser.add_argument(
        "--snr-range",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="dB, of each noise, instead of the protocol's",
    )
    parser.add_argument(
        "--hop",
        type=int,
        metavar="N",
        default=Options.hop,
        help="samples between cue values (default %(default)s, 10 ms)",
    )
    add_seed_option(parser)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="100 clips x 72 directions and 3 epochs of each run",
    )
    parser.add_argument(
        "--name",
        help="of the folders under results/ and work/ (default: protocol and what is no default)",
    )
    add_results_option(parser)
    add_work_option(parser)
    add_figures_option(parser)
    add_cache_option(parser)


def add_device_options(parser) -> None:
    """Devices and processes that share the work."""
    parser.add_argument(
        "--devices",
        type=int,
        metavar="N",
        help="how many, where there is no GPU (default: one a core for database, one for train)",
    )
    parser.add_argument(
        "--coordinator",
        metavar="HOST:PORT",
        help="join processes that share options and folders: the address of process 0, or auto "
        "under Slurm, Open MPI or Kubernetes; see docs/scale.md",
    )
    parser.add_argument("--processes", type=int, metavar="N", help="how many they are")
    parser.add_argument("--process", type=int, metavar="K", help="which of them this is, from 0")


def add_run_options(parser) -> None:
    """Which runs to train, and how often."""
    parser.add_argument(
        "--runs",
        nargs="+",
        choices=RUNS,
        default=(),
        metavar="RUN",
        help=f"of {', '.join(RUNS)} (default: {' '.join(MAIN_RUNS)}; "
        f"under rooms: {' '.join(ROOM_RUNS)})",
    )
    parser.add_argument(
        "--seeds",
        type=int,
        metavar="N",
        default=1,
        help="train every run N times on the same mixtures (default %(default)s)",
    )


def sound_folders(args) -> SoundFolders:
    """What `add_sound_options` read."""
    return SoundFolders(args.speech, args.noise, args.heads)


def chosen_experiment(args) -> Experiment:
    """What `add_experiment_options` read."""
    return experiment(
        Options(
            protocol=args.protocol,
            direction_rule=args.directions,
            hair_cell=args.hair_cell,
            snr_range=tuple(args.snr_range) if args.snr_range else None,
            hop=args.hop,
            seed=args.seed,
            quick=args.quick,
            name=args.name,
            folders=replace(sound_folders(args), targets=args.targets),
            noise_kinds=args.noise_kinds,
        )
    )

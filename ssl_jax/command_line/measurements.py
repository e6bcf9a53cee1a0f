"""The studies of the package itself: how good its networks are, and how fast it is."""

from ssl_jax.command_line.options import (
    add_cache_option,
    add_experiment_options,
    add_path,
    add_results_option,
    add_stage,
    add_work_option,
    chosen_experiment,
)
from ssl_jax.command_line.recordings import add_model_option, add_side_options


def add_measurement_stages(stages) -> None:
    """Declare these stages."""
    _add_check(stages)
    _add_yardsticks(stages)
    _add_benchmark(stages)
    _add_growth(stages)


def _add_clips_option(parser) -> None:
    parser.add_argument(
        "--clips",
        type=int,
        metavar="N",
        default=10,
        help="speakers, a second each from every direction (default %(default)s)",
    )


def _add_write_option(parser, page: str) -> None:
    parser.add_argument(
        "--write",
        action="store_true",
        help=f"also write what is printed to {page} under --results",
    )


def _add_check(stages) -> None:
    text = "study: score packed networks on the heads of any SOFA files"
    parser = add_stage(stages, "check", text, run_check)
    add_path(parser, "files", metavar="FILE.sofa", nargs="+", help="heads, head:NAME too")
    add_side_options(parser)
    parser.add_argument(
        "--model",
        nargs="+",
        default=(),
        metavar="NAME",
        help="packed networks (default: all)",
    )
    _add_clips_option(parser)
    _add_write_option(parser, "unseen_heads.md")
    add_results_option(parser)
    add_cache_option(parser)


def run_check(args) -> None:
    """Carry out the stage `check`."""
    from ssl_jax.sounds.bundled import bundled_path
    from ssl_jax.studies import unseen_heads

    unseen_heads.run_check(
        unseen_heads.CheckOptions(
            files=tuple(bundled_path(path) for path in args.files),
            networks=tuple(args.model),
            clips=args.clips,
            ears=args.ears,
            azimuths=args.azimuths,
            page=args.results / "unseen_heads.md" if args.write else None,
        )
    )


def _add_yardsticks(stages) -> None:
    text = "study: the network for recordings on heads and rooms, beside the literature"
    parser = add_stage(stages, "yardsticks", text, run_yardsticks)
    add_experiment_options(parser, protocol="rooms")
    add_path(
        parser,
        "places",
        metavar="DIR",
        help="folder of SOFA files to score on, which no training used",
    )
    add_path(
        parser,
        "--sounds",
        metavar="DIR",
        help="wide-band sounds, a folder as of --noise (default: the package's noises)",
    )
    add_model_option(parser)
    _add_clips_option(parser)
    _add_write_option(parser, "yardsticks.md")


def run_yardsticks(args) -> None:
    """Carry out the stage `yardsticks`."""
    from ssl_jax.studies import yardsticks

    yardsticks.run_yardsticks(
        yardsticks.YardstickOptions(
            places=args.places,
            experiment=chosen_experiment(args),
            network=args.model,
            clips=args.clips,
            sounds=args.sounds,
            work=args.work,
            page=args.results / "yardsticks.md" if args.write else None,
        )
    )


def _add_benchmark(stages) -> None:
    text = "study: speed of stages beside peers and a machine's floor"
    parser = add_stage(stages, "benchmark", text, run_benchmark)
    _add_write_option(parser, "benchmark/cpu.md (or gpu.md) and .json")
    add_results_option(parser)


def run_benchmark(args) -> None:
    """Carry out the stage `benchmark`."""
    from ssl_jax.studies import speed

    speed.run_benchmark(args.results, args.write)


def _add_growth(stages) -> None:
    text = "study: time and memory over numbers of mixtures and devices; about an hour"
    parser = add_stage(stages, "growth", text, run_growth)
    parser.set_defaults(needs_devices=False)  # it starts processes of its own
    parser.add_argument(
        "--devices",
        type=int,
        nargs="+",
        metavar="N",
        default=[1, 2],
        help="numbers of devices (default: 1 2)",
    )
    _add_write_option(parser, "benchmark/growth.md and .json")
    add_work_option(parser)
    add_results_option(parser)


def run_growth(args) -> None:
    """Carry out the stage `growth`."""
    from ssl_jax.studies import growth

    growth.run_growth(
        growth.GrowthOptions(
            devices=tuple(args.devices),
            work=args.work,
            page=args.results / "benchmark/growth.md" if args.write else None,
        )
    )

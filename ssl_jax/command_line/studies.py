"""The studies: what the published tables rest on, and how good and fast the package is."""

from pathlib import Path

from ssl_jax.command_line.options import (
    add_cache_option,
    add_experiment_options,
    add_figures_option,
    add_path,
    add_results_option,
    add_seed_option,
    add_sound_options,
    add_stage,
    add_work_option,
)
from ssl_jax.command_line.recordings import add_model_option, add_side_options, call


def add_study_stages(stages) -> None:
    """Declare them."""
    _add_scenes(stages)
    _add_fingerprint(stages)
    _add_audit(stages)
    _add_pack(stages)
    _add_check(stages)
    _add_yardsticks(stages)
    _add_benchmark(stages)
    _add_growth(stages)


def _add_scenes(stages) -> None:
    text = "study: the published sample mixtures taken apart"
    parser = add_stage(stages, "scenes", text, call("studies.scenes_report", "run_scenes"))
    where = "a clone of the reproduced repository, or its folder Test_Audio"
    add_path(parser, "repository", metavar="DIR", help=where)
    add_path(parser, "--heads", metavar="DIR", help="SOFA files (default: 20 people of CIPIC)")
    add_results_option(parser)
    add_figures_option(parser)
    add_cache_option(parser)


def _add_fingerprint(stages) -> None:
    text = "study: the noise level that the published weights ask for"
    run = call("studies.fingerprint_report", "run_fingerprint")
    parser = add_stage(stages, "fingerprint", text, run)
    add_sound_options(parser)
    add_seed_option(parser)
    add_path(
        parser,
        "--weights",
        metavar="DIR",
        help="published checkpoints: a clone of the reproduced repository, or any folder with "
        "*.pth files (default: only the mean cues read out of them)",
    )
    add_path(
        parser,
        "--compare-noise",
        metavar="DIR",
        help="also the noises of a folder, as of --noise: all kinds, steady ones, events",
    )
    add_results_option(parser)
    add_work_option(parser)
    add_figures_option(parser)
    add_cache_option(parser)


def _add_audit(stages) -> None:
    text = "study: what the reported tables do not say, a measured row a question"
    parser = add_stage(stages, "audit", text, call("studies.audit_report", "run_audit"))
    add_sound_options(parser)
    parser.add_argument(
        "--rows",
        nargs="+",
        metavar="ROW",
        help="only these questions (default: all; a wrong name lists them)",
    )
    parser.add_argument(
        "--clips",
        type=int,
        metavar="N",
        default=100,
        help="of a trained row; as Model 1 (default %(default)s)",
    )
    parser.add_argument(
        "--seeds",
        type=int,
        metavar="N",
        default=3,
        help="trainings of each row (default %(default)s)",
    )
    add_seed_option(parser)
    add_path(parser, "--weights", metavar="DIR", help="published checkpoints, as of fingerprint")
    add_results_option(parser)
    add_work_option(parser)
    add_cache_option(parser)


def _add_pack(stages) -> None:
    text = "study: put a trained run into the package, for localise, and write the model card"
    parser = add_stage(stages, "pack", text, call("studies.model_card", "run_pack"))
    add_experiment_options(parser)
    parser.add_argument("--run", dest="packed_run", required=True, help="which run's last weights")
    parser.add_argument(
        "--as", dest="packed", required=True, metavar="NAME", help="their name in the package"
    )
    add_path(
        parser,
        "--card",
        metavar="FILE",
        default=Path("docs/model-card.md"),
        help="(default %(default)s)",
    )


def _add_clips_option(parser) -> None:
    parser.add_argument(
        "--clips",
        type=int,
        metavar="N",
        default=10,
        help="seconds of speech, each from every direction (default %(default)s)",
    )


def _add_check(stages) -> None:
    text = "study: score packed networks on the heads of any SOFA files"
    parser = add_stage(stages, "check", text, call("studies.unseen_heads", "run_check"))
    add_path(parser, "files", metavar="FILE.sofa", nargs="+", help="heads")
    add_side_options(parser)
    parser.add_argument("--model", nargs="+", metavar="NAME", help="packed networks (default: all)")
    _add_clips_option(parser)
    add_results_option(parser)
    add_cache_option(parser)


def _add_yardsticks(stages) -> None:
    text = "study: the network for recordings on heads and rooms, beside the literature"
    parser = add_stage(stages, "yardsticks", text, call("studies.yardsticks", "run_yardsticks"))
    add_experiment_options(parser, protocol="rooms")
    add_path(
        parser,
        "places",
        metavar="PLACES",
        help="folder of SOFA files to score on, which no training used",
    )
    add_model_option(parser)
    _add_clips_option(parser)


def _add_benchmark(stages) -> None:
    text = "study: speed of stages beside peers and a machine's floor"
    parser = add_stage(stages, "benchmark", text, call("studies.speed", "run_benchmark"))
    add_results_option(parser)


def _add_growth(stages) -> None:
    text = "study: time and memory over numbers of mixtures and devices; about an hour"
    parser = add_stage(stages, "growth", text, call("studies.growth", "run_growth"))
    parser.set_defaults(needs_devices=False)  # it starts processes of its own
    parser.add_argument(
        "--devices",
        type=int,
        nargs="+",
        metavar="N",
        default=[1, 2],
        help="numbers of devices (default: 1 2)",
    )
    add_work_option(parser)
    add_results_option(parser)

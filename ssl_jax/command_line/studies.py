"""The studies of the published tables, and the packing of trained runs."""

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
    chosen_experiment,
    sound_folders,
)


def add_study_stages(stages) -> None:
    """Declare these stages."""
    _add_scenes(stages)
    _add_fingerprint(stages)
    _add_audit(stages)
    _add_pack(stages)


def _add_scenes(stages) -> None:
    text = "study: the published sample mixtures taken apart"
    parser = add_stage(stages, "scenes", text, run_scenes)
    add_path(
        parser,
        "repository",
        metavar="DIR",
        help="a clone of the reproduced repository, or its folder Test_Audio",
    )
    add_path(parser, "--heads", metavar="DIR", help="SOFA files (default: 20 people of CIPIC)")
    add_results_option(parser)
    add_figures_option(parser)
    add_cache_option(parser)


def run_scenes(args) -> None:
    """Carry out the stage `scenes`."""
    # here, and below: --help need not wait for JAX
    from ssl_jax.studies import scenes_report

    scenes_report.run_scenes(args.repository, args.heads, args.results, args.figures)


def _add_fingerprint(stages) -> None:
    text = "study: the noise level that the published weights ask for"
    parser = add_stage(stages, "fingerprint", text, run_fingerprint)
    parser.set_defaults(resumes=True)
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


def run_fingerprint(args) -> None:
    """Carry out the stage `fingerprint`."""
    from ssl_jax.studies import fingerprint_report

    fingerprint_report.run_fingerprint(
        fingerprint_report.FingerprintOptions(
            folders=sound_folders(args),
            noise_kinds=args.noise_kinds,
            seed=args.seed,
            weights=args.weights,
            compare_noise=args.compare_noise,
            results=args.results,
            work=args.work,
            figures=args.figures,
        )
    )


def _add_audit(stages) -> None:
    text = "study: what the reported tables do not say, a measured row a question"
    parser = add_stage(stages, "audit", text, run_audit)
    parser.set_defaults(resumes=True)
    add_sound_options(parser)
    parser.add_argument(
        "--rows",
        nargs="+",
        default=(),
        metavar="ROW",
        help="only these questions (default: all but hops, storage, protocols and the ablations; "
        "a wrong name lists them)",
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
    add_path(
        parser,
        "--compare-noise",
        metavar="DIR",
        help="an unpacked ESC-50: also rows with the kinds of noise of ESC-10",
    )
    add_results_option(parser)
    add_work_option(parser)
    add_cache_option(parser)


def run_audit(args) -> None:
    """Carry out the stage `audit`."""
    from ssl_jax.studies import audit_report
    from ssl_jax.studies.audit_rows import AuditOptions

    audit_report.run_audit(
        AuditOptions(
            rows=tuple(args.rows),
            clips=args.clips,
            seeds=args.seeds,
            seed=args.seed,
            weights=args.weights,
            compare_noise=args.compare_noise,
            folders=sound_folders(args),
            noise_kinds=args.noise_kinds,
            results=args.results,
            work=args.work,
        )
    )


def _add_pack(stages) -> None:
    text = "a trained run into one file for localise, or into the package with the model card"
    parser = add_stage(stages, "pack", text, run_pack)
    add_experiment_options(parser)
    parser.add_argument("--run", dest="packed_run", required=True, help="which run's last weights")
    parser.add_argument(
        "--as",
        dest="packed",
        required=True,
        metavar="NAME",
        help="FILE.safetensors, or a name in the package",
    )
    add_path(
        parser,
        "--card",
        metavar="FILE",
        default=Path("docs/model-card.md"),
        help="(default %(default)s)",
    )


def run_pack(args) -> None:
    """Carry out the stage `pack`."""
    from ssl_jax.studies import model_card

    model_card.run_pack(
        model_card.PackOptions(
            experiment=chosen_experiment(args),
            protocol=args.protocol,
            run=args.packed_run,
            name=args.packed,
            results=args.results,
            work=args.work,
            figures=args.figures,
            card=args.card,
        )
    )

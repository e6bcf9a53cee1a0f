"""The stages of the experiment: all, database, train, figures, report."""

from ssl_jax.command_line.options import (
    add_device_options,
    add_experiment_options,
    add_path,
    add_run_options,
    add_stage,
    chosen_experiment,
)


def add_experiment_stages(stages) -> None:
    """Declare these stages."""
    text = "database, train, figures and report: what ./reproduce.sh runs"
    parser = add_stage(stages, "all", text, run_all)
    parser.set_defaults(resumes=True)
    add_experiment_options(parser)
    add_device_options(parser)
    add_run_options(parser)

    parser = add_stage(stages, "database", "rendered mixtures and their cue maps", run_database)
    parser.set_defaults(resumes=True)
    add_experiment_options(parser)
    add_device_options(parser)
    add_path(
        parser,
        "--export-wav",
        metavar="DIR",
        help="write mixtures as 16-bit WAV there and stop",
    )
    parser.add_argument(
        "--limit", type=int, metavar="N", default=72, help="how many of them (default %(default)s)"
    )

    text = "Model 1, Model 2 and its learning-rate-drop continuation"
    parser = add_stage(stages, "train", text, run_train)
    parser.set_defaults(resumes=True)
    add_experiment_options(parser)
    add_device_options(parser)
    add_run_options(parser)

    text = "every figure, from results/ (and scenes rendered afresh)"
    parser = add_stage(stages, "figures", text, run_figures)
    add_experiment_options(parser)
    parser.add_argument(
        "--format",
        choices=("png", "pdf"),
        default="png",
        help="pdf: a PDF file beside each PNG file (default %(default)s)",
    )

    text = "comparison of results/ with the reported tables"
    parser = add_stage(stages, "report", text, run_report)
    add_experiment_options(parser)
    add_path(
        parser,
        "--readme",
        metavar="FILE",
        help="also put the table of last epochs and the number to cite into FILE",
    )


def _folders(args):
    from ssl_jax.pipeline import Folders

    return Folders(args.results, args.work, args.figures)


def _carry_out(args, **plan) -> None:
    """Carry out stages of the chosen experiment; `plan` has fields of `pipeline.Plan`."""
    # here: --help need not wait for JAX
    from ssl_jax.pipeline import Plan, run_experiment

    run_experiment(chosen_experiment(args), Plan(folders=_folders(args), **plan))


def run_all(args) -> None:
    """Carry out the stage `all`."""
    _carry_out(args, runs=tuple(args.runs), seeds=args.seeds, devices=args.devices)


def run_database(args) -> None:
    """Carry out the stage `database`."""
    if args.export_wav:
        from ssl_jax.pipeline import export_mixtures

        export_mixtures(chosen_experiment(args), args.export_wav, args.limit)
    else:
        _carry_out(args, stages=("database",))


def run_train(args) -> None:
    """Carry out the stage `train`."""
    _carry_out(
        args, stages=("train",), runs=tuple(args.runs), seeds=args.seeds, devices=args.devices
    )


def run_figures(args) -> None:
    """Carry out the stage `figures`."""
    formats = ("png",) if args.format == "png" else ("png", args.format)
    _carry_out(args, stages=("figures",), formats=formats)


def run_report(args) -> None:
    """Carry out the stage `report`."""
    _carry_out(args, stages=("report",), readme=args.readme)

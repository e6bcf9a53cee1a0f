"""ssl_jax STAGE, or python -m ssl_jax STAGE: the experiment, recordings, and the studies."""

import argparse
import importlib
import logging
import os
import sys
import time
import traceback

from ssl_jax import version
from ssl_jax.command_line.experiment import add_experiment_stages
from ssl_jax.command_line.measurements import add_measurement_stages
from ssl_jax.command_line.options import PATHS
from ssl_jax.command_line.recordings import add_recording_stages
from ssl_jax.command_line.studies import add_study_stages
from ssl_jax.common.commit import UNKNOWN, commit
from ssl_jax.common.errors import InputError, error_reason, os_error_message, print_error

BAD_INPUT = 2  # exit status
INTERRUPTED = 130
UNREAD = 141  # what a shell says of a program that SIGPIPE ends
LAST_WORDS_S = 2  # the other processes end with the first one, and may have something to say


class ShowVersion(argparse.Action):
    """Print the version, and the commit where this is a checkout, and end."""

    def __call__(self, parser, *_):
        """Do it: argparse calls this where the option stands."""
        known = commit()
        of_commit = "" if known == UNKNOWN else f" (commit {known})"
        print(f"ssl_jax {version()}{of_commit}")
        parser.exit()


class PrintCompletion(argparse.Action):
    """Print a script that completes stages and options in a shell, and end."""

    def __call__(self, parser, _, shell, *__):
        """Do it: argparse calls this where the option stands."""
        try:
            shtab = importlib.import_module("shtab")
        except ImportError:
            missing = "the package shtab is missing: pip install shtab"
            parser.exit(BAD_INPUT, f"ssl_jax: --print-completion: {missing}\n")
        print(shtab.complete(parser, shell))
        parser.exit()


def parser() -> argparse.ArgumentParser:
    """The command line; it needs neither JAX nor matplotlib, so that --help is quick."""
    top = argparse.ArgumentParser(
        prog="ssl_jax", description="The stages of the experiment, and more."
    )
    top.add_argument("--version", action=ShowVersion, nargs=0, help="show the version and exit")
    top.add_argument(
        "--print-completion", action=PrintCompletion, choices=PATHS, help="completes these commands"
    )
    stages = top.add_subparsers(dest="stage", metavar="STAGE", required=True)
    add_experiment_stages(stages)
    add_recording_stages(stages)
    add_study_stages(stages)
    add_measurement_stages(stages)
    return top


def run(args) -> None:
    """Carry out one stage."""
    from ssl_jax.common import progress  # here, and below: --help need not wait for them

    check_log(args)
    progress.begin(args.verbosity, args.log)
    prepare_devices(args)
    args.run(args)


def check_log(args) -> None:
    """Raise InputError where the log would go into another file of the command."""
    if args.log is None:
        return
    log = os.path.realpath(args.log)
    for name, value in vars(args).items():
        for item in value if isinstance(value, list | tuple) else [value]:
            is_path = isinstance(item, str | os.PathLike)
            if name != "log" and is_path and os.path.realpath(item) == log:
                raise InputError(f"--log {args.log}: is another file of this command: name another")


def prepare_devices(args) -> None:
    """Set up memory, compiled programs and devices for a stage."""
    import jax

    from ssl_jax.common import devices, progress

    devices.keep_memory()
    if not args.no_cache:
        devices.keep_compiled()
    if args.needs_devices:
        devices.start(args.devices, args.coordinator, args.processes, args.process)
    devices.require_backend()
    if args.needs_devices and args.verbosity > 0:
        folder = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
        progress.say(f"{jax.devices()}; compiled programs in {folder}")


def main(argv=None) -> int:
    """Exit status 0, 2 for bad input (a line on stderr), 130 when interrupted, 141 when unread."""
    try:
        try:
            return run_and_report(parser().parse_args(argv))
        finally:
            # what --help leaves here would fail on Python's way out, with a traceback
            sys.stdout.flush()
    except BrokenPipeError:
        # nobody reads on, as where `head` has seen enough: nothing is wrong
        quieten_output()
        return UNREAD
    except OSError as error:
        quieten_output()
        print(f"ssl_jax: {os_error_message(error)}", file=sys.stderr)
        return BAD_INPUT


def run_and_report(args) -> int:
    """Carry out one stage; the exit status, and one line for whatever ended it."""
    try:
        run(args)
        sys.stdout.flush()
        return 0
    except InputError as error:
        return end_with(args, str(error), BAD_INPUT)
    except OSError as error:
        if isinstance(error, BrokenPipeError) and error.filename is None:
            raise
        quieten_output()
        return end_with(args, os_error_message(error), BAD_INPUT)
    except KeyboardInterrupt:
        where = "; the same command goes on from here" if args.resumes else ""
        return end_with(args, f"interrupted{where}", INTERRUPTED)
    except Exception as error:
        logging.getLogger("ssl_jax").info("stopped", exc_info=True)
        # alone, the traceback is what a developer needs; among processes, a regular exit would
        # wait for the others, and they for this one
        if args.coordinator is None:
            raise
        if not isinstance(error, RuntimeError):  # JAX raises that where another process is gone
            traceback.print_exc()
        reason = error_reason(error)[:200]
        message = f"this process or another failed ({reason}): see what all say, and run all again"
        return end_with(args, message, BAD_INPUT)


def quieten_output() -> None:
    """Where nobody reads the output any more, keep Python from complaining on its way out."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def end_with(args, message: str, status: int) -> int:
    """Say why the program ends, in one line; the exit status."""
    print_error(message)
    if args.coordinator is not None:
        # at a regular exit JAX would wait for the other processes for minutes
        sys.stdout.flush()
        if args.process in (0, None):
            time.sleep(LAST_WORDS_S)
        os._exit(status)
    return status


if __name__ == "__main__":
    sys.exit(main())

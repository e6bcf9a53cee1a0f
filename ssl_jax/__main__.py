"""ssl_jax STAGE, or python -m ssl_jax STAGE: the experiment, recordings of one's own, and the studies."""

import argparse
import importlib
import logging
import os
import sys
import time
import traceback
from pathlib import Path

from ssl_jax import version
from ssl_jax.common.errors import InputError, error_reason, os_error_message
from ssl_jax.config import DIRECTION_RULES, MAIN_RUNS, PROTOCOLS, RUNS
from ssl_jax.frontend import HAIR_CELLS

EPILOG = {
    "localise": """Channel 1 is the left ear; swapped ears cannot be noticed and mirror every azimuth.
Azimuths are counter-clockwise: 0 front, 90 left, 180 back, 270 right. Confidence is the share of the
posterior within 10 degrees of its peak. Do not rely on a flagged window: silent, quiet (50 dB below the
loudest so far), one ear, clipped, narrow band (sampled too slowly), short (less sound than --window), another
azimuth (front and back cannot be told apart) or unsure (confidence below 0.9). Shorter windows are less
accurate. From a pipe a line comes 0.25 s of sound after its window at most.""",
    "render": """Azimuths are counter-clockwise: 0 front, 90 left, 180 back, 270 right; between measured ones
responses are interpolated. A negative first azimuth needs the equals sign: --trajectory=-90:90""",
}


def path(metavar: str, text: str, **more) -> dict:
    """Arguments of `add_argument` for a file or folder."""
    return {"type": Path, "metavar": metavar, "help": text} | more


def number(kind: type, metavar: str | tuple[str, str], default, text: str, **more) -> dict:
    """Arguments of `add_argument` for a number; its default is shown unless it is None."""
    text += "" if default is None else " (default %(default)s)"
    return {"type": kind, "metavar": metavar, "default": default, "help": text} | more


OPTIONS = {  # every option, written once; NAME/STAGE where a stage means something else by it
    "--data": path(
        "DIR", "publishers' corpora (see download), not the embedded one; also $SSL_JAX_DATA"
    ),
    "--protocol": {
        "choices": PROTOCOLS,
        "help": "published: nearest azimuth at any elevation, no hair cell, "
        "noise as the published weights tell (default with --data); published-code: its noise is "
        "the code's, 15 to 40 dB; embedded: the horizontal plane (default without --data); clean: "
        "that noise and plane, Roman's hair cell, nothing in both parts; rooms: docs/rooms.md",
    },
    "--snr-range": number(float, ("LOW", "HIGH"), None, "dB, of each noise", nargs=2),
    "--directions": {"choices": DIRECTION_RULES, "help": "which HRIR an azimuth gets"},
    "--hair-cell": {"choices": HAIR_CELLS, "help": "these three instead of the protocol's"},
    "--hop": number(int, "N", None, "samples between cue values (default 441, 10 ms)"),
    "--seed": number(int, "N", 0, "of the whole run, and the first of several"),
    "--quick": {
        "action": "store_true",
        "help": "100 clips x 72 directions and 3 epochs of each run",
    },
    "--name": {
        "help": "of the folders under results/ and work/ (default: corpus and what is no default)"
    },
    "--results": path("DIR", "(default %(default)s)", default=Path("results")),
    "--work": path(
        "DIR", "for cue stores and checkpoints (default %(default)s)", default=Path("work")
    ),
    "--figures": path("DIR", "(default %(default)s)", default=Path("paper_figures")),
    "--devices": number(
        int, "N", None, "without GPUs (default: its cores for database, one for train)"
    ),
    "--coordinator": {
        "metavar": "HOST:PORT",
        "help": "join processes that share options and folders: the "
        "address of process 0, or auto under Slurm, Open MPI or Kubernetes; see docs/scale.md",
    },
    "--processes": number(int, "N", None, "how many they are"),
    "--process": number(int, "K", None, "which of them this is, from 0"),
    "--runs": {
        "nargs": "+",
        "choices": RUNS,
        "metavar": "RUN",
        "help": f"of {', '.join(RUNS)} (default: {' '.join(MAIN_RUNS)}; under rooms: recordings)",
    },
    "--seeds": number(int, "N", 1, "train every run N times on the same mixtures"),
    "--no-cache": {
        "action": "store_true",
        "help": "keep no compiled programs in the user's cache folder",
    },
    "--export-wav": path("DIR", "write mixtures as 16-bit WAV there and stop"),
    "--limit": number(int, "N", 72, "how many of them"),
    "--readme": path("FILE", "also put the table of last epochs into FILE"),
    "--run": {"required": True, "help": "which run's last weights"},
    "--as": {
        "dest": "packed",
        "required": True,
        "metavar": "NAME",
        "help": "their name in the package",
    },
    "--card": path("FILE", "(default %(default)s)", default=Path("docs/model-card.md")),
    "--rows": {
        "nargs": "+",
        "metavar": "ROW",
        "help": "only: directions, splits, haircells, hops, storage, "
        "snr, noises, protocols, ablation_published, ablation_clean, switch, weights (default: all)",
    },
    "--clips/audit": number(int, "N", 100, "of a trained row; as Model 1"),
    "--seeds/audit": number(int, "N", 3, "trainings of each row"),
    "--weights": path("DIR", "published checkpoints, weights_*.npz"),
    "files/check": path("FILE.sofa", "heads", nargs="+"),
    "--heads/download": {
        "choices": ("published", "all"),
        "default": "published",
        "help": "the 20 CIPIC heads of the published run, or all 45 (default %(default)s)",
    },
    "--heads": path("DIR", "folder of SOFA files", required=True),
    "--model/check": {"nargs": "+", "metavar": "NAME", "help": "packed networks (default: all)"},
    "--clips": number(int, "N", 10, "seconds of speech, each from every direction"),
    "--devices/growth": number(int, "N", [1, 2], "numbers of devices", nargs="+"),
    "--to": path("DIR", "data folder", required=True),
    "--speech": {
        "choices": ("train-clean-100", "dev-clean"),
        "default": "train-clean-100",
        "help": "LibriSpeech subset; dev-clean is smaller (default %(default)s)",
    },
    "files/localise": path(
        "FILE", "stereo sound file, or - for standard input (WAV; see --raw)", nargs="+"
    ),
    "--raw": number(int, "FS", None, "standard input is 16-bit little-endian stereo at FS Hz"),
    "--window": number(
        float, "S", 1.0, "seconds of sound behind an estimate, 0.05 to 60; as trained"
    ),
    "--step": number(float, "S", 0.1, "seconds from one estimate to the next"),
    "--model": {"metavar": "NAME", "help": "network (default recordings; a wrong name lists them)"},
    "--plot": path("FILE", "picture of one recording: PNG, PDF or SVG"),
    "--json": path("FILE", "everything, posteriors included"),
    "--csv": path("FILE", "a row for every window"),
    "speech": path("SPEECH", "sound file of any rate; several channels are averaged into one"),
    "--azimuth": number(float, "DEG", None, "where it stands"),
    "--trajectory": {
        "metavar": "DEG:DEG",
        "help": "or where it goes; more are passed at equal times",
    },
    "--noise": path("FILE", "noises beside it", nargs="+", default=[]),
    "--noise-azimuth": number(float, "DEG", None, "one for each noise", nargs="+"),
    "--snr": number(float, "DB", 20.0, "of each noise by itself"),
    "--hrtf": path("FILE", "head, a SOFA file (default: KEMAR)"),
    "--ears": {
        "choices": ("stated", "swap"),
        "default": "",
        "help": "as stated or swapped; else by HRIRs",
    },
    "--azimuths": {
        "choices": ("stated", "clockwise"),
        "default": "",
        "help": "the same for its azimuths",
    },
    "--start": number(float, "S", 0.0, "skip so much of SPEECH"),
    "--seconds": number(float, "S", None, "length (default: all of SPEECH)"),
    "--bits": number(int, "N", 16, "of the WAV", choices=(16, 24)),
    "--plot/render": path("FILE", "spectrogram of both ears: PNG, PDF or SVG"),
    "--output": path("OUT.wav", "the scene", required=True),
    "--to/export": path("FILE.onnx", "takes cue maps (batch, maps, 32, frames)", required=True),
    "--quiet": {
        "dest": "verbosity",
        "action": "store_const",
        "const": -1,
        "help": "no progress, no notes",
    },
    "--verbose": {
        "dest": "verbosity",
        "action": "store_const",
        "const": 1,
        "help": "also name cache folder "
        "and devices, and give progress as lines where there is no terminal",
    },
    "--log": path("FILE", "append notes, errors and lines of progress to FILE, with the time"),
}
COMMON, SHORT = (
    "--quiet --verbose --log",
    {"--output": ["-o"], "--quiet": ["-q"], "--verbose": ["-v"]},
)
SHELLS = {
    "bash": "_shtab_compgen_files",
    "zsh": "_files",
    "tcsh": "f",
}  # what completes paths there
EXPERIMENT = (
    "--data --protocol --directions --hair-cell --snr-range --hop --seed --quick --name --results "
    "--work --figures --no-cache"
)
DEVICES = f"{EXPERIMENT} --devices --coordinator --processes --process"
TRAINING = f"{DEVICES} --runs --seeds"
STAGES = {  # what it does, the module with its function, its options
    "all": ("database, train, figures and report: what ./reproduce.sh runs", "pipeline", TRAINING),
    "database": (
        "rendered mixtures and their cue maps",
        "pipeline",
        f"{DEVICES} --export-wav --limit",
    ),
    "train": ("Model 1, Model 2 and its learning-rate-drop continuation", "pipeline", TRAINING),
    "figures": ("every figure, from results/ (and scenes rendered afresh)", "pipeline", EXPERIMENT),
    "report": (
        "comparison of results/ with the reported tables",
        "pipeline",
        f"{EXPERIMENT} --readme",
    ),
    "localise": (
        "where the sound in a binaural recording comes from, over time",
        "recordings.commands",
        "files --raw --window --step --model --plot --json --csv --no-cache",
    ),
    "render": (
        "a scene of one's own, static or moving: mono sounds in, a binaural WAV out",
        "recordings.commands",
        "speech --azimuth --trajectory --noise --noise-azimuth "
        "--snr --hrtf --ears --azimuths --start --seconds --bits --plot --output --no-cache",
    ),
    "export": ("a packed network as ONNX, for PyTorch", "networks.onnx_export", "--model --to"),
    "download": ("fetch LibriSpeech, ESC-50 and CIPIC", "sounds.download", "--to --speech --heads"),
    "audit": (
        "study: what the reported tables do not say, a measured row a question",
        "studies.audit_report",
        "--data --rows --clips --seeds --seed --weights --results --work --no-cache",
    ),
    "fingerprint": (
        "study: the noise level that the published weights ask for",
        "studies.fingerprint_report",
        "--data --seed --weights --results --work --figures --no-cache",
    ),
    "pack": (
        "study: put a trained run into the package, for localise, and write the model card",
        "studies.model_card",
        f"{EXPERIMENT} --run --as --card",
    ),
    "check": (
        "study: score packed networks on the heads of any SOFA files",
        "studies.unseen_heads",
        "files --ears --azimuths --model --clips --results --no-cache",
    ),
    "yardsticks": (
        "study: the network for recordings on heads and rooms, beside the literature",
        "studies.yardsticks",
        f"{EXPERIMENT} --heads --model --clips",
    ),
    "benchmark": (
        "study: speed of stages beside peers and a machine's floor",
        "studies.speed",
        "--results",
    ),
    "growth": (
        "study: time and memory over numbers of mixtures and devices; about an hour",
        "studies.growth",
        "--data --devices --work --results",
    ),
}


class Answer(argparse.Action):
    """Print the version, or a script that completes stages and options in a shell, and end."""

    def __call__(self, parser, _, shell, *__):
        try:
            script = importlib.import_module("shtab").complete(parser, shell) if shell else ""
            print(script or f"ssl_jax {version()}")
        except ImportError:
            missing = "the package shtab is missing: pip install 'ssl_jax[completion]'"
            parser.exit(2, f"ssl_jax: --print-completion: {missing}\n")
        parser.exit()


def parser() -> argparse.ArgumentParser:
    """The command line; it needs neither JAX nor matplotlib, so that --help is quick."""
    top = argparse.ArgumentParser(
        prog="ssl_jax", description="The stages of the experiment, and more."
    )
    top.add_argument("--version", action=Answer, nargs=0, help="show the version and exit")
    top.add_argument(
        "--print-completion", action=Answer, choices=SHELLS, help="completes these commands"
    )
    top.set_defaults(coordinator=None, process=None, processes=None, devices=None, no_cache=False)
    stages = top.add_subparsers(dest="stage", metavar="STAGE", required=True)
    for stage, (text, module, names) in STAGES.items():
        options = stages.add_parser(stage, help=text, description=text, epilog=EPILOG.get(stage))
        data = os.environ.get("SSL_JAX_DATA") or None
        options.set_defaults(module=module, verbosity=0, data=data, export_wav=None, readme=None)
        where = (
            options.add_mutually_exclusive_group(required=True) if stage == "render" else options
        )
        for name in f"{names} {COMMON}".split():
            holder = where if name in ("--azimuth", "--trajectory") else options
            about = OPTIONS.get(f"{name}/{stage}") or OPTIONS[name]
            action = holder.add_argument(*SHORT.get(name, []), name, **about)
            if action.type is Path:
                action.complete = SHELLS  # type: ignore[attr-defined]
    return top


def run(args) -> None:
    """Carry out one stage."""
    from ssl_jax.common import progress  # here, and others below: --help need not wait for them

    progress.begin(args.verbosity, args.log)
    if args.stage != "download":
        import jax

        from ssl_jax.common import devices

        devices.keep_memory()
        if not args.no_cache:
            devices.keep_compiled()
        if args.stage not in (
            "growth",
            "localise",
            "render",
        ):  # one starts processes, two need one device
            devices.start(args.devices, args.coordinator, args.processes, args.process)
        if args.verbosity > 0 and args.stage != "growth":
            kept = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
            progress.say(f"{jax.devices()}; compiled programs in {kept}")
    function = "run_experiment" if args.module == "pipeline" else f"run_{args.stage}"
    getattr(importlib.import_module(f"ssl_jax.{args.module}"), function)(args)


def main(argv=None) -> int:
    """Exit status 0, 2 for bad input (one line on stderr), 130 when interrupted."""
    args, status, log = parser().parse_args(argv), 2, logging.getLogger("ssl_jax")
    try:
        run(args)
        sys.stdout.flush()
        return 0
    except InputError as error:
        message = str(error)
    except OSError as error:
        message = os_error_message(error)
        try:
            sys.stdout.flush()
        except OSError:  # Python would try once more on its way out, and complain
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        message, status = "interrupted; the same command goes on from here", 130
    except (
        Exception
    ) as error:  # a regular exit would wait for the other processes, and they for this one
        log.info("stopped", exc_info=True)
        if args.coordinator is None:
            raise
        if not isinstance(error, RuntimeError):  # JAX raises that where another process is gone
            traceback.print_exc()
        reason = error_reason(error)[:200]
        message = f"this process or another failed ({reason}): see what all say, and run all again"
    message = f"ssl_jax: {' '.join(message.split())}"
    log.info(message)
    print(message, file=sys.stderr, flush=True)
    if (
        args.coordinator is not None
    ):  # at a regular exit JAX would wait for the other processes for minutes
        sys.stdout.flush()
        if args.process in (0, None):
            time.sleep(2)  # the others end with the first process, and may have something to say
        os._exit(status)
    return status


if __name__ == "__main__":
    sys.exit(main())

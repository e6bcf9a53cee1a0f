"""The stages for recordings of one's own: localise, render, export."""

import sys
from pathlib import Path

from ssl_jax.command_line.options import add_cache_option, add_path, add_stage
from ssl_jax.common.errors import InputError, print_error

SOME_FAILED = 1  # exit status where some of several files could not be read

LOCALISE_EPILOG = """Channel 1 is the left ear; swapped ears cannot be noticed and mirror every
azimuth. Azimuths are counter-clockwise: 0 front, 90 left, 180 back, 270 right. Confidence is the
share of the posterior within 10 degrees of its peak. Do not rely on a flagged window: silent, quiet
(50 dB below the loudest so far), one ear, clipped, narrow band (sampled too slowly), short (less
sound than --window), front or back (cannot be told apart: both are printed) or unsure (confidence
below 0.9). Shorter windows are less accurate. From a pipe or a microphone a line comes 0.25 s of
sound after its window at most. Ctrl-C ends it: what was known before is the result."""
RENDER_EPILOG = """Azimuths are counter-clockwise: 0 front, 90 left, 180 back, 270 right; between
measured ones responses are interpolated. A negative first azimuth needs the equals sign:
--trajectory=-90:90. A wrong name, such as voice:x, noise:x or head:x, lists those of the
package."""


def add_recording_stages(stages) -> None:
    """Declare these stages."""
    _add_localise(stages)
    _add_render(stages)
    _add_export(stages)


def add_model_option(parser) -> None:
    """Which network."""
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="network of the package (default general; a wrong name lists them), or "
        "FILE.safetensors, which `ssl_jax pack` makes",
    )


def add_side_options(parser) -> None:
    """How to read a SOFA file whose sides are unclear."""
    parser.add_argument(
        "--ears",
        choices=("stated", "swap"),
        default="",
        help="as stated or swapped; without this and --azimuths the responses decide",
    )
    parser.add_argument(
        "--azimuths",
        choices=("stated", "clockwise"),
        default="",
        help="the same for its azimuths",
    )


def run_localise(args) -> None:
    """Carry out the stage `localise`."""
    # here, and below: --help need not wait for JAX
    from ssl_jax.recordings import commands, incoming
    from ssl_jax.recordings.windows import WindowSettings

    _check_source(args)
    settings = WindowSettings(args.window, args.step, args.model, args.prior)
    outputs = commands.LocaliseOutputs(args.csv, args.json, args.plot)
    if args.mic:
        incoming.localise_microphone(args.device, settings, outputs)
        return
    if commands.STANDARD in args.files:
        incoming.localise_pipe(incoming.standard_input(), args.raw, settings, outputs)
        return
    failures = commands.localise_files(args.files, settings, outputs)
    for failure in failures:
        print_error(failure)
    if failures:
        sys.exit(SOME_FAILED)


def _check_source(args) -> None:
    """Raise InputError unless files, standard input or a microphone is named, one of them alone."""
    is_pipe = Path("-") in args.files
    if args.mic and args.files:
        raise InputError("--mic: a microphone alone: localise the files by themselves")
    if is_pipe and len(args.files) > 1:
        raise InputError("-: standard input alone: localise the files by themselves")
    if not args.mic and not args.files:
        raise InputError("localise: nothing to localise: name a FILE, - for a pipe, or --mic")
    if args.raw is not None and not is_pipe:
        raise InputError("--raw: says what comes from standard input: give - as the file")
    if args.device is not None and not args.mic:
        raise InputError("--device: names a microphone: give --mic too")


def run_render(args) -> None:
    """Carry out the stage `render`."""
    from ssl_jax.recordings import commands, scene
    from ssl_jax.recordings.trajectories import parse_trajectory
    from ssl_jax.sounds.bundled import bundled_path

    azimuths = [args.azimuth]
    if args.trajectory is not None:
        azimuths = parse_trajectory(args.trajectory)
    options = scene.RenderOptions(
        speech=bundled_path(args.speech),
        azimuths=azimuths,
        noises=[bundled_path(noise) for noise in args.noise],
        noise_azimuths=args.noise_azimuth or [],
        snr=args.snr,
        head=bundled_path(args.hrtf or scene.KEMAR),
        head_ears=args.ears,
        head_azimuths=args.azimuths,
        seconds=args.seconds,
        start_s=args.start,
    )
    commands.render_to_file(options, args.output, args.bits, args.plot)


def run_export(args) -> None:
    """Carry out the stage `export`."""
    from ssl_jax.networks.onnx_export import export_onnx

    export_onnx(args.to, args.model)


def _add_localise(stages) -> None:
    text = "where the sound in a binaural recording comes from, over time"
    parser = add_stage(stages, "localise", text, run_localise, LOCALISE_EPILOG)
    _add_source_options(parser)
    _add_window_options(parser)
    add_path(parser, "--plot", metavar="FILE", help="picture of one recording: PNG, PDF or SVG")
    add_path(
        parser,
        "--json",
        metavar="FILE",
        help="everything, posteriors included; from a pipe or --mic a line for every window; "
        "- prints it instead of the table",
    )
    add_path(parser, "--csv", metavar="FILE", help="a row for every window; - prints it likewise")
    add_cache_option(parser)


def _add_source_options(parser) -> None:
    """What `localise` hears: files, standard input or a microphone."""
    add_path(
        parser,
        "files",
        metavar="FILE",
        nargs="*",
        help="stereo sound file, or - for standard input (WAV; see --raw)",
    )
    parser.add_argument(
        "--mic",
        action="store_true",
        help="listen to a stereo input of this machine until Ctrl-C (needs the extra live)",
    )
    parser.add_argument(
        "--device",
        metavar="NAME",
        help="which input: its number or a part of its name (default: the system's); "
        "`python -m sounddevice` lists them",
    )
    parser.add_argument(
        "--raw",
        type=int,
        metavar="FS",
        help="standard input is 16-bit little-endian stereo at FS Hz",
    )


def _add_window_options(parser) -> None:
    """How `localise` turns sound into azimuths."""
    parser.add_argument(
        "--window",
        type=float,
        metavar="S",
        default=1.0,
        help="seconds of sound behind an estimate, 0.05 to 60; as trained (default %(default)s)",
    )
    parser.add_argument(
        "--step",
        type=float,
        metavar="S",
        default=0.1,
        help="seconds from one estimate to the next (default %(default)s)",
    )
    add_model_option(parser)
    parser.add_argument(
        "--prior",
        metavar="NAME",
        default="frontal",
        help="what is known before: frontal (default): the front half, from -90 to 90 degrees, is "
        "4 times as likely as the back; uniform: all alike; front: nothing is behind",
    )


def _add_render(stages) -> None:
    text = "a scene of one's own, static or moving: mono sounds in, a binaural sound out"
    parser = add_stage(stages, "render", text, run_render, RENDER_EPILOG)
    parser.set_defaults(needs_devices=False)
    _add_scene_options(parser)
    add_path(
        parser, "--hrtf", metavar="FILE", help="head, a SOFA file or head:NAME (default: KEMAR)"
    )
    add_side_options(parser)
    parser.add_argument(
        "--bits", type=int, choices=(16, 24), default=16, help="of the scene (default %(default)s)"
    )
    add_path(parser, "--plot", metavar="FILE", help="spectrogram of both ears: PNG, PDF or SVG")
    parser.add_argument(
        "--output",
        "-o",
        type=Path,
        metavar="OUT.wav",
        required=True,
        help="the scene, WAV or FLAC",
    )
    add_cache_option(parser)


def _add_scene_options(parser) -> None:
    """What sounds in a scene of `render`, and from where."""
    add_path(
        parser,
        "speech",
        metavar="SPEECH",
        help="sound file of any rate, whose channels are averaged into one, or voice:SPEAKER of "
        "the package, such as voice:27",
    )
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--azimuth", type=float, metavar="DEG", help="where it stands")
    place.add_argument(
        "--trajectory",
        metavar="DEG:DEG",
        help="or where it goes; more are passed at equal times",
    )
    add_path(
        parser,
        "--noise",
        metavar="FILE",
        nargs="+",
        default=[],
        help="noises beside it: sound files, or noise:KIND of the package, such as noise:rain",
    )
    parser.add_argument(
        "--noise-azimuth", type=float, metavar="DEG", nargs="+", help="one for each noise"
    )
    parser.add_argument(
        "--snr",
        type=float,
        metavar="DB",
        default=20.0,
        help="of each noise by itself (default %(default)s)",
    )
    parser.add_argument(
        "--start",
        type=float,
        metavar="S",
        default=0.0,
        help="skip so much of SPEECH (default %(default)s)",
    )
    parser.add_argument(
        "--seconds", type=float, metavar="S", help="length (default: all of SPEECH)"
    )


def _add_export(stages) -> None:
    parser = add_stage(stages, "export", "a packed network as ONNX, for PyTorch", run_export)
    add_model_option(parser)
    add_path(
        parser,
        "--to",
        metavar="FILE.onnx",
        required=True,
        help="takes cue maps (batch, maps, 32, frames)",
    )

"""The stages `localise` and `render` of the command line: their options, tables, JSON and CSV."""

import csv
import io
import json
import math
import sys
from pathlib import Path

from .files import InputError, atomic_write

ROWS = 40  # of a printed table at most; the files have all
EPILOG = """\
Channel 1 is the left ear, channel 2 the right; swapped ears cannot be noticed and mirror every azimuth.
Azimuths are counter-clockwise: 0 front, 90 left, 180 back, 270 right. Confidence is the share of the
posterior within 10 degrees of its peak. A flagged window is not to be relied on: silent, quiet (50 dB below
the loudest), one ear, clipped, narrow band (sampled too slowly), short (less sound than --window) or unsure
(confidence below 0.9). The networks were trained on windows of 1 s, for which the accuracies in results/
hold; shorter ones are less accurate."""


def add_stages(stage) -> None:
    """Give the command line the two stages; `stage` makes a parser from a name and a text."""
    options = stage("localise", "where the sound in a binaural recording comes from, over time")
    options.epilog = EPILOG
    options.add_argument("files", nargs="+", type=Path, metavar="FILE",
                         help="stereo sound file of any format, rate and length that libsndfile reads")
    options.add_argument("--window", type=float, default=1.0, metavar="S",
                         help="seconds of sound behind an estimate, 0.05 to 60 (default %(default)g, as trained)")
    options.add_argument("--step", type=float, default=0.1, metavar="S",
                         help="seconds from one estimate to the next (default %(default)g)")
    options.add_argument("--model", metavar="NAME",
                         help="network (default clean, else model2, else the first; a wrong name lists them)")
    options.add_argument("--plot", type=Path, metavar="FILE", help="picture of one recording: PNG, PDF or SVG")
    options.add_argument("--json", type=Path, metavar="FILE", help="everything, posteriors included")
    options.add_argument("--csv", type=Path, metavar="FILE", help="a row for every window")

    options = stage("render", "a scene of one's own, static or moving: mono sounds in, a binaural WAV out")
    options.epilog = ("Azimuths are counter-clockwise: 0 front, 90 left, 180 back, 270 right; between measured "
                      "ones responses are interpolated. A negative first azimuth needs the equals sign: "
                      "--trajectory=-90:90")
    options.add_argument("speech", type=Path, metavar="SPEECH",
                         help="sound file of any rate; several channels are averaged into one")
    where = options.add_mutually_exclusive_group(required=True)
    where.add_argument("--azimuth", type=float, metavar="DEG", help="where it stands")
    where.add_argument("--trajectory", metavar="DEG:DEG", help="where it goes, evenly over its length, such as "
                                                               "0:360; more azimuths are passed at equal times")
    options.add_argument("--noise", type=Path, nargs="+", default=[], metavar="FILE", help="noises beside it")
    options.add_argument("--noise-azimuth", type=float, nargs="+", default=[], metavar="DEG", help="one for each")
    options.add_argument("--snr", type=float, default=20.0, metavar="DB",
                         help="of each noise by itself (default %(default)g)")
    options.add_argument("--hrtf", type=Path, metavar="FILE", help="head, a SOFA file (default: KEMAR)")
    options.add_argument("--start", type=float, default=0.0, metavar="S", help="skip so much of SPEECH (default 0)")
    options.add_argument("--seconds", type=float, metavar="S", help="length (default: all of SPEECH)")
    options.add_argument("--bits", type=int, choices=(16, 24), default=16, help="of the WAV (default %(default)s)")
    options.add_argument("--plot", type=Path, metavar="FILE", help="spectrogram of both ears: PNG, PDF or SVG")
    options.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.wav")


def table(name: str, found) -> str:
    """Estimates as text: at most ROWS of them, evenly thinned, and one for the whole recording."""
    from .azimuths import mean_azimuth

    lines = [f"{name}: {found.seconds:.2f} s at {found.fs} Hz; network {found.model}, windows of {found.window:g} s "
             f"every {found.step:g} s"]
    lines += [f"note: {note}" for note in found.notes]
    lines.append(f"{'time (s)':>9}  {'azimuth':>7}  {'confidence':>10}  flags")
    thin = -(-len(found.times) // ROWS)
    for i in range(0, len(found.times), thin):
        azimuth = "-" if math.isnan(found.azimuth[i]) else f"{found.azimuth[i]:.1f}°"
        flags = ", ".join(found.flags[i])
        lines.append(f"{found.times[i]:9.2f}  {azimuth:>7}  {found.confidence[i]:10.2f}  {flags}".rstrip())
    if thin > 1:
        lines.append(f"({len(found.times)} windows, one in {thin} shown; --csv and --json have all)")
    overall = mean_azimuth(found)
    flagged = sum(map(bool, found.flags))
    summary = "no one azimuth" if math.isnan(overall) else f"overall {overall:.1f}°"
    lines.append(summary + f", {flagged} of {len(found.flags)} windows flagged" * bool(flagged))
    return "\n".join(lines)


def _number(x: float, digits: int):
    return None if math.isnan(x) else round(float(x), digits)


def as_json(name: str, found) -> dict:
    """Everything about a recording, ready for JSON; an azimuth that is not known is null."""
    from .azimuths import mean_azimuth

    windows = [
        {"time_s": _number(found.times[i], 3), "azimuth_deg": _number(found.azimuth[i], 2),
         "confidence": _number(found.confidence[i], 4), "flags": list(found.flags[i]),
         "posterior": [_number(p, 6) for p in found.posterior[i]]}
        for i in range(len(found.times))
    ]
    return {"file": name, "seconds": found.seconds, "fs_hz": found.fs, "model": found.model,
            "window_s": found.window, "step_s": found.step, "notes": list(found.notes),
            "azimuth_deg": _number(mean_azimuth(found), 2), "windows": windows}


def as_rows(name: str, found) -> list[list]:
    """A row for every window: file, time, azimuth (blank where not known), confidence, flags."""
    return [[name, f"{found.times[i]:.3f}", "" if math.isnan(found.azimuth[i]) else f"{found.azimuth[i]:.2f}",
             f"{found.confidence[i]:.4f}", " / ".join(found.flags[i])] for i in range(len(found.times))]


def run_localise(args) -> None:
    from .localisation import localise_file

    if args.plot and len(args.files) > 1:
        raise InputError(f"--plot {args.plot}: draws one recording, not {len(args.files)}: give one FILE")
    if args.plot:
        from .pictures import draw_azimuths, picture_kind

        picture_kind(args.plot)  # now, not after the work
    contents, rows = [], [["file", "time_s", "azimuth_deg", "confidence", "flags"]]
    for path in args.files:
        found = localise_file(path, args.window, args.step, args.model, cues=bool(args.plot))
        print(table(str(path), found), flush=True)
        contents.append(as_json(str(path), found))
        rows += as_rows(str(path), found)
        if args.plot:
            draw_azimuths(found, args.plot, path.name)
    if args.json:
        with atomic_write(args.json, "w") as stream:  # on one line: a posterior has 72 numbers
            stream.write(json.dumps({"files": contents}) + "\n")
    if args.csv:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        with atomic_write(args.csv, "w") as stream:
            stream.write(text.getvalue())


def run_render(args) -> None:
    from .scene import parse_trajectory, render_file, write_scene

    if args.plot:
        from .pictures import draw_spectrogram, picture_kind

        picture_kind(args.plot)  # now, not after the work
    azimuths = [args.azimuth] if args.trajectory is None else parse_trajectory(args.trajectory)
    scene = render_file(args.speech, azimuths, args.noise, args.noise_azimuth, args.snr, args.hrtf, args.seconds,
                        args.start)
    for note in scene.notes:
        print(f"ssl_jax: note: {note}", file=sys.stderr)
    write_scene(scene, args.output, args.bits)
    if args.plot:
        draw_spectrogram(scene.ears, scene.fs, args.plot, args.output.name, scene.azimuths)
    print(f"{args.output}: {len(scene.ears) / scene.fs:.2f} s at {scene.fs} Hz, {args.bits} bits, left ear first")

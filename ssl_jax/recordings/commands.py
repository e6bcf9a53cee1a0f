"""The stages `localise` and `render` of the command line: their tables, JSON and CSV."""

import csv
import json
import math
import sys

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import atomic_write, picture_kind, write_text
from ssl_jax.common.progress import say
from ssl_jax.recordings.azimuths import Overall

ROWS = 40  # of a printed table at most; the files have all
COLUMNS = f"{'time (s)':>9}  {'azimuth':>7}  {'confidence':>10}  flags"


def heading(name: str, length: str, fs: int, model: str, window: float, step: float) -> str:
    return f"{name}: {length} at {fs} Hz; network {model}, windows of {window:g} s every {step:g} s"


def line(found, i: int) -> str:
    azimuth = "-" if math.isnan(found.azimuth[i]) else f"{found.azimuth[i]:.1f}°"
    flags = ", ".join(found.flags[i]).replace("front or back", f"or {found.mirrored[i]:.1f}°")
    return f"{found.times[i]:9.2f}  {azimuth:>7}  {found.confidence[i]:10.2f}  {flags}".rstrip()


def summary(overall: Overall) -> str:
    """The last line: one azimuth, or several, for all windows."""
    several = ", ".join(f"{azimuth:.1f}° ({share:.0%})" for azimuth, share in overall.directions)
    none = f"no one azimuth: {several or 'nothing stands out'}"
    text = none if math.isnan(overall.azimuth) else f"overall {overall.azimuth:.1f}°"
    return text + f", {overall.flagged} of {overall.windows} windows flagged" * bool(
        overall.flagged
    )


def table(name: str, found) -> str:
    """Estimates as text: at most ROWS of them, evenly thinned, and one for the whole recording."""
    lines = [
        heading(name, f"{found.seconds:.2f} s", found.fs, found.model, found.window, found.step)
    ]
    lines += [f"note: {note}" for note in found.notes] + [COLUMNS]
    thin = math.ceil(len(found.times) / ROWS)
    lines += [line(found, i) for i in range(0, len(found.times), thin)]
    if thin > 1:
        lines.append(
            f"({len(found.times)} windows, one in {thin} shown; --csv and --json have all)"
        )
    return "\n".join([*lines, summary(Overall().add(found))])


def _degrees(azimuth: float) -> float | None:
    return None if math.isnan(azimuth) else round(float(azimuth), 2)


def as_json(name: str, found) -> dict:
    """Everything about a recording, ready for JSON; an azimuth that is not known is null."""
    windows = []
    for time, azimuth, sure, mirrored, posterior, flags in zip(*found[:6]):
        window: dict = {"time_s": round(float(time), 3), "azimuth_deg": _degrees(azimuth)}
        window |= {"confidence": round(float(sure), 4), "flags": list(flags)}
        shares = [round(float(share), 6) for share in posterior]
        windows.append(window | {"mirrored_deg": _degrees(mirrored), "posterior": shares})
    about: dict = {"file": name, "seconds": found.seconds, "fs_hz": found.fs, "model": found.model}
    about |= {"window_s": found.window, "step_s": found.step, "notes": list(found.notes)}
    overall = Overall().add(found)
    several = [
        {"azimuth_deg": _degrees(at), "share": round(share, 4)} for at, share in overall.directions
    ]
    return about | {
        "azimuth_deg": _degrees(overall.azimuth),
        "directions": several,
        "windows": windows,
    }


def run_live(args) -> None:
    """The stage `localise` on standard input: a line as soon as each window is known."""
    from ssl_jax.recordings import live, localisation, quality

    if len(args.files) > 1 or args.plot or args.json or args.csv:
        raise InputError(
            "-: standard input alone, as lines: save it to a file for --plot, --json or --csv"
        )
    name, overall = "standard input", Overall()
    fs, blocks = live.sound_of(sys.stdin.buffer, name, args.raw)
    ear = localisation.listener(name, fs, args.window, args.step, args.model)
    watch = quality.Quality(fs, name, ear.front)
    print(heading(name, "as it comes", fs, ear.model, ear.span / watch.rate, ear.hop / watch.rate))
    print(COLUMNS, flush=True)
    for found in localisation.estimates(ear, watch, blocks, live=True):
        overall.add(found)
        print(*(line(found, i) for i in range(len(found.times))), sep="\n", flush=True)
    print(*(f"note: {note}" for note in watch.notes()), summary(overall), sep="\n")


def run_localise(args) -> None:
    from ssl_jax.recordings.localisation import localise_file

    if any(str(path) == "-" for path in args.files):
        return run_live(args)
    if args.raw is not None:
        raise InputError("--raw: says what comes from standard input: give - as the file")
    if args.plot:  # the only one to need matplotlib
        from ssl_jax.recordings.pictures import draw_azimuths

        if len(args.files) > 1:
            raise InputError(
                f"--plot {args.plot}: draws one recording, not {len(args.files)}: give one FILE"
            )
        picture_kind(args.plot)  # now, not after the work
    contents, rows = [], [["file", "time_s", "azimuth_deg", "confidence", "flags"]]
    for path in args.files:
        found = localise_file(path, args.window, args.step, args.model, cues=bool(args.plot))
        print(table(str(path), found), flush=True)
        contents.append(as_json(str(path), found))
        for time, azimuth, sure, flags in zip(
            found.times, found.azimuth, found.confidence, found.flags
        ):
            known = "" if math.isnan(azimuth) else f"{azimuth:.2f}"
            rows.append([path, f"{time:.3f}", known, f"{sure:.4f}", " / ".join(flags)])
        if args.plot:
            draw_azimuths(found, args.plot, path.name)
    if args.json:  # on one line: a posterior has 72 numbers
        write_text(args.json, json.dumps({"files": contents}) + "\n")
    if args.csv:
        with atomic_write(args.csv, "w") as stream:
            csv.writer(stream, lineterminator="\n").writerows(rows)


def run_render(args) -> None:
    from ssl_jax.recordings.scene import (
        parse_trajectory,
        render_file,
        write_scene,
    )  # reads heads too

    if args.plot:
        from ssl_jax.recordings.pictures import draw_spectrogram

        picture_kind(args.plot)
    azimuths = [args.azimuth] if args.trajectory is None else parse_trajectory(args.trajectory)
    others = args.hrtf, args.seconds, args.start, {"ears": args.ears, "azimuths": args.azimuths}
    scene = render_file(
        args.speech, azimuths, args.noise, args.noise_azimuth or [], args.snr, *others
    )
    for note in scene.notes:
        say(f"ssl_jax: note: {note}")
    write_scene(scene, args.output, args.bits)
    if args.plot:
        draw_spectrogram(scene.ears, scene.fs, args.plot, args.output.name, scene.azimuths)
    seconds = len(scene.ears) / scene.fs
    print(f"{args.output}: {seconds:.2f} s at {scene.fs} Hz, {args.bits} bits, left ear first")

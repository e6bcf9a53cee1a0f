"""The stages `localise` and `render` of the command line: their tables, JSON and CSV."""

import csv
import io
import json
import math
import sys

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import write_text
from ssl_jax.recordings.azimuths import mean_azimuth

ROWS = 40  # of a printed table at most; the files have all


def table(name: str, found) -> str:
    """Estimates as text: at most ROWS of them, evenly thinned, and one for the whole recording."""
    windows = f"windows of {found.window:g} s every {found.step:g} s"
    lines = [f"{name}: {found.seconds:.2f} s at {found.fs} Hz; network {found.model}, {windows}"]
    lines += [f"note: {note}" for note in found.notes]
    lines.append(f"{'time (s)':>9}  {'azimuth':>7}  {'confidence':>10}  flags")
    thin = math.ceil(len(found.times) / ROWS)
    for i in range(0, len(found.times), thin):
        azimuth = "-" if math.isnan(found.azimuth[i]) else f"{found.azimuth[i]:.1f}°"
        flags = ", ".join(found.flags[i])
        lines.append(f"{found.times[i]:9.2f}  {azimuth:>7}  {found.confidence[i]:10.2f}  {flags}".rstrip())
    if thin > 1:
        lines.append(f"({len(found.times)} windows, one in {thin} shown; --csv and --json have all)")
    overall = mean_azimuth(found)
    flagged = sum(map(bool, found.flags))
    summary = "no one azimuth" if math.isnan(overall) else f"overall {overall:.1f}°"
    if flagged:
        summary += f", {flagged} of {len(found.flags)} windows flagged"
    lines.append(summary)
    return "\n".join(lines)


def _number(x: float, digits: int):
    return None if math.isnan(x) else round(float(x), digits)


def as_json(name: str, found) -> dict:
    """Everything about a recording, ready for JSON; an azimuth that is not known is null."""
    windows = []
    for i in range(len(found.times)):
        window = {"time_s": _number(found.times[i], 3), "azimuth_deg": _number(found.azimuth[i], 2)}
        window |= {"confidence": _number(found.confidence[i], 4), "flags": list(found.flags[i])}
        windows.append(window | {"posterior": [_number(p, 6) for p in found.posterior[i]]})
    about = {"file": name, "seconds": found.seconds, "fs_hz": found.fs, "model": found.model}
    about |= {"window_s": found.window, "step_s": found.step, "notes": list(found.notes)}
    return about | {"azimuth_deg": _number(mean_azimuth(found), 2), "windows": windows}


def as_rows(name: str, found) -> list[list]:
    """A row for every window: file, time, azimuth (blank where not known), confidence, flags."""
    rows = []
    for i in range(len(found.times)):
        azimuth = "" if math.isnan(found.azimuth[i]) else f"{found.azimuth[i]:.2f}"
        certain = f"{found.confidence[i]:.4f}"
        rows.append([name, f"{found.times[i]:.3f}", azimuth, certain, " / ".join(found.flags[i])])
    return rows


def run_localise(args) -> None:
    """The stage `localise`; matplotlib is imported for a picture alone."""
    from ssl_jax.recordings.localisation import localise_file

    if args.plot and len(args.files) > 1:
        raise InputError(f"--plot {args.plot}: draws one recording, not {len(args.files)}: give one FILE")
    if args.plot:
        from ssl_jax.recordings.pictures import draw_azimuths
        from ssl_jax.report.style import picture_kind

        picture_kind(args.plot)  # now, not after the work
    contents, rows = [], [["file", "time_s", "azimuth_deg", "confidence", "flags"]]
    for path in args.files:
        found = localise_file(path, args.window, args.step, args.model, cues=bool(args.plot))
        print(table(str(path), found), flush=True)
        contents.append(as_json(str(path), found))
        rows += as_rows(str(path), found)
        if args.plot:
            draw_azimuths(found, args.plot, path.name)
    if args.json:  # on one line: a posterior has 72 numbers
        write_text(args.json, json.dumps({"files": contents}) + "\n")
    if args.csv:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        write_text(args.csv, text.getvalue())


def run_render(args) -> None:
    """The stage `render`."""
    from ssl_jax.recordings.scene import parse_trajectory, render_file, write_scene

    if args.plot:
        from ssl_jax.recordings.pictures import draw_spectrogram
        from ssl_jax.report.style import picture_kind

        picture_kind(args.plot)  # now, not after the work
    azimuths = [args.azimuth] if args.trajectory is None else parse_trajectory(args.trajectory)
    noises = (args.noise, args.noise_azimuth or [], args.snr)
    scene = render_file(args.speech, azimuths, *noises, args.hrtf, args.seconds, args.start)
    for note in scene.notes:
        print(f"ssl_jax: note: {note}", file=sys.stderr)
    write_scene(scene, args.output, args.bits)
    if args.plot:
        draw_spectrogram(scene.ears, scene.fs, args.plot, args.output.name, scene.azimuths)
    made = f"{len(scene.ears) / scene.fs:.2f} s at {scene.fs} Hz, {args.bits} bits"
    print(f"{args.output}: {made}, left ear first")

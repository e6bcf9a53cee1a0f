"""Estimates as text, JSON and CSV."""

import math
import sys
from collections.abc import Iterator

from ssl_jax.recordings.azimuths import Azimuths, Windows
from ssl_jax.recordings.overall import Overall
from ssl_jax.recordings.posteriors import rounded_degrees

MOST_ROWS = 40  # of a printed table; the files have all
TABLE_HEAD = f"{'time (s)':>9}  {'azimuth':>16}  {'confidence':>10}  flags"
CSV_COLUMNS = ("file", "time_s", "azimuth_deg", "confidence", "flags")


def print_text(text: str) -> None:
    """Print a text at once, on any terminal: what its encoding lacks is replaced."""
    encoding = sys.stdout.encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.replace("°", " deg")
        text = text.encode(encoding, "backslashreplace").decode(encoding)
    print(text, flush=True)


def heading(name: str, length: str, fs: int, network: str, window_s: float, step_s: float) -> str:
    """The line above a table; the network with its prior."""
    return (
        f"{name}: {length} at {fs} Hz; network {network}, "
        f"windows of {window_s:g} s every {step_s:g} s"
    )


def table_line(windows: Windows | Azimuths, i: int) -> str:
    """One window as a line of a table."""
    either = [windows.azimuth[i], windows.mirrored[i]]
    azimuth = " or ".join(_degrees_text(one) for one in either if not math.isnan(one)) or "-"
    flags = ", ".join(windows.flags[i])
    line = f"{windows.times[i]:9.2f}  {azimuth:>16}  {windows.confidence[i]:10.2f}  {flags}"
    return line.rstrip()


def _degrees_text(azimuth: float) -> str:
    """For tables: with one decimal."""
    return f"{rounded_degrees(azimuth, 1):.1f}°"


def summary(overall: Overall) -> str:
    """The last line: one azimuth for all windows, both where it is open, several, or none."""
    if not math.isnan(overall.azimuth):
        text = f"overall {' or '.join(_degrees_text(azimuth) for azimuth in overall.shown)}"
    elif overall.moves:
        text = "no one azimuth: the source moves"
    else:
        several = [f"{_degrees_text(peak.azimuth)} ({peak.share:.0%})" for peak in overall.sources]
        text = f"no one azimuth: {', '.join(several) or 'nothing stands out'}"
    if overall.flagged:
        text += f", {overall.flagged} of {overall.windows} windows flagged"
    return text


def table(name: str, azimuths: Azimuths) -> str:
    """At most MOST_ROWS windows as text, evenly thinned, and one line for the whole recording."""
    length = f"{azimuths.seconds:.2f} s"
    network = f"{azimuths.model}, prior {azimuths.prior}"
    lines = [
        heading(name, length, azimuths.fs, network, azimuths.window, azimuths.step),
        *(f"note: {note}" for note in azimuths.notes),
        TABLE_HEAD,
    ]
    count = len(azimuths.times)
    spacing = math.ceil(count / MOST_ROWS)  # from one window shown to the next
    lines += [table_line(azimuths, i) for i in range(0, count, spacing)]
    if spacing > 1:
        lines.append(f"({count} windows, one in {spacing} shown; --csv and --json have all)")
    lines.append(summary(Overall.of(azimuths)))
    return "\n".join(lines)


def _json_degrees(azimuth: float) -> float | None:
    """For JSON, where an azimuth that is not known is null."""
    return None if math.isnan(azimuth) else rounded_degrees(azimuth, 2)


def json_windows(windows: Windows | Azimuths) -> Iterator[dict]:
    """Everything about each window, ready for JSON."""
    for i, flags in enumerate(windows.flags):
        yield {
            "time_s": round(float(windows.times[i]), 3),
            "azimuth_deg": _json_degrees(windows.azimuth[i]),
            "confidence": round(float(windows.confidence[i]), 4),
            "flags": list(flags),
            "mirrored_deg": _json_degrees(windows.mirrored[i]),
            "posterior": [round(float(share), 6) for share in windows.posterior[i]],
        }


def as_json(name: str, azimuths: Azimuths) -> dict:
    """Everything about a recording file, ready for JSON."""
    return {"file": name, **as_dict(azimuths)}


def as_dict(azimuths: Azimuths) -> dict:
    """See `Azimuths.to_dict`."""
    overall = Overall.of(azimuths)
    several = [
        {"azimuth_deg": _json_degrees(peak.azimuth), "share": round(peak.share, 4)}
        for peak in overall.directions
    ]
    return {
        "seconds": azimuths.seconds,
        "fs_hz": azimuths.fs,
        "model": azimuths.model,
        "prior": azimuths.prior,
        "window_s": azimuths.window,
        "step_s": azimuths.step,
        "notes": list(azimuths.notes),
        "azimuth_deg": _json_degrees(overall.azimuth),
        "mirrored_deg": _json_degrees(overall.mirrored),
        "moves": overall.moves,
        "directions": several,
        "windows": list(json_windows(azimuths)),
    }


def csv_rows(name: str, windows: Windows | Azimuths) -> Iterator[tuple[str, ...]]:
    """A row of CSV_COLUMNS for each window; an azimuth that is not known is empty."""
    for i, flags in enumerate(windows.flags):
        azimuth = ""
        if not math.isnan(windows.azimuth[i]):
            azimuth = f"{rounded_degrees(windows.azimuth[i], 2):.2f}"
        time_s = f"{windows.times[i]:.3f}"
        yield name, time_s, azimuth, f"{windows.confidence[i]:.4f}", " / ".join(flags)

"""What `localise` and `render` of the command line do with files and pipes."""

import contextlib
import csv
import io
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO

from ssl_jax.common.errors import InputError, os_error_message
from ssl_jax.common.files import picture_kind, write_text
from ssl_jax.common.progress import say
from ssl_jax.recordings.azimuths import Azimuths, Windows
from ssl_jax.recordings.live import sound_of
from ssl_jax.recordings.localisation import live_estimates, localise_file
from ssl_jax.recordings.overall import Overall
from ssl_jax.recordings.scene import RenderOptions, render_file, scene_kind, write_scene
from ssl_jax.recordings.tables import (
    COLUMNS,
    CSV_COLUMNS,
    as_json,
    csv_rows,
    heading,
    json_windows,
    print_text,
    summary,
    table,
    table_line,
)
from ssl_jax.recordings.windows import WindowSettings, load_listener, watch_sound

STANDARD = Path("-")  # standard input, or output
PIPE_NAME = "standard input"


@dataclass(frozen=True)
class LocaliseOutputs:
    """Where `localise` writes beside its table. STANDARD prints there instead of the table."""

    csv: Path | None = None
    json: Path | None = None
    picture: Path | None = None  # of one recording

    def check(self) -> None:
        """Raise InputError where two of them are the same standard output, or a name is wrong."""
        if self.csv == self.json == STANDARD:
            raise InputError("--csv - and --json -: one of them alone can be printed")
        if self.picture is not None:
            picture_kind(self.picture)

    @property
    def table_is_printed(self) -> bool:
        """Is standard output free for the table of windows?"""
        return STANDARD not in (self.csv, self.json)


def localise_files(
    paths: Sequence[Path], settings: WindowSettings, outputs: LocaliseOutputs
) -> list[str]:
    """Localise recordings, print their tables, and write files.

    Returns
    -------
    Messages about files that could not be read, which are left out.

    Raises
    ------
    InputError
        Where a setting is wrong, or no file could be read.
    """
    outputs.check()
    several = len(paths) > 1
    if several and outputs.picture is not None:
        raise InputError(
            f"--plot {outputs.picture}: draws one recording, not {len(paths)}: give one FILE"
        )
    # a wrong setting is no file's fault
    load_listener(settings)
    with_cues = outputs.picture is not None
    done: dict[str, Azimuths] = {}
    failures: list[str] = []
    try:
        for path in paths:
            try:
                azimuths = localise_file(
                    path,
                    settings.window_s,
                    settings.step_s,
                    settings.model,
                    with_cues,
                    settings.prior,
                )
            except (InputError, OSError) as error:
                failures.append(_message(error))
                continue
            done[str(path)] = azimuths
            if several:
                _print_table(path, azimuths, outputs)
    finally:
        # what is done is kept, whatever ended the work
        if done:
            _write_files(done, outputs)
    if not done:
        raise InputError("; ".join(failures))
    if not several:
        _print_table(paths[0], azimuths, outputs)
    return failures


def _print_table(path: Path, azimuths: Azimuths, outputs: LocaliseOutputs) -> None:
    if outputs.table_is_printed:
        print_text(table(str(path), azimuths))


def _message(error: InputError | OSError) -> str:
    return os_error_message(error) if isinstance(error, OSError) else str(error)


def _write_files(done: dict[str, Azimuths], outputs: LocaliseOutputs) -> None:
    if outputs.json is not None:
        contents = [as_json(name, azimuths) for name, azimuths in done.items()]
        # on one line: a posterior has 72 numbers
        _write(outputs.json, json.dumps({"files": contents}) + "\n")
    if outputs.csv is not None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(CSV_COLUMNS)
        for name, azimuths in done.items():
            writer.writerows(csv_rows(name, azimuths))
        _write(outputs.csv, text.getvalue())
    if outputs.picture is not None:
        # only this needs matplotlib
        from ssl_jax.recordings.pictures import draw_azimuths

        for name, azimuths in done.items():
            draw_azimuths(azimuths, outputs.picture, Path(name).name)


def _write(path: Path, text: str) -> None:
    if path == STANDARD:
        print_text(text.rstrip("\n"))
    else:
        write_text(path, text)


def standard_input() -> BinaryIO:
    """Its bytes; raises InputError where it is closed."""
    if sys.stdin is None:
        raise InputError("-: standard input is closed: send it a sound, as with | or <")
    return sys.stdin.buffer


def localise_pipe(
    stream: BinaryIO, raw_fs: int | None, settings: WindowSettings, outputs: LocaliseOutputs
) -> None:
    """Localise what comes in: a line, and rows of the files, as soon as each window is known.

    Parameters
    ----------
    raw_fs : Hz of 16-bit samples without a header; None for a WAV
    outputs : CSV, and JSON of one window a line

    Raises
    ------
    InputError
        Where a setting is wrong, or the sound; the windows before are written.
    """
    outputs.check()
    if outputs.picture is not None:
        raise InputError("-: a pipe has no --plot: save the sound to a file")
    listener = load_listener(settings)
    sound = sound_of(stream, PIPE_NAME, raw_fs)
    quality = watch_sound(PIPE_NAME, sound.fs, listener.front)
    overall = Overall()
    window_s = listener.span_frames / listener.frame_rate
    step_s = listener.step_frames / listener.frame_rate
    with _opened_rows(outputs) as rows:
        if outputs.table_is_printed:
            network = f"{listener.model}, prior {listener.prior}"
            title = heading(PIPE_NAME, "as it comes", sound.fs, network, window_s, step_s)
            print_text(f"{title}\n{COLUMNS}")
        for windows in live_estimates(listener, quality, sound.blocks):
            overall.add(windows)
            rows.write(windows)
            if outputs.table_is_printed:
                for i in range(len(windows.times)):
                    print_text(table_line(windows, i))
    for note in quality.notes():
        if outputs.table_is_printed:
            print_text(f"note: {note}")
        else:
            say(f"ssl_jax: note: {note}")
    if outputs.table_is_printed:
        print_text(summary(overall))


class _Rows:
    """Writes windows as they come, to files that can be read meanwhile."""

    def __init__(self, csv_stream: TextIO | None, json_stream: TextIO | None):
        self.json_stream = json_stream
        self.csv_stream = csv_stream
        self.csv_writer = None
        if csv_stream is not None:
            self.csv_writer = csv.writer(csv_stream, lineterminator="\n")
            self.csv_writer.writerow(CSV_COLUMNS)

    def write(self, windows: Windows) -> None:
        if self.csv_writer is not None and self.csv_stream is not None:
            self.csv_writer.writerows(csv_rows(PIPE_NAME, windows))
            self.csv_stream.flush()
        if self.json_stream is not None:
            for window in json_windows(windows):
                self.json_stream.write(json.dumps(window) + "\n")
            self.json_stream.flush()


@contextlib.contextmanager
def _opened_rows(outputs: LocaliseOutputs) -> Iterator[_Rows]:
    with contextlib.ExitStack() as opened:

        def opened_text(path: Path | None) -> TextIO | None:
            if path is None:
                return None
            if path == STANDARD:
                return sys.stdout
            path.parent.mkdir(parents=True, exist_ok=True)
            return opened.enter_context(open(path, "w", encoding="utf-8", newline=""))

        yield _Rows(opened_text(outputs.csv), opened_text(outputs.json))


def render_to_file(options: RenderOptions, output: Path, bits: int, picture: Path | None) -> None:
    """Render a scene of sound files, and write it as WAV or FLAC of so many bits.

    Raises
    ------
    InputError
        Where a file or a number is wrong; nothing is written then.
    """
    scene_kind(output)
    if picture is not None:
        picture_kind(picture)
    scene = render_file(options)
    for note in scene.notes:
        say(f"ssl_jax: note: {note}")
    write_scene(scene, output, bits)
    if picture is not None:
        # only this needs matplotlib
        from ssl_jax.recordings.pictures import draw_spectrogram

        draw_spectrogram(scene.ears, scene.fs, picture, output.name, scene.azimuths)
    seconds = len(scene.ears) / scene.fs
    print_text(f"{output}: {seconds:.2f} s at {scene.fs} Hz, {bits} bits, left ear first")

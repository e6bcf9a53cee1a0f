"""What `localise` of the command line does with sound that is coming in, by pipe or microphone."""

import contextlib
import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.common.progress import say
from ssl_jax.recordings.azimuths import Windows
from ssl_jax.recordings.commands import STANDARD, LocaliseOutputs, draw_picture
from ssl_jax.recordings.estimates import join_estimates, live_estimates
from ssl_jax.recordings.live import IncomingSound, sound_of
from ssl_jax.recordings.microphone import open_microphone
from ssl_jax.recordings.overall import Overall
from ssl_jax.recordings.overview import Overview
from ssl_jax.recordings.quality import Quality
from ssl_jax.recordings.tables import (
    CSV_COLUMNS,
    TABLE_HEAD,
    csv_rows,
    heading,
    json_windows,
    print_text,
    summary,
    table_line,
)
from ssl_jax.recordings.windows import Listener, WindowSettings, load_listener, watch_sound

PIPE_NAME = "standard input"


def standard_input() -> BinaryIO:
    """Its bytes; raises InputError where it is closed."""
    if sys.stdin is None:
        raise InputError("-: standard input is closed: send it a sound, as with | or <")
    return sys.stdin.buffer


def localise_pipe(
    stream: BinaryIO, raw_fs: int | None, settings: WindowSettings, outputs: LocaliseOutputs
) -> None:
    """Localise what comes from a pipe; see `localise_incoming`.

    Parameters
    ----------
    raw_fs : Hz of 16-bit samples without a header; None for a WAV
    """
    # a file that the shell sends in, as with <, is known by this name
    outputs.check(settings, [Path("/dev/stdin")])
    listener = load_listener(settings)
    localise_incoming(sound_of(stream, PIPE_NAME, raw_fs), listener, outputs)


def localise_microphone(
    device: str | None, settings: WindowSettings, outputs: LocaliseOutputs
) -> None:
    """Localise what an input of the machine records; see `localise_incoming`.

    Parameters
    ----------
    device : see `open_microphone`
    """
    outputs.check(settings)
    listener = load_listener(settings)
    with open_microphone(device) as sound:
        localise_incoming(sound, listener, outputs)


def localise_incoming(sound: IncomingSound, listener: Listener, outputs: LocaliseOutputs) -> None:
    """Localise a sound: a line, and rows of the files, as soon as each window is known.

    Ctrl-C ends the sound. JSON has a window a line.

    Raises
    ------
    InputError
        Where the sound is wrong; the windows before are written, and in the picture.
    """
    quality = watch_sound(sound.name, sound.fs, listener.front)
    overall = Overall()
    picture = _Picture(listener, quality, outputs.picture)
    if outputs.table_is_printed:
        print_text(_title(sound, listener))
    with _opened_rows(sound.name, outputs) as rows:
        try:
            for windows in live_estimates(listener, quality, sound.blocks, picture.overview):
                overall.add(windows)
                picture.add(windows)
                rows.write(windows)
                if outputs.table_is_printed:
                    for i in range(len(windows.times)):
                        print_text(table_line(windows, i))
        except KeyboardInterrupt:
            # nothing else ends a microphone; without a window there is nothing to say
            if not overall.windows:
                raise
        finally:
            picture.draw()
    for note in quality.notes():
        if outputs.table_is_printed:
            print_text(f"note: {note}")
        else:
            say(f"ssl_jax: note: {note}")
    if outputs.table_is_printed:
        print_text(summary(overall))


def _title(sound: IncomingSound, listener: Listener) -> str:
    window_s = listener.span_frames / listener.frame_rate
    step_s = listener.step_frames / listener.frame_rate
    network = f"{listener.model}, prior {listener.prior}"
    title = heading(sound.name, "as it comes", sound.fs, network, window_s, step_s)
    return f"{title}\n{TABLE_HEAD}"


class _Picture:
    """Keeps what the picture of an incoming sound needs, where there is to be one."""

    def __init__(self, listener: Listener, quality: Quality, path: Path | None):
        self.listener = listener
        self.quality = quality
        self.path = path
        self.overview = None if path is None else Overview()
        self._windows: list[Windows] = []
        self._heard = False

    def add(self, windows: Windows) -> None:
        if self.path is not None:
            self._windows.append(windows)
            self._heard |= bool(np.isfinite(windows.azimuth).any())

    def draw(self) -> None:
        """Draw the windows so far, where something sounds in any."""
        if self.path is not None and self._heard:
            azimuths = join_estimates(self._windows, self.listener, self.quality, self.overview)
            draw_picture(azimuths, self.path, self.quality.name)


class _Rows:
    """Writes windows as they come, to files that can be read meanwhile."""

    def __init__(self, name: str, csv_stream: TextIO | None, json_stream: TextIO | None):
        self.name = name  # of the sound
        self.json_stream = json_stream
        self.csv_stream = csv_stream
        self.csv_writer = None
        if csv_stream is not None:
            self.csv_writer = csv.writer(csv_stream, lineterminator="\n")
            self.csv_writer.writerow(CSV_COLUMNS)

    def write(self, windows: Windows) -> None:
        if self.csv_writer is not None and self.csv_stream is not None:
            self.csv_writer.writerows(csv_rows(self.name, windows))
            self.csv_stream.flush()
        if self.json_stream is not None:
            for window in json_windows(windows):
                self.json_stream.write(json.dumps(window) + "\n")
            self.json_stream.flush()


@contextlib.contextmanager
def _opened_rows(name: str, outputs: LocaliseOutputs) -> Iterator[_Rows]:
    with contextlib.ExitStack() as opened:

        def opened_text(path: Path | None) -> TextIO | None:
            if path is None:
                return None
            if path == STANDARD:
                return sys.stdout
            path.parent.mkdir(parents=True, exist_ok=True)
            return opened.enter_context(open(path, "w", encoding="utf-8", newline=""))

        yield _Rows(name, opened_text(outputs.csv), opened_text(outputs.json))

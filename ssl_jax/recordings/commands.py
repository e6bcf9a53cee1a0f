"""What `localise` and `render` of the command line do with files."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ssl_jax.common.errors import InputError, os_error_message
from ssl_jax.common.files import check_outputs, picture_kind, write_text
from ssl_jax.common.progress import say
from ssl_jax.networks.packed import default_weights, path_of
from ssl_jax.recordings.azimuths import Azimuths
from ssl_jax.recordings.localisation import localise_recording, open_recording
from ssl_jax.recordings.scene import RenderOptions, render_file, scene_kind, write_scene
from ssl_jax.recordings.tables import (
    CSV_COLUMNS,
    as_json,
    csv_rows,
    print_text,
    table,
)
from ssl_jax.recordings.windows import WindowSettings, load_listener

STANDARD = Path("-")  # standard input, or output


@dataclass(frozen=True)
class LocaliseOutputs:
    """Where `localise` writes beside its table. STANDARD prints there instead of the table."""

    csv: Path | None = None
    json: Path | None = None
    picture: Path | None = None  # of one recording

    def check(self, settings: WindowSettings, inputs: Sequence[Path] = ()) -> None:
        """Raise InputError or OSError, before any work, where one of them cannot be written.

        Parameters
        ----------
        settings : whose network is read
        inputs : files that are read too; no output may replace any of them
        """
        if self.csv == self.json == STANDARD:
            raise InputError("--csv - and --json -: one of them alone can be printed")
        if self.picture is not None:
            picture_kind(self.picture)
        named = [path for path in (self.csv, self.json, self.picture) if path is not None]
        network = path_of(settings.model or default_weights())
        check_outputs([path for path in named if path != STANDARD], [*inputs, network])

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
    outputs.check(settings, paths)
    if len(paths) > 1 and outputs.picture is not None:
        raise InputError(
            f"--plot {outputs.picture}: draws one recording, not {len(paths)}: give one FILE"
        )
    # refused here: a wrong setting is no file's fault
    listener = load_listener(settings)
    with_cues = outputs.picture is not None
    localised: dict[str, Azimuths] = {}
    failures: list[str] = []
    try:
        for path in paths:
            try:
                recording = open_recording(path)
                azimuths = localise_recording(recording, listener, settings, cues=with_cues)
            except (InputError, OSError) as error:
                failures.append(_message(error))
                continue
            localised[str(path)] = azimuths
            if outputs.table_is_printed:
                print_text(table(str(path), azimuths))
    finally:
        # what is localised is written, whatever ended the work
        if localised:
            _write_files(localised, outputs)
    if not localised:
        raise InputError("; ".join(failures))
    return failures


def _message(error: InputError | OSError) -> str:
    return os_error_message(error) if isinstance(error, OSError) else str(error)


def _write_files(localised: dict[str, Azimuths], outputs: LocaliseOutputs) -> None:
    """Write the outputs that are asked for; `localised` is by name of the file."""
    if outputs.json is not None:
        contents = [as_json(name, azimuths) for name, azimuths in localised.items()]
        # on one line: a posterior has 72 numbers
        _write(outputs.json, json.dumps({"files": contents}) + "\n")
    if outputs.csv is not None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(CSV_COLUMNS)
        for name, azimuths in localised.items():
            writer.writerows(csv_rows(name, azimuths))
        _write(outputs.csv, text.getvalue())
    if outputs.picture is not None:
        for name, azimuths in localised.items():
            draw_picture(azimuths, outputs.picture, Path(name).name)


def draw_picture(azimuths: Azimuths, path: Path, title: str) -> None:
    """Draw `azimuths`, which has the cues too."""
    # only this needs matplotlib
    from ssl_jax.recordings.pictures import draw_azimuths

    draw_azimuths(azimuths, path, title)


def _write(path: Path, text: str) -> None:
    if path == STANDARD:
        print_text(text.rstrip("\n"))
    else:
        write_text(path, text)


def render_to_file(options: RenderOptions, output: Path, bits: int, picture: Path | None) -> None:
    """Render a scene of sound files, and write it as WAV or FLAC of so many bits.

    Raises
    ------
    InputError
        Where a file or a number is wrong; nothing is written then.
    """
    if output == STANDARD:
        raise InputError("--output -: a scene goes to a file: use a name that ends in .wav")
    scene_kind(output)
    written = [output]
    if picture is not None:
        picture_kind(picture)
        written.append(picture)
    check_outputs(written, [options.speech, *options.noises, options.head])
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

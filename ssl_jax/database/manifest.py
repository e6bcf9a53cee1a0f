"""manifest.csv: what every mixture is made of, by the names of clips, heads and files."""

import csv
import io
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import MAX_TEXT_BYTES, csv_rows
from ssl_jax.config import AZIMUTH_STEP, PARTS
from ssl_jax.database.recipes import Recipes
from ssl_jax.sounds.sources import Sounds
from ssl_jax.sounds.speech import SpeechClip

COLUMNS = (
    "mixture",
    "clip",
    "speaker",
    "speech_file",
    "speech_start_s",
    "azimuth",
    "elevation",
    "head",
    "noise_kind",
    "noise_file_1",
    "noise_azimuth_1",
    "snr_1_db",
    "noise_file_2",
    "noise_azimuth_2",
    "snr_2_db",
    "part",
)
READ = ("mixture", "speaker", "head", "snr_1_db", "snr_2_db", "part")
MAX_ROW_BYTES = 1000


@dataclass(frozen=True)
class Manifest:
    """What training and the studies read of a manifest of n mixtures."""

    part: np.ndarray | None  # (n,), index into PARTS; None where training splits
    snr: np.ndarray  # (n,), dB, the lower of the two noises'
    speaker: list[str]  # n of them
    head: list[str]  # the same


def manifest_csv(recipes: Recipes, sounds: Sounds, part: np.ndarray | None = None) -> str:
    """The recipes as CSV, and the part of each mixture."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for number in range(len(recipes.clip)):
        one = recipes.rows(number)
        clip = sounds.speech.clips[one.clip]
        elevation = sounds.heads.elevations[one.head, one.azimuth]
        row = [number, clip.name, clip.speaker]
        if isinstance(clip, SpeechClip):
            row += [clip.file, f"{clip.start_s:g}"]
        else:
            # known by its name
            row += ["", ""]
        row += [one.azimuth * AZIMUTH_STEP, f"{elevation:.2f}"]
        row += [sounds.heads.names[one.head], sounds.noises.kinds[one.noise_kind]]
        files = sounds.noises.names[one.noise_kind]
        for file, azimuth, snr in zip(one.noise_file, one.noise_azimuth, one.snr, strict=True):
            row += [files[file], azimuth * AZIMUTH_STEP, f"{snr:.4f}"]
        row.append("" if part is None else PARTS[part[number]])
        rows.writerow(row)
    return text.getvalue()


def read_manifest(path: Path, count: int) -> Manifest:
    """Read a manifest back.

    Raises
    ------
    InputError
        Where it is missing, or not one of `count` mixtures.
    """
    if not path.exists():
        raise InputError(f"{path}: is missing: run the database stage again")
    snr = np.empty(count)
    part = np.empty(count, int)
    speakers: list[str] = []
    heads: list[str] = []
    named_parts: set[str] = set()
    max_bytes = MAX_TEXT_BYTES + MAX_ROW_BYTES * count
    try:
        for number, row in enumerate(csv_rows(path, READ, count + 1, max_bytes)):
            if int(row["mixture"]) != number or number == count:
                raise ValueError
            snr[number] = min(float(row["snr_1_db"]), float(row["snr_2_db"]))
            part[number] = PARTS.index(row["part"] or PARTS[0])
            # names repeat in thousands of rows: one copy of each is enough
            speakers.append(sys.intern(row["speaker"]))
            heads.append(sys.intern(row["head"]))
            named_parts.add(row["part"])
    except InputError:
        raise
    except (ValueError, TypeError):
        named_parts = set()
    if len(speakers) != count or named_parts not in ({""}, set(PARTS[:2]), set(PARTS)):
        raise InputError(
            f"{path}: is not the manifest of these {count:,} mixtures: run the database stage again"
        )
    return Manifest(None if named_parts == {""} else part, snr, speakers, heads)

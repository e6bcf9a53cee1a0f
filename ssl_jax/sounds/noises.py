"""Noise by kind, in clips of a second: of the package, of a folder, or of a release of ESC-50."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import package_data, read_csv
from ssl_jax.common.progress import say, track
from ssl_jax.sounds.clips import cut_into_seconds, one_second, read_mono, sound_files
from ssl_jax.sounds.steadiness import steadiness

KINDS = 10  # of noise in an experiment, at most (published)
CLIPS_OF_KIND = 20  # at most (published)
LEAST_CLIPS = 2  # of a kind: a mixture has two different ones (published)
ESC50_TABLE = "meta/esc50.csv"


@dataclass(frozen=True)
class Noises:
    """Clips of one second by kind. Kinds with fewer clips than others end in zeros."""

    kinds: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]  # of the clips of each kind
    waveforms: np.ndarray  # (kinds, clips, fs) float32, each clip with peak 1

    @property
    def clip_counts(self) -> list[int]:
        """How many clips each kind has."""
        return [len(names) for names in self.names]


@dataclass(frozen=True)
class Kind:
    """One kind of noise: its clips and what they are called."""

    names: tuple[str, ...]
    waveforms: np.ndarray  # (clips, fs) float32


def load_noises(folder: Path | None, kinds: Sequence[str], fs: int) -> Noises:
    """The `kinds` of noise of a folder, or of the package for None; () for all of them.

    Where more than KINDS are there, the steadiest are taken. Raises InputError as `load_kinds`.
    """
    folder = package_data("noise") if folder is None else folder
    loaded = load_kinds(folder, kinds, fs)
    if not kinds and len(loaded) > KINDS:
        loaded = steadiest(folder, loaded, fs)
    return join_kinds(loaded, fs)


def load_kinds(folder: Path, kinds: Sequence[str], fs: int) -> dict[str, Kind]:
    """The `kinds` of sounds of a folder, () for all of them.

    A kind is a folder KIND/ of sound files, of each of which the first second is used
    (published), or one file KIND.ogg of several seconds. An unpacked release of ESC-50 is known
    by its meta/esc50.csv.

    Raises
    ------
    InputError
        For a folder of fewer than two kinds, a kind that is not there or has fewer than
        LEAST_CLIPS seconds that sound, and files that are damaged or silent.
    """
    files = files_of_kinds(folder, kinds)
    loaded = {}
    for kind in track(files, "kinds of noise", total=len(files)):
        loaded[kind] = load_kind(folder, kind, files[kind], fs)
    return loaded


def files_of_kinds(folder: Path, kinds: Sequence[str]) -> dict[str, list[Path]]:
    """The sound files of `kinds` of noise by name, () for all; InputError as `load_kinds`."""
    files = files_by_kind(folder)
    if len(files) < 2:
        raise InputError(f"{folder}: has {len(files)} kind of noise: name a folder with at least 2")
    unknown = [kind for kind in kinds if kind not in files]
    if unknown:
        raise InputError(
            f"{folder}: has no kind of noise {unknown[0]!r}: use some of {', '.join(files)}"
        )
    return {kind: files[kind] for kind in sorted(set(kinds)) or files}


def files_by_kind(folder: Path) -> dict[str, list[Path]]:
    """The sound files of each kind of noise, by name; see `load_kinds`."""
    if (folder / ESC50_TABLE).is_file():
        return _files_of_esc50(folder)
    files: dict[str, list[Path]] = {}
    for path in sound_files(folder):
        parts = path.relative_to(folder).parts
        kind = parts[0] if len(parts) > 1 else path.stem
        files.setdefault(kind, []).append(path)
    return dict(sorted(files.items()))


def _files_of_esc50(folder: Path) -> dict[str, list[Path]]:
    table = folder / ESC50_TABLE
    files: dict[str, list[Path]] = {}
    for row in read_csv(table, ("filename", "category")):
        name = row["filename"]
        if name in ("", "..") or Path(name).name != name or "\\" in name or "\0" in name:
            raise InputError(f"{table}: names the file {name[:60]!r}: fetch the release again")
        files.setdefault(row["category"], []).append(folder / "audio" / name)
    return {kind: sorted(paths) for kind, paths in sorted(files.items())}


def load_kind(folder: Path, kind: str, files: list[Path], fs: int) -> Kind:
    """The first clips of one kind that sound, at most CLIPS_OF_KIND; see `load_kinds`."""
    names: list[str] = []
    clips: list[np.ndarray] = []
    one_file = len(files) == 1
    for path in files:
        sound, rate = read_mono(path, seconds=CLIPS_OF_KIND if one_file else 1)
        if not sound.any() and not read_mono(path)[0].any():
            raise InputError(f"{path}: is silent throughout: take it out of the folder")
        seconds = cut_into_seconds(sound, rate)
        name = path.relative_to(folder).as_posix()
        for k, second in enumerate(seconds):
            # a padded rest of a long file would be a clip that is mostly silent
            is_rest = k > 0 and (k + 1) * rate > len(sound)
            if second.any() and not is_rest:
                names.append(f"{name}#{k}" if one_file else name)
                clips.append(one_second(second, rate, fs))
        if len(clips) == CLIPS_OF_KIND:
            break
    if len(clips) < LEAST_CLIPS:
        raise InputError(
            f"{folder}: kind of noise {kind!r} has {len(clips)} second that sounds: "
            f"add files, at least {LEAST_CLIPS} in all"
        )
    return Kind(tuple(names), np.stack(clips))


def steadiest(folder: Path, loaded: dict[str, Kind], fs: int) -> dict[str, Kind]:
    """The KINDS kinds whose median steadiness is least, and a line that says which."""
    median = {k: float(np.median(steadiness(kind.waveforms, fs))) for k, kind in loaded.items()}
    chosen = sorted(sorted(median, key=median.__getitem__)[:KINDS])
    listed = ", ".join(f"{kind} ({median[kind]:.1f} dB)" for kind in chosen)
    say(
        f"{folder}: {len(loaded)} kinds of noise; the {KINDS} steadiest are used: {listed}. "
        "--noise-kinds chooses others"
    )
    return {kind: loaded[kind] for kind in chosen}


def join_kinds(loaded: dict[str, Kind], fs: int) -> Noises:
    """Clips by kind as one array."""
    most = max(len(kind.names) for kind in loaded.values())
    waveforms = np.zeros((len(loaded), most, fs), np.float32)
    for stored, kind in zip(waveforms, loaded.values(), strict=True):
        stored[: len(kind.names)] = kind.waveforms
    names = tuple(kind.names for kind in loaded.values())
    return Noises(tuple(loaded), names, waveforms)

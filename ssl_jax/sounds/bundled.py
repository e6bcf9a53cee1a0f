"""Sounds and heads of the package by name: voice:SPEAKER, noise:KIND and head:NAME."""

from pathlib import Path

from ssl_jax.common.errors import InputError
from ssl_jax.common.files import package_data
from ssl_jax.sounds.clips import numbers_first
from ssl_jax.sounds.speech import speaker_of

# folders of the package by what is before the colon
FOLDERS = {"voice": "speech", "noise": "noise", "head": "hrtf"}


def bundled_files(kind: str) -> dict[str, Path]:
    """The files of one kind of FOLDERS by their names, in order."""
    files = {}
    for path in package_data(FOLDERS[kind]).iterdir():
        files[speaker_of(Path(path.name)) if kind == "voice" else path.stem] = path
    return {name: files[name] for name in sorted(files, key=numbers_first)}


def bundled_path(path: Path) -> Path:
    """The file that a name of the package stands for; any other path stays as it is.

    A file of one's own that is called like a name is reached by its whole path.

    Raises
    ------
    InputError
        Where the package has no sound of that name.
    """
    kind, colon, name = str(path).partition(":")
    if not colon or kind not in FOLDERS:
        return path
    files = bundled_files(kind)
    if name not in files:
        listed = ", ".join(files)
        raise InputError(f"{path}: no {kind} of the package: use {kind}: and one of {listed}")
    return files[name]

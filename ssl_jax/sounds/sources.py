"""All sounds of a run: speech, noises and heads, of the package or of one's own folders."""

from dataclasses import dataclass
from pathlib import Path

from ssl_jax.common.errors import InputError, os_error_message
from ssl_jax.config import Database, SoundFolders
from ssl_jax.sounds.hrtf import Heads, head_files, load_heads
from ssl_jax.sounds.noises import Noises, load_noises
from ssl_jax.sounds.rooms import load_rooms
from ssl_jax.sounds.speech import Speech, load_speech
from ssl_jax.sounds.targets import Targets, load_targets, voices_for


@dataclass(frozen=True)
class Sounds:
    """What mixtures are made of."""

    speech: Speech | Targets
    noises: Noises
    heads: Heads


def load_sounds(folders: SoundFolders, config: Database, fs: int) -> Sounds:
    """The sounds of a database at rate `fs` (Hz).

    Raises
    ------
    InputError
        As `load_speech`, `load_noises`, `load_heads` and `load_rooms` do.
    """
    try:
        # A wrong folder of heads is known at once. Heads in rooms take minutes: last.
        head_files(_path(folders.heads))
        noises = load_noises(_path(folders.noise), config.noise_kinds, fs)
        clips = load_clips(folders, config, noises, fs)
        return Sounds(clips, noises, load_database_heads(folders.heads, config, fs))
    except OSError as error:
        raise InputError(os_error_message(error)) from None


def load_database_heads(folder: Path | None, config: Database, fs: int) -> Heads:
    """Heads in the free field, or in rooms where the database asks for rooms."""
    if config.rooms:
        return load_rooms(_path(folder), config, fs)
    return load_heads(_path(folder), config.direction_rule, fs)


def load_clips(
    folders: SoundFolders, config: Database, noises: Noises, fs: int
) -> Speech | Targets:
    """What mixtures point at: speech, and other sounds too where a database asks for them."""
    if config.other_targets:
        speech = load_speech(_path(folders.speech), voices_for(config.clips), fs)
        return load_targets(speech, noises, _path(folders.targets), config)
    return load_speech(_path(folders.speech), config.clips, fs)


def _path(folder: Path | None) -> Path | None:
    return None if folder is None else Path(folder)

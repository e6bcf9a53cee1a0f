"""Pages of the studies: printed, and written only where that is asked for."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ssl_jax.common.files import write_text


def show_page(path: Path | None, *sections: str) -> None:
    """Print sections with a line break between them, and write them to `path` unless None."""
    text = "\n".join(sections)
    if path is not None:
        write_text(path, text)
    print(text)


def command_line(
    stage: str, folders: Mapping[str, Path | None], noise_kinds: Sequence[str], seed: int
) -> str:
    """The command that made a page: its folders as DIR, and whatever is not the default."""
    words = [f"ssl_jax {stage}"]
    words += [f"--{name} DIR" for name, folder in folders.items() if folder is not None]
    if noise_kinds:
        words.append(f"--noise-kinds {','.join(noise_kinds)}")
    if seed:
        words.append(f"--seed {seed}")
    return " ".join(words)

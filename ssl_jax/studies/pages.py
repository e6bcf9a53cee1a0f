"""Pages of the studies: printed, and written only where that is asked for."""

from pathlib import Path

from ssl_jax.common.files import write_text


def show_page(path: Path | None, *sections: str) -> None:
    """Print sections with a line break between them, and write them to `path` unless None."""
    text = "\n".join(sections)
    if path is not None:
        write_text(path, text)
    print(text)

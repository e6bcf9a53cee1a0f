"""The site is docs/, the README as its first page, and what else they link to."""

import os
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(?<=\]\()([^)\s#:]+)(?=[)#])")
PAGES = "README.md", "CHANGELOG.md", "CONTRIBUTING.md"


def place(path: Path) -> str:
    """Where a file of the repository lies in the site."""
    name = path.relative_to(ROOT).as_posix()
    return {"README.md": "index.md"}.get(name, name.removeprefix("docs/"))


def targets(path: Path) -> list[Path]:
    """Files of the repository that a page links to."""
    linked = (path.parent / link for link in LINK.findall(path.read_text("utf-8")))
    return [Path(os.path.normpath(target)) for target in linked if target.is_file()]


def on_files(files, config):
    """Add the pages of PAGES, and what any page links to, in any number of steps."""
    seen = set()
    waiting = [ROOT / name for name in PAGES]
    waiting += [Path(page.abs_src_path) for page in files.documentation_pages()]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        if files.get_file_from_path(place(path)) is None:
            files.append(File.generated(config, place(path), abs_src_path=str(path)))
        if path.suffix == ".md":
            waiting += targets(path)
    return files


def on_page_markdown(markdown, page, **_):
    """Let links of a page lead to where files lie in the site."""
    source = Path(page.file.abs_src_path)

    def place_of_link(link):
        target = Path(os.path.normpath(source.parent / link[1]))
        if not target.is_file():
            return link[1]
        return os.path.relpath(place(target), os.path.dirname(page.file.src_uri))

    return LINK.sub(place_of_link, markdown)

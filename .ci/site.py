"""The site is docs/, the README in another order as its first page, and what else they link to.

The README opens with the experiment, the site with use. The notebook is a page like any other: its
outputs are stored in it, so that nothing runs while the site is built. mkdocs-jupyter would do this
too, and bring 42 packages.
"""

import json
import os
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(?<=\]\()([^)\s#:]+)(?=[)#])")
PAGES = "README.md", "CHANGELOG.md", "CONTRIBUTING.md"
README = ROOT / "README.md"
DESCRIPTION = ROOT / "docs/installation.md"
# titles of the README's sections: what people come for, before the experiment
USE = ("Localise your own recording", "The front-end in five lines", "Conventions")


def place(path: Path) -> str:
    """Where a file of the repository lies in the site."""
    if path.suffix == ".ipynb":
        path = path.with_suffix(".md")
    name = path.relative_to(ROOT).as_posix()
    return {"README.md": "index.md"}.get(name, name.removeprefix("docs/"))


def source_of(path: Path) -> str:
    """The Markdown of a page."""
    if path.suffix == ".ipynb":
        return notebook_page(path)
    if path == README:
        return first_page()
    return path.read_text("utf-8")


def sections(page: Path) -> dict[str, str]:
    """The sections of a page by their titles; what stands before them has none."""
    text = re.sub(r"\A# .*\n", "", page.read_text("utf-8"))
    opening, *others = re.split(r"^## ", text, flags=re.MULTILINE)
    return {"": opening} | {section.split("\n")[0]: section for section in others}


def first_page() -> str:
    """The README, use first; it opens as the package's description does, and says how to install.

    Raises
    ------
    KeyError
        A section is not there any more.
    """
    description = sections(DESCRIPTION)
    readme = sections(README)
    what_it_is = description[""].strip().split("\n\n")[0]
    use = [readme.pop(title) for title in USE]
    experiment = "The experiment\n" + readme.pop("")
    parts = [f"# ssl_jax\n\n{what_it_is}\n", description["Install"], *use, experiment]
    return "\n## ".join([*parts, *readme.values()])


def notebook_page(path: Path) -> str:
    """A notebook as Markdown: its text, its code, and what each cell printed and drew."""
    parts = []
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        parts += [shown(output) for output in cell["outputs"]]
    name = path.name
    parts.append(f"This page is a notebook: [{name}]({name}).")
    return "\n\n".join(parts)


def shown(output: dict) -> str:
    """An output of a cell: a picture, or text."""
    data = output.get("data", {})
    if "image/png" in data:
        return f"![What the cell draws](data:image/png;base64,{data['image/png']})"
    text = "".join(output.get("text") or data["text/plain"])
    return f"```text\n{text.rstrip()}\n```"


def targets(path: Path) -> list[Path]:
    """Files of the repository that a page links to."""
    linked = (path.parent / link for link in LINK.findall(source_of(path)))
    return [Path(os.path.normpath(target)) for target in linked if target.is_file()]


def on_files(files, config):
    """Add the notebook, the pages of PAGES, and what any page links to, in any number of steps."""
    seen = set()
    waiting = [ROOT / name for name in PAGES] + sorted(ROOT.glob("docs/*.ipynb"))
    waiting += [Path(page.abs_src_path) for page in files.documentation_pages()]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        if files.get_file_from_path(place(path)) is None:
            files.append(File.generated(config, place(path), abs_src_path=str(path)))
        if path.suffix in (".md", ".ipynb"):
            waiting += targets(path)
    return files


def on_page_read_source(page, **_):
    """Read what is no Markdown, or is in another order."""
    return source_of(Path(page.file.abs_src_path))


def on_page_markdown(markdown, page, **_):
    """Let links of a page lead to where files lie in the site."""
    source = Path(page.file.abs_src_path)

    def place_of_link(link):
        target = Path(os.path.normpath(source.parent / link[1]))
        if not target.is_file() or target == source:
            return link[1]
        return os.path.relpath(place(target), os.path.dirname(page.file.src_uri))

    return LINK.sub(place_of_link, markdown)

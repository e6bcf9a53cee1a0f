"""The pages of docs/: their commands run, or have options that exist.

Here they run in this process; .ci/commands.py runs them with the wheel.

The package's description stands alone. Python examples run in test_readme.py; `mkdocs build
--strict`, in .ci/packages, finds dead links.
"""

import contextlib
import re
import subprocess
import tomllib

import pytest

import ssl_jax
from ssl_jax.__main__ import parser
from support.pages import (
    COMMAND,
    NOT_RUN,
    blocks,
    commands,
    commands_to_read,
    named_outputs,
    reason_not_to_run,
)
from support.runs import ROOT

PAGES = {
    path.name: path.read_text("utf-8") for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
ELSEWHERE = ("README.md", "pytorch.md")  # test_readme.py, networks/test_onnx_export.py
WITH_COMMANDS = [name for name in PAGES if name not in ELSEWHERE and blocks("sh", PAGES[name])]


@pytest.mark.parametrize("page", WITH_COMMANDS)
def test_commands_run_as_written(page, call, tmp_path):
    """In an empty folder, one after the other; a file that an option names is then there."""
    for words in commands(PAGES[page]):
        ended = call(*words)
        assert ended.status == 0, (words, ended)
        assert [name for name in named_outputs(words) if not (tmp_path / name).exists()] == []


def test_every_command_that_does_not_run_has_its_reason_and_every_reason_a_command():
    lines = [line for text in PAGES.values() for line in commands_to_read(text)]
    for line in lines:
        assert reason_not_to_run(line), line
    unused = [start for start in NOT_RUN if not any(line.startswith(start) for line in lines)]
    assert unused == []


def options_of_stages() -> dict[str, set[str]]:
    """The options that each stage of the command line has."""
    stages = parser()._subparsers._group_actions[0].choices
    options = {}
    for name, stage in stages.items():
        options[name] = {word for action in stage._actions for word in action.option_strings}
    return options


@pytest.mark.parametrize("page", PAGES)
def test_commands_that_take_long_have_stages_and_options_that_exist(page):
    """In indented blocks, `sh` blocks and `code`."""
    code = re.findall("^    .*|`[^`\n]+`", PAGES[page], re.MULTILINE) + blocks("sh", PAGES[page])
    calls = [re.split(COMMAND, line)[1:] for block in code for line in block.splitlines()]
    calls = [rest for found in calls for rest in found if re.match("(?!import)[a-z]", rest)]
    calls += [f"all {rest}" for rest in re.findall(r"\./reproduce\.sh (-[^`\n]*)", PAGES[page])]
    known = options_of_stages()
    for stage, *words in (rest.replace("`", " ").split("   #")[0].split() for rest in calls):
        assert stage in known, f"ssl_jax {stage}"
        unknown = {word for word in words if word.startswith("-") and word != "-"} - known[stage]
        assert unknown == set(), f"ssl_jax {stage} {' '.join(words)}"


def test_the_description_of_the_package_needs_no_other_file_and_names_every_extra():
    page = PAGES["installation.md"]
    assert PROJECT["readme"] == "docs/installation.md" and "](" not in page and "<img" not in page
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == list(
        PROJECT["optional-dependencies"]
    )


def figures_of_the_project():
    """The committed figures: one's own runs draw others beside them.

    A source distribution has no history: there it is all figures.
    """
    words = ["git", "-C", str(ROOT), "ls-files", "paper_figures"]
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        listed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        if listed:
            return {name for name in listed.splitlines() if name.endswith(".png")}
    return {str(path.relative_to(ROOT)) for path in ROOT.glob("paper_figures/**/*.png")}


def test_the_gallery_shows_every_figure():
    figures = figures_of_the_project()
    assert len(figures) > 10
    shown = set(re.findall(r"\]\(\.\./(paper_figures/[^)]+)\)", PAGES["gallery.md"]))
    assert shown == figures


def test_the_page_of_the_api_has_every_name():
    named = set(re.findall(r"`(\w+)`", PAGES["api.md"]))
    assert set(ssl_jax.__all__) - named == set()


def test_the_page_of_the_api_describes_what_every_name_is():
    described = set(re.findall(r"^::: (\S+)", PAGES["api.md"], re.MULTILINE))
    things = [getattr(ssl_jax, name) for name in ssl_jax.__all__ if name not in ssl_jax.MODULES]
    homes = {f"{thing.__module__}.{thing.__qualname__}" for thing in things}
    assert homes - described == set()

"""Runs every command in the `sh` blocks of the README and docs/, each page in an empty folder.

usage: commands.py BIN, the folder of programs of an environment that has the wheel alone.
"""

import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.pages import (  # noqa: E402  the path above leads to it
    commands_to_read,
    commands_to_run,
    named_outputs,
    reason_not_to_run,
)


def run_page(text: str, folder: Path, env: dict[str, str]) -> None:
    """Run a page's commands by bash, one after the other; ends the program where one fails."""
    for line in commands_to_run(text):
        began = time.monotonic()
        words = ["bash", "-euo", "pipefail", "-c", line]
        done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True)
        print(f"  {time.monotonic() - began:5.1f} s  {line}", flush=True)
        missing = [
            name for name in named_outputs(shlex.split(line)) if not (folder / name).exists()
        ]
        if done.returncode or missing:
            sys.exit(f"{done.stdout}{done.stderr}status {done.returncode}, not there: {missing}")


def main(programs: str) -> None:
    """Run all pages; print what was run, and what was not and why."""
    env = os.environ | {"PATH": f"{Path(programs).resolve()}{os.pathsep}/usr/bin{os.pathsep}/bin"}
    env.pop("PYTHONPATH", None)  # the checkout may not help
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    texts = {page.relative_to(ROOT).as_posix(): page.read_text("utf-8") for page in pages}
    for name, text in texts.items():
        if commands_to_run(text):
            print(f"{name}, as it stands, with the wheel in an empty folder:")
            with tempfile.TemporaryDirectory() as folder:
                run_page(text, Path(folder), env)
    print("not run:")
    for name, text in texts.items():
        for line in commands_to_read(text):
            print(f"  {line}  ({name}: {reason_not_to_run(line)})")


if __name__ == "__main__":
    main(sys.argv[1])

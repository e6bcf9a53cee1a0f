"""Which commit this code is; it needs no JAX, so that `--version` is quick."""

import subprocess
from pathlib import Path

UNKNOWN = "unknown"


def commit() -> str:
    """The commit of this code, with "-dirty" where the package differs from it, or "unknown"."""

    def git(*words):
        words = ["git", "-C", str(Path(__file__).parents[1]), *words]
        done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=20)
        return done.stdout.strip()

    try:
        # installed into somebody else's checkout, it is no part of that commit
        git("ls-files", "--error-unmatch", "__main__.py")
        dirty = "-dirty" if git("status", "--porcelain", ".") else ""
        return git("rev-parse", "--short=10", "HEAD") + dirty
    except (OSError, subprocess.SubprocessError):
        return UNKNOWN

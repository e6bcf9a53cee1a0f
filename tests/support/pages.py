"""What stands in Markdown pages: blocks of code, and commands."""

import re
import shlex

COMMAND = r"(?:(?:\.venv/bin/)?python -m )?ssl_jax "


def blocks(language, text):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands(text):
    """Words of every line of the `sh` blocks, each of which calls the command line."""
    for line in "".join(blocks("sh", text)).splitlines():
        yield shlex.split(line[re.match(COMMAND, line).end() :], comments=True)

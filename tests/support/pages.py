"""What stands in Markdown pages: blocks of code, and commands."""

import re
import shlex
from collections.abc import Iterator

COMMAND = r"(?:(?:\.venv/bin/)?python -m )?ssl_jax "
PROGRAM = r"(ssl_jax|\./reproduce\.sh|\.venv/bin/\w+|pip|git|arecord) "
# of a command that stands in no `sh` block: how it begins, and why nothing runs it
NOT_RUN = {
    "./reproduce.sh": "runs the experiment of a checkout, for hours",
    "arecord ": "needs a microphone",
    "git ": "fetches the reproduced repository from elsewhere",
    "pip install ": ".ci/packages installs the wheel",
    "ssl_jax all ": "trains for hours, with sounds or hosts of one's own",
    "ssl_jax check FILE.sofa": "FILE.sofa stands for one's own",
    "ssl_jax database --protocol rooms": "renders for hours",
    "ssl_jax figures --protocol published": "needs results, and takes minutes",
    "ssl_jax fingerprint --weights DIR": "DIR stands for the published checkpoints",
    "ssl_jax localise --mic": "needs a microphone",
    "ssl_jax localise recording.wav --model mine": "needs the network that was trained before",
    "ssl_jax pack ": "needs the run that was trained before",
    "ssl_jax scenes ": "needs the reproduced repository",
    "ssl_jax train --protocol rooms": "trains for days",
    "ssl_jax yardsticks DIR": "DIR stands for one's own",
}
OUTPUTS = ("-o", "--csv", "--json", "--plot", "--to", "--results")  # options that name one


def blocks(language, text):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def code_lines(text: str) -> Iterator[tuple[str, str]]:
    """Language and line of all fenced blocks, and of indented ones, whose language is ""."""
    language = None
    for line in text.splitlines():
        if line.startswith("```"):
            language = line[3:].strip() if language is None else None
        elif language is not None:
            yield language, line
        elif line.startswith("    "):
            yield "", line.strip()


def commands_to_run(text: str) -> list[str]:
    """The lines of the `sh` blocks."""
    return [line for language, line in code_lines(text) if language == "sh"]


def commands_to_read(text: str) -> list[str]:
    """Commands in other blocks, which nothing runs."""
    lines = [line for language, line in code_lines(text) if language == ""]
    return [line for line in lines if re.match(PROGRAM, line)]


def reason_not_to_run(command: str) -> str:
    """What NOT_RUN says of a command; ValueError where it says nothing."""
    (reason,) = (why for start, why in NOT_RUN.items() if command.startswith(start))
    return reason


def commands(text):
    """Words of every line of the `sh` blocks that calls the command line and needs no shell."""
    for line in commands_to_run(text):
        words = shlex.split(line[re.match(COMMAND, line).end() :], comments=True)
        if not {"|", "<"} & set(words):
            yield words


def named_outputs(words) -> list[str]:
    """The files and folders that the options of a command name, for what it writes."""
    pairs = zip(words, words[1:], strict=False)
    return [after for word, after in pairs if word in OUTPUTS and after != "-"]

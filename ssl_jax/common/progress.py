"""What a stage says beside its output: notes, and progress of what takes over five seconds."""

import contextlib
import logging
import time
from collections.abc import Iterable, Iterator

from rich import progress as bars
from rich.console import Console

console = Console(stderr=True)
LINE_SECONDS = 15  # between lines of progress
log = logging.getLogger("ssl_jax")  # has no file unless --log names one
verbosity = 0  # 1 says more, -1 nothing


def begin(said: int, path=None) -> None:
    """Set how much is said, and which file, if any, gets all of it with the time."""
    global verbosity
    verbosity, logging.raiseExceptions = (
        said,
        False,
    )  # a full disk stops the work, but not by way of its log
    log.handlers = [] if path is None else [logging.FileHandler(path, encoding="utf-8")]
    for handler in log.handlers:
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.setLevel(logging.INFO)


def say(text: str, shown: bool = True) -> None:
    """Print one unbroken line to stderr, above any progress bar; not `shown`, only to the log."""
    log.info(text)
    if shown and verbosity >= 0:
        console.print(text, highlight=False, markup=False, soft_wrap=True)


def track(items: Iterable, label: str, total: int, done: int = 0) -> Iterator:
    """Yield `items` and say how far they are.

    A terminal gets a bar; the log and, with --verbose, other places get lines.
    """
    columns = (bars.TextColumn("{task.description}"), bars.BarColumn(), bars.MofNCompleteColumn())
    times = (bars.TimeElapsedColumn(), bars.TextColumn("left"), bars.TimeRemainingColumn())
    bar = bars.Progress(*columns, *times, console=console, transient=True)
    task, terminal = bar.add_task(label, total=total, completed=done), console.is_terminal
    start = last = time.monotonic()
    with bar if terminal and verbosity >= 0 else contextlib.nullcontext():
        for count, item in enumerate(items, 1):
            yield item
            bar.advance(task)
            if time.monotonic() - last > LINE_SECONDS:
                last = time.monotonic()
                at = done + count
                spent = last - start
                left = spent / count * (total - at)
                line = f"{label}: {at}/{total}, {spent:.0f} s, {left:.0f} s left"
                say(line, verbosity > 0 and not terminal)

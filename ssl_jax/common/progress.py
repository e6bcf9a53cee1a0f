"""Progress with an estimate of the time left, for anything that takes over five seconds."""

import sys
import time
from collections.abc import Iterable, Iterator

from rich import progress as bars
from rich.console import Console

console = Console(stderr=True)
LINE_SECONDS = 15  # between lines where there is no terminal


def say(text: str) -> None:
    """Print one unbroken line to stderr, above any progress bar."""
    console.print(text, highlight=False, soft_wrap=True)


def track(items: Iterable, label: str, total: int, done: int = 0) -> Iterator:
    """Yield `items`, showing how many of `total` are done and how long the rest will take.

    On a terminal a bar; elsewhere (a log file) a line every LINE_SECONDS.
    """
    if console.is_terminal:
        columns = (bars.TextColumn("{task.description}"), bars.BarColumn(), bars.MofNCompleteColumn())
        times = (bars.TimeElapsedColumn(), bars.TextColumn("left"), bars.TimeRemainingColumn())
        with bars.Progress(*columns, *times, console=console, transient=True) as progress:
            task = progress.add_task(label, total=total, completed=done)
            for item in items:
                yield item
                progress.advance(task)
        return
    start = last = time.monotonic()
    first = done
    for item in items:
        yield item
        done += 1
        if time.monotonic() - last > LINE_SECONDS:
            last = time.monotonic()
            spent = last - start
            left = spent / (done - first) * (total - done)
            print(f"{label}: {done}/{total}, {spent:.0f} s, {left:.0f} s left", file=sys.stderr, flush=True)

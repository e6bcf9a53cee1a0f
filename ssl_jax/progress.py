"""Progress with an estimate of the time left, for anything that takes over five seconds."""

import sys
import time
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn

console = Console(stderr=True)
LINE_SECONDS = 15  # between lines where there is no terminal


def track(items: Iterable, label: str, total: int, done: int = 0) -> Iterator:
    """Yield `items`, showing how many of `total` are behind us and how long the rest will take.

    On a terminal a bar; elsewhere (a log file) a line every so many seconds.
    """
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                   TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as progress:
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

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
    """Yield `items`, with a bar on a terminal, and elsewhere (a log file) a line every LINE_SECONDS."""
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
    for count, item in enumerate(items, 1):
        yield item
        if time.monotonic() - last > LINE_SECONDS:
            last = time.monotonic()
            at, spent = done + count, last - start
            left = spent / count * (total - at)
            print(f"{label}: {at}/{total}, {spent:.0f} s, {left:.0f} s left", file=sys.stderr, flush=True)

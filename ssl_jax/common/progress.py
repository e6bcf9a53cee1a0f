"""What a stage says beside its output: notes, and progress with the time left."""

import contextlib
import logging
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich import progress as bars
from rich.console import Console

LINE_SECONDS = 15  # between lines of progress
log = logging.getLogger("ssl_jax")  # has no file unless --log names one


@dataclass
class Screen:
    """Where notes and progress go, and how much of it is shown."""

    console: Console
    verbosity: int = 0  # 1 says more, -1 nothing

    def shows_notes(self) -> bool:
        """Unless it is to be quiet."""
        return self.verbosity >= 0

    def shows_bars(self) -> bool:
        """On a terminal, which can draw them anew."""
        return self.verbosity >= 0 and self.console.is_terminal

    def shows_lines(self) -> bool:
        """Lines of progress stand where a bar cannot, if they are asked for."""
        return self.verbosity > 0 and not self.console.is_terminal


screen = Screen(Console(stderr=True))


def begin(verbosity: int, path: Path | None = None) -> None:
    """Set how much is shown, and which file, if any, gets all of it with the time."""
    screen.verbosity = verbosity
    # a full disk stops the work by what the work writes, not by way of its log
    logging.raiseExceptions = False
    log.handlers = []
    if path is not None:
        handler = logging.FileHandler(path, encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        log.addHandler(handler)
    log.setLevel(logging.INFO)


def say(text: str) -> None:
    """Log one unbroken line, and print it to stderr, above any progress bar."""
    log.info(text)
    if screen.shows_notes():
        _print(text)


def track(items: Iterable, label: str, total: int, done: int = 0) -> Iterator:
    """Yield `items` and say how far they are.

    A terminal gets a bar; the log and, with --verbose, other places get lines.

    Parameters
    ----------
    label : what is done to the items
    total : how many there are, with those before
    done : how many an earlier run did, which do not count as speed
    """
    bar = _new_bar()
    task = bar.add_task(label, total=total, completed=done)
    start = time.monotonic()
    last = start
    with bar if screen.shows_bars() else contextlib.nullcontext():
        for count, item in enumerate(items, 1):
            yield item
            bar.advance(task)
            now = time.monotonic()
            if now - last > LINE_SECONDS:
                last = now
                spent = now - start
                left = spent / count * (total - done - count)
                line = f"{label}: {done + count}/{total}, {spent:.0f} s, {left:.0f} s left"
                log.info(line)
                if screen.shows_lines():
                    _print(line)


def _print(line: str) -> None:
    screen.console.print(line, highlight=False, markup=False, soft_wrap=True)


def _new_bar() -> bars.Progress:
    return bars.Progress(
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TimeElapsedColumn(),
        bars.TextColumn("left"),
        bars.TimeRemainingColumn(),
        console=screen.console,
        transient=True,
    )

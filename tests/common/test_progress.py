"""Progress: what comes out is what went in; bars for terminals, lines for a log and --verbose."""

import io
import re

import pytest
from rich.console import Console

from ssl_jax.common import progress

COLOUR = re.compile(r"\x1b\[(\d;)?3\d")
QUIET = -1
USUAL = 0
VERBOSE = 1


def console_of(terminal: bool) -> Console:
    """A terminal, or none, of which every character is kept."""
    return Console(file=io.StringIO(), force_terminal=terminal, width=100)


@pytest.fixture(autouse=True)
def usual_afterwards():
    yield
    progress.begin(USUAL)


@pytest.fixture
def show_on(monkeypatch):
    """Have it write to a terminal, or to none."""
    monkeypatch.setenv("TERM", "xterm-256color")

    def show(terminal: bool):
        console = console_of(terminal)
        monkeypatch.setattr(progress.screen, "console", console)
        return console

    return show


@pytest.fixture
def clock(monkeypatch):
    """The time, s, in a list of one."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def work(clock, seconds, count):
    """So many items; the clock moves on when an item is done."""
    for item in range(count):
        yield item
        clock[0] += seconds


def logged(path):
    """Lines of a log, without the time before them."""
    return [line.split(" ", 2)[2] for line in path.read_text().splitlines()]


def track_all(count=3):
    assert list(progress.track(range(count), "work", total=count)) == list(range(count))


def test_a_line_is_logged_each_15_seconds_with_the_time_left(clock, tmp_path):
    progress.begin(QUIET, tmp_path / "log")
    assert list(progress.track(work(clock, 10, 8), "work", total=8)) == list(range(8))
    assert logged(tmp_path / "log") == [
        "work: 3/8, 20 s, 33 s left",
        "work: 5/8, 40 s, 24 s left",
        "work: 7/8, 60 s, 9 s left",
    ]


def test_work_of_15_seconds_logs_nothing(clock, tmp_path):
    progress.begin(QUIET, tmp_path / "log")
    list(progress.track(work(clock, 1, 15), "work", total=15))
    assert logged(tmp_path / "log") == []


def test_what_was_done_before_does_not_count_as_speed(clock, tmp_path):
    progress.begin(QUIET, tmp_path / "log")
    list(progress.track(work(clock, 20, 3), "work", total=100, done=90))
    assert logged(tmp_path / "log")[0] == "work: 92/100, 20 s, 80 s left"


@pytest.mark.parametrize("verbosity", [QUIET, USUAL, VERBOSE])
def test_verbose_alone_shows_lines_where_there_is_no_terminal(show_on, clock, tmp_path, verbosity):
    console = show_on(terminal=False)
    progress.begin(verbosity, tmp_path / "log")
    list(progress.track(work(clock, 10, 8), "work", total=8))
    lines = logged(tmp_path / "log")
    assert len(lines) == 3
    assert console.file.getvalue().splitlines() == (lines if verbosity == VERBOSE else [])


def test_a_terminal_gets_a_bar(show_on):
    console = show_on(terminal=True)
    track_all(3)
    assert "3/3" in console.file.getvalue() and COLOUR.search(console.file.getvalue())


def test_a_bar_goes_on_from_what_was_done_before(show_on):
    console = show_on(terminal=True)
    list(progress.track("abc", "work", total=5, done=2))
    assert "5/5" in console.file.getvalue()


def test_no_terminal_gets_no_bar(show_on):
    console = show_on(terminal=False)
    track_all()
    assert console.file.getvalue() == ""


def test_a_quiet_terminal_gets_no_bar(show_on):
    console = show_on(terminal=True)
    progress.begin(QUIET)
    track_all()
    assert console.file.getvalue() == ""


def test_no_colour_where_none_is_wanted(show_on, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    console = show_on(terminal=True)
    track_all(3)
    assert "3/3" in console.file.getvalue() and not COLOUR.search(console.file.getvalue())


@pytest.mark.parametrize("terminal", [False, True])
def test_items_pass_as_they_are(show_on, terminal):
    show_on(terminal)
    items = ["a", None, object()]
    assert list(progress.track(items, "work", total=3)) == items


def test_no_items_show_no_line(show_on, monkeypatch):
    console = show_on(terminal=False)
    monkeypatch.setattr(progress, "LINE_SECONDS", -1)
    progress.begin(VERBOSE)
    assert list(progress.track([], "work", total=0)) == []
    assert console.file.getvalue() == ""


@pytest.mark.parametrize("terminal", [False, True])
def test_an_error_of_the_work_comes_through(show_on, terminal):
    show_on(terminal)
    items = progress.track((1 / (1 - k) for k in range(2)), "work", total=2)
    assert next(items) == 1
    with pytest.raises(ZeroDivisionError):
        next(items)


@pytest.mark.parametrize("verbosity, shown", [(QUIET, ""), (USUAL, "a note\n")])
def test_a_note_is_shown_unless_quiet_and_always_logged(show_on, tmp_path, verbosity, shown):
    console = show_on(terminal=False)
    progress.begin(verbosity, tmp_path / "log")
    progress.say("a note")
    assert console.file.getvalue() == shown and logged(tmp_path / "log") == ["a note"]

"""Progress: what comes out is what went in, and a log file gets lines with an estimate."""

import io
import re

import pytest
from rich.console import Console

from ssl_jax import progress


@pytest.fixture
def clock(monkeypatch):
    """No terminal, and a clock that a test sets."""
    now = [100.0]
    monkeypatch.setattr(progress, "console", Console(file=io.StringIO(), force_terminal=False))
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def work(clock, seconds, count):
    for item in range(count):
        yield item
        clock[0] += seconds


def test_a_line_now_and_then_with_the_time_left(clock, capsys):
    assert list(progress.track(work(clock, 10.0, 8), "work", total=8)) == list(range(8))
    out, err = capsys.readouterr()
    # the clock moves on when an item is done, and 15 s must have passed: after 2, 4 and 6 of them
    assert err.splitlines() == [
        "work: 3/8, 20 s, 33 s left",
        "work: 5/8, 40 s, 24 s left",
        "work: 7/8, 60 s, 9 s left",
    ]
    assert out == ""


def test_what_was_done_before_does_not_count_as_speed(clock, capsys):
    def items():
        for _ in range(2):
            clock[0] += 20
            yield

    assert len(list(progress.track(items(), "work", total=100, done=90))) == 2
    assert capsys.readouterr().err.splitlines()[0] == "work: 91/100, 20 s, 180 s left"


def test_quick_work_says_nothing(clock, capsys):
    assert list(progress.track(work(clock, 1.0, 15), "work", total=15)) == list(range(15))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("terminal", [False, True])
def test_nothing_to_do(monkeypatch, capsys, terminal):
    monkeypatch.setattr(progress, "console", Console(file=io.StringIO(), force_terminal=terminal))
    monkeypatch.setattr(progress, "LINE_SECONDS", -1)
    assert list(progress.track([], "work", total=0)) == []
    assert capsys.readouterr().err == ""


def test_every_item_has_a_line_when_each_takes_long(monkeypatch, capsys):
    monkeypatch.setattr(progress, "console", Console(file=io.StringIO(), force_terminal=False))
    monkeypatch.setattr(progress, "LINE_SECONDS", -1)
    given = [object(), None, "three"]
    assert list(progress.track(iter(given), "work", total=3)) == given
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all(re.fullmatch(rf"work: {k}/3, \d+ s, \d+ s left", line) for k, line in enumerate(lines, 1))


def test_a_terminal_gets_a_bar(monkeypatch, capsys):
    screen = io.StringIO()
    monkeypatch.setattr(progress, "console", Console(file=screen, force_terminal=True, width=100))
    given = list("abc")
    assert list(progress.track(given, "work", total=5, done=2)) == given
    assert "work" in screen.getvalue() and "5/5" in screen.getvalue()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("terminal", [False, True])
def test_an_error_of_the_work_comes_through(monkeypatch, terminal):
    def broken():
        yield 1
        raise ZeroDivisionError

    monkeypatch.setattr(progress, "console", Console(file=io.StringIO(), force_terminal=terminal))
    found = []
    with pytest.raises(ZeroDivisionError):
        for item in progress.track(broken(), "work", total=2):
            found.append(item)
    assert found == [1]

"""Progress: what comes out is what went in; bars for terminals, lines for a log and --verbose."""

import io
import re

import pytest
from rich.console import Console

from ssl_jax.common import progress


@pytest.fixture(params=[False, True])
def screen(monkeypatch, request):
    """Have it write to a terminal, or to none."""
    monkeypatch.setenv("TERM", "xterm-256color")
    console = Console(file=io.StringIO(), force_terminal=request.param, width=100)
    monkeypatch.setattr(progress, "console", console)
    yield console
    progress.begin(0)


@pytest.mark.parametrize("screen", [False], indirect=True)
@pytest.mark.parametrize("said", [-1, 0, 1])
def test_a_line_now_and_then_with_the_time_left(screen, monkeypatch, tmp_path, said):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    progress.begin(said, tmp_path / "log")

    def lines(seconds, count, **words):
        def work():
            for item in range(count):
                yield item
                now[0] += seconds

        (tmp_path / "log").write_text("")
        screen.file.truncate(screen.file.seek(0))
        assert list(progress.track(work(), "work", **words)) == list(range(count))
        logged = [
            line[24:] for line in (tmp_path / "log").read_text().splitlines()
        ]  # behind the time
        assert screen.file.getvalue().splitlines() == logged * (said > 0)
        return logged

    # the clock moves on when an item is done, and 15 s must have passed: after 2, 4 and 6 of them
    wanted = [
        "work: 3/8, 20 s, 33 s left",
        "work: 5/8, 40 s, 24 s left",
        "work: 7/8, 60 s, 9 s left",
    ]
    assert lines(10, 8, total=8) == wanted and lines(1, 15, total=15) == []
    # what was done before does not count as speed
    assert lines(20, 3, total=100, done=90)[0] == "work: 92/100, 20 s, 80 s left"


@pytest.mark.parametrize("screen", [True], indirect=True)
def test_no_bar_where_quiet_and_no_colour_where_none_is_wanted(screen, monkeypatch):
    def shown():
        assert list(progress.track("abc", "work", total=3)) == ["a", "b", "c"]
        return progress.console.file.getvalue()

    monkeypatch.setattr(progress, "verbosity", -1)
    assert shown() == ""
    monkeypatch.setattr(progress, "verbosity", 0)
    coloured = re.compile(r"\x1b\[(\d;)?3\d")
    assert "3/3" in shown() and coloured.search(shown())
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(progress, "console", Console(file=io.StringIO(), force_terminal=True))
    assert "3/3" in shown() and not coloured.search(shown())


def test_a_terminal_gets_a_bar_and_an_error_of_the_work_comes_through(screen, monkeypatch, capsys):
    given = ["a", None, object()]
    assert list(progress.track(given, "work", total=5, done=2)) == given
    assert ("5/5" in screen.file.getvalue()) == screen.is_terminal
    monkeypatch.setattr(progress, "LINE_SECONDS", -1)
    assert list(progress.track([], "work", total=0)) == [] and capsys.readouterr().err == ""
    items = progress.track((1 / (1 - k) for k in range(2)), "work", total=2)
    assert next(items) == 1
    with pytest.raises(ZeroDivisionError):
        next(items)

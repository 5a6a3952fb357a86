"""Bars inside bars are rows of one display; without a terminal there are plain lines."""

from __future__ import annotations

import io

from rich.console import Console

from d3talker import progress
from d3talker.progress import Bar, say, track


def terminal(monkeypatch, width=100) -> io.StringIO:
    text = io.StringIO()
    monkeypatch.setattr(progress, "console", Console(file=text, force_terminal=True, width=width))
    return text


def test_bars_can_be_nested(monkeypatch):
    text = terminal(monkeypatch)
    with Bar("outer", 2) as outer:
        for _ in range(2):
            assert list(track([1, 2], "inner")) == [1, 2]
            outer.step(status="one more")
            say("a [line] between")
    assert "outer" in text.getvalue() and "inner" in text.getvalue() and "a [line] between" in text.getvalue()
    with Bar("later", 1) as later:  # the display of the first is gone
        later.step()
    assert "later" in text.getvalue()


def test_an_exception_ends_the_display(monkeypatch):
    terminal(monkeypatch)
    for _ in range(2):
        try:
            with Bar("outer", 1), Bar("inner", 1):
                raise ValueError
        except ValueError:
            assert not progress._shown


def test_long_lines_are_not_broken(monkeypatch):
    text = terminal(monkeypatch, width=20)
    say("word " * 20)
    assert text.getvalue().count("\n") == 1


def test_plain_lines_without_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(progress, "console", Console(file=io.StringIO()))
    monkeypatch.setattr(progress, "PLAIN_EVERY_S", -1)
    with Bar("jobs", 2) as bar:
        bar.step(status="3 min left")
    assert capsys.readouterr().err == "jobs: 1/2 3 min left\n"


def test_a_whole_of_phases_counts_them_and_ends_full(capsys) -> None:
    from d3talker.progress import Whole

    whole = Whole([("first", 2.0), ("second", 0.0), ("third", 1.4)])
    with whole:
        for _ in range(3):
            with whole.phase():
                pass
        assert whole._bar.done == whole._bar.total == 3
    said = capsys.readouterr().err
    assert [line for line in said.splitlines() if " of 3: " in line] == ["1 of 3: first", "2 of 3: second", "3 of 3: third"]

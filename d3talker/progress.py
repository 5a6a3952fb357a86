"""One way to show progress: a rich bar on a terminal, one plain line now and then elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

T = TypeVar("T")
console = Console(stderr=True)
PLAIN_EVERY_S = 20.0
_shown: list[Progress] = []  # the one live display; bars inside bars are rows of it


def say(text: str) -> None:
    """Print a line of plain text, above any bar."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


class Bar:
    """A progress bar with a free status text: `with Bar("train", 100) as bar: bar.step(status="loss 0.1")`."""

    def __init__(self, title: str, total: int | None, done: int = 0) -> None:
        self.title, self.total, self.done = title, total, done
        self._rich: Progress | None = None
        self._outermost = False
        self._said = time.monotonic()

    def __enter__(self) -> Bar:
        if console.is_terminal:
            self._outermost = not _shown
            if self._outermost:
                _shown.append(Progress(
                    TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                    TimeRemainingColumn(), TextColumn("{task.fields[status]}", markup=False), console=console, transient=False,
                ))
                _shown[0].start()
            self._rich = _shown[0]
            self._task = self._rich.add_task(self.title, total=self.total, completed=self.done, status="")
        return self

    def step(self, count: int = 1, status: str = "") -> None:
        """Advance by `count`, optionally replacing the status text."""
        self.done += count
        if self._rich is not None:
            if status:
                self._rich.update(self._task, status=status)
            self._rich.advance(self._task, count)
        elif time.monotonic() - self._said > PLAIN_EVERY_S:
            self._said = time.monotonic()
            print(f"{self.title}: {self.done}/{self.total or '?'} {status}".rstrip(), file=sys.stderr, flush=True)

    def __exit__(self, *_: object) -> None:
        if self._rich is None:
            return
        if self._outermost:
            self._rich.stop()
            _shown.clear()
        else:
            self._rich.remove_task(self._task)


class Whole:
    """A long way in phases (title, seconds that it should take): a bar of the whole with the time left, one line a phase.

    The bar runs with the clock up to the end of the present phase's share, and jumps there when the phase ends earlier.
    """

    def __init__(self, phases: Sequence[tuple[str, float]]) -> None:
        self.phases, self._at, self._end = list(phases), 0, 0.0
        self._bar = Bar("the whole, s", max(round(sum(seconds for _, seconds in phases)), 1))
        self._stop, self._lock = threading.Event(), threading.Lock()

    def __enter__(self) -> Whole:
        self._bar.__enter__()
        self._clock = threading.Thread(target=self._tick, daemon=True)
        self._clock.start()
        return self

    def _tick(self) -> None:
        while not self._stop.wait(1):
            self._move(min(self._bar.done + 1, round(self._end)))

    def _move(self, seconds: int) -> None:
        with self._lock:
            if seconds > self._bar.done:
                self._bar.step(seconds - self._bar.done)

    @contextmanager
    def phase(self) -> Iterator[None]:
        """The next phase."""
        title, seconds = self.phases[self._at]
        self._at += 1
        say(f"{self._at} of {len(self.phases)}: {title}")
        self._end += seconds
        yield
        self._move(round(self._end))

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._clock.join()
        self._bar.__exit__()


def track(items: Iterable[T], title: str, total: int | None = None) -> Iterator[T]:
    """Iterate over `items` with a bar."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with Bar(title, total) as bar:
        for item in items:
            yield item
            bar.step()

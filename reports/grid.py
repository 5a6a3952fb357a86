"""The one cell grid behind every table: Markdown, LaTeX, CSV and HTML differ only in how they write it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

LEGEND = "Measured value, then the published one in brackets; rows in italics are published only; - is not measured."
Mark = Literal["", "best", "second"]
Standing = Literal["measured", "published", "floor", "reference"]


@dataclass(frozen=True)
class Column:
    """One column of values.  digits: after the point; unit "s" is written as a duration.

    printed: the metric's name among published numbers, where it differs.  audio: only what this sound drives.  signed: values are
    differences, written with their sign.
    """

    name: str
    metric: str
    title: str
    group: str = ""
    better: Literal["up", "down", ""] = ""
    digits: int = 3
    unit: str = ""
    printed: str = ""
    audio: str | None = None
    definition: str = ""
    signed: bool = False

    @property
    def arrow(self) -> str:
        """↑ where more is better, ↓ where less is."""
        return {"up": "↑", "down": "↓", "": ""}[self.better]


@dataclass(frozen=True)
class Cell:
    """One number.  value is None for what was not measured; then a note (an index into Grid.notes) says why.

    sd: over seeds.  interval: 95 %.  published: the number in print.  records: keys of the records behind it.
    """

    value: float | None = None
    sd: float | None = None
    interval: tuple[float, float] | None = None
    published: float | None = None
    mark: Mark = ""
    notes: tuple[int, ...] = ()
    records: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """One line: as many labels as Grid.heads, as many cells as Grid.columns.  budget: seconds of training."""

    name: str
    labels: tuple[str, ...]
    cells: tuple[Cell, ...]
    standing: Standing = "measured"
    notes: tuple[int, ...] = ()
    synthetic: bool = False
    budget: float = 0.0


@dataclass(frozen=True)
class Grid:
    """A whole table.  facts: what is printed under it, the protocol first; notes: its footnotes, numbered from 1.

    parent: the table that this one is the detail of.
    """

    name: str
    title: str
    caption: str
    heads: tuple[str, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    facts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    parent: str = ""
    legend: str = LEGEND

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.cells) != len(self.columns) or len(row.labels) != len(self.heads):
                raise ValueError(f"row {row.name} of {self.name} does not fit the table's columns")

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Column groups in order, each with the number of columns under it."""
        spans: list[tuple[str, int]] = []
        for column in self.columns:
            if spans and spans[-1][0] == column.group:
                spans[-1] = (column.group, spans[-1][1] + 1)
            else:
                spans.append((column.group, 1))
        return spans


@dataclass
class Notes:
    """Collects footnotes; the same text gets the same number."""

    texts: list[str] = field(default_factory=list)

    def add(self, text: str) -> int:
        """The number (from 1) of this footnote."""
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text) + 1


def number(value: float, column: Column) -> str:
    """A value as the table writes it: fixed digits, or a duration for seconds; a difference with its sign."""
    if column.signed:
        return f"{value:+.{column.digits}f}"
    if column.unit == "s":
        return duration(value)
    if column.metric == "fps":
        return f"{value:.0f}" if value >= 20 else f"{value:.2g}"
    return f"{value:.{column.digits}f}"


def duration(seconds: float) -> str:
    """Seconds in the paper's manner: "48 s", "32 min", "2 h"; two digits at least, never a bare 0."""
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min" if seconds >= 600 else f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f}".removesuffix(".0") + " h"


def spread(cell: Cell, column: Column) -> str:
    """"29.1–30.2" for the interval, else "± 0.031" over seeds, else nothing."""
    if cell.value is None:
        return ""
    if cell.interval is not None and cell.interval[0] < cell.interval[1]:
        between = " to " if column.signed else "–"
        return f"{number(cell.interval[0], column)}{between}{number(cell.interval[1], column)}"
    if cell.sd:
        return f"± {number(cell.sd, column)}"
    return ""

"""From a method in one condition to a row of a table: its cells, footnotes and looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from baselines.spec import MethodSpec, Published
from eval.records import Record
from eval.series import FPS
from reports.aggregate import Measured, measure
from reports.columns import COSTS
from reports.facts import facts, kind_remarks, kinds, seed_remarks, timed_on
from reports.grid import LEGEND, Cell, Column, Grid, Notes, Row, Standing
from reports.load import Results
from reports.rank import TESTED, Entry, rank

TWO_RUNS = (
    "One seed and one person: intervals and marks tell these runs on this clip apart, not the methods."
    " Other seeds can turn them round."
)
OTHER_LANDMARKS = (
    "the published LMD is of FAN's landmarks (as in InsTaG and TalkingGaussian), ours of dlib's: the two do not compare; lmd_fan "
    "does (extra fan), and how far apart they lie was not measured here"
)


@dataclass(frozen=True)
class Line:
    """One row to be: a method in one condition, and the records that belong to it.

    labels: its cells under Grid.heads.  rank: rows are ranked only among equals in this.
    origin: whose code, where a method has two.
    """

    spec: MethodSpec
    labels: tuple[str, ...]
    records: tuple[Record, ...]
    budget: float
    ablation: str = "full"
    rank: str = ""
    remarks: tuple[str, ...] = ()
    origin: str = ""

    @property
    def name(self) -> str:
        """Unique in its table."""
        return f"{self.spec.name}-{self.budget:g}s-{self.ablation}" + f"-{self.origin}".replace(" ", "-").rstrip("-")

    @property
    def standing(self) -> Standing:
        """What kind of row this is; it decides how the row looks and whether it is ranked."""
        if self.spec.kind in ("floor", "reference"):
            return self.spec.kind
        return "measured" if self.records else "published"


@dataclass(frozen=True)
class Table:
    """A table to be: its lines, and how they are combined."""

    number: int
    title: str
    caption: str
    heads: tuple[str, ...]
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    subjects: tuple[str, ...]
    setting: str = "self"

    @property
    def name(self) -> str:
        """File name and anchor."""
        return f"table{self.number}"

    @property
    def records(self) -> list[Record]:
        """All records behind the table."""
        return [record for line in self.lines for record in line.records]


def build(table: Table, results: Results) -> Grid:
    """The table over all its subjects, with the best values marked."""
    notes = Notes()
    measured = [[_measure(line, column, table.subjects) for column in table.columns] for line in table.lines]
    rows = [_row(line, table, own, notes) for line, own in zip(table.lines, measured)]
    rows = _mark(table, rows, measured)
    ranked = any(cell.mark for row in rows for cell in row.cells)
    return Grid(
        table.name, table.title, table.caption, table.heads, table.columns, tuple(rows),
        facts(table.records, results), tuple(notes.texts),
        legend=" ".join([LEGEND, *([TESTED] if ranked else []), *([TWO_RUNS] if _single(table) else [])]),
    )


def _single(table: Table) -> bool:
    """Whether a measured row of the table is one run of one person."""
    rows = [line for line in table.lines if line.standing == "measured"]
    return len(table.subjects) == 1 and any(len({record.job.seed for record in line.records}) == 1 for line in rows)


def _mark(table: Table, rows: Sequence[Row], measured: Sequence[Sequence[Measured]]) -> list[Row]:
    """The rows with best and second best marked, column by column."""
    marked = [list(row.cells) for row in rows]
    for i, column in enumerate(table.columns):
        entries = [
            Entry(line.name, _group(line, column), own[i].runs, own[i].detected)
            for line, own in zip(table.lines, measured) if line.standing == "measured"
        ]
        found = rank(entries, column.better == "up" and column.metric != FPS) if column.better else {}
        for line, cells in zip(table.lines, marked):
            cells[i] = replace(cells[i], mark=found.get(line.name, ""))
    return [replace(row, cells=tuple(cells)) for row, cells in zip(rows, marked)]


def _group(line: Line, column: Column) -> str:
    """What a row must share with another to be ranked with it; times also the device."""
    devices = sorted(timed_on(line.records)) if column.metric in COSTS else []
    return f"{line.rank} {sorted(kinds(line.records))} {devices}"


def build_subjects(table: Table, results: Results) -> Grid:
    """The same table subject by subject, without published numbers: those are means over other subjects."""
    notes = Notes()
    sounds = {record.job.audio for record in table.records}
    part = replace(table, columns=tuple(c for c in table.columns if c.audio is None or c.audio in sounds))
    rows = []
    for subject in table.subjects:
        for line in table.lines:
            own = tuple(record for record in line.records if record.job.subject == subject)
            if own:
                spec = replace(line.spec, published=())
                single = replace(line, records=own, labels=(subject, *line.labels), spec=spec)
                row = _row(single, part, [_measure(single, column, [subject]) for column in part.columns], notes)
                rows.append(replace(row, name=f"{subject}-{row.name}"))
    return Grid(
        f"{table.name}-subjects", f"{table.title}, subject by subject", table.caption, ("Subject", *table.heads),
        part.columns, tuple(rows), facts(table.records, results), tuple(notes.texts), parent=table.name,
    )


def _measure(line: Line, column: Column, subjects: Sequence[str]) -> Measured:
    records = [record for record in line.records if column.audio is None or record.job.audio == column.audio]
    return measure(records, column.metric, subjects) if records else Measured(None)


def _row(line: Line, table: Table, measured: Sequence[Measured], notes: Notes) -> Row:
    marks = [*line.remarks, *dict.fromkeys(note for record in line.records for note in record.notes)]
    marks += kind_remarks(line.records, table.records)
    if line.standing == "measured":
        marks += seed_remarks(line.records, [own.records for own in table.lines if own.standing == "measured"])
    if line.standing == "published":
        budgets = sorted({printed.budget for printed in _printed(line, table)} - {line.budget})
        marks += [f"published for {budget:g} s of training video" for budget in budgets]
    numbers = tuple(sorted(notes.add(note) for note in marks))
    cells = tuple(_cell(line, table, column, own, notes) for column, own in zip(table.columns, measured))
    return Row(
        line.name, line.labels, cells, line.standing, numbers, any(record.synthetic for record in line.records),
        line.budget,
    )


def _cell(line: Line, table: Table, column: Column, measured: Measured, notes: Notes) -> Cell:
    printed = find_published(line, table, column)
    reasons = measured.reasons
    if measured.value is None and column.metric in COSTS and line.standing in ("floor", "reference"):
        reasons = ("nothing is trained or rendered",) if line.records else ()
    numbers = [notes.add(text) for text in (*reasons, *measured.remarks)]
    if printed and printed.budget != line.budget and line.standing == "measured":
        numbers.append(notes.add(f"the published number is for {printed.budget:g} s of training video"))
    if printed and column.metric == "lmd_dlib":
        numbers.append(notes.add(OTHER_LANDMARKS))
    return Cell(
        measured.value, measured.sd, measured.interval, printed.value if printed else None, "", tuple(sorted(numbers)),
        measured.records,
    )


def find_published(line: Line, table: Table, column: Column) -> Published | None:
    """The published number of a cell: at this budget from any table, else this table's own."""
    place = (column.printed or column.metric, table.setting, line.ablation)
    fitting = [
        printed for printed in line.spec.published
        if (printed.metric, printed.setting, printed.ablation) == place
        and (column.audio is None or printed.audio == column.audio)
    ]
    own = [printed for printed in fitting if printed.table == table.number]
    same = [printed for printed in fitting if printed.budget == line.budget]
    return next(iter([*(p for p in own if p in same), *same, *own]), None)


def _printed(line: Line, table: Table) -> list[Published]:
    found = (find_published(line, table, column) for column in table.columns)
    return [printed for printed in found if printed]

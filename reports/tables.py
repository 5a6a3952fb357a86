"""Records and published numbers -> the paper's tables as cell grids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from baselines.spec import MethodSpec, Published
from eval.records import Record
from reports.aggregate import Measured, measure
from reports.columns import SELF_DRIVEN
from reports.grid import Cell, Column, Grid, Notes, Row, Standing
from reports.load import Results

PAPER_SIZE = (512, 512)
PAPER_BUDGET = 10.0


@dataclass(frozen=True)
class Line:
    """One row to be: a method in one condition, and the records that belong to it."""

    spec: MethodSpec
    records: tuple[Record, ...]
    budget: float
    ablation: str = "full"

    @property
    def standing(self) -> Standing:
        """What kind of row this is; it decides how the row looks and whether it is ranked."""
        if self.spec.name == "ground-truth":
            return "reference"
        if self.spec.kind == "floor":
            return "floor"
        return "measured" if self.records else "published"


def table1(results: Results, specs: Sequence[MethodSpec], budget: float | None = None) -> Grid:
    """Self-driven comparison of all methods at one budget: the paper's 10 s, or else the one with most records."""
    records = [r for r in results.records if r.job.setting == "self" and r.job.ablation == "full"]
    if budget is None:
        budget = usual_budget(records)
    chosen = [record for record in records if record.job.budget == budget]
    subjects = sorted({record.job.subject for record in chosen})
    notes = Notes()
    rows = []
    for spec in known_methods(specs, chosen):
        own = tuple(record for record in chosen if record.job.method == spec.name)
        line = Line(spec, own, budget)
        if own or any(number.table == 1 for number in spec.published):
            rows.append(_row(line, SELF_DRIVEN, subjects, 1, notes))
    return Grid(
        "table1", "Table 1", f"Self-driven setting, {budget:g} s of training video.", ("Method", "Type"), SELF_DRIVEN,
        tuple(rows), facts(results, chosen), tuple(notes.texts),
    )


def usual_budget(records: Iterable[Record]) -> float:
    """The budget of Table 1: the paper's 10 s when it was run, else the one with most records (of equals, least)."""
    counts: dict[float, int] = {}
    for record in records:
        counts[record.job.budget] = counts.get(record.job.budget, 0) + 1
    if not counts or PAPER_BUDGET in counts:
        return PAPER_BUDGET
    return min(counts, key=lambda budget: (-counts[budget], budget))


def known_methods(specs: Sequence[MethodSpec], records: Iterable[Record]) -> list[MethodSpec]:
    """The registry's methods in its order, then measured ones that it does not know."""
    names = {spec.name for spec in specs}
    strangers = sorted({record.job.method for record in records} - names)
    return [*specs, *(MethodSpec(name=name, title=name, kind="other") for name in strangers)]


def find_published(
    spec: MethodSpec, table: int, metric: str, budget: float, ablation: str = "full"
) -> Published | None:
    """The published number of a self-driven cell: at this budget from any table, else the table's own."""
    fitting = [p for p in spec.published if p.metric == metric and p.setting == "self" and p.ablation == ablation]
    same = [p for p in fitting if p.budget == budget]
    own = [p for p in fitting if p.table == table]
    return next(iter(sorted(same, key=lambda p: p.table != table) or own), None)


def _row(line: Line, columns: Sequence[Column], subjects: Sequence[str], table: int, notes: Notes) -> Row:
    cells = []
    for column in columns:
        printed = find_published(line.spec, table, column.metric, line.budget, line.ablation)
        measured = measure(line.records, column.metric, subjects) if line.records else Measured(None)
        cells.append(to_cell(measured, printed, line, notes))
    marks = list(dict.fromkeys(note for record in line.records for note in record.notes))
    if line.standing == "published" and not any(printed.budget == line.budget for printed in line.spec.published):
        marks.append(f"published for {PAPER_BUDGET:g} s of training video")
    return Row(
        f"{line.spec.name}-{line.budget:g}-{line.ablation}", (line.spec.title, _kind(line)), tuple(cells),
        line.standing, tuple(notes.add(note) for note in marks), any(record.synthetic for record in line.records),
    )


def _kind(line: Line) -> str:
    return {"floor": "floor", "reference": "", "other": "other"}.get(line.spec.kind, f"{line.spec.kind}-based")


def to_cell(measured: Measured, printed: Published | None, line: Line, notes: Notes) -> Cell:
    """A cell with its footnotes: why a value is missing, and where a published number is for another budget."""
    numbers = [notes.add(text) for text in (*measured.reasons, *measured.remarks)]
    if printed and printed.budget != line.budget and line.standing == "measured":
        numbers.append(notes.add(f"the published number is for {printed.budget:g} s of training video"))
    return Cell(
        measured.value, measured.sd, measured.interval, printed.value if printed else None, "", tuple(numbers),
        measured.records,
    )


def facts(results: Results, records: Sequence[Record]) -> tuple[str, ...]:
    """What stands under every table: protocol, subjects, seeds, frames, torso mode, losslessness, commit."""
    if not records:
        return (f"Protocol {results.protocol}", "nothing measured for this table; all numbers are published ones")
    done = [record for record in records if record.status == "ok"]
    subjects = {record.job.subject: record.synthetic for record in records}
    names = ", ".join(f"{name} (synthetic)" if fake else name for name, fake in sorted(subjects.items()))
    sizes = sorted({record.size for record in done if record.size})
    out = [
        f"Protocol {results.protocol}", f"subjects: {names}",
        f"seeds: {', '.join(map(str, sorted({record.job.seed for record in records})))}",
    ]
    frames = sorted({record.frames for record in done if record.frames})
    if frames and sizes:
        out.append(f"{_either(frames)} test frames of {_either(f'{w}×{h}' for w, h in sizes)} pixels")
    torso = sorted({record.torso_mode for record in done if record.torso_mode})
    if torso:
        out.append(f"torso: {_either(torso)}")
    kinds = sorted({"lossless" if record.lossless else "lossy" for record in done if record.lossless is not None})
    if kinds:
        out.append(f"{_either(kinds)} frames")
    commits = sorted({_commit(record) for record in done})
    out.append(f"commit {_either(commits)}")
    if any(size != PAPER_SIZE for size in sizes):
        out.append("published numbers are for 512×512 pixels and other subjects; read them as context, not as a target")
    return tuple(out)


def _commit(record: Record) -> str:
    return (record.environment.commit or "unknown")[:9] + ("+changes" if record.environment.dirty else "")


def _either(values: Iterable[object]) -> str:
    return " or ".join(map(str, values))

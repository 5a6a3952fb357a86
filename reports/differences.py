"""Table 4 as differences: each row minus the full model on the same draws, with paired intervals, and which are significant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from d3talker.errors import UserError
from eval.intervals import Estimate, Runs, holm, shared_difference
from eval.records import Record
from eval.series import series
from reports.aggregate import read
from reports.facts import facts
from reports.grid import Cell, Column, Grid, Notes, Row
from reports.lines import Line, Table
from reports.load import Results

ALL = "all"
NEGATIVE, NONE = "negative-contrast-only", "no-contrast"  # a contrastive loss must show, or the table says that it does not
LEGEND = (
    "Row minus full model, on the same frames, seeds and random draws; 95 % interval: over people, or over blocks of frames and "
    "seeds of one person. Bold differs from 0 (5 %, Holm's correction over the rows of a column)."
)
EQUAL = "no column tells it from {other} on these runs: read the two as equal"
Pairs = Mapping[str, tuple[Sequence[np.ndarray], Sequence[np.ndarray]]]


def build_differences(table: Table, results: Results) -> Grid | None:
    """The grid, person by person and over all of them; None where no row can be paired with its full model."""
    measured = [line for line in table.lines if line.standing == "measured"]
    asked = [pair for spec in dict.fromkeys(line.spec.name for line in measured)
             for pair in _pairs({line.ablation: line for line in measured if line.spec.name == spec})]
    columns = tuple(replace(column, signed=True) for column in table.columns)
    rows, notes = list[Row](), Notes()
    for subject in [*([ALL] if len(table.subjects) > 1 else []), *table.subjects]:
        people = table.subjects if subject == ALL else (subject,)
        found = [[_difference(line, base, column, people) for column in columns] for line, base, _ in asked]
        sure = [holm([estimate.p if estimate else 1.0 for estimate in column]) for column in zip(*found)]
        for i, ((line, base, title), estimates) in enumerate(zip(asked, found)):
            if any(estimates):
                marks = [column[i] for column in sure]
                numbers = () if any(marks) else (notes.add(EQUAL.format(other=f"“{_title(base)}”")),)
                cells = tuple(_cell(e, mark, line.records) for e, mark in zip(estimates, marks))
                rows.append(Row(f"{subject}-{line.name}-{base.ablation}", (title, subject), cells, notes=numbers))
    return Grid(
        f"{table.name}-differences", f"{table.title}, differences from the full model", table.caption, (*table.heads, "Subject"),
        columns, tuple(rows), facts(table.records, results), tuple(notes.texts), table.name, LEGEND,
    ) if rows else None


def _pairs(lines: Mapping[str, Line]) -> list[tuple[Line, Line, str]]:
    """A method's rows, each with the row that it is compared with and a title."""
    if "full" not in lines:
        return []
    pairs = [(line, lines["full"], _title(line)) for line in lines.values() if line.records != lines["full"].records]
    if {NEGATIVE, NONE} <= set(lines):
        pairs.append((lines[NEGATIVE], lines[NONE], f"{_title(lines[NEGATIVE])}, beside {_title(lines[NONE])}"))
    return pairs


def _title(line: Line) -> str:
    return line.spec.rows[line.ablation].title if line.ablation in line.spec.rows else line.ablation


def _difference(line: Line, base: Line, column: Column, people: Sequence[str]) -> Estimate | None:
    """Row minus base in one column; None where a person has no seed on both sides, or nothing tells."""
    left, right = dict[str, list[np.ndarray]](), dict[str, list[np.ndarray]]()
    for subject in people:
        ours, theirs = _runs(line.records, column, subject), _runs(base.records, column, subject)
        for seed in sorted(set(ours) & set(theirs)):
            left.setdefault(subject, []).append(ours[seed])
            right.setdefault(subject, []).append(theirs[seed])
    if set(left) != set(people):
        return None
    runs: tuple[Runs, Runs] = left, right
    try:
        return shared_difference(*runs)
    except UserError:  # clips of different lengths, or without a common frame
        return None


def _runs(records: Sequence[Record], column: Column, subject: str) -> dict[int, np.ndarray]:
    """Seed -> values a frame."""
    found = {record.job.seed: read(record, column.metric) for record in records if record.job.subject == subject}
    return {seed: series(column.metric, result) for seed, result in found.items() if result.value is not None}


def _cell(estimate: Estimate | None, sure: bool, records: Sequence[Record]) -> Cell:
    if estimate is None:
        return Cell()
    return Cell(estimate.mean, None, estimate.interval, mark="best" if sure else "", records=tuple(r.key for r in records))

"""The paper's four tables: which rows and columns each has, and which records belong to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from baselines.spec import BUDGETS, TABLE_4_BUDGET, MethodSpec
from d3talker.errors import UserError
from d3talker.learning.contract import same_setting
from eval.records import Record
from reports.columns import EFFICIENCY, LMD, LMD_FAN, OPTIONAL, QUALITY, SYNC_C, SYNC_D
from reports.grid import Column
from reports.lines import Line, Table
from reports.load import Results
from reports.origins import split, titled

PAPER_BUDGET = 10.0
PAPER_AUDIO = {"A": "Audio A (Obama)", "B": "Audio B (May)"}


def tables(
    results: Results, specs: Sequence[MethodSpec], budget: float | None = None, chosen: Sequence[str] = ()
) -> list[Table]:
    """Table 1 always; 2, 3 and 4 when something was measured for them.  `budget`: seconds of training in 1 and 3; `chosen`: metrics
    whose columns are shown, in this order, by default all.

    Raises UserError for a budget that no record has, and for a chosen metric that no table has.
    """
    measured = sorted({record.job.budget for record in results.records})
    if budget is not None and budget not in measured:
        known = ", ".join(f"{value:g}" for value in measured)
        raise UserError(f"no record has a budget of {budget:g} s; choose --budget from {known}")
    first, third = table1(results, specs, budget), table3(results, specs, budget)
    plans = (first, table2(results, specs), third, table4(results, specs))
    return _choose([plan for plan in plans if plan is first or plan.lines], chosen)


def _choose(plans: list[Table], chosen: Sequence[str]) -> list[Table]:
    """The tables with the chosen columns alone; a table that has none of them keeps its own."""
    known = list(dict.fromkeys(column.metric for plan in plans for column in plan.columns))
    for name in chosen:
        if name not in known:
            raise UserError(f"no table has a column {name}; choose columns from {', '.join(known)}")
    kept = [tuple(c for name in chosen for c in plan.columns if c.metric == name) for plan in plans]
    return [replace(plan, columns=columns or plan.columns) for plan, columns in zip(plans, kept)]


def table1(results: Results, specs: Sequence[MethodSpec], budget: float | None) -> Table:
    """Self-driven comparison of all methods at one budget."""
    records = select(results, "self", specs)
    budget = usual_budget(records) if budget is None else budget
    chosen = [record for record in records if record.job.budget == budget]
    lines = tuple(
        Line(spec, (title, kind(spec)), own, budget, row, origin=whose)
        for spec, row, whose, title, own in by_row(specs, chosen) if own or any(printed.table == 1 for printed in spec.published)
    )
    return Table(
        1, "Table 1", f"Self-driven setting, {budget:g} s of training video.", ("Method", "Type"),
        quality(chosen, EFFICIENCY), lines, results.subjects("self", [budget]),
    )


def table2(results: Results, specs: Sequence[MethodSpec]) -> Table:
    """Self-driven comparison over budgets; without lines unless two budgets were measured."""
    chosen = select(results, "self", specs)
    measured = {record.job.budget for record in chosen}
    lines: list[Line] = []
    for spec, row, whose, title, own in by_row(specs, chosen) if len(measured) > 1 else []:
        printed = {number.budget for number in spec.published if number.table == 2 and row == "full"}
        if spec.kind == "reference" and own:
            least = min(record.job.budget for record in own)
            records = tuple(record for record in own if record.job.budget == least)
            lines.append(Line(spec, (spec.title, "any"), records, least))
        if spec.kind in ("floor", "reference") or not (own or printed):
            continue
        for budget in sorted(measured | (printed & set(BUDGETS))):
            records = tuple(record for record in own if record.job.budget == budget)
            if records or budget in printed:
                lines.append(Line(spec, (title, f"{budget:g} s"), records, budget, row, rank=f"{budget:g}", origin=whose))
    return Table(
        2, "Table 2", "Self-driven setting with different amounts of training video.", ("Method", "Training video"),
        quality(chosen), tuple(lines), results.subjects("self", sorted(measured)),
    )


def table3(results: Results, specs: Sequence[MethodSpec], budget: float | None) -> Table:
    """Cross-driven comparison: every audio that was used, and the paper's two."""
    records = select(results, "cross", specs)
    budget = usual_budget(records) if budget is None else budget
    chosen = [record for record in records if record.job.budget == budget]
    sounds = dict.fromkeys(sorted({str(record.job.audio) for record in chosen}) + list(PAPER_AUDIO))
    columns = tuple(
        _heard(column, sound) for sound in sounds
        for column in (SYNC_C, SYNC_D, *measured([record for record in chosen if record.job.audio == sound]))
    )
    lines = tuple(
        Line(spec, (title,), own, budget, row, origin=whose)
        for spec, row, whose, title, own in by_row(specs, chosen) if own or any(printed.table == 3 for printed in spec.published)
    )
    return Table(
        3, "Table 3", f"Cross-driven setting, {budget:g} s of training video.", ("Method",), columns,
        lines if chosen else (), results.subjects("cross", [budget]), "cross",
    )


def table4(results: Results, specs: Sequence[MethodSpec]) -> Table:
    """Ablation rows, at the paper's 20 s or else the budget with most ablation records."""
    studied = {spec.name: spec for spec in specs if spec.shown("study")}
    records = [r for r in results.records if r.job.setting == "self" and r.job.method in studied and not r.job.imported]
    ablated = [record for record in records if record.job.ablation != "full"]
    budget = usual_budget(ablated, TABLE_4_BUDGET)
    lines: list[Line] = []
    for spec in specs if ablated else []:
        if spec.kind == "reference":
            truth = [record for record in select(results, "self", specs) if record.job.method == spec.name]
            any_budget = usual_budget(truth, budget)
            own = tuple(record for record in truth if record.job.budget == any_budget)
            lines.append(Line(spec, (spec.title,), own, budget))
        elif any(record.job.method == spec.name for record in ablated):
            chosen = [record for record in records if record.job.method == spec.name and record.job.budget == budget]
            there = {record.job.ablation for record in chosen}
            names = ["full", *spec.shown("study"), *(name for name in spec.shown("asked", "everywhere") if name in there)]
            lines += [_ablation_line(spec, name, chosen, budget) for name in [*names, *sorted(there - set(spec.rows))]]
    return Table(
        4, "Table 4", f"Ablation study, {budget:g} s of training video.", ("Setting",), quality(ablated), tuple(lines),
        results.subjects("self", [budget]),
    )


def _ablation_line(spec: MethodSpec, name: str, records: Sequence[Record], budget: float) -> Line:
    """One row; a row that was not run itself borrows the records of a row with the very same setting."""
    title = spec.row_title(name)
    for twin in [name, *(same_setting(spec.rows, name) if name in spec.rows else [])]:
        own = tuple(record for record in records if record.job.ablation == twin)
        if own:
            remarks = () if twin == name else (f"the same setting as “{spec.row_title(twin)}”, whose runs these are",)
            return Line(spec, (title,), own, budget, name, remarks=remarks)
    return Line(spec, (title,), (), budget, name)


def _heard(column: Column, sound: str) -> Column:
    return replace(column, name=f"{column.name}-{sound}", group=PAPER_AUDIO.get(sound, sound), audio=sound)


def quality(records: Iterable[Record], more: Sequence[Column] = ()) -> tuple[Column, ...]:
    """The paper's columns, `more` of the paper's, then ours where a record has them."""
    optional = measured(records)
    if LMD_FAN in optional:  # then the published LMD, which is FAN's, stands beside that
        chosen = [replace(column, printed="none") if column is LMD else column for column in QUALITY]
        chosen.insert(chosen.index(replace(LMD, printed="none")) + 1, LMD_FAN)
        return (*chosen, *more, *(column for column in optional if column is not LMD_FAN))
    return (*QUALITY, *more, *optional)


def measured(records: Iterable[Record]) -> tuple[Column, ...]:
    """Our own columns where a record has a value."""
    found = {name for record in records for name, result in record.metrics.items() if result.value is not None}
    return tuple(column for column in (LMD_FAN, *OPTIONAL) if column.metric in found)


def select(results: Results, setting: str, specs: Sequence[MethodSpec]) -> list[Record]:
    """Records of whole models in one setting, with extensions of theirs."""
    wanted = {(spec.name, row) for spec in specs for row in spec.shown("everywhere")}
    return [
        r for r in results.records
        if r.job.setting == setting and (r.job.ablation == "full" or (r.job.method, r.job.ablation) in wanted)
    ]


def usual_budget(records: Iterable[Record], wanted: float = PAPER_BUDGET) -> float:
    """The paper's budget when it was run, else the one with most records (of equals the least)."""
    counts: dict[float, int] = {}
    for record in records:
        counts[record.job.budget] = counts.get(record.job.budget, 0) + 1
    if not counts or wanted in counts:
        return wanted
    return min(counts, key=lambda budget: (-counts[budget], budget))


def by_method(
    specs: Sequence[MethodSpec], records: Sequence[Record]
) -> list[tuple[MethodSpec, tuple[Record, ...]]]:
    """The registry's methods in its order, then measured ones that it does not know, each with its records."""
    strangers = sorted({record.job.method for record in records} - {spec.name for spec in specs})
    everyone = [*specs, *(MethodSpec(name=name, title=name, kind="other") for name in strangers)]
    return [(spec, tuple(record for record in records if record.job.method == spec.name)) for spec in everyone]


def by_row(
    specs: Sequence[MethodSpec], records: Sequence[Record]
) -> list[tuple[MethodSpec, str, str, str, tuple[Record, ...]]]:
    """Each method as it is, each of its codes apart, then each extension that was measured: spec, row, origin, title, records."""
    rows = []
    for spec, own in by_method(specs, records):
        whole = [r for r in own if r.job.ablation == "full"]
        rows += [(spec, "full", whose, titled(spec, whose), part) for whose, part in split(spec, whole)]
        for name in spec.shown("everywhere"):
            if more := tuple(r for r in own if r.job.ablation == name):
                rows.append((spec, name, "", spec.row_title(name), more))
    return rows


def kind(spec: MethodSpec) -> str:
    """The second column of Table 1."""
    return f"{spec.kind}-based" if spec.kind in ("NeRF", "3DGS") else spec.kind

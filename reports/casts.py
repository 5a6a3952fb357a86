"""Who appears together: the records whose clips stand side by side in one scene."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from baselines.spec import TABLE_4_BUDGET, MethodSpec
from eval.records import Record
from reports.origins import origin, titled
from reports.tables import usual_budget

Kind = Literal["self", "cross", "ablation"]


@dataclass(frozen=True)
class Cast:
    """One test clip: title -> record, in the order of the tables."""

    kind: Kind
    title: str
    members: dict[str, Record]


def casts(records: Sequence[Record], specs: Sequence[MethodSpec], budget: float | None) -> list[Cast]:
    """Self-driven and cross-driven clips at Table 1's budget, then ablations at Table 4's; one seed, no floors."""
    plain = {spec.name for spec in specs if spec.kind in ("floor", "reference")}
    done = [record for record in records if record.status == "ok" and record.job.method not in plain]
    order = {spec.name: i for i, spec in enumerate(specs)}
    known = {spec.name: spec for spec in specs}
    whole = sorted(
        (record for record in done if record.job.ablation == "full"),
        key=lambda record: (order.get(record.job.method, len(order)), record.job.method),
    )

    def method(record: Record) -> str:
        spec = known.get(record.job.method)
        return titled(spec, origin(spec, record.job)) if spec else record.job.method

    found: list[Cast] = []
    kinds: tuple[Kind, Kind] = ("self", "cross")
    for kind in kinds:
        own = [record for record in whole if record.job.setting == kind]
        found += _gather(kind, own, usual_budget(own) if budget is None else budget, method)
    for spec in specs:
        rows = ["full", *spec.shown("study")]
        own = [r for r in done if r.job.method == spec.name and r.job.setting == "self" and not r.job.imported]
        ours = [record for record in own if record.job.ablation in rows]
        ablated = [record for record in ours if record.job.ablation != "full"]
        if ablated:
            ours.sort(key=lambda record: rows.index(record.job.ablation))
            shared = usual_budget(ablated, TABLE_4_BUDGET)
            found += _gather("ablation", ours, shared, lambda r, spec=spec: spec.row_title(r.job.ablation))  # type: ignore[misc]
    return found


def _gather(kind: Kind, records: Sequence[Record], budget: float, title: Callable[[Record], str]) -> list[Cast]:
    clips: dict[tuple[str, str], dict[str, Record]] = {}
    for record in records:
        if record.job.budget == budget:
            clips.setdefault((record.job.subject, record.job.audio or ""), {}).setdefault(title(record), record)
    return [
        Cast(kind, f"{subject}{f' driven by {audio}' if audio else ''}, {budget:g} s of training video", members)
        for (subject, audio), members in sorted(clips.items())
    ]

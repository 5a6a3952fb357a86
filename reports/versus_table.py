"""Paired comparisons as text: a Markdown table with win, tie and loss marks, and a CSV with every number."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from eval.compare import Versus
from eval.metrics.registry import METRICS
from reports.markdown import escape

SIGNS = {"win": "▲", "loss": "▼", "equivalent": "≈", "not significant": "n.s.", "": ""}
LEGEND = (
    "Differences are mine minus theirs on common frames, with a 95 % interval: Student's t over people, or over frames and seeds "
    "of a single one. ▲ win, ▼ loss: the interval leaves 0 out; n.s.: it does not, which is no proof of equality; ≈ equivalent: it "
    "lies within the margin that --margin gave. Metrics depend on one another, so wins are not counted, and nothing corrects for "
    "reading many of them."
)
Rows = Mapping[str, Sequence[Versus]]


def to_markdown(name: str, rows: Rows, remarks: Mapping[str, Sequence[str]], facts: Sequence[str]) -> str:
    """One line a rival: each metric's difference; footnotes for the rest."""
    metrics = [row.metric for row in next(iter(rows.values()))]
    notes: list[str] = []
    heads = ["method", *(f"{METRICS[m].title} {METRICS[m].arrow}".strip() for m in metrics)]
    lines = [f"# {escape(name)} against the others", "", _line(map(escape, heads)), _line(["---"] * len(heads))]
    own = [next((f"{row.mine:.3f}" for row in column if row.mine is not None), "-") for column in zip(*rows.values())]
    lines.append(_line([f"**{escape(name)}**", *own]))
    for rival, compared in rows.items():
        label = escape(rival) + _notes([_note(notes, text) for text in remarks.get(rival, ())])
        cells = [_cell(row, notes) for row in compared]
        lines.append(_line([label, *cells]))
    lines += ["", LEGEND, "", escape("; ".join(facts)) + "."]
    if notes:
        lines += ["", *(f"{i}. {escape(text)}" for i, text in enumerate(notes, 1))]
    return "\n".join(lines) + "\n"


def to_csv(name: str, rows: Rows) -> str:
    """One line a rival and metric: both values, the difference, its interval, the outcome, the reason for a gap."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["method", "rival", "metric", "mine", "theirs", "difference", "low", "high", "outcome", "reason"])
    for rival, compared in rows.items():
        for row in compared:
            gap = row.difference
            numbers = (row.mine, row.theirs, *((gap.mean, *gap.interval) if gap else (None, None, None)))
            shown = ("-" if n is None else f"{n:.6g}" for n in numbers)
            writer.writerow([name, rival, row.metric, *shown, row.outcome or "-", row.reason])
    return out.getvalue()


def _cell(row: Versus, notes: list[str]) -> str:
    if row.difference is not None:
        gap = row.difference
        low, high = gap.interval
        note = _notes([_note(notes, row.reason)]) if row.reason else ""
        return f"{gap.mean:+.3f} [{low:+.3f}, {high:+.3f}] {SIGNS[row.outcome]}".rstrip() + note
    text = "-" if row.mine is None or row.theirs is None else f"{row.mine - row.theirs:+.3f}"
    return text + _notes([_note(notes, row.reason)])


def _note(notes: list[str], text: str) -> int:
    if text not in notes:
        notes.append(text)
    return notes.index(text) + 1


def _notes(numbers: Sequence[int]) -> str:
    return f"<sup>{','.join(map(str, sorted(numbers)))}</sup>" if numbers else ""


def _line(cells: object) -> str:
    return f"| {' | '.join(cells)} |"  # type: ignore[arg-type]

"""Cell grid -> CSV, one line a cell: what a notebook or a spreadsheet reads."""

from __future__ import annotations

import csv
import io

from reports.grid import Grid

FIELDS = (
    "table", "row", "label", "metric", "group", "value", "sd", "low", "high", "published", "mark", "standing",
    "synthetic", "notes", "records",
)


def to_csv(grid: Grid) -> str:
    """Header and one line a cell; what was not measured is empty, and its reason stands in `notes`."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(FIELDS)
    for row in grid.rows:
        for column, cell in zip(grid.columns, row.cells):
            low, high = cell.interval or (None, None)
            notes = "; ".join(grid.notes[i - 1] for i in (*row.notes, *cell.notes))
            texts = (grid.name, row.name, " / ".join(filter(None, row.labels)), column.metric, column.group)
            values = (cell.value, cell.sd, low, high, cell.published)
            writer.writerow([
                *map(_safe, texts), *("" if value is None else repr(value) for value in values), cell.mark,
                row.standing, "yes" if row.synthetic else "no", _safe(notes), " ".join(cell.records),
            ])
    return stream.getvalue()


def _safe(text: str) -> str:
    """A text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text

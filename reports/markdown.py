"""Cell grid -> Markdown (GitHub's tables)."""

from __future__ import annotations

from reports.grid import Cell, Column, Grid, Standing, number, spread


def to_markdown(grid: Grid) -> str:
    """A heading, the table, the facts, the footnotes.  Published values stand in brackets behind the measured ones."""
    heads = [*grid.heads, *(f"{column.title} {column.arrow}".strip() for column in grid.columns)]
    if any(group for group, _ in grid.groups) and len({c.title for c in grid.columns}) < len(grid.columns):
        heads = [*grid.heads, *(f"{c.group}: {c.title} {c.arrow}".strip() for c in grid.columns)]
    lines = [f"## {escape(grid.title)}", "", escape(grid.caption), "", _line(map(escape, heads))]
    lines.append(_line([*(":---" for _ in grid.heads), *("---:" for _ in grid.columns)]))
    for row in grid.rows:
        labels = [escape(label) for label in row.labels]
        labels[0] = (f"*{labels[0]}*" if row.standing == "published" else labels[0]) + _notes(row.notes)
        if row.synthetic:
            labels[0] += " (synthetic)"
        cells = (_cell(cell, column, row.standing) for cell, column in zip(row.cells, grid.columns))
        lines.append(_line([*labels, *cells]))
    lines += ["", grid.legend, "", escape("; ".join(grid.facts)) + "."]
    if grid.notes:
        lines += ["", *(f"{i}. {escape(text)}" for i, text in enumerate(grid.notes, 1))]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    """Text that Markdown and the HTML inside it leave as it is, on one line."""
    text = " ".join(text.split())
    for sign in "\\`*_|[]~#":
        text = text.replace(sign, "\\" + sign)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cell(cell: Cell, column: Column, standing: Standing) -> str:
    if cell.value is None:
        text = "" if standing == "published" and cell.published is not None else "-"
    else:
        text = number(cell.value, column)
        text = {"best": f"**{text}**", "second": f"<ins>{text}</ins>", "": text}[cell.mark]
        extra = spread(cell, column)
        text += f" {extra}" if extra.startswith("±") else f" ({extra})" if extra else ""
    text += _notes(cell.notes)
    return (text + (f" [{number(cell.published, column)}]" if cell.published is not None else "")).strip()


def _notes(numbers: tuple[int, ...]) -> str:
    return f"<sup>{','.join(map(str, numbers))}</sup>" if numbers else ""


def _line(cells: object) -> str:
    return f"| {' | '.join(cells)} |"  # type: ignore[arg-type]

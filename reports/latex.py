"""Cell grid -> LaTeX (booktabs); plain pdflatex compiles it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from reports.grid import Cell, Column, Grid, Standing, number, spread

SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$", ">": r"$>$", "|": r"$|$", '"': "''",
    "↑": r"$\uparrow$", "↓": r"$\downarrow$", "±": r"$\pm$", "×": r"$\times$", "–": "--", "³": r"\textsuperscript{3}",
    "²": r"\textsuperscript{2}", "Δ": r"$\Delta$", "μ": r"$\mu$", "α": r"$\alpha$", "’": "'", "“": "``",
    "”": "''", "·": r"$\cdot$",
}
DOCUMENT = r"""\documentclass{{article}}
\usepackage[a4paper,landscape,margin=15mm]{{geometry}}
\usepackage{{booktabs}}
\usepackage{{graphicx}}
\begin{{document}}
{}
\end{{document}}
"""


def to_latex(grid: Grid) -> str:
    """A `table` environment; it needs the packages booktabs and graphicx."""
    count = len(grid.heads)
    lines = [r"\begin{table*}[t]", r"\centering", rf"\caption{{{escape(grid.caption)}}}", rf"\label{{tab:{grid.name}}}"]
    lines.append(r"\resizebox{\textwidth}{!}{%")
    lines += [rf"\begin{{tabular}}{{{'l' * count}{'c' * len(grid.columns)}}}", r"\toprule"]
    if any(group for group, _ in grid.groups):
        spans = [rf"\multicolumn{{{width}}}{{c}}{{{escape(group)}}}" for group, width in grid.groups]
        lines += [_line([*([""] * count), *spans]), _rules(grid)]
    lines += [_line([*map(escape, grid.heads), *(escape(f"{c.title}{c.arrow}") for c in grid.columns)]), r"\midrule"]
    blocks = _blocks(grid)
    for i, row in enumerate(grid.rows):
        if i and blocks[i] != blocks[i - 1]:
            lines.append(r"\midrule")
        labels = [escape(label) for label in row.labels]
        if row.standing == "published":
            labels = [rf"\textit{{{label}}}" for label in labels]
        labels[0] += (" (synthetic)" if row.synthetic else "") + _notes(row.notes)
        cells = (_cell(cell, column, row.standing) for cell, column in zip(row.cells, grid.columns))
        lines.append(_line([*labels, *cells]))
    lines += [r"\bottomrule", r"\end{tabular}}", r"\par\smallskip\footnotesize\raggedright"]
    lines += [escape(grid.legend), escape("; ".join(grid.facts)) + "."]
    lines += [rf"\textsuperscript{{{i}}}~{escape(text.removesuffix('.'))}." for i, text in enumerate(grid.notes, 1)]
    return "\n".join([*lines, r"\end{table*}", ""])


def document(grids: Iterable[Grid]) -> str:
    """A whole LaTeX document: the tables, then their details, so that the numbers are the paper's."""
    grids = sorted(grids, key=lambda grid: bool(grid.parent))
    return DOCUMENT.format("\n".join(rf"{to_latex(grid)}\clearpage" for grid in grids))


def escape(text: str) -> str:
    """Text that pdflatex prints; a sign that it has no letter for becomes its code point, e.g. U+4E2D."""
    out = []
    for sign in " ".join(text.split()):
        if sign in SPECIAL:
            out.append(SPECIAL[sign])
        elif sign.isascii():
            out.append(sign)
        else:
            plain = unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode()
            out.append("".join(SPECIAL.get(letter, letter) for letter in plain) or f"U+{ord(sign):04X}")
    return "".join(out)


def _cell(cell: Cell, column: Column, standing: Standing) -> str:
    printed = f"[{number(cell.published, column)}]" if cell.published is not None else ""
    if cell.value is None:
        text = "" if standing == "published" and printed else "-"
        return f"{text}{_notes(cell.notes)} {printed}".strip()
    text = number(cell.value, column)
    text = {"best": rf"\textbf{{{text}}}", "second": rf"\underline{{{text}}}", "": text}[cell.mark] + _notes(cell.notes)
    below = f"{escape(spread(cell, column))} {printed}".strip()
    return rf"\begin{{tabular}}[t]{{@{{}}c@{{}}}}{text}\\{{\scriptsize {below}}}\end{{tabular}}" if below else text


def _blocks(grid: Grid) -> list[str]:
    """What parts the rows by rules: reference, methods and floors; where a method has several rows, each method."""
    names = [row.labels[0] for row in grid.rows]
    several = len(set(names)) < len(names)
    return [
        (row.standing if row.standing in ("reference", "floor") else "") + (name if several else "")
        for row, name in zip(grid.rows, names)
    ]


def _notes(numbers: tuple[int, ...]) -> str:
    return rf"\textsuperscript{{{','.join(map(str, numbers))}}}" if numbers else ""


def _rules(grid: Grid) -> str:
    rules, at = [], len(grid.heads) + 1
    for group, width in grid.groups:
        if group:
            rules.append(rf"\cmidrule(lr){{{at}-{at + width - 1}}}")
        at += width
    return "".join(rules)


def _line(cells: Iterable[str]) -> str:
    return rf"{' & '.join(cells)} \\"

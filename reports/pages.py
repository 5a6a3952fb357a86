"""Write a report's files: tables in four formats, one page a record, one a mean, and the page that holds them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from baselines.spec import MethodSpec
from d3talker.files import write_json, write_text
from d3talker.version import __version__
from eval.metrics.registry import METRICS
from reports.csv_table import to_csv
from reports.figures import Figure
from reports.grid import Grid
from reports.html import inline_svg, write_assets, write_page
from reports.latex import document, to_latex
from reports.load import Results, slug
from reports.markdown import to_markdown
from reports.origins import origin, titled
from reports.rank import TESTED
from reports.scenes import Scene
from reports.verify import Check, summary

HEADINGS = {"self": "Self-driven", "cross": "Cross-driven", "ablation": "Ablations"}


@dataclass(frozen=True)
class Content:
    """Everything that the page shows.  faults: why some clips cannot be shown."""

    results: Results
    grids: Sequence[Grid]
    figures: Sequence[Figure]
    scenes: Sequence[Scene]
    faults: Sequence[str]
    checks: Sequence[Check]


def write_tables(folder: Path, grids: Sequence[Grid]) -> None:
    """tables/<name>.md, .tex and .csv, and all of them in one document."""
    for grid in grids:
        write_text(folder / "tables" / f"{grid.name}.md", to_markdown(grid))
        write_text(folder / "tables" / f"{grid.name}.tex", to_latex(grid))
        write_text(folder / "tables" / f"{grid.name}.csv", to_csv(grid))
    write_text(folder / "tables" / "all.tex", document(grids))
    write_text(folder / "tables" / "all.md", "\n".join(map(to_markdown, grids)))


def write_records(folder: Path, results: Results, specs: Sequence[MethodSpec], grids: Sequence[Grid]) -> None:
    """records/<key>.json and .html, and traces/<table>-<row>.html for rows that are means over records."""
    known = {spec.name: spec for spec in specs}
    by_key = {record.key: record for record in results.records}
    for record in results.records:
        write_json(folder / "records" / f"{record.key}.json", record.model_dump(mode="json"))
        page = folder / "records" / f"{record.key}.html"
        spec = known.get(record.job.method)
        title = titled(spec, origin(spec, record.job)) if spec else record.job.method
        write_page(page, "record.html", record=record, title=title, registry=METRICS, up="../")
    for grid in grids:
        for row in grid.rows:
            if any(len(cell.records) > 1 for cell in row.cells):
                used = [by_key[key] for key in dict.fromkeys(key for cell in row.cells for key in cell.records)]
                page = folder / "traces" / f"{slug(f'{grid.name}-{row.name}')}.html"
                write_page(page, "trace.html", grid=grid, row=row, records=used, up="../")


def write_index(folder: Path, content: Content) -> None:
    """index.html with its style and script."""
    write_assets(folder / "assets")
    drawings = {figure.path: inline_svg(folder / f"{figure.path}.svg") for figure in content.figures}
    write_page(
        folder / "index.html", "index.html", **vars(content), drawings=drawings, verified=summary(content.checks),
        headings=HEADINGS, tested=TESTED, version=__version__, up="",
    )

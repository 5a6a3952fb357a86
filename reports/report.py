"""`d3talker report`: a results folder -> tables, figures, key frames, videos and one HTML page, in a single folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from baselines.registry import methods
from baselines.spec import MethodSpec
from d3talker.errors import UserError
from d3talker.files import atomic_folder, read_json, write_json, write_text
from d3talker.version import __version__
from reports.casts import Cast, casts
from reports.csv_table import to_csv
from reports.figures import Figure, draw_all
from reports.grid import Grid
from reports.html import inline_svg, write_assets, write_page
from reports.latex import document, to_latex
from reports.lines import build, build_subjects
from reports.load import Results, load_results, slug
from reports.markdown import to_markdown
from reports.scenes import Scene, build_scene
from reports.tables import tables

MARKER = "report.json"
HEADINGS = {"self": "Self-driven", "cross": "Cross-driven", "ablation": "Ablations"}


@dataclass(frozen=True)
class ReportConfig:
    """Options of `d3talker report`."""

    results: tyro.conf.Positional[Path]
    """Folder that `d3talker bench --out` wrote."""
    out: Path
    """Folder for the report; an older report there is replaced."""
    budget: float | None = None
    """Seconds of training video in Table 1; by default the paper's 10 if it was run."""
    protocol: str | None = None
    """Which protocol to report, when the results hold more than one."""
    videos: bool = True
    """Whether to encode videos and key frames."""


def run(config: ReportConfig) -> int:
    """Write the report; returns 0.

    Raises UserError when the results cannot be read, mix protocols, or `out` holds something that is not a report.
    """
    check_target(config.out, config.results)
    results = load_results(config.results, config.protocol)
    specs = methods()
    grids = []
    for table in tables(results, specs, config.budget):
        grids += [build(table, results), *([build_subjects(table, results)] if len(table.subjects) > 1 else [])]
    with atomic_folder(config.out) as folder:
        _write_tables(folder, grids)
        clips = casts(results.records, specs, config.budget)
        figures = draw_all(folder, results, grids, clips)
        scenes, faults = _build_scenes(folder, results, clips if config.videos else [])
        _write_records(folder, results, specs, grids)
        _write_index(folder, results, grids, figures, scenes, faults)
        write_json(folder / MARKER, {"written_by": f"d3talker {__version__}", "protocol": results.protocol})
    print(f"{config.out / 'index.html'}: {len(grids)} tables from {len(results.records)} records", file=sys.stderr)
    return 0


def check_target(out: Path, results: Path) -> None:
    """Refuse to write over anything but an older report.  Raises UserError."""
    if out.is_file():
        raise UserError(f"{out} is a file; give --out a folder")
    if out.is_dir() and any(out.iterdir()):
        known = out / MARKER
        if not known.is_file() or "written_by" not in read_json(known):
            raise UserError(f"{out} is not empty and holds no report; give --out a new folder")
    if results.resolve().is_relative_to(out.resolve()):
        raise UserError(f"{out} holds the results themselves; give --out another folder")


def _build_scenes(folder: Path, results: Results, clips: Sequence[Cast]) -> tuple[list[Scene], list[str]]:
    """Scenes, and why the others could not be shown: a damaged clip must not cost the tables."""
    scenes, faults = [], []
    for cast in clips:
        try:
            scene = build_scene(results, cast, folder)
        except UserError as error:
            faults.append(f"{cast.title}: {error}")
            print(f"not shown: {faults[-1]}", file=sys.stderr)
        else:
            scenes += [scene] if scene else []
    return scenes, faults


def _write_tables(folder: Path, grids: Sequence[Grid]) -> None:
    for grid in grids:
        write_text(folder / "tables" / f"{grid.name}.md", to_markdown(grid))
        write_text(folder / "tables" / f"{grid.name}.tex", to_latex(grid))
        write_text(folder / "tables" / f"{grid.name}.csv", to_csv(grid))
    write_text(folder / "tables" / "all.tex", document(grids))
    write_text(folder / "tables" / "all.md", "\n".join(map(to_markdown, grids)))


def _write_records(folder: Path, results: Results, specs: Sequence[MethodSpec], grids: Sequence[Grid]) -> None:
    titles = {spec.name: spec.title for spec in specs}
    by_key = {record.key: record for record in results.records}
    for record in results.records:
        write_json(folder / "records" / f"{record.key}.json", record.model_dump(mode="json"))
        page = folder / "records" / f"{record.key}.html"
        write_page(page, "record.html", record=record, title=titles.get(record.job.method, record.job.method), up="../")
    for grid in grids:
        for row in grid.rows:
            if any(len(cell.records) > 1 for cell in row.cells):
                page = folder / "traces" / f"{slug(f'{grid.name}-{row.name}')}.html"
                write_page(page, "trace.html", grid=grid, row=row, records=by_key, up="../")


def _write_index(
    folder: Path, results: Results, grids: Sequence[Grid], figures: Sequence[Figure], scenes: Sequence[Scene],
    faults: Sequence[str],
) -> None:
    write_assets(folder / "assets")
    drawings = {figure.path: inline_svg(folder / f"{figure.path}.svg") for figure in figures}
    write_page(
        folder / "index.html", "index.html", results=results, grids=grids, figures=figures, drawings=drawings,
        scenes=scenes, faults=faults, headings=HEADINGS, version=__version__, up="",
    )

"""`d3talker report`: a results folder -> tables, figures, key frames, videos and one HTML page, in a single folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro

from baselines.registry import methods
from d3talker.errors import UserError
from d3talker.files import atomic_folder, read_json, write_json
from d3talker.progress import track
from d3talker.version import __version__
from eval.metrics.registry import METRICS
from eval.offer import provide
from reports.casts import Cast, casts
from reports.differences import build_differences
from reports.figures import draw_all
from reports.grid import Grid
from reports.lines import build, build_subjects
from reports.load import Results, load_results
from reports.pages import Content, write_index, write_records, write_tables
from reports.scenes import Scene, build_scene
from reports.serve import serve
from reports.tables import tables
from reports.verify import summary, verify

MARKER = "report.json"


@dataclass(frozen=True)
class ReportConfig:
    """Options of `d3talker report`."""

    results: tyro.conf.Positional[Path]
    """Folder that `d3talker bench --out` wrote."""
    out: Path
    """Folder for the report; an older report there is replaced."""
    budget: float | None = None
    """Seconds of training video in Table 1; by default the paper's 10 if it was run."""
    columns: tuple[str, ...] = ()
    """Metrics shown in the tables, by name and in this order; by default the paper's, then ours that were measured."""
    protocol: str | None = None
    """Which protocol to report, when the results hold more than one."""
    videos: bool = True
    """Whether to show key frames and videos."""
    figures: bool = True
    """Whether to draw charts and curves."""
    verify: bool = False
    """Compute a sample of the numbers again from the predictions, and compare."""
    sample: int = 3
    """How many records --verify draws by chance."""
    weights: Path | None = None
    """Folder with metric weights for --verify."""
    download: bool = False
    """Fetch weights that --verify lacks, with a checksum; without it you are asked at a terminal."""
    serve: bool = False
    """Show the report at a loopback address afterwards."""
    port: int = 8000
    """Port of --serve; 0 takes a free one."""


def run(config: ReportConfig) -> int:
    """Write the report; returns 0, or 1 when --verify found a number that differs.

    Raises UserError when the results cannot be read, mix protocols, or `out` holds something that is not a report.
    """
    if config.verify and config.sample < 1:
        raise UserError(f"--sample is {config.sample}; give at least 1")
    check_target(config.out, config.results)
    results = load_results(config.results, config.protocol)
    specs = methods()
    grids: list[Grid] = []
    for table in tables(results, specs, config.budget, config.columns):
        grids += [build(table, results), *([build_subjects(table, results)] if len(table.subjects) > 1 else [])]
        if table.name == "table4" and (apart := build_differences(table, results)) is not None:
            grids.append(apart)
    if config.verify:
        measured = {name for record in results.records for name, found in record.metrics.items() if found.value is not None}
        provide(sorted(measured & METRICS.keys()), config.weights, config.download)
    checks = verify(results, config.sample, config.weights) if config.verify else []
    with atomic_folder(config.out) as folder:
        write_tables(folder, grids)
        clips = casts(results.records, specs, config.budget)
        figures = draw_all(folder, results, grids, clips) if config.figures else []
        scenes, faults = _build_scenes(folder, results, clips if config.videos else [])
        write_records(folder, results, specs, grids)
        write_index(folder, Content(results, grids, figures, scenes, faults, checks))
        facts = {"protocol": results.protocol, "checks": [asdict(check) for check in checks]}
        write_json(folder / MARKER, {"written_by": f"d3talker {__version__}", **facts})
    if results.superseded:
        print(f"{results.superseded} records of an older configuration than the plan's are left out", file=sys.stderr)
    print(f"{config.out / 'index.html'}: tables: {len(grids)}, records: {len(results.records)}", file=sys.stderr)
    if checks:
        print(summary(checks), file=sys.stderr)
    if config.serve:
        serve(config.out, config.port)
    return int(any(check.verdict == "differs" for check in checks))


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
    for cast in track(clips, "key frames and videos"):
        try:
            scene = build_scene(results, cast, folder)
        except UserError as error:
            faults.append(f"{cast.title}: {error}")
            print(f"not shown: {faults[-1]}", file=sys.stderr)
        else:
            scenes += [scene] if scene else []
    return scenes, faults

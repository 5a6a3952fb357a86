"""Which figures a report has: drawn into its folder, listed for its page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from baselines.registry import methods
from d3talker.people.media.video import FPS
from eval.records import Record
from reports import charts, curves
from reports.casts import Cast
from reports.grid import Grid
from reports.load import Results, slug


@dataclass(frozen=True)
class Figure:
    """One figure of the page; `path` is relative to the report and without suffix.  clip: the subject of a
    figure about a single clip.
    """

    title: str
    caption: str
    path: str
    clip: str = ""


def draw_all(
    folder: Path, results: Results, grids: Sequence[Grid], clips: Sequence[Cast]
) -> list[Figure]:
    """Draw what the records allow: charts of the tables, then the curves of every self-driven clip."""
    tables = {grid.name: grid for grid in grids}
    figures: list[Figure] = []
    wanted: list[tuple[str, Callable[[Path, Grid], bool], Figure]] = [
        ("table2", charts.budgets, Figure(
            "Quality against training video",
            "Solid: measured, with bands of one standard deviation over seeds or the 95 % interval. Dashed: published.",
            "figures/budgets",
        )),
        ("table1", charts.tradeoff, Figure(
            "Quality against cost", "Filled: measured. Hollow: published, on other machines. Logarithmic cost.",
            "figures/tradeoff",
        )),
        ("table4", charts.ablations, Figure(
            "Ablations", "Difference from the whole model; blue is better or equal, orange is worse. Lines: the spread "
            "of each setting (one standard deviation over seeds, or the 95 % interval).", "figures/ablations",
        )),
    ]
    for name, chart, figure in wanted:
        if name in tables and chart(folder / figure.path, tables[name]):
            figures.append(figure)
    for cast in clips:
        if cast.kind == "self":
            figures += _clip_figures(folder, results, cast.members)
    return figures + _pretraining_figure(folder, results)


def _pretraining_figure(folder: Path, results: Results) -> list[Figure]:
    """Every pre-training behind the records, a line each."""
    logs: dict[str, Path] = {}
    titles = {(spec.name, name): row.title for spec in methods() for name, row in spec.rows.items()}
    for record in results.records:
        log = results.artifact(record, "pretrain_log")
        if log is not None and log not in logs.values():
            row = titles.get((record.job.method, record.job.ablation), record.job.ablation)
            logs[row] = log
    figure = Figure(
        "Pre-training", "Losses over the steps, the face's first; after d3talker bench --model.tensorboard also how far each field "
        "moves the Gaussians, and the gradients of the contrastive losses beside the picture's.", "figures/pretraining",
    )
    return [figure] if curves.losses(folder / figure.path, logs) else []


def _clip_figures(folder: Path, results: Results, records: Mapping[str, Record]) -> list[Figure]:
    job = next(iter(records.values())).job
    name = slug(f"{job.subject}-{job.budget:g}s")
    figures = []
    frames = Figure(
        f"Frame by frame, {job.subject}", "The test clip; gaps are frames in which a metric could not be measured.",
        f"figures/frames-{name}", job.subject,
    )
    if curves.per_frame(folder / frames.path, records, FPS):
        figures.append(frames)
    logs = {title: log for title, record in records.items() if (log := results.artifact(record, "log"))}
    training = Figure(
        f"Training, {job.subject}", "Losses and number of Gaussians over the steps; dotted lines part the stages.",
        f"figures/losses-{name}", job.subject,
    )
    if curves.losses(folder / training.path, logs):
        figures.append(training)
    return figures

"""Curves over time: metrics over the frames of a clip, losses over the steps of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from d3talker.errors import UserError
from d3talker.files import read_json
from d3talker.learning.scalars import counted
from eval.records import Record
from reports.columns import LMD, LPIPS, PSNR, SSIM
from reports.grid import Column
from reports.plots import COLOURS, INK, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = (PSNR, SSIM, LPIPS, LMD)
ACROSS = 4  # panels of scalars side by side


def per_frame(path: Path, records: Mapping[str, Record], fps: float) -> bool:
    """Metrics over the frames of one clip, a line for each title; returns whether there was anything to draw."""
    shown = [column for column in SHOWN if any(series(record, column) for record in records.values())]
    if not shown:
        return False
    with drawing(path, 8.6, 1.45 * len(shown) + 0.5) as figure:
        axes = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
        for axis, column in zip(axes, shown):
            for i, (title, record) in enumerate(records.items()):
                values = series(record, column)
                seconds = [k / fps for k in range(len(values))]
                axis.plot(seconds, values, color=COLOURS[i % len(COLOURS)], lw=1.0, label=title)
            axis.set_ylabel(f"{column.title} {column.arrow}")
            axis.margins(x=0.01)
        axes[-1].set_xlabel("seconds into the test clip")
        handles, names = axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=5)
    return True


def series(record: Record, column: Column) -> list[float]:
    """Per-frame values with gaps as NaN, which matplotlib leaves out."""
    result = record.metrics.get(column.metric)
    if result is None or result.per_frame is None:
        return []
    return [float("nan") if value is None else value for value in result.per_frame]


def losses(path: Path, logs: Mapping[str, Path]) -> bool:
    """Losses of one or more trainings (title -> log.json); stages follow one another, parted by thin lines."""
    runs = {title: run for title, log in logs.items() if (run := read_log(log))}
    names = list(dict.fromkeys(name for _, curves, _ in runs.values() for name in curves))
    if not names:
        return False
    across = min(len(names), ACROSS)
    down = -(-len(names) // across)
    with drawing(path, 2.9 * across + 0.3, 2.2 * down + 0.3) as figure:
        panels = list(figure.subplots(down, across, squeeze=False).flat)
        for axis in panels[len(names):]:
            axis.remove()
        for axis, name in zip(panels, names):
            for i, (title, (steps, curves, breaks)) in enumerate(runs.items()):
                if name in curves:
                    axis.plot(steps, curves[name], color=COLOURS[i % len(COLOURS)], lw=0.9, label=title)
                for place in breaks if i == 0 else ():
                    axis.axvline(place, color=INK, lw=0.5, ls=":")
            axis.set_title(name)
            axis.set_xlabel("step")
            if not any(value <= 0 for _, curves, _ in runs.values() for value in curves.get(name, ())):
                plain_log(axis)
        handles, titles = figure.axes[0].get_legend_handles_labels()
        if len(runs) > 1:
            figure.legend(handles, titles, loc="outside upper center", ncols=5)
    return True


def plain_log(axis: Axes) -> None:
    """A logarithmic y axis with plain numbers, at most five."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=5))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.yaxis.set_minor_locator(NullLocator())


def read_log(path: Path) -> tuple[list[float], dict[str, list[float]], list[float]] | None:
    """Steps counted through all stages, the curves with a value at each, and where stages begin; None if unreadable.

    A log is {"step": [...], "loss": {name: [...]}}; the step starts again with each stage.
    """
    try:
        log: Any = read_json(path)
        own = [float(step) for step in log["step"]]
        curves = {
            str(name): [float("nan") if value is None else float(value) for value in values]  # a stage without this loss
            for name, values in log["loss"].items() if len(values) == len(own)
        }
    except (UserError, KeyError, TypeError, ValueError, AttributeError):
        return None
    steps, breaks = counted(own)
    return (steps, curves, breaks) if steps and curves else None


def worst_frames(record: Record, column: Column, count: int = 4, apart: int = 12) -> Sequence[int]:
    """The frames where a metric is worst, each at least `apart` frames from the others, in time order."""
    values = [(value, i) for i, value in enumerate(series(record, column)) if value == value]
    found: list[int] = []
    for _, frame in sorted(values, reverse=column.better == "down"):
        if all(abs(frame - other) >= apart for other in found):
            found.append(frame)
        if len(found) == count:
            break
    return sorted(found)

"""Charts drawn from the cell grids: a metric against budget, quality against cost, ablation bars."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.grid import Cell, Column, Grid, Row
from reports.plots import COLOURS, INK, MARKERS, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COSTS = ("fps", "train_time")
QUALITIES = ("psnr", "lpips_alex", "lmd_dlib", "sync_c")


def budgets(path: Path, grid: Grid) -> bool:
    """Table 2 as lines: every metric against seconds of training, bands for the spread, dashes for published values.

    Returns whether there was anything to draw.
    """
    columns = [column for column in grid.columns if any(cell.value is not None for cell in _column(grid, column))]
    rows = [row for row in grid.rows if row.standing in ("measured", "published")]
    methods = list(dict.fromkeys(row.labels[0] for row in measured_first(rows)))
    if not columns or not methods:
        return False
    across = min(len(columns), 3 if len(columns) in (3, 5, 6, 9) else 4)
    down = -(-len(columns) // across)
    with drawing(path, 2.6 * across + 0.4, 2.1 * down + 0.4) as figure:
        axes = list(figure.subplots(down, across, squeeze=False).flat)
        for axis, column in zip(axes, columns):
            for i, method in enumerate(methods):
                own = sorted((row for row in rows if row.labels[0] == method), key=lambda row: row.budget)
                _budget_line(axis, grid, column, own, method, i)
            axis.set_title(f"{column.title} {column.arrow}")
            axis.set_xticks(sorted({row.budget for row in rows}))
        for axis in axes[len(columns):]:
            axis.remove()
        figure.supxlabel("seconds of training video", fontsize=9)
        handles, names = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=4)
    return True


def _budget_line(axis: Axes, grid: Grid, column: Column, rows: Sequence[Row], title: str, number: int) -> None:
    colour = COLOURS[number % len(COLOURS)]
    cells = [(row.budget, cell_of(grid, row, column)) for row in rows]
    printed = [(x, cell.published) for x, cell in cells if cell.published is not None]
    axis.plot([x for x, _ in printed], [y for _, y in printed], "--", color=colour, lw=0.9, alpha=0.7)
    known = [(x, cell.value, *bounds(cell)) for x, cell in cells if cell.value is not None]
    xs = [x for x, *_ in known]
    axis.fill_between(xs, [low for *_, low, _ in known], [high for *_, high in known], color=colour, alpha=0.18, lw=0)
    marker = MARKERS[number % len(MARKERS)]
    label = title if known else f"{title} (published)"
    style = "-" if known else "--"
    axis.plot(xs, [y for _, y, *_ in known], color=colour, marker=marker, ms=4.5, lw=1.4, ls=style, label=label)


def tradeoff(path: Path, grid: Grid) -> bool:
    """Table 1 as points: quality against FPS and training time on log axes; hollow points are published ones."""
    rows = measured_first([row for row in grid.rows if row.standing in ("measured", "published")])
    names = {column.name: column for column in grid.columns}
    costs = [names[name] for name in COSTS if name in names]
    shown = [
        names[name] for name in QUALITIES
        if name in names and any(_known(cell_of(grid, row, names[name])) for row in rows)
    ]
    if not shown or not costs or not any(_known(cell_of(grid, row, cost)) for row in rows for cost in costs):
        return False
    with drawing(path, 2.35 * len(shown) + 0.4, 2.2 * len(costs) + 0.5) as figure:
        axes = figure.subplots(len(costs), len(shown), squeeze=False, sharey="col", sharex="row")
        for cost, line in zip(costs, axes):
            for quality, axis in zip(shown, line):
                for i, row in enumerate(rows):
                    _point(axis, cell_of(grid, row, cost), cell_of(grid, row, quality), row.labels[0], i)
                _log_axis(axis, cost)
                axis.set_ylabel(f"{quality.title} {quality.arrow}")
                axis.set_xlabel(f"{cost.title} {cost.arrow}")
        legend = {name: handle for axis in figure.axes for handle, name in zip(*axis.get_legend_handles_labels())}
        figure.legend(list(legend.values()), list(legend), loc="outside upper center", ncols=4)
    return True


def _log_axis(axis: Axes, column: Column) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    ticks = [10, 60, 300, 1800, 10800, 64800] if column.unit == "s" else [10.0**k for k in range(-3, 5)]
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(FixedLocator(ticks))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number_text(value, column)))
    axis.tick_params("x", labelrotation=35 if column.unit == "s" else 0)


def number_text(value: float, column: Column) -> str:
    """A tick: a duration, or a plain number."""
    if column.unit != "s":
        return f"{value:g}"
    return f"{value / 3600:g} h" if value >= 3600 else f"{value / 60:g} min" if value >= 60 else f"{value:g} s"


def _known(cell: Cell) -> bool:
    return cell.value is not None or cell.published is not None


def _point(axis: Axes, cost: Cell, quality: Cell, title: str, number: int) -> None:
    marker = MARKERS[(number + number // len(MARKERS)) % len(MARKERS)]
    style: dict[str, Any] = {"color": COLOURS[number % len(COLOURS)], "marker": marker, "ls": "", "ms": 6}
    if cost.published and quality.published is not None:
        label = None if cost.value else f"{title} (published)"
        axis.plot(cost.published, quality.published, mfc="none", label=label, **style)
    if cost.value and quality.value is not None:
        axis.plot(cost.value, quality.value, label=title, **style)


def ablations(path: Path, grid: Grid) -> bool:
    """Table 4 as bars: how far every setting lies from the whole model (the first measured row), with its spread."""
    rows = [row for row in grid.rows if row.standing == "measured"]
    columns = [column for column in grid.columns if rows and cell_of(grid, rows[0], column).value is not None]
    if not columns or len(rows) < 2:
        return False
    with drawing(path, 1.9 * len(columns) + 1.6, 0.27 * len(rows) + 0.9) as figure:
        for axis, column in zip(figure.subplots(1, len(columns), sharey=True, squeeze=False)[0], columns):
            whole = cell_of(grid, rows[0], column).value or 0.0
            for place, row in enumerate(rows):
                cell = cell_of(grid, row, column)
                if cell.value is not None:
                    gain = (cell.value - whole) * (-1 if column.better == "down" else 1)
                    axis.barh(place, cell.value - whole, height=0.62, color=COLOURS[0] if gain >= 0 else COLOURS[1])
                    low, high = bounds(cell)
                    axis.plot([low - whole, high - whole], [place, place], color=INK, lw=1.1, solid_capstyle="butt")
            axis.axvline(0, color=INK, lw=0.7)
            axis.set_title(f"Δ {column.title} {column.arrow}")
            axis.set_yticks(range(len(rows)), [row.labels[0] for row in rows])
            axis.tick_params("y", length=0)
            axis.locator_params("x", nbins=4)
            axis.grid(axis="y", visible=False)
        figure.axes[0].invert_yaxis()
    return True


def measured_first(rows: Sequence[Row]) -> list[Row]:
    """Measured rows take the first colours, so that they stand out."""
    return sorted(rows, key=lambda row: row.standing != "measured")


def bounds(cell: Cell) -> tuple[float, float]:
    """The ends of a cell's spread: its interval, else one sd over seeds, else the value itself."""
    assert cell.value is not None
    if cell.interval is None and cell.sd is not None:
        return cell.value - cell.sd, cell.value + cell.sd
    return cell.interval or (cell.value, cell.value)


def cell_of(grid: Grid, row: Row, column: Column) -> Cell:
    """The cell of a row under a column."""
    return row.cells[grid.columns.index(column)]


def _column(grid: Grid, column: Column) -> list[Cell]:
    return [cell_of(grid, row, column) for row in grid.rows]

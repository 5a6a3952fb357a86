"""The report's figures: what is drawn from which records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from eval.records import Record
from reports.columns import LMD, LPIPS, PSNR, SSIM
from reports.grid import Column
from reports.plots import COLOURS, drawing

CURVES = (PSNR, SSIM, LPIPS, LMD)


def per_frame(path: Path, records: Sequence[Record], titles: Sequence[str], fps: float) -> list[Column]:
    """Metrics over the frames of one clip, one line a record; returns the metrics drawn (none: nothing is written)."""
    shown = [c for c in CURVES if any(_series(record, c) for record in records)]
    if not shown:
        return []
    with drawing(path, 7.2, 1.5 * len(shown) + 0.5) as figure:
        axes = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
        for axis, column in zip(axes, shown):
            for i, (record, title) in enumerate(zip(records, titles)):
                values = _series(record, column)
                if values:
                    seconds = [k / fps for k in range(len(values))]
                    axis.plot(seconds, values, color=COLOURS[i % len(COLOURS)], lw=1.0, label=title)
            axis.set_ylabel(f"{column.title} {column.arrow}")
        axes[-1].set_xlabel("seconds into the test clip")
        axes[0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=4)
    return shown


def _series(record: Record, column: Column) -> list[float]:
    """Per-frame values with gaps as NaN, which matplotlib leaves out."""
    result = record.metrics.get(column.metric)
    if result is None or result.per_frame is None:
        return []
    return [float("nan") if value is None else value for value in result.per_frame]

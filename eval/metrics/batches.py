"""Frames in step: predictions beside their reference, a few at a time, refused at the first misfit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from d3talker.errors import UserError


class FramesTooSmall(UserError):
    """One metric needs larger frames than these; the others do not."""


SIZE = 8  # frames: enough to fill two cores, small enough for any memory
END = object()


@dataclass
class Batch:
    """Frames start ... start + n - 1 of a clip; `memo` keeps what several metrics derive from them (landmarks)."""

    start: int
    predicted: np.ndarray  # uint8 [n, H, W, 3]
    reference: np.ndarray | None  # the same, or None without a ground truth
    masks: list[Mapping[str, np.ndarray]] | None  # for each frame: region -> bool [H, W]
    memo: dict[Any, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.predicted)


def batches(
    predicted: Iterable[np.ndarray], reference: Iterable[np.ndarray] | None,
    masks: Iterable[Mapping[str, np.ndarray]] | None, size: int = SIZE,
) -> Iterator[Batch]:
    """Walk through predicted frames, reference frames and masks together.

    Raises UserError for a frame that is not uint8 RGB [H, W, 3], for sizes that differ, for clips of different length,
    and for a clip without frames.
    """
    streams = {"the prediction": predicted, "the reference": reference, "the masks": masks}
    open_streams = {name: iter(stream) for name, stream in streams.items() if stream is not None}
    rows: list[dict[str, Any]] = []
    shape: tuple[int, ...] | None = None
    count = 0
    while True:
        row: dict[str, Any] = {name: next(stream, END) for name, stream in open_streams.items()}
        ended = [name for name, item in row.items() if item is END]
        if ended and len(ended) < len(row):
            longer = next(name for name in row if name not in ended)
            raise UserError(f"{ended[0]} ends after {count} frames but {longer} goes on; compare clips of equal length")
        if not ended:
            for name in ("the prediction", "the reference"):
                if name in row:
                    shape = check_frame(row[name], f"frame {count} of {name}", shape)
            if masks is not None:
                _check_masks(row["the masks"], shape, count)
            rows.append(row)
            count += 1
        if rows and (ended or len(rows) == size):
            yield _batch(rows, count - len(rows), reference is not None, masks is not None)
            rows = []
        if ended:
            break
    if not count:
        raise UserError("the clip holds no frame; give one that does")


def check_frame(frame: np.ndarray, name: str, shape: tuple[int, ...] | None = None) -> tuple[int, ...]:
    """The frame's shape; raises UserError unless it is uint8 RGB [H, W, 3], and of `shape` where one is given."""
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        got = f"{frame.dtype} {list(frame.shape)}" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise UserError(f"{name} is {got}; metrics read uint8 RGB [H, W, 3] alone, and convert nothing")
    if shape is not None and frame.shape != shape:
        raise UserError(
            f"{name} is {frame.shape[1]}x{frame.shape[0]} px, others are {shape[1]}x{shape[0]}; bring both to one size"
        )
    return frame.shape


def _check_masks(masks: Mapping[str, np.ndarray], shape: tuple[int, ...] | None, count: int) -> None:
    assert shape is not None
    for region, mask in masks.items():
        if mask.dtype != np.bool_ or mask.shape != shape[:2]:
            raise UserError(
                f"the {region} mask of frame {count} is {mask.dtype} {list(mask.shape)}; give bool {list(shape[:2])}"
            )


def _batch(rows: list[dict[str, Any]], start: int, with_reference: bool, with_masks: bool) -> Batch:
    return Batch(
        start, np.stack([row["the prediction"] for row in rows]),
        np.stack([row["the reference"] for row in rows]) if with_reference else None,
        [row["the masks"] for row in rows] if with_masks else None,
    )

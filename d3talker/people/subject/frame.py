"""One row of a transforms file, in any of the forms that the official codes write."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from d3talker.errors import UserError

MOST_FRAMES = 10_000_000  # four days of video


@dataclass(frozen=True)
class Frame:
    """One row of a transforms file; `c2w` is [4, 4], OpenGL axes, in head-fixed coordinates."""

    img_id: int
    aud_id: int
    c2w: np.ndarray


def read_row(path: Path, index: int, row: Any) -> Frame:
    """One row of a transforms file; aud_id is img_id where it is absent (RAD-NeRF's loader), 3x4 matrices get their last row."""
    try:
        img_id, matrix = row["img_id"], np.array(row["transform_matrix"], np.float64)
        aud_id = row.get("aud_id", img_id)
        whole = [not isinstance(n, bool) and float(n) == int(float(n)) >= 0 and float(n) < MOST_FRAMES for n in (img_id, aud_id)]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise UserError(f"{path}: row {index} lacks img_id or transform_matrix, or they are no numbers; make it again") from None
    if not all(whole):
        raise UserError(f"{path}: row {index} has img_id {img_id!r} and aud_id {aud_id!r}; give whole numbers from 0")
    if matrix.shape == (3, 4):
        matrix = np.vstack([matrix, (0.0, 0.0, 0.0, 1.0)])
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise UserError(f"{path}: the matrix of frame {img_id} is no finite 4x4 or 3x4 matrix; track the video again")
    return Frame(int(float(img_id)), int(float(aud_id)), matrix)

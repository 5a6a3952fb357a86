"""Key frames of a test clip: ground truth above every method, at the same instants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from d3talker.files import atomic_path
from d3talker.predictions import Predictions
from reports.plots import drawing

JPEG_QUALITY = 95


@dataclass(frozen=True)
class Strip:
    """One row of a key-frame grid: a title and its frames, uint8 [H, W, 3]."""

    title: str
    frames: list[np.ndarray]


def pick(predictions: Predictions, wanted: Sequence[int]) -> list[np.ndarray]:
    """The frames with these numbers (ascending); a shorter clip yields fewer."""
    numbers = set(wanted)
    return [frame for i, frame in enumerate(predictions.frames()) if i in numbers]


def draw(path: Path, strips: Sequence[Strip], labels: Sequence[str]) -> None:
    """Write the grid as PNG, SVG and PDF at `path` (without suffix)."""
    height, width = strips[0].frames[0].shape[:2]
    tall = 1.3 * height / width
    with drawing(path, 1.3 * len(labels) + 1.1, tall * len(strips) + 0.3) as figure:
        axes = figure.subplots(len(strips), len(labels), squeeze=False)
        figure.set_layout_engine("constrained", w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.01)
        for row, strip in zip(axes, strips):
            for axis, frame in zip(row, strip.frames):
                axis.imshow(frame, interpolation="nearest")
            for axis in row:
                axis.set(xticks=[], yticks=[], frame_on=False)
            row[0].set_ylabel(strip.title, rotation=0, ha="right", va="center")
        for axis, label in zip(axes[0], labels):
            axis.set_title(label)


def save_frame(path: Path, frame: np.ndarray) -> None:
    """Write one frame as a JPEG to look at (metrics never read it)."""
    from PIL import Image

    with atomic_path(path) as temporary:
        Image.fromarray(frame).save(temporary, format="JPEG", quality=JPEG_QUALITY, subsampling=0)

"""Key frames of a test clip: ground truth above every method, at the same instants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from d3talker.files import atomic_path
from d3talker.people.media.predictions import Predictions
from reports.plots import drawing

JPEG_QUALITY = 95


@dataclass(frozen=True)
class Strip:
    """One row of a key-frame grid: a title and its frames, uint8 [H, W, 3]."""

    title: str
    frames: list[np.ndarray]


def pick(predictions: Predictions, wanted: Sequence[int]) -> list[np.ndarray]:
    """The frames with these numbers, ascending, uint8 RGB [H, W, 3]; a shorter clip yields fewer."""
    numbers = set(wanted)
    return [frame for i, frame in enumerate(predictions.frames()) if i in numbers]


def draw(path: Path, strips: Sequence[Strip], labels: Sequence[str]) -> None:
    """Write the grid as PNG, SVG and PDF at `path` (without suffix); frames are fitted to the first one's size."""
    height, width = strips[0].frames[0].shape[:2]
    gap = max(1, width // 40)
    canvas = np.full((len(strips) * (height + gap) - gap, len(labels) * (width + gap) - gap, 4), 0, np.uint8)
    for row, strip in enumerate(strips):
        for column, frame in enumerate(strip.frames):
            y, x = row * (height + gap), column * (width + gap)
            canvas[y:y + height, x:x + width, :3] = fit(frame, height, width)
            canvas[y:y + height, x:x + width, 3] = 255
    inches = 1.3 * canvas.shape[1] / width
    with drawing(path, inches + 1.3, inches * canvas.shape[0] / canvas.shape[1] + 0.4) as figure:
        axis = figure.subplots()
        axis.imshow(canvas, interpolation="nearest")
        axis.set(frame_on=False)
        axis.grid(visible=False)
        axis.tick_params(length=0, top=False, labeltop=True, labelbottom=False)
        axis.set_xticks([(width + gap) * (i + 0.5) - gap / 2 for i in range(len(labels))], labels)
        axis.set_yticks([(height + gap) * (i + 0.5) - gap / 2 for i in range(len(strips))], [s.title for s in strips])


def fit(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    """The frame at this size, uint8 [H, W, 3]."""
    if frame.shape[:2] == (height, width):
        return frame
    import cv2

    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)


def save_frame(path: Path, frame: np.ndarray) -> None:
    """Write one frame as a JPEG to look at (metrics never read it)."""
    from PIL import Image

    with atomic_path(path) as temporary:
        Image.fromarray(frame).save(temporary, format="JPEG", quality=JPEG_QUALITY, subsampling=0)

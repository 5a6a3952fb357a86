"""RAD-NeRF's eye signal: how much of the picture the eyes fill."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from d3talker.people.subject.layout import Frame, Subject

EYES = (range(36, 42), range(42, 48))  # landmarks


def eye_area(subject: Subject, frames: Sequence[Frame]) -> np.ndarray:
    """Area of both eyes' polygons in per cent of the picture, [T, 1], typically 0 to 0.3 (provider.py:47-52, 475-485)."""
    landmarks = subject.landmarks([frame.img_id for frame in frames])
    height, width = subject.size
    areas = sum(polygon_area(landmarks[:, list(eye)]) for eye in EYES)
    return (100 * np.asarray(areas) / (height * width))[:, None].astype(np.float32)


def polygon_area(points: np.ndarray) -> np.ndarray:
    """Areas [T] of polygons [T, K, 2] that do not cross themselves."""
    x, y = points[..., 0], points[..., 1]
    return np.abs((x * np.roll(y, -1, 1) - y * np.roll(x, -1, 1)).sum(1)) / 2

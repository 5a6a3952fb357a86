"""From a metric's result to the values that are averaged and compared: a value a frame, or one a clip."""

from __future__ import annotations

import numpy as np

from eval.metrics.registry import METRICS
from eval.metrics.result import MetricResult

FPS = "fps"


def series(name: str, result: MetricResult) -> np.ndarray:
    """Values [T] whose mean is the metric's value, NaN where a frame has none; [1] for a metric without values a frame.

    Speed is turned into seconds a frame, whose mean over people is that of all their frames.
    """
    assert result.value is not None
    if name == FPS:
        return np.array([1 / result.value])
    if result.per_frame is None:
        return np.array([result.value])
    return np.array([np.nan if value is None else value for value in result.per_frame], np.float64)


def from_best(name: str, values: np.ndarray) -> np.ndarray:
    """Values whose mean is how far the mean of `values` lies from a metric's best value, where it has one inside its range."""
    best = METRICS[name].best if name in METRICS else None
    if best is None:
        return values
    return np.copysign(1.0, np.nanmean(values) - best) * (values - best)

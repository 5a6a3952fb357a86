"""Frames a second as the protocol measures them: batch 1, synchronised, after 50 warm-up frames, median and quartiles."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from eval.metrics.result import MetricResult

WARM_UP = 50


def time_calls(call: Callable[[int], object], count: int, *, warm_up: int = WARM_UP, cuda: bool = False) -> list[float]:
    """Seconds of call(i) for i in 0 ... count-1, each alone and finished; the warm-up calls before them are not counted."""
    import torch

    def finish() -> None:
        if cuda:
            torch.cuda.synchronize()

    for index in range(warm_up):
        call(index % count)
    seconds = []
    for index in range(count):
        finish()
        began = time.perf_counter()
        call(index)
        finish()
        seconds.append(time.perf_counter() - began)
    return seconds


def fps(seconds: Sequence[float], exclusive: bool, **extra: object) -> MetricResult:
    """Frames a second from the median time of a frame; quartiles, number of frames and `extra` stand beside it."""
    values = np.asarray(seconds)
    low, median, high = (float(1 / q) for q in np.quantile(values, [0.75, 0.5, 0.25]))
    return MetricResult(
        value=median, extra={"quartiles": [low, high], "frames": len(values), "exclusive": exclusive, **extra}
    )

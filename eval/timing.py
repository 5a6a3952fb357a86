"""Frames a second by the protocol: batch 1, synchronised, after 50 warm-up frames; stage by stage; and peak memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from d3talker.errors import UserError
from eval.metrics.result import MetricResult

WARM_UP = 50
Stage = Callable[[int, Any], Any]  # frame number, what the stage before it returned -> what the next one gets


def time_stages(
    stages: Mapping[str, Stage], count: int, *, warm_up: int = WARM_UP, cuda: bool = False
) -> dict[str, list[float]]:
    """Seconds of each stage for frames 0 ... count-1, run in order, one frame after the other.

    The device has finished before each reading of the clock; warm-up frames are not counted.  Raises UserError where
    there is nothing to time.
    """
    if count < 1 or not stages:
        raise UserError("timing needs at least one frame and one stage")
    if cuda:
        import torch

        finish: Callable[[], object] = torch.cuda.synchronize
    else:
        def finish() -> None:
            return None

    seconds: dict[str, list[float]] = {name: [] for name in stages}
    for number in range(-warm_up, count):
        value = None
        for name, stage in stages.items():
            finish()
            began = time.perf_counter()
            value = stage(number % count, value)
            finish()
            if number >= 0:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def fps(seconds: Sequence[float], exclusive: bool, **extra: object) -> MetricResult:
    """Frames over the seconds they took together; beside it the speeds of the median frame and of the slowest hundredth
    (the 99th percentile of seconds), the number of frames and `extra`."""
    median, slowest = (float(1 / q) for q in np.quantile(np.asarray(seconds), [0.5, 0.99]))
    facts = {"median": median, "slowest_percentile": slowest, "frames": len(seconds), "exclusive": exclusive}
    return MetricResult(value=len(seconds) / float(np.sum(seconds)), extra={**facts, **extra})


def stages_fps(seconds: Mapping[str, Sequence[float]], exclusive: bool, **extra: object) -> MetricResult:
    """`fps` of whole frames, with each stage's mean seconds in extra["stages"]."""
    whole = np.sum([np.asarray(values) for values in seconds.values()], axis=0)
    means = {name: float(np.mean(values)) for name, values in seconds.items()}
    return fps(whole.tolist(), exclusive, stages=means, **extra)


@dataclass
class Memory:
    """Peak bytes within a `peak_memory` block, None where this machine cannot tell; what: "device" or "process"."""

    what: str
    bytes: int | None = None


@contextmanager
def peak_memory(cuda: bool = False) -> Iterator[Memory]:
    """Measure the most memory in use at once: torch's on the GPU, else the process's resident set (Linux)."""
    if cuda:
        import torch

        memory = Memory("device")
        torch.cuda.reset_peak_memory_stats()
        yield memory
        memory.bytes = torch.cuda.max_memory_allocated()
        return
    memory = Memory("process")
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # starts the high-water mark anew
    yield memory
    with suppress(OSError):
        rows = dict(row.split(":", 1) for row in Path("/proc/self/status").read_text().splitlines())
        memory.bytes = int(rows["VmHWM"].split()[0]) * 1024

"""The yardstick M, and one fixture that reports a time as ratios to M and to the torch reference, all of one run."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))  # the benchmarks share workload.py; they are not an installed package

from workload import YARDSTICK


def seconds(function: Callable[[], object]) -> float:
    """Wall time of one call."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


@pytest.fixture(scope="session")
def matmul() -> Callable[[], object]:
    """One M: a 1500x1500 float32 torch.matmul."""
    a = torch.randn(YARDSTICK, YARDSTICK, generator=torch.Generator().manual_seed(0))
    return lambda: torch.matmul(a, a)


@pytest.fixture
def compare(benchmark, matmul):
    """Time `fast`, with an M before each round and the reference between rounds; write ratios beside the targets.

    Ratios are of the least times: whatever else runs on the machine only ever adds, and adds unevenly.
    """

    def run(
        fast: Callable[[], object], reference: Callable[[], object] | None = None, rounds: int = 9,
        reference_rounds: int = 3, targets: dict[str, float] | None = None,
    ) -> None:
        fast(), matmul()
        marks: list[float] = []
        slow: list[float] = []

        def setup() -> None:
            if reference is not None and len(slow) < reference_rounds:
                slow.append(seconds(reference))
            marks.append(seconds(matmul))
            fast()  # after the others, so that caches and threads are what they are in a loop

        benchmark.pedantic(fast, setup=setup, rounds=rounds)
        least, mark = benchmark.stats.stats.min, min(marks)
        info = benchmark.extra_info
        info |= {"M_ms": 1e3 * mark, "in_M": least / mark, "threads": torch.get_num_threads()}
        info["load"] = statistics.median(marks) / mark  # well over 1: the machine was busy, distrust the ratios
        if slow:
            info |= {"reference_ms": 1e3 * min(slow), "times_reference": min(slow) / least}
        info["targets"] = targets or {}

    return run

"""Start of a process: kernels compiled cold and loaded warm, and the peak memory of one large step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
START = """
import time; began = time.perf_counter()
from workload import Step
step = Step(5000, 128); built = time.perf_counter(); step()
import json; print(json.dumps({"import_s": built - began, "first_step_s": time.perf_counter() - built}))
"""
PEAK = """
import json, resource
from workload import Step
step = Step(30000, 512); before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; step(); step()
print(json.dumps({"before_mib": before / 1024, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def child(code: str, cache: Path) -> dict[str, float]:
    paths = os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": paths}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("numba")


def test_cold_then_warm(benchmark, cache):
    """The first training step of a process with an empty JIT cache, then with a full one."""
    found = [benchmark.pedantic(child, (START, cache), rounds=1), child(START, cache)]
    for name, values, target in zip(("cold", "warm"), found, (20.0, 1.0)):
        benchmark.extra_info[f"{name}_first_step_s"] = values["first_step_s"]
        benchmark.extra_info.setdefault("targets", {})[f"{name}_first_step_s"] = target


def test_peak_memory(benchmark, cache):
    """Resident memory of 512x512 with 30k Gaussians, forward, backward and optimiser."""
    benchmark.extra_info |= benchmark.pedantic(child, (PEAK, cache), rounds=1)
    benchmark.extra_info["targets"] = {"peak_mib": 1024.0}

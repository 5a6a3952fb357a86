"""What the harness itself costs a job: a sweep of 500 toy jobs, less the time that their stages take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent / "tests" / "eval"
JOBS = 500
SWEEP = """
import json, resource, sys, time
from dataclasses import replace
from pathlib import Path
from toys import toy_harness, toy_sweep, toy_tasks
from eval.harness import describe_once

class Timed:
    def __init__(self, stages):
        self.stages, self.seconds = stages, 0.0

    def __getattr__(self, name):
        def call(*args):
            began = time.perf_counter()
            try:
                return getattr(self.stages, name)(*args)
            finally:
                self.seconds += time.perf_counter() - began
        return call

describe_once("cpu")
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
root, jobs = Path(sys.argv[1]), int(sys.argv[2])
tasks = toy_tasks(jobs // 2)
toy_sweep(toy_harness(root / "warm"), tasks[:20])
harness = toy_harness(root / "sweep")
timed = replace(harness, stages=Timed(harness.stages))
before, began = peak(), time.perf_counter()
assert toy_sweep(timed, tasks) == 0
wall = time.perf_counter() - began - timed.stages.seconds
again = time.perf_counter()
assert toy_sweep(toy_harness(root / "sweep"), tasks) == 0
print(json.dumps({
    "ms_a_job": 1000 * wall / jobs, "ms_a_done_job": 1000 * (time.perf_counter() - again) / jobs,
    "growth_mib": peak() - before, "peak_mib": peak(),
}))
"""


@pytest.fixture
def sweep(tmp_path):
    def run(jobs: int = JOBS) -> dict[str, float]:
        paths = os.pathsep.join([str(TESTS), str(TESTS.parent.parent), os.environ.get("PYTHONPATH", "")])
        command = [sys.executable, "-c", SWEEP, str(tmp_path / str(jobs)), str(jobs)]
        environment = os.environ | {"PYTHONPATH": paths}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return json.loads(done.stdout.splitlines()[-1])

    return run


def test_harness_time_and_memory(benchmark, sweep):
    """Harness time a job, its flushing to disk included, and how memory grows while 500 jobs run."""
    benchmark.extra_info |= benchmark.pedantic(sweep, rounds=1)
    benchmark.extra_info["targets"] = {"ms_a_job": 20.0, "growth_mib": 10.0}

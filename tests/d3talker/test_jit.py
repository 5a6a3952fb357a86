"""The set-up of the CPU kernels: the message while they compile, their threads, the memory that is kept."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from d3talker import jit


def test_only_a_slow_first_use_speaks(monkeypatch, capsys):
    monkeypatch.setattr(jit, "_PATIENCE", 0.5)
    monkeypatch.setattr(jit, "_compiled", set())
    with jit.compiling("quick"):
        pass
    with jit.compiling("slow"):
        time.sleep(1.2)
    with jit.compiling("slow"):
        time.sleep(1.2)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "compiling the slow kernels" in lines[0]


def test_kernels_keep_to_the_threads_that_torch_has():
    code = (
        "import torch, numba; from d3talker.dssim import dssim; x = torch.rand(1, 8, 8, 3); dssim(x, x); "
        "print(torch.get_num_threads(), numba.get_num_threads())"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["1", "1"]


FAULTS = """
import resource
import numpy as np
import d3talker.jit

def step():
    images = [np.ones(1 << 18) for _ in range(12)]  # 2 MiB each

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

for _ in range(3):
    step()
before = faults()
for _ in range(10):
    step()
print((faults() - before) / 10)
"""


@pytest.mark.skipif(not hasattr(os, "confstr_names") or "CS_GNU_LIBC_VERSION" not in os.confstr_names, reason="needs glibc")
def test_freed_memory_is_kept_unless_the_environment_has_its_own_limits():
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_", "LD_PRELOAD"))}

    def measure(environment: dict[str, str]) -> float:
        run = subprocess.run([sys.executable, "-c", FAULTS], env=environment, capture_output=True, text=True, check=True)
        return float(run.stdout)

    kept = measure(plain)
    assert kept < 5
    assert measure(plain | {"MALLOC_TRIM_THRESHOLD_": "131072"}) > kept + 5  # 6144 pages a step, or 12 huge ones

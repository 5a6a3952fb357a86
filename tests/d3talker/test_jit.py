"""The set-up of the CPU kernels: the message while they compile, their cache, their threads, the memory that is kept."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numba
import pytest

import d3talker
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
        "import torch, numba; from d3talker.learning.dssim import dssim; x = torch.rand(1, 8, 8, 3); dssim(x, x); "
        "print(torch.get_num_threads(), numba.get_num_threads())"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["1", "1"]


SIMILARITY = """
import hashlib
import torch
from d3talker.learning.dssim import dssim
generator = torch.Generator().manual_seed(0)
x, y = (torch.rand(1, 128, 128, 3, generator=generator, requires_grad=grad) for grad in (True, False))
value = dssim(x, y)
gradient, = torch.autograd.grad(value, x)
print(value.item(), hashlib.sha256(gradient.numpy().tobytes()).hexdigest())
"""


def similarity(package: Path, cache: Path) -> str:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(package)}
    run = subprocess.run(
        [sys.executable, "-c", SIMILARITY], env=environment, cwd=package, capture_output=True, text=True, check=True
    )  # fmt: skip
    return run.stdout


@pytest.mark.slow
def test_same_bits_from_an_empty_and_a_full_cache_and_new_ones_once_a_constant_elsewhere_changes(tmp_path):
    copy = tmp_path / "package"
    shutil.copytree(Path(d3talker.__file__).parent, copy / "d3talker", ignore=shutil.ignore_patterns("__pycache__"))
    first = similarity(copy, tmp_path / "cache")
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.nbc")}
    assert len(kept) == 2
    assert similarity(copy, tmp_path / "cache") == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.nbc")} == kept  # nothing was compiled
    constants = copy / "d3talker" / "learning" / "ssim_window.py"  # not the kernels' file, which is all that numba looks at
    text = constants.read_text()
    assert "0.03**2" in text
    constants.write_text(text.replace("0.03**2", "0.5**2"))
    assert similarity(copy, tmp_path / "cache").split()[0] != first.split()[0]


def test_compiling_is_clocked_and_running_is_not():
    function = numba.njit(lambda x: x + 1)
    before = jit.compiled_seconds()
    began = time.perf_counter()
    function(1)
    compiled = jit.compiled_seconds()
    assert 0 < compiled - before <= time.perf_counter() - began
    function(2)
    assert jit.compiled_seconds() == compiled


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

"""The message while kernels compile."""

from __future__ import annotations

import os
import subprocess
import sys
import time

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

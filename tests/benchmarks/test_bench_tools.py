"""The scripts beside the benchmarks: the table from pytest-benchmark's JSON, and the GPU script without a GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch


def run(root, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(root)}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def report(tmp_path):
    def benchmark(name: str, seconds: float, **info):
        return {"fullname": f"benchmarks/{name}", "stats": {"min": seconds}, "extra_info": info}

    path = tmp_path / "bench.json"
    path.write_text(json.dumps({
        "machine_info": {"node": "my-host", "cpu": {"brand_raw": "Some CPU", "count": 2}}, "datetime": "2026-01-02T03:04:05",
        "commit_info": {"id": "0123456789abcdef"},
        "benchmarks": [
            benchmark("test_a.py::test_x[1]", 0.01, in_M=0.5, times_reference=20.0, load=1.0,
                      targets={"in_M": 0.5, "times_reference": 25}),
            benchmark("test_a.py::test_y", 2.0, peak_mib=1100.0, targets={"peak_mib": 1024.0}),
        ],
    }))  # fmt: skip
    return path


def test_table_says_what_was_met(repo_root, report, tmp_path):
    done = run(repo_root, "benchmarks/table.py", report, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "out" / "bench.md").read_text()
    assert "| test_a.py::test_x[1] | 10 | 1 | 0.5 (<= 0.5: met) | 20 (>= 25: MISSED) | - |" in text
    assert "| test_a.py::test_y | 2e+03 | - | - | - | 1.1e+03 (<= 1024: MISSED) |" in text
    assert "Some CPU, 2 cores" in text
    assert (tmp_path / "out" / "bench.svg").read_text().startswith("<?xml")
    assert run(repo_root, "benchmarks/table.py").returncode == 2
    kept = tmp_path / "out" / "bench.json"
    assert "my-host" in report.read_text()
    assert "my-host" not in kept.read_text()
    assert run(repo_root, "benchmarks/table.py", kept, tmp_path / "again").returncode == 0
    assert (tmp_path / "again" / "bench.md").read_text() == text


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_gpu_script_says_that_there_is_no_card(repo_root, tmp_path):
    done = run(repo_root, "benchmarks/gpu.py", tmp_path / "gpu.json")
    assert done.returncode == 2
    assert "torch sees none; nothing was measured" in done.stderr
    assert not (tmp_path / "gpu.json").exists()

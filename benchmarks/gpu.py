"""One CUDA card in under 8 minutes: parity tests, training steps and frames, one JSON.

    python benchmarks/gpu.py benchmarks/results/gpu-NAME.json

Exits with 2 and says so where there is no CUDA device or no gsplat, with 1 where a parity test fails.
"""

from __future__ import annotations

import itertools
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch

from d3talker.errors import UserError, require
from d3talker.files import write_json

SIZES, COUNTS = (128, 256, 512), (5_000, 20_000, 50_000)
WARM_UP, ROUNDS, BATCH = 50, 9, 20
TARGETS = {"frame_fps_512_20000": 500, "step_per_s_512_20000": 100}


def per_second(function: Callable[[], object]) -> dict[str, float]:
    """Calls a second, synchronised: the median of ROUNDS batches after WARM_UP calls, and the slowest and fastest."""
    for _ in range(WARM_UP):
        function()
    torch.cuda.synchronize()
    rates = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(BATCH):
            function()
        torch.cuda.synchronize()
        rates.append(BATCH / (time.perf_counter() - began))
    return {"median": statistics.median(rates), "least": min(rates), "most": max(rates)}


def measure(count: int, size: int, device: str = "cuda") -> dict[str, object]:
    """One size, with the backends that `auto` picks on the device.

    Raster forward and backward, a training step, a frame from its signals at batch 1, peak memory.
    """
    from workload import Step, render_pass, scene

    torch.cuda.reset_peak_memory_stats()
    arguments, step = scene(count, size, device), Step(count, size, device)
    return {
        "size": size,
        "gaussians": count,
        "raster_forward_backward_per_s": per_second(render_pass(arguments, "auto")),
        "raster_forward_per_s": per_second(render_pass(arguments, "auto", backward=False)),
        "step_per_s": per_second(step),
        "frame_fps": per_second(step.frame()),
        "peak_mib": torch.cuda.max_memory_allocated() / 2**20,
    }


def parity(root: Path) -> dict[str, object]:
    """Run the tests marked gpu; how many passed is in the last line."""
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-q", "tests/d3talker"]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    return {"passed": run.returncode == 0, "summary": run.stdout.strip().splitlines()[-1:], "exit_code": run.returncode}


def main() -> int:
    """Measure and write; see the module's first lines for the exit codes."""
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    if not torch.cuda.is_available():
        print("benchmarks/gpu.py needs a CUDA device, and torch sees none; nothing was measured", file=sys.stderr)
        return 2
    try:
        require("gsplat", "gpu", "the GPU benchmark")
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    began = time.perf_counter()
    properties = torch.cuda.get_device_properties(0)
    report: dict[str, object] = {
        "device": properties.name, "memory_gib": properties.total_memory / 2**30, "cuda": torch.version.cuda,
        "torch": torch.__version__, "gsplat": version("gsplat"), "python": platform.python_version(),
        "parity": parity(Path(__file__).resolve().parent.parent),
    }  # fmt: skip
    results = [measure(count, size) for size, count in itertools.product(SIZES, COUNTS)]
    main_size = next(r for r in results if (r["size"], r["gaussians"]) == (512, 20_000))
    report |= {
        "results": results, "targets": TARGETS, "seconds": time.perf_counter() - began,
        "reached": {
            name: main_size[name.removesuffix("_512_20000")]["median"] >= goal for name, goal in TARGETS.items()
        },
    }  # fmt: skip
    write_json(Path(sys.argv[1]), report)
    print(f"wrote {sys.argv[1]} after {report['seconds']:.0f} s; targets reached: {report['reached']}")
    return 0 if report["parity"]["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())

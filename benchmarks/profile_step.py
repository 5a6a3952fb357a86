"""Where one CPU training step spends its time, as Markdown: python benchmarks/profile_step.py [SIZE COUNT]."""

from __future__ import annotations

import sys
from collections import defaultdict

from torch.profiler import ProfilerActivity, profile
from workload import Step

STEPS = 10
PARTS = {  # the first part whose fragment occurs in an operator's name takes its own time
    "rasteriser, forward": ("_Rasterize",),
    "rasteriser, backward": ("_RasterizeBackward",),
    "encoder": ("_Encode", "_EncodeBackward"),
    "D-SSIM": ("_Dssim", "_DssimBackward"),
    "matmul": ("aten::mm", "aten::addmm", "aten::addmv", "aten::linear"),
    "convolution (signal encoders)": ("mkldnn_convolution", "slow_conv", "convolution_backward", "thnn_conv"),
    "optimiser": ("_fused_adamw_", "Optimizer"),
}
EXACT = ("_Rasterize", "_Encode", "_Dssim")  # names that others begin with


def part_of(name: str) -> str:
    """The part that an operator counts to."""
    for part, fragments in PARTS.items():
        if any(name == f if f in EXACT else f in name for f in fragments):
            return part
    return "elementwise, copies, autograd"


def main() -> int:
    """Profile and print."""
    size, count = (int(value) for value in sys.argv[1:3]) if len(sys.argv) == 3 else (128, 5000)
    step = Step(count, size)
    for _ in range(3):
        step()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(STEPS):
            step()
    times: dict[str, float] = defaultdict(float)
    for event in profiler.key_averages():
        times[part_of(event.key)] += event.self_cpu_time_total / 1e3 / STEPS
    whole = sum(times.values())
    print(f"| part of a step, {size}x{size}, {count} Gaussians | ms | share |\n|---|---|---|")
    for part, spent in sorted(times.items(), key=lambda item: -item[1]):
        print(f"| {part} | {spent:.2f} | {100 * spent / whole:.0f} % |")
    print(f"| sum | {whole:.2f} | |")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""PSNR, SSIM and LPIPS of a clip against the field's usual loops, in the same run: time, equal values, peak memory.

    pytest benchmarks/test_metrics.py            300 frames of 512x512
    D3TALKER_BENCH_FRAMES=24 pytest benchmarks/test_metrics.py
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from d3talker.learning.backbones import Backbone
from d3talker.learning.lpips import LPIPS
from eval.metrics import perceptual
from eval.metrics.score import score
from eval.timing import peak_memory

COUNT = int(os.environ.get("D3TALKER_BENCH_FRAMES", "300"))
NAMES = ("psnr", "ssim", "lpips_alex")
SIDE = 512
STRIPE = 10  # frames that both sides score in turn, so that what else runs on the machine falls on both
pytestmark = pytest.mark.timeout(3600)
PORTRAIT = np.ascontiguousarray(data.astronaut())


def frame(index: int, noise: int) -> np.ndarray:
    """A moving portrait [512, 512, 3] with seeded noise; made anew each time, so that no clip is held."""
    moved = np.roll(PORTRAIT, 3 * index, axis=1)
    if not noise:
        return moved
    rng = np.random.default_rng(index)
    return np.clip(moved.astype(np.int16) + rng.integers(-noise, noise + 1, moved.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def networks(lpips_package, torchvision):
    """The package's LPIPS and ours with the same random AlexNet; its time does not depend on the weights."""
    build = torchvision.models.alexnet
    torchvision.models.alexnet = lambda pretrained: build(weights=None)
    try:
        official = lpips_package.LPIPS(net="alex", verbose=False)
    finally:
        torchvision.models.alexnet = build
    ours = LPIPS("alex", Backbone("alexnet")).eval()
    state = {name.split(".", 1)[1]: tensor for name, tensor in official.net.state_dict().items()}
    ours.backbone.features.load_state_dict(state)
    return official, ours


def usual_loop(official, predicted, reference) -> np.ndarray:
    """One frame at a time, as the field's scripts do: [T, 3]."""
    rows = []
    for a, b in zip(predicted, reference):
        x, y = a / 255.0, b / 255.0
        similarity = structural_similarity(
            x, y, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1, channel_axis=2
        )
        tensors = [torch.from_numpy(z).permute(2, 0, 1)[None].float() for z in (x, y)]
        with torch.no_grad():
            distance = official(*tensors, normalize=True).item()
        rows.append((peak_signal_noise_ratio(y, x, data_range=1), similarity, distance))
    return np.array(rows)


def test_a_clip_against_the_usual_loops(benchmark, networks, monkeypatch):
    official, ours = networks
    monkeypatch.setattr(perceptual, "load_lpips", lambda *args, **kwargs: ours)
    spent = {"usual": 0.0, "ours": 0.0}
    cpu = {"usual": 0.0, "ours": 0.0}  # seconds of all threads: says more than the clock where other work runs
    gaps = []

    def timed(who: str, work):
        began, cpu_began = time.perf_counter(), time.process_time()
        value = work()
        spent[who] += time.perf_counter() - began
        cpu[who] += time.process_time() - cpu_began
        return value

    def stripe(start: int) -> None:
        clips = [[frame(index, noise) for index in range(start, min(start + STRIPE, COUNT))] for noise in (12, 0)]
        expected = timed("usual", lambda: usual_loop(official, *clips))
        results = timed("ours", lambda: score(*clips, NAMES))
        gaps.append(np.abs(np.array([results[name].per_frame for name in NAMES]).T - expected).max())

    def whole() -> None:
        for start in range(0, COUNT, STRIPE):
            stripe(start)

    warm = [np.stack([frame(0, noise)]) for noise in (12, 0)]
    usual_loop(official, *warm)
    score(*warm, NAMES)
    benchmark.pedantic(whole, rounds=1, iterations=1)
    benchmark.extra_info.update(
        frames=COUNT, usual_s=spent["usual"], ours_s=spent["ours"], ratio=spent["usual"] / spent["ours"],
        cpu_ratio=cpu["usual"] / cpu["ours"], largest_difference=max(gaps), threads=torch.get_num_threads(),
    )
    print(
        f"\n{COUNT} frames: usual loops {spent['usual']:.1f} s, score() {spent['ours']:.1f} s, "
        f"{spent['usual'] / spent['ours']:.2f} times faster ({cpu['usual'] / cpu['ours']:.2f} in CPU time); "
        f"values differ by at most {max(gaps):.1e}"
    )
    assert max(gaps) < 1e-5


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_peak_memory_does_not_grow_with_the_clip(networks, monkeypatch):
    monkeypatch.setattr(perceptual, "load_lpips", lambda *args, **kwargs: networks[1])
    peaks = {}
    for count in (16, max(COUNT // 4, 32)):
        before = resident()  # what other benchmarks of this process still hold
        with peak_memory() as memory:
            score((frame(i, 12) for i in range(count)), (frame(i, 0) for i in range(count)), NAMES)
        if memory.bytes is None:
            pytest.skip("this machine does not tell its peak memory")
        peaks[count] = memory.bytes - before
    print("\npeak memory:", {count: f"{peak / 2**20:.0f} MiB" for count, peak in peaks.items()})
    assert max(peaks.values()) < 2 * 2**30

"""The whole training step and one rendered frame of the model, and D-SSIM alone."""

from __future__ import annotations

import pytest
import torch
from workload import Step, plain_dssim

from d3talker.learning.dssim import dssim

STEPS = {(128, 5_000): {"times_reference": 2.0}, (256, 10_000): {}, (512, 10_000): {}, (512, 30_000): {}}


@pytest.mark.parametrize(("size", "count"), STEPS)
def test_training_step(compare, size, count):
    """The reference is the same step with the plain torch parts: index_select encoder and 11x11 SSIM."""
    compare(Step(count, size), Step(count, size, plain=True), rounds=15, reference_rounds=7, targets=STEPS[size, count])


@pytest.mark.parametrize(("size", "count"), [(128, 5_000), (256, 10_000), (512, 10_000), (512, 30_000)])
def test_frame(compare, benchmark, size, count):
    compare(Step(count, size).frame(), rounds=15)
    benchmark.extra_info["fps"] = 1 / benchmark.stats.stats.min


@pytest.mark.parametrize("size", [128, 256, 512])
def test_dssim(compare, size):
    x, y = torch.rand(1, size, size, 3, requires_grad=True), torch.rand(1, size, size, 3)
    compare(lambda: torch.autograd.grad(dssim(x, y), x), lambda: torch.autograd.grad(plain_dssim(x, y), x), rounds=15)

"""The CPU rasteriser: forward + backward and forward alone, against M and the torch reference."""

from __future__ import annotations

import pytest
from workload import render_pass, scene

TARGETS = {  # issue: at most in_M, at least times_reference, on 2 cores
    (128, 10_000): {"in_M": 0.5, "times_reference": 25},
    (256, 10_000): {"in_M": 1.2, "times_reference": 45},
    (512, 10_000): {"in_M": 3.0, "times_reference": 100},
    (512, 30_000): {},
}


@pytest.mark.parametrize(("size", "count"), TARGETS)
def test_forward_backward(compare, size, count):
    arguments = scene(count, size)
    reference = render_pass(arguments, "reference")
    compare(render_pass(arguments, "cpu"), reference, reference_rounds=2, targets=TARGETS[size, count])


@pytest.mark.parametrize(("size", "count"), TARGETS)
def test_forward(compare, size, count):
    compare(render_pass(scene(count, size), "cpu", backward=False))

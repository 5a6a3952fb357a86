"""Training steps and frames of the re-implemented methods beside ours, in the same run: times_reference is our time over theirs."""

from __future__ import annotations

import pytest
from methods import BATCH, TARGETS, frame, step
from workload import Step


@pytest.mark.parametrize("name", TARGETS)
def test_training_step(compare, name):
    """Face stage, 128 px, 5,000 Gaussians; GaussianTalker's step is of BATCH frames, and its target per frame."""
    per = BATCH if name == "gaussiantalker" else 1
    compare(
        step(name, 5000, 128), Step(5000, 128), rounds=15, reference_rounds=7,
        targets={"times_reference": 1 / (TARGETS[name] * per)},
    )


@pytest.mark.parametrize("size", [128, 512])
@pytest.mark.parametrize("name", TARGETS)
def test_frame(compare, name, size):
    compare(frame(name, 5000, size), Step(5000, size).frame(), rounds=15, reference_rounds=7)

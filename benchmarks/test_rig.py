"""Skinning of the rig: the CPU's kernels against their twin in torch, values and gradient; and looking up what to hold on to."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
import torch
from workload import shell

from d3talker.method.rig import HeadRig, cpu, reference
from d3talker.people.head.embedded import embedded_head


def head() -> HeadRig:
    model = embedded_head()
    return HeadRig(np.zeros(len(model.identity_names)), np.zeros(len(model.expression_names)))


def skin_pass(backend: ModuleType, count: int):
    rig = head()
    rig.bind("face", shell(count, torch.Generator().manual_seed(0))[0])
    expression, quats = torch.rand(len(rig.rest)), torch.randn(count, 4, requires_grad=True)
    pulls = [torch.randn(count, width) for width in (4, 3)]

    def run() -> None:
        field = reference.mode_sum(rig.face_modes, expression)
        torch.autograd.grad(backend.skin(field, rig.face_rows, rig.face_weights, quats)[1:], quats, pulls)

    return run


def lookup(backend: ModuleType, count: int):
    rig, means = head(), shell(count, torch.Generator().manual_seed(0))[0]
    return lambda: backend.nearest(means, rig.face_vertices, 4)


@pytest.mark.parametrize("count", [5_000, 10_000])
def test_forward_backward(compare, count):
    compare(skin_pass(cpu, count), skin_pass(reference, count), rounds=15)


def test_lookup(compare):
    compare(lookup(cpu, 5_000), lookup(reference, 5_000), rounds=15)

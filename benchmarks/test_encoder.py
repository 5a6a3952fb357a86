"""The tri-plane encoder's backends: values, table gradient and position gradient."""

from __future__ import annotations

import pytest
import torch
from workload import shell

from d3talker.graphics.encoding import TriPlaneEncoder

FACE: dict = {}
LARGE = {"levels": 16, "features": 2, "desired_resolution": 512}  # a 2^17 table; finer than anything published


def encode_pass(backend: str, count: int, setting: dict):
    encoder = TriPlaneEncoder(backend=backend, **setting)
    means = shell(count, torch.Generator().manual_seed(0))[0].requires_grad_()
    weights = torch.randn(count, encoder.width)

    def run() -> None:
        torch.autograd.grad(encoder(means), [means, encoder.table], weights)

    return run


@pytest.mark.parametrize("backend", ["cpu", "grid"])
@pytest.mark.parametrize("count", [5_000, 10_000])
@pytest.mark.parametrize("setting", [FACE, LARGE], ids=["face", "large"])
def test_forward_backward(compare, backend, count, setting):
    compare(encode_pass(backend, count, setting), encode_pass("reference", count, setting), rounds=15)

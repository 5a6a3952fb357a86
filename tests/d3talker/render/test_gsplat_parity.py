"""gsplat against the CPU backends where a GPU is, and its messages where none is."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch

from d3talker.errors import UserError
from d3talker.render import gsplat_backend, rasterize


def test_cpu_tensors_are_refused(make_scene):
    scene = {key: value.float() for key, value in make_scene(5, 8).items()}
    with pytest.raises(UserError, match="float32 CUDA tensors"):
        rasterize(**scene, width=8, height=8, backend="gsplat")


def test_kernels_that_were_never_compiled_are_named(monkeypatch):
    for name in ("gsplat", "gsplat.cuda", "gsplat.cuda._backend"):
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(_C=None))
    with pytest.raises(UserError, match="no CUDA toolkit"):
        gsplat_backend._gsplat()
    monkeypatch.setattr(sys.modules["gsplat.cuda._backend"], "_C", object())
    assert gsplat_backend._gsplat() is sys.modules["gsplat"]


@pytest.mark.gpu
@pytest.mark.parametrize(("views", "batched"), [(1, False), (3, True)])
def test_equals_reference_and_cpu(make_scene, render, views, batched):
    pytest.importorskip("gsplat")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    scene = make_scene(400, 64, views=views, batched=batched)
    got, grads = render(scene, 64, "gsplat", torch.float32, device="cuda")
    for backend, dtype in (("reference", torch.float64), ("cpu", torch.float32)):
        want, wanted = render(scene, 64, backend, dtype)
        for a, b in zip(got, want):
            assert (a.cpu().double() - b.double()).abs().max() < 5e-3, backend  # a flip at alpha = 1/255 is 0.4 %
            assert (a.cpu().double() - b.double()).abs().mean() < 1e-5, backend
        for name in set(grads) - {"Ks"}:  # gsplat has no gradient for Ks
            a, b = grads[name].cpu().double(), wanted[name].double()
            assert (a - b).norm() < 1e-2 * b.norm(), f"{backend}: gradient of {name}"

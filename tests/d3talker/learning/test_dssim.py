"""D-SSIM: an independent scipy transcription, the torch twin, finite differences."""

from __future__ import annotations

import numba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from d3talker.errors import UserError
from d3talker.learning.dssim import dssim, dssim_torch


def images(*shape: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    x = torch.rand(*shape, 3, generator=g)
    return x, (x + 0.2 * torch.randn(*shape, 3, generator=g)).clamp(0, 1)


def by_scipy(x: np.ndarray, y: np.ndarray) -> float:
    """1 - SSIM of two [H, W] planes with scipy's Gaussian of radius 5, zeros outside."""

    def mean(values: np.ndarray) -> np.ndarray:
        return gaussian_filter(values, 1.5, mode="constant", radius=5)

    mx, my = mean(x), mean(y)
    vx, vy, vxy = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    return 1 - np.mean((2 * mx * my + 1e-4) * (2 * vxy + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4)))


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 5, 4), (1, 33, 140), (2, 20, 128)])
def test_equals_scipy_and_the_twin(shape):
    x, y = images(*shape)
    planes = [value.double().permute(0, 3, 1, 2).flatten(0, 1).numpy() for value in (x, y)]
    want = np.mean([by_scipy(a, b) for a, b in zip(*planes)])
    assert dssim_torch(x.double(), y.double()).item() == pytest.approx(want, abs=1e-12)
    assert dssim(x, y).item() == pytest.approx(want, abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 3), st.integers(1, 30), st.integers(1, 140), st.integers(0, 1000))
def test_gradient_equals_the_twin(batch, height, width, seed):
    x, y = images(batch, height, width, seed=seed)
    got = torch.autograd.grad(3 * dssim(x.requires_grad_(), y), x)[0]
    double = x.detach().double().requires_grad_()
    want = torch.autograd.grad(3 * dssim_torch(double, y.double()), double)[0]
    assert (got - want).abs().max() < 1e-4 * want.abs().max() + 1e-9


def test_twin_has_the_gradient_of_finite_differences():
    x, y = (value.double().requires_grad_() for value in images(1, 3, 4))
    assert torch.autograd.gradcheck(dssim, (x, y))


def test_gradient_in_torch_alone_equals_the_twin():
    x, y = (value.double() for value in images(2, 9, 14))
    assert torch.autograd.gradcheck(lambda pred: dssim(pred, y[:1, :3, :4]), x[:1, :3, :4].clone().requires_grad_())
    got, want = (torch.autograd.grad(3 * f(x.requires_grad_(), y), x)[0] for f in (dssim, dssim_torch))
    torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-15)


def test_identical_images_and_extremes():
    x, _ = images(1, 40, 40)
    assert dssim(x, x).item() == pytest.approx(0, abs=1e-6)
    black, white = torch.zeros(1, 30, 30, 3), torch.ones(1, 30, 30, 3)
    assert 0.9 < dssim(black, white).item() <= 1
    flat = torch.full((1, 30, 30, 3), 0.5, requires_grad=True)
    assert torch.isfinite(torch.autograd.grad(dssim(flat, white), flat)[0]).all()


def test_target_gradient_and_no_gradient():
    x, y = images(1, 12, 12)
    assert torch.autograd.grad(dssim(x, y.requires_grad_()), y)[0].abs().max() > 0
    assert not dssim(x, y.detach()).requires_grad


def test_same_bits_for_any_thread_count():
    if numba.config.NUMBA_NUM_THREADS == 1:
        pytest.skip("one core: nothing to compare")
    x, y = images(2, 60, 50)
    x.requires_grad_()
    before = numba.get_num_threads()
    try:
        results = []
        for threads in (1, 2):
            numba.set_num_threads(threads)
            loss = dssim(x, y)
            results.append((loss, *torch.autograd.grad(loss, x)))
    finally:
        numba.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*results))


def test_wrong_shapes_are_named():
    x, _ = images(1, 8, 8)
    for a, b in ((x, x[0]), (x[0], x[0]), (x[..., :2], x[..., :2])):
        with pytest.raises(UserError, match=r"pass two of one shape \[B, H, W, 3\]"):
            dssim(a, b)

"""Compositing against a loop, gradients against finite differences, rounds against one pass, and the coarse-to-fine sampler."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from d3talker.graphics.volume import OccupancyGrid, composite, march, trace
from d3talker.graphics.volume.coarse_to_fine import composite_rows, importance, stratified
from d3talker.graphics.volume.compositing import DELTA, T_STOP
from d3talker.graphics.volume.marching import Samples
from tests.d3talker.graphics.volume.test_marching import random_grid, random_rays


def packed(counts: list[int], seed: int = 0) -> tuple[Samples, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Samples of rays with so many each, sigma, three colours and two further values."""
    g = torch.Generator().manual_seed(seed)
    number, total = torch.tensor(counts), sum(counts)
    rays = torch.repeat_interleave(torch.arange(len(counts)), number)
    distances = torch.rand(total, generator=g, dtype=torch.float64)
    samples = Samples(torch.zeros(total, 3), distances, rays, number.cumsum(0) - number, number, number)
    sigma = 60 * torch.rand(total, generator=g, dtype=torch.float64)
    return samples, sigma, *(torch.randn(total, width, generator=g, dtype=torch.float64) for width in (3, 2))


def by_loop(sigma, values, extras, samples, n, before=1.0):
    """One ray by the definition."""
    through, sums, alpha, depth, extra = before, np.zeros(3), 0.0, 0.0, np.zeros(2)
    for m in range(int(samples.first[n]), int(samples.first[n] + samples.counts[n])):
        if through < T_STOP:
            break
        a = 1 - math.exp(-float(sigma[m]) * DELTA)
        sums, alpha, depth = sums + a * through * values[m].numpy(), alpha + a * through, depth + a * through * float(samples.distances[m])
        extra = extra + extras[m].numpy()
        through *= 1 - a
    return sums, alpha, depth, extra, through


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("start", [None, 0.3])
def test_compositing_equals_a_loop(backend, start):
    samples, sigma, values, extras = packed([0, 5, 16, 1, 16, 0, 12])
    sigma[10:] *= 4  # opaque early: what lies behind must count nowhere
    before = None if start is None else torch.full((7,), start, dtype=torch.float64)
    made = composite(sigma, values, samples, extras, before, backend=backend)
    stopped = 0
    for n in range(7):
        expected = by_loop(sigma, values, extras, samples, n, 1.0 if start is None else start)
        stopped += expected[-1] < T_STOP
        for got, value in zip((part[n] for part in made), expected, strict=True):
            np.testing.assert_allclose(got, value, atol=1e-10)
    assert stopped, "a ray must have stopped early, or the test shows nothing"


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_gradients_are_those_of_finite_differences(backend):
    samples, sigma, values, extras = packed([0, 4, 9, 1])
    sigma[6:] *= 12  # the third ray stops before its end

    def scalars(sigma, values, extras):
        made = composite(sigma, values, samples, extras, backend=backend)
        return made.sums.sin(), made.alpha.square(), made.extras.cos()

    leaves = [part.clone().requires_grad_() for part in (sigma, values, extras)]
    assert torch.autograd.gradcheck(scalars, leaves, eps=1e-7, atol=1e-6)
    made = composite(*leaves[:2], samples, leaves[2], backend=backend)
    assert not made.depth.requires_grad and not made.left.requires_grad


def test_both_ways_agree_in_float32_with_gradients():
    rays, grid = random_rays(500, dtype=torch.float32), random_grid((32, 32, 16), 0.5)
    samples = march(rays, grid)
    g = torch.Generator().manual_seed(0)
    made = []
    for backend in ("reference", "cpu"):
        g.manual_seed(0)
        leaves = [torch.rand(len(samples.rays), *tail, generator=g).requires_grad_() for tail in ((), (4,), (2,))]
        out = composite(leaves[0] * 30, *leaves[1:2], samples, leaves[2], backend=backend)
        weights = [torch.randn(part.shape, generator=g) for part in (out.sums, out.alpha, out.extras)]
        grads = torch.autograd.grad([out.sums, out.alpha, out.extras], leaves, weights)
        made.append([*out, *grads])
    for one, other in zip(*made, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_nan_shows(backend):
    samples, sigma, values, _ = packed([4, 4])
    sigma[1] = math.nan
    made = composite(sigma, values, samples, backend=backend)
    assert made.sums[0].isnan().all() and made.alpha[0].isnan() and made.sums[1].isfinite().all()


def test_tracing_in_rounds_and_chunks_equals_one_pass():
    rays, grid = random_rays(800), random_grid((32, 32, 16), 0.6)
    calls = []

    def field(positions, along):
        calls.append(len(positions))
        return 30 * (positions * 40).sin().square().sum(-1), torch.cat([positions.abs(), along], -1)[:, 1:4]

    samples = march(rays, grid)
    whole = composite(*field(samples.positions, rays.directions[samples.rays]), samples)
    calls.clear()
    colour, alpha = trace(rays, grid, field, chunk=100)
    torch.testing.assert_close(colour, whole.sums)
    torch.testing.assert_close(alpha, whole.alpha)
    assert max(calls) <= 100
    assert sum(calls) < len(samples.rays), "rays that are opaque go no further"
    colour, alpha = trace(rays, OccupancyGrid((2, 2, 2)), field)
    assert not colour.any() and not alpha.any()


def test_stratified_depths_lie_one_in_each_bin():
    like = torch.zeros((), dtype=torch.float64)
    even = stratified(0.5, 1.1, 3, 7, None, like)
    np.testing.assert_allclose(even[0], np.linspace(0.5, 1.1, 7))
    drawn = stratified(0.5, 1.1, 200, 7, torch.Generator().manual_seed(0), like)
    edges = np.concatenate([[0.5], np.linspace(0.5, 1.1, 7)[:-1] + 0.05, [1.1]])
    for k in range(6):
        assert (drawn[:, k] >= edges[k] - 1e-9).all() and (drawn[:, k] <= edges[k + 1] + 1e-9).all()
        assert drawn[:, k].std() > 0.01
    assert (drawn[:, -1] == 1.1).all()


def test_importance_draws_by_the_weights():
    depths = torch.linspace(0, 1, 11, dtype=torch.float64).expand(2, 11)
    weights = torch.zeros(2, 11, dtype=torch.float64)
    weights[0, 3] = weights[1, 7] = 1
    weights[:, [0, -1]] = 50  # must not count
    for generator in (None, torch.Generator().manual_seed(0)):
        both = importance(depths, weights, 400, generator)
        assert both.shape == (2, 411) and (both.diff(dim=-1) >= 0).all()
        assert ((both[0] > 0.25) & (both[0] < 0.35)).sum() > 380 and ((both[1] > 0.65) & (both[1] < 0.75)).sum() > 380
    plain = torch.full((1, 11), 0.3, dtype=torch.float64)
    drawn = importance(depths[:1], plain, 9, None)
    middle = (depths[0, 1:] + depths[0, :-1]) / 2
    expected = np.interp(np.linspace(0, 1, 9), np.linspace(0, 1, 10), middle)
    np.testing.assert_allclose(drawn[0], np.sort(np.concatenate([depths[0], expected])), atol=1e-9)


def test_rows_end_in_the_background():
    g = torch.Generator().manual_seed(0)
    sigma = (3 * torch.rand(4, 6, generator=g, dtype=torch.float64) + 1e-6).requires_grad_()
    colours, back = torch.rand(4, 6, 3, generator=g, dtype=torch.float64).requires_grad_(), torch.rand(4, 3, generator=g, dtype=torch.float64)
    depths = stratified(0.5, 1.1, 4, 6, g, sigma)
    lengths = 1 + torch.rand(4, generator=g, dtype=torch.float64)
    picture, weights = composite_rows(sigma, colours, depths, lengths, back)
    for n in range(4):
        through, expected = 1.0, np.zeros(3)
        for s in range(6):
            gap = float(depths[n, s + 1] - depths[n, s]) * float(lengths[n]) if s < 5 else math.inf
            a = 1 - math.exp(-float(sigma[n, s].detach()) * gap)
            expected += a * through * (colours[n, s].detach().numpy() if s < 5 else back[n].numpy())
            through *= 1 - a
        np.testing.assert_allclose(picture[n].detach(), expected, atol=1e-8)
    torch.testing.assert_close(weights.sum(-1), torch.ones(4, dtype=torch.float64))
    assert torch.autograd.gradcheck(lambda s, c: composite_rows(s, c, depths, lengths, back)[0], (sigma, colours))

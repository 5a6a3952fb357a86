"""Rays, box, marching and the occupancy grid, against a step-by-step walk and rules worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d3talker.errors import UserError
from d3talker.graphics.volume import OccupancyGrid, camera_rays, march, pixel_grid
from d3talker.graphics.volume.marching import STEP
from d3talker.graphics.volume.occupancy import dilated
from d3talker.graphics.volume.rays import MIN_NEAR, Rays, box_range

HALVES = (0.25, 0.25, 0.125)


def random_rays(count: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Rays:
    """Rays from about a metre away through the box, some of which miss it."""
    g = torch.Generator().manual_seed(seed)
    origins = torch.nn.functional.normalize(torch.randn(count, 3, generator=g, dtype=dtype), dim=-1)
    aims = (torch.rand(count, 3, generator=g, dtype=dtype) - 0.5) * torch.tensor([0.6, 0.6, 0.4], dtype=dtype)
    along = torch.nn.functional.normalize(aims - origins, dim=-1)
    return Rays(origins, along, *box_range(origins, along, HALVES))


def random_grid(cells: tuple[int, int, int] = (16, 12, 8), share: float = 0.3, seed: int = 0, halves=HALVES) -> OccupancyGrid:
    grid = OccupancyGrid(cells, halves)
    grid.occupied.copy_(torch.rand(cells, generator=torch.Generator().manual_seed(seed)) < share)
    return grid


def walked(rays: Rays, n: int, grid: OccupancyGrid, limit: int, jitter: float) -> list[float]:
    """Distances of one ray's samples by the official marcher's way: on in occupied cells, from empty ones to beyond their border."""
    half, count = np.array(grid.halves), np.array(grid.cells)
    origin, along = rays.origins[n].numpy(), rays.directions[n].numpy()
    side = 2 * half / count
    t, far, found = float(rays.near[n]) + jitter * STEP, float(rays.far[n]), []
    while t < far and len(found) < limit:
        cell = np.clip(np.floor((np.clip(origin + t * along, -half, half) + half) / side), 0, count - 1)
        if grid.occupied[tuple(cell.astype(int))]:
            found.append(t)
            t += STEP
            continue
        border = (cell + (along > 0)) * side - half
        leave = t + max(0.0, np.min((border - origin - t * along) / along))
        t += STEP
        while t < leave:
            t += STEP
    return found


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("limit", [3, 16])
def test_marching_equals_a_walk_from_cell_to_cell(backend, limit):
    rays, grid = random_rays(400), random_grid()
    jitter = torch.rand(400, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    samples = march(rays, grid, limit, jitter, backend=backend)
    assert samples.counts.max() == limit and (samples.counts == 0).any()
    for n in range(400):
        first, count = int(samples.first[n]), int(samples.counts[n])
        np.testing.assert_allclose(samples.distances[first:first + count], walked(rays, n, grid, limit, float(jitter[n])), atol=1e-9)
    expected = rays.origins[samples.rays] + samples.distances[:, None] * rays.directions[samples.rays]
    torch.testing.assert_close(samples.positions, expected, atol=1e-12, rtol=0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(1, 1, 1), (5, 3, 2), (32, 32, 16)]), st.floats(0, 1), st.integers(1, 20))
def test_both_ways_of_marching_agree(seed, cells, share, limit):
    rays, grid = random_rays(30, seed), random_grid(cells, share, seed)
    one, other = (march(rays, grid, limit, backend=name) for name in ("reference", "cpu"))
    torch.testing.assert_close(one.positions, other.positions, atol=1e-12, rtol=0)
    assert torch.equal(one.counts, other.counts) and torch.equal(one.rays, other.rays) and torch.equal(one.first, other.first)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_rounds_continue_where_the_last_ended(backend):
    rays, grid = random_rays(300, dtype=torch.float32), random_grid()
    whole = march(rays, grid, 16, backend=backend)
    start, parts = None, []
    for limit in (4, 4, 8):
        part = march(rays, grid, limit, start=start, backend=backend)
        parts.append(torch.stack([part.rays.double(), part.distances.double()], -1))
        start = part.after
    joint = torch.cat(parts)
    joint = joint[np.lexsort((joint[:, 1], joint[:, 0]))]
    assert torch.equal(joint[:, 0].long(), whole.rays)
    torch.testing.assert_close(joint[:, 1].float(), whole.distances, atol=0, rtol=0)


def test_the_grid_may_be_larger_than_the_box():
    rays = random_rays(200)
    cube = random_grid((16, 16, 16), 0.4, halves=(0.25, 0.25, 0.25))
    inner = OccupancyGrid((16, 16, 8), HALVES)
    inner.occupied.copy_(cube.occupied[:, :, 4:12])
    off_the_border = torch.full((200,), 0.5, dtype=torch.float64)
    one, other = march(rays, cube, jitter=off_the_border), march(rays, inner, jitter=off_the_border)
    assert torch.equal(one.distances, other.distances)


def test_nothing_to_see():
    empty = march(random_rays(5), OccupancyGrid((4, 4, 4), HALVES))
    assert len(empty.rays) == 0 and empty.counts.tolist() == [0] * 5
    for backend in ("reference", "cpu"):
        none = march(Rays(*(torch.zeros(shape) for shape in ((0, 3), (0, 3), (0,), (0,)))), random_grid(), backend=backend)
        assert len(none.positions) == 0 and len(none.counts) == 0


def test_rays_go_through_their_pixels():
    g = torch.Generator().manual_seed(0)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=g, dtype=torch.float64)).Q
    viewmat = torch.eye(4, dtype=torch.float64)
    viewmat[:3, :3], viewmat[:3, 3] = turn, torch.tensor([0.02, -0.05, 0.8])
    K = torch.tensor([[300.0, 0, 61], [0, 310, 66], [0, 0, 1]], dtype=torch.float64)
    pixels = pixel_grid(4, 7)
    assert pixels[8].tolist() == [1, 1]
    rays = camera_rays(viewmat, K, pixels)
    torch.testing.assert_close(rays.directions.norm(dim=-1), torch.ones(28, dtype=torch.float64))
    inside = (rays.origins + 0.9 * rays.directions) @ viewmat[:3, :3].T + viewmat[:3, 3]
    shown = inside @ K.T
    torch.testing.assert_close(shown[:, :2] / shown[:, 2:], pixels.double() + 0.5, atol=1e-9, rtol=0)
    with pytest.raises(UserError, match="NaN"):
        camera_rays(viewmat * math.nan, K, pixels)


def test_the_box_by_hand():
    origins = torch.tensor([[0.0, 0, 1], [0, 0, 1], [0, 0.3, 1], [0, 0, 0.0]], dtype=torch.float64)
    along = torch.tensor([[0.0, 0, -1], [0, 0.6, -0.8], [0, 0, -1], [1, 0, 0]], dtype=torch.float64)
    near, far = box_range(origins, along, HALVES)
    assert near[0] == pytest.approx(0.875) and far[0] == pytest.approx(1.125)
    assert near[1] >= far[1] and near[2] >= far[2], "both pass above the box"
    assert near[3] == pytest.approx(MIN_NEAR) and far[3] == pytest.approx(0.25)
    assert abs(STEP * 4 - 0.02706) < 1e-5, "raymarching.cu:386-387 in units of 0.25 m"


def test_dilation_reaches_the_six_neighbours():
    values = torch.rand(5, 4, 6, generator=torch.Generator().manual_seed(0))
    padded = np.pad(values.numpy(), 1, constant_values=-np.inf)
    expected = padded[1:-1, 1:-1, 1:-1]
    for axis in range(3):
        for shift in (-1, 1):
            expected = np.maximum(expected, np.roll(padded, shift, axis)[1:-1, 1:-1, 1:-1])
    np.testing.assert_array_equal(dilated(values), expected)


def test_the_update_rule_on_a_known_density():
    """A ball of density 40, unseen cells at one side, and the threshold min(mean, 10) worked out apart."""
    grid = OccupancyGrid((10, 8, 6), HALVES)
    grid.density[0] = -1.0
    centres = grid.centres(torch.arange(480)).view(10, 8, 6, 3)
    generator = torch.Generator().manual_seed(0)

    def constant(points):  # one value a cell, wherever in it the point lies
        cell = [((points[:, a] + HALVES[a]) / (2 * HALVES[a]) * grid.cells[a]).long() for a in range(3)]
        return 40.0 * (centres[tuple(cell)].norm(dim=-1) < 0.12) + 0.01

    own = 40.0 * (centres.norm(dim=-1) < 0.12) + 0.01
    expected = grid.density.clone()
    for _ in range(3):
        grid.update(constant, generator)
        expected = torch.where(expected >= 0, torch.maximum(0.95 * expected, dilated(own)), expected)
        torch.testing.assert_close(grid.density, expected)
        assert torch.equal(grid.occupied, expected > min(float(expected.clamp_min(0).mean()), 10.0))
    assert grid.occupied.any() and not grid.occupied[0].any()
    for _ in range(200):
        grid.update(lambda points: torch.zeros(len(points)), generator)
    assert grid.density.max() < 0.01, "what was full empties by the decay"


def test_every_seen_cell_is_occupied_at_the_start():
    grid = OccupancyGrid((6, 6, 4), HALVES)
    grid.density[:2] = -1.0
    grid.update(lambda points: torch.ones(len(points)), torch.Generator().manual_seed(0))
    assert torch.equal(grid.occupied, grid.density >= 0), "density 1 against a mean under 1 (R renderer.py:443)"


def test_a_share_of_the_cells_measures_no_others():
    grid = OccupancyGrid((8, 8, 8), HALVES)
    grid.occupied[2:4] = True
    seen = []

    def density(points):
        seen.append(points)
        return torch.full((len(points),), 5.0)

    grid.update(density, torch.Generator().manual_seed(0), share=0.25)
    count = len(torch.cat(seen))
    assert count <= 128 and count == int((grid.density == 5).sum())
    rows = (grid.density == 5).sum((1, 2)).float()
    assert rows[2:4].mean() > 2 * rows[4:].mean(), "half of them among occupied cells"


def test_a_density_that_is_not_finite_is_refused():
    grid = OccupancyGrid((2, 2, 2), HALVES)
    with pytest.raises(UserError, match="density became NaN"):
        grid.update(lambda points: torch.full((len(points),), math.nan), torch.Generator())
    with pytest.raises(UserError, match="half sides"):
        OccupancyGrid((2, 2), HALVES)


def test_cells_that_no_camera_sees_are_marked_for_ever():
    grid = OccupancyGrid((16, 16, 8), HALVES)
    view = torch.diag(torch.tensor([1.0, -1, -1, 1]))
    view[2, 3] = 0.8
    K = torch.tensor([[640.0, 0, 64], [0, 640, 64], [0, 0, 1]])  # sees 0.08 m up and sideways at the box's middle
    grid.mark_unseen(view[None], K)
    centres = grid.centres(torch.arange(16 * 16 * 8))
    depth = 0.8 - centres[:, 2]
    near = (centres[:, :2].abs() < 0.1 * depth[:, None]).all(-1)
    beyond = (centres[:, :2].abs() > 0.1 * depth[:, None] + 0.04).any(-1)
    flat = grid.density.flatten()
    assert (flat[near] == 0).all() and (flat[beyond] == -1).all()
    grid.update(lambda points: torch.full((len(points),), 20.0), torch.Generator())
    assert (grid.density.flatten()[beyond] == -1).all() and not grid.occupied.flatten()[beyond].any()

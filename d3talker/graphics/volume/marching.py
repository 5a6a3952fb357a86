"""Marching: the first occupied points of a ray on a lattice of constant step, packed."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from d3talker.graphics.volume.occupancy import OccupancyGrid
from d3talker.graphics.volume.rays import UNIT, Rays
from d3talker.jit import compiling

STEP = 2 * math.sqrt(3) / 128 * UNIT  # m; constant in RAD-NeRF, since 16 steps would be longer (raymarching.cu:386-387)
LIMIT = 16  # samples of a ray (RAD-NeRF main.py:28)


class Samples(NamedTuple):
    """M samples of N rays, ray by ray and from near to far.

    positions [M, 3]; distances [M] along the ray; rays int64 [M], whose each is; first and counts int64 [N]; after int64 [N]: the
    lattice point at which the ray goes on.
    """

    positions: Tensor
    distances: Tensor
    rays: Tensor
    first: Tensor
    counts: Tensor
    after: Tensor


def march(
    rays: Rays, grid: OccupancyGrid, limit: int = LIMIT, jitter: Tensor | None = None, start: Tensor | None = None,
    step: float = STEP, backend: str = "auto",
) -> Samples:
    """The first `limit` points near + (jitter + k) * step, k >= start, that lie before far in an occupied cell.

    jitter [N] in [0, 1): uniform in training, 0 at test; start int64 [N]: 0 at first, then `after` of the samples before.
    This is what the official marcher returns: skipping an empty cell moves it by whole steps (raymarching.cu:430-439), as its step
    is constant.  A point's cell is that of the nearest point of the grid's box.
    backend: reference (torch, any device and dtype), cpu (numba), auto (cpu where tensors are there).
    """
    near = rays.near if jitter is None else rays.near + jitter * step
    start = torch.zeros(len(near), dtype=torch.int64, device=near.device) if start is None else start
    rays = rays._replace(near=near)
    if backend == "cpu" or (backend == "auto" and near.device.type == "cpu"):
        return _by_kernel(rays, grid, limit, start, step)
    return _by_lattice(rays, grid, limit, start, step)


def cells_of(positions: Tensor, grid: OccupancyGrid) -> tuple[Tensor, ...]:
    """Integer cells of positions [..., 3], those outside at the nearest."""
    half, count = positions.new_tensor(grid.halves), positions.new_tensor(grid.cells)
    cells = ((positions + half) / (2 * half) * count).floor().clamp_min(0).minimum(count - 1).long()
    return cells.unbind(-1)


def _by_lattice(rays: Rays, grid: OccupancyGrid, limit: int, start: Tensor, step: float) -> Samples:
    """All lattice points of all rays at once."""
    needed = ((rays.far - rays.near) / step - start).clamp(0, 4096).ceil()
    longest = int(needed.amax()) + 1 if len(needed) else 0
    k = start[:, None] + torch.arange(longest, device=start.device)
    t = rays.near[:, None] + k.to(rays.near.dtype) * step
    positions = rays.origins[:, None] + t[..., None] * rays.directions[:, None]
    full = (t < rays.far[:, None]) & grid.occupied[cells_of(positions, grid)]
    taken = full & (full.cumsum(1) <= limit)
    counts = taken.sum(1)
    first = counts.cumsum(0) - counts
    last = torch.where(taken, k + 1, start[:, None]).amax(1) if longest else start
    after = torch.where(counts < limit, k[:, -1] + 1, last) if longest else start
    ray = taken.nonzero()[:, 0]
    return Samples(positions[taken], t[taken], ray, first, counts, after)


def _by_kernel(rays: Rays, grid: OccupancyGrid, limit: int, start: Tensor, step: float) -> Samples:
    from d3talker.graphics.volume import kernels

    count, kind = len(rays.near), rays.near.dtype
    origins, along, near, far = (value.contiguous().numpy() for value in rays)
    shape = torch.tensor([*grid.halves, *grid.cells], dtype=torch.float64).numpy()
    found = torch.empty(count, limit, dtype=torch.int64)
    counts, after = torch.empty(count, dtype=torch.int64), torch.empty(count, dtype=torch.int64)
    occupied = grid.occupied.numpy()
    number = near.dtype.type(step)
    with compiling("marching"):
        kernels.march(
            origins, along, near, far, start.numpy(), number, occupied, shape, *(part.numpy() for part in (found, counts, after))
        )
        first = counts.cumsum(0) - counts
        total = int(counts.sum())
        positions, distances = torch.empty(total, 3, dtype=kind), torch.empty(total, dtype=kind)
        ray = torch.empty(total, dtype=torch.int64)
        kernels.pack(
            origins, along, near, number, found.numpy(), counts.numpy(), first.numpy(), positions.numpy(),
            distances.numpy(), ray.numpy(),
        )
    return Samples(positions, distances, ray, first, counts, after)

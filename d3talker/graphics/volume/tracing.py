"""Pictures without gradients: rounds of samples on the rays that are still alive, in chunks that fit a cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from d3talker.graphics.volume.compositing import T_STOP, composite
from d3talker.graphics.volume.marching import march
from d3talker.graphics.volume.occupancy import OccupancyGrid
from d3talker.graphics.volume.rays import Rays

ROUNDS = (4, 4, 8)  # samples of a ray; 16 in all, most rays are opaque after the first
CHUNK = 4096  # samples of one call of a field: its activations stay in the second-level cache
RAYS = 1 << 16  # rays at once, which bounds memory

Field = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # positions, unit directions [M, 3] -> sigma [M], colours [M, 3]


@torch.no_grad()
def trace(
    rays: Rays, grid: OccupancyGrid, field: Field, rounds: Sequence[int] = ROUNDS, chunk: int = CHUNK
) -> tuple[Tensor, Tensor]:
    """Colours [N, 3] and opacities [N] of rays, from the same samples as `march` and `composite` give with sum(rounds) a ray."""
    parts = [_trace(rays.take(slice(first, first + RAYS)), grid, field, rounds, chunk) for first in range(0, len(rays.near), RAYS)]
    colours, alphas = zip(*parts, strict=True)
    return torch.cat(colours), torch.cat(alphas)


def _trace(rays: Rays, grid: OccupancyGrid, field: Field, rounds: Sequence[int], chunk: int) -> tuple[Tensor, Tensor]:
    colour, alpha = torch.zeros_like(rays.origins), torch.zeros_like(rays.near)
    alive = torch.arange(len(rays.near), device=rays.near.device)
    left, start = torch.ones_like(rays.near), torch.zeros_like(alive)
    for limit in rounds:
        part = rays.take(alive)
        samples = march(part, grid, limit, start=start)
        if not len(samples.rays):
            break
        along = part.directions[samples.rays]
        found = [field(*pieces) for pieces in zip(samples.positions.split(chunk), along.split(chunk), strict=True)]
        sigma, values = (torch.cat(pieces) for pieces in zip(*found, strict=True))
        made = composite(sigma, values, samples, before=left)
        colour[alive] += made.sums
        alpha[alive] += made.alpha
        on = (samples.counts == limit) & ~(made.left < T_STOP)  # a NaN goes on, and shows
        alive, left, start = alive[on], made.left[on], samples.after[on]
    return colour, alpha

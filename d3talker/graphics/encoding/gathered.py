"""The tri-plane encoder by one gather over all planes and levels: any dtype and device, few launches on CUDA."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from d3talker.graphics.encoding.levels import Level
from d3talker.graphics.encoding.reference import PLANES, PRIME


class Cells(NamedTuple):
    """Where N positions lie: rows of the three planes' joint table int64 [4, N, 3, L], and bilinear weights of their shape.

    Encoders of one layout and bound can share them.
    """

    rows: Tensor
    weights: Tensor


class _Layout(NamedTuple):
    """Constants of a layout on one device."""

    axes: Tensor  # int64 [6], the planes' axes one after the other
    scales: Tensor  # [L, 1]
    sides: Tensor  # int64 [L]
    starts: Tensor  # int64 [3, L], first rows in the joint table
    corners: Tensor  # int64 [4, 1, 1, L], rows from a cell's first vertex to each
    dense: Tensor  # bool [L]
    rows: Tensor  # int64 [L]


@lru_cache(maxsize=64)
def _layout(levels: tuple[Level, ...], device: torch.device, dtype: torch.dtype) -> _Layout:
    whole = levels[-1].start + levels[-1].rows
    sides = torch.tensor([level.side for level in levels])
    starts = torch.tensor([[plane * whole + level.start for level in levels] for plane in range(3)])
    corners = torch.stack([0 * sides, 0 * sides + 1, sides, sides + 1])[:, None, None]
    scales = torch.tensor([level.scale for level in levels], dtype=dtype)[:, None]
    axes, dense = torch.tensor(PLANES).flatten(), torch.tensor([level.dense for level in levels])
    rows = torch.tensor([level.rows for level in levels])
    return _Layout(*(value.to(device) for value in (axes, scales, sides, starts, corners, dense, rows)))


def cells(means: Tensor, bound: float, levels: Sequence[Level]) -> Cells:
    """Find the cells of means [N, 3]; the weights carry gradients of the means where these want them."""
    constants = _layout(tuple(levels), means.device, means.dtype)
    unit = (means + bound) / (2 * bound)
    planes = unit.index_select(1, constants.axes).unflatten(1, (3, 2))
    within = (planes.detach().clamp(0, 1) == planes).all(-1)[..., None]  # [N, 3, 1]; NaN is nowhere
    position = torch.where(within, planes, 0.0)[:, :, None] * constants.scales + 0.5  # [N, 3, L, 2]
    cell = position.detach().floor()
    x, y = cell.long().unbind(-1)
    rows = x + y * constants.sides + constants.starts + constants.corners
    if not all(level.dense for level in levels):
        rows = torch.where(constants.dense, rows, _hashed(x, y, constants))
    after = position - cell
    sides = torch.stack([1 - after, after])  # [2, N, 3, L, 2]
    weights = sides[None, ..., 0] * sides[:, None, ..., 1]  # [y, x, N, 3, L]
    return Cells(rows, (weights * within).flatten(0, 1))


def _hashed(x: Tensor, y: Tensor, layout: _Layout) -> Tensor:
    across, down = torch.stack([x, x + 1, x, x + 1]), torch.stack([y, y, y + 1, y + 1])
    return (across ^ ((down * PRIME) & 0xFFFFFFFF)) % layout.rows + layout.starts


def encode(means: Tensor, bound: float, table: Tensor, levels: Sequence[Level], found: Cells | None = None) -> Tensor:
    """means [N, 3], table [3, rows, F] -> [N, 3 * L * F]; found: their cells, if known."""
    found = cells(means, bound, levels) if found is None else found
    # index_select: its gradient is one scatter, where that of indexing sorts first
    values = table.flatten(0, 1).index_select(0, found.rows.flatten()).unflatten(0, found.rows.shape)
    return (values * found.weights[..., None]).sum(0).flatten(1)

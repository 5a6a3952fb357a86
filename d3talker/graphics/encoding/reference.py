"""The readable tri-plane encoder in plain torch, hashed levels included: any dtype, any device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from d3talker.graphics.encoding.levels import Level

PLANES = ((0, 1), (1, 2), (0, 2))  # xy, yz, xz, the field's order
PRIME = 2654435761  # instant-ngp's hash: x xor y * PRIME, in 32 bits


def corner_rows(corner: Tensor, level: Level) -> Tensor:
    """Table rows of integer vertices [..., 2]: x + y * side where all fit, else hashed."""
    x, y = corner.unbind(-1)
    if level.dense:
        return x + y * level.side
    return (x ^ ((y * PRIME) & 0xFFFFFFFF)) % level.rows


def encode_level(points: Tensor, table: Tensor, level: Level) -> Tensor:
    """Bilinear lookup of points [N, 2] in [0, 1] in one level's table [rows, F]."""
    position = points * level.scale + 0.5
    cell = position.detach().floor()
    fraction = position - cell
    cell = cell.long()
    total = table.new_zeros(len(points), table.shape[1])
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        wx = fraction[:, 0] if dx else 1 - fraction[:, 0]
        wy = fraction[:, 1] if dy else 1 - fraction[:, 1]
        rows = corner_rows(cell + torch.tensor([dx, dy], device=cell.device), level)
        total = total + (wx * wy)[:, None] * table.index_select(0, rows)
    return total


def unit_planes(means: Tensor, bound: float) -> tuple[Tensor, Tensor]:
    """Positions [3, N, 2] in [0, 1] on the planes xy, yz, xz, 0 where outside; and whether they lie inside [3, N]."""
    unit = (means + bound) / (2 * bound)
    planes = torch.stack([torch.stack([unit[:, a], unit[:, b]], -1) for a, b in PLANES])
    inside = ((planes >= 0) & (planes <= 1)).all(-1)
    return torch.where(inside[..., None], planes, torch.zeros_like(planes)), inside


def encode(means: Tensor, bound: float, table: Tensor, levels: Sequence[Level]) -> Tensor:
    """means [N, 3], table [3, rows, F] -> [N, 3 * L * F]."""
    planes, inside = unit_planes(means, bound)
    features = []
    for points, within, rows in zip(planes, inside, table):
        for level, part in zip(levels, rows.split([level.rows for level in levels])):
            features.append(torch.where(within[:, None], encode_level(points, part, level), torch.zeros_like(part[:1])))
    return torch.cat(features, dim=1)

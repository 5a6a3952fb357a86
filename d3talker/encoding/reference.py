"""The readable tri-plane encoder in plain torch, hashed levels included: any dtype, any device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from d3talker.encoding.levels import Level

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


def encode(planes: Tensor, inside: Tensor, table: Tensor, levels: Sequence[Level]) -> Tensor:
    """planes [3, N, 2] in [0, 1], inside [3, N] bool, table [3, rows, F] -> [N, 3 * L * F]."""
    features = [
        torch.where(inside[p][:, None], encode_level(planes[p], part, level), torch.zeros_like(part[:1]))
        for p in range(3)
        for level, part in zip(levels, table[p].split([level.rows for level in levels]))
    ]
    return torch.cat(features, dim=1)

"""The tri-plane encoder by torch's grid_sample: each unhashed level is a dense image of its vertices."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from d3talker.encoding.levels import Level
from d3talker.encoding.reference import encode_level, unit_planes


def encode(means: Tensor, bound: float, table: Tensor, levels: Sequence[Level]) -> Tensor:
    """means [N, 3], table [3, rows, F] -> [N, 3 * L * F]; hashed levels take the reference's lookup."""
    planes, inside = unit_planes(means, bound)
    features = []
    for level, part in zip(levels, table.split([level.rows for level in levels], dim=1)):
        if level.dense:
            image = part[:, : level.side**2].unflatten(1, (level.side, level.side)).permute(0, 3, 1, 2)
            # vertex k lies at 2 k / (side - 1) - 1 with align_corners=True
            where = (planes * level.scale + 0.5) * (2 / (level.side - 1)) - 1
            features.append(grid_sample(image, where[:, None], "bilinear", "border", align_corners=True)[:, :, 0])
        else:
            features.append(torch.stack([encode_level(planes[p], part[p], level).T for p in range(3)]))
    joined = torch.cat(features, dim=1)  # [3, L * F, N]
    joined = torch.where(inside[:, None], joined, torch.zeros_like(joined[:1, :1]))
    return joined.permute(2, 0, 1).flatten(1)

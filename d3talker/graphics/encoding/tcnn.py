"""The tri-plane encoder by tiny-cuda-nn's grid encoding, for CUDA machines where it is installed.

tiny-cuda-nn keeps ceil(scale) + 1 vertices a side, one fewer than torch-ngp's layout, and wraps round beyond the last:
positions within the outermost half cell of a box's upper faces differ from the other backends (`upper_limit`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from d3talker.errors import UserError, require
from d3talker.graphics.encoding.levels import Level
from d3talker.graphics.encoding.reference import unit_planes


def upper_limit(levels: Sequence[Level]) -> float:
    """Largest coordinate in [0, 1] up to which tiny-cuda-nn equals the other backends."""
    return min((math.ceil(level.scale) - 0.5) / level.scale for level in levels)


def vertex_rows(levels: Sequence[Level]) -> Tensor:
    """Rows of our table in tiny-cuda-nn's order, int64 [rows]; -1 where it pads a level to a multiple of 8 rows.

    Raises UserError for a level that is hashed.
    """
    rows = []
    for level in levels:
        if not level.dense:
            raise UserError("the tinycudann encoder cannot hash as we do; raise log2_table or use backend='grid'")
        side = level.side - 1
        grid = level.start + torch.arange(side)[:, None] * level.side + torch.arange(side)
        rows += [grid.flatten(), torch.full((-(side * side) % 8,), -1)]
    return torch.cat(rows)


@lru_cache(maxsize=8)
def _encoding(count: int, features: int, base: int, growth: float, device: torch.device):
    """One tiny-cuda-nn encoding of a plane; its own parameters are never used, and its layout only checked."""
    tcnn = require("tinycudann", "gpu", "the tinycudann encoder")
    config = {
        "otype": "Grid", "type": "Hash", "n_levels": count, "n_features_per_level": features, "log2_hashmap_size": 24,
        "base_resolution": base, "per_level_scale": growth, "interpolation": "Linear",
    }  # fmt: skip
    return tcnn.Encoding(2, config, dtype=torch.float32).to(device)


@lru_cache(maxsize=8)
def _rows(levels: tuple[Level, ...], device: torch.device) -> Tensor:
    return vertex_rows(levels).to(device)


def encode(means: Tensor, bound: float, table: Tensor, levels: Sequence[Level]) -> Tensor:
    """means [N, 3], table [3, rows, F] -> [N, 3 * L * F]."""
    if not means.is_cuda or means.dtype != torch.float32:
        raise UserError(
            f"the tinycudann encoder needs float32 CUDA tensors, not {means.dtype} on {means.device}; "
            "use backend='auto'"
        )
    levels = tuple(levels)
    base = levels[0].scale + 1
    if base != round(base):
        raise UserError(f"the tinycudann encoder needs an integer base resolution, not {base}; use backend='grid'")
    growth = ((levels[-1].scale + 1) / base) ** (1 / max(len(levels) - 1, 1))
    module = _encoding(len(levels), table.shape[2], round(base), growth, means.device)
    rows = _rows(levels, means.device)
    if module.params.numel() != rows.numel() * table.shape[2]:
        raise UserError("this tinycudann lays its grid out differently from what d3talker knows; use backend='grid'")
    planes, inside = unit_planes(means, bound)
    features = []
    for p in range(3):
        flat = (table[p].index_select(0, rows.clamp_min(0)) * (rows >= 0)[:, None]).flatten()
        values = torch.func.functional_call(module, {"params": flat}, (planes[p],))
        features.append(torch.where(inside[p][:, None], values, torch.zeros_like(values[:1])))
    return torch.cat(features, dim=1)

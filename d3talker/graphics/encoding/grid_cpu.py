"""The 2D and 3D grid encoder by numba kernels: float32 on the CPU, the same bits for any thread count."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from d3talker.errors import UserError
from d3talker.graphics.encoding.grid_index import WHOLE, Index, strides
from d3talker.graphics.encoding.levels import Level
from d3talker.jit import compiling


class _Encode(torch.autograd.Function):
    @staticmethod
    def forward(ctx, unit, table, levels):
        from d3talker.graphics.encoding import grid_kernels

        ctx.save_for_backward(unit, table)
        ctx.levels = levels
        out = np.empty((len(levels) * table.shape[1], len(unit)), np.float32)
        encode = grid_kernels.encode_2d if unit.shape[1] == 2 else grid_kernels.encode_3d
        with compiling("grid encoder"):
            encode(unit.detach().numpy(), table.detach().numpy(), levels, out)
        return torch.from_numpy(out).T  # a matmul reads either layout

    @staticmethod
    def backward(ctx, grad):
        from d3talker.graphics.encoding import grid_kernels

        unit, table = (value.detach().numpy() for value in ctx.saved_tensors)
        gradient, gunit, gtable = grad.T.contiguous().numpy(), None, None
        flat = unit.shape[1] == 2
        with compiling("grid encoder's gradient"):
            if ctx.needs_input_grad[0]:
                gunit = np.zeros_like(unit)
                place = grid_kernels.position_gradient_2d if flat else grid_kernels.position_gradient_3d
                place(unit, table, ctx.levels, gradient, gunit)
            if ctx.needs_input_grad[1]:
                gtable = np.zeros_like(table)
                scatter = grid_kernels.table_gradient_2d if flat else grid_kernels.table_gradient_3d
                scatter(unit, ctx.levels, gradient, gtable)
        return *(None if g is None else torch.from_numpy(g) for g in (gunit, gtable)), None


def encode(unit: Tensor, table: Tensor, levels: Sequence[Level], index: Index) -> Tensor:
    """unit [N, D] in [0, 1], table [rows, F] -> [N, L * F]."""
    if unit.device.type != "cpu" or unit.dtype != torch.float32 or table.dtype != torch.float32:
        raise UserError(
            f"the grid encoder's cpu backend needs float32 tensors on the CPU, not {unit.dtype} on {unit.device}; "
            "convert them or choose backend='reference'"
        )
    return _Encode.apply(unit.contiguous(), table.contiguous(), np.array([_row(level, index) for level in levels]))


def _row(level: Level, index: Index) -> tuple[float, ...]:
    """A level as the kernels read it; tables that do not hold all corners have 2^k rows, so that a mask wraps."""
    steps = strides(level, index)
    mask = WHOLE if level.dense else level.rows - 1
    along = (0, 0, 0) if steps is None else (*steps, 0)[:3]
    return level.scale, level.start, mask, *along, steps is None

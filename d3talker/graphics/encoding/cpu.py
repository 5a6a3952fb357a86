"""The tri-plane encoder by numba kernels: float32 on the CPU, the same bits for any thread count."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from d3talker.errors import UserError
from d3talker.graphics.encoding.levels import Level
from d3talker.jit import compiling


class _Encode(torch.autograd.Function):
    @staticmethod
    def forward(ctx, means, table, bound, levels):
        from d3talker.graphics.encoding import kernels

        ctx.save_for_backward(means, table)
        ctx.kept = bound, levels
        out = np.empty((3 * len(levels) * table.shape[2], len(means)), np.float32)
        with compiling("encoder"):
            kernels.encode(means.detach().numpy(), bound, table.detach().numpy(), levels, out)
        return torch.from_numpy(out).T  # a matmul reads either layout

    @staticmethod
    def backward(ctx, grad):
        from d3talker.graphics.encoding import kernels

        means, table = (value.detach().numpy() for value in ctx.saved_tensors)
        bound, levels = ctx.kept
        gradient, gmeans, gtable = grad.contiguous().numpy(), None, None
        with compiling("encoder's gradient"):
            if ctx.needs_input_grad[0]:
                gmeans = np.empty_like(means)
                kernels.position_gradient(means, bound, table, levels, gradient, gmeans)
            if ctx.needs_input_grad[1]:
                gtable = np.zeros_like(table)
                kernels.table_gradient(means, bound, levels, gradient, gtable)
        return *(None if g is None else torch.from_numpy(g) for g in (gmeans, gtable)), None, None


def encode(means: Tensor, bound: float, table: Tensor, levels: Sequence[Level]) -> Tensor:
    """means [N, 3], table [3, rows, F] -> [N, 3 * L * F]."""
    if means.is_cuda or means.dtype != torch.float32 or table.dtype != torch.float32:
        raise UserError(
            f"the encoder's cpu backend needs float32 tensors on the CPU, not {means.dtype} on {means.device}; "
            "convert them or choose backend='grid'"
        )
    rows = np.array([(level.scale, level.side, level.start, level.rows, level.dense) for level in levels], np.float64)
    return _Encode.apply(means.contiguous(), table.contiguous(), float(bound), rows)

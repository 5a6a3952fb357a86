"""The skinning by numba kernels, and the neighbours by scipy's k-d tree: float32 on the CPU."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from d3talker.jit import compiling


class _Skin(torch.autograd.Function):
    @staticmethod
    def forward(ctx, field, rows, weights, quats):
        from d3talker.method.rig import kernels

        ctx.save_for_backward(field, rows, weights, quats)
        inputs = tuple(value.detach().contiguous().numpy() for value in (field, rows, weights, quats))
        shifts, turned, stretches = (np.empty((len(quats), width), np.float32) for width in (3, 4, 3))
        with compiling("rig"):
            kernels.skin(*inputs, shifts, turned, stretches)
        return torch.from_numpy(shifts), torch.from_numpy(turned), torch.from_numpy(stretches)

    @staticmethod
    def backward(ctx, gshifts, gturned, gstretches):
        from d3talker.method.rig import kernels

        if not ctx.needs_input_grad[3]:
            return None, None, None, None
        inputs = tuple(value.detach().contiguous().numpy() for value in ctx.saved_tensors)
        out = np.empty_like(inputs[3])
        with compiling("rig's gradient"):
            kernels.quaternion_gradient(*inputs, gturned.contiguous().numpy(), gstretches.contiguous().numpy(), out)
        return None, None, None, torch.from_numpy(out)


def skin(field: Tensor, rows: Tensor, weights: Tensor, quats: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """As reference.skin, differentiable in quats alone."""
    return _Skin.apply(field, rows, weights, quats)  # type: ignore[no-any-return]


def nearest(points: Tensor, vertices: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """As reference.nearest."""
    from scipy.spatial import cKDTree

    distances, rows = cKDTree(vertices.numpy()).query(points.detach().numpy(), k=count)
    return torch.from_numpy(distances.astype(np.float32)), torch.from_numpy(rows.astype(np.int64))

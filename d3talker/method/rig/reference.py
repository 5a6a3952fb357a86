"""The readable skinning in plain torch: any dtype, any device; what CUDA runs, and what the CPU's kernels are held to."""

from __future__ import annotations

import torch
from torch import Tensor

from d3talker.graphics.render.geometry import rotation_matrices
from d3talker.method.rig.mesh import SHIFT, STRAIN, TURN


def skin(field: Tensor, rows: Tensor, weights: Tensor, quats: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """How a moving mesh moves the N Gaussians bound to it: shifts [N, 3] m; what to add to quats [N, 4]; log stretches [N, 3].

    field [V, 12]: the mesh's shift, turn and strain; rows [N, K] of it and weights [N, K] of each Gaussian; quats [N, 4] wxyz of
    any length.  A turn w adds w q / 2 (quaternion product), a strain S stretches along each own axis r by r' S r, both to
    first order.  Differentiable in field and quats.
    """
    own = (field[rows] * weights[..., None]).sum(1)
    x, y, z = own[:, TURN].unbind(-1)
    a, b, c, d = quats.unbind(-1)
    turned = torch.stack([-x * b - y * c - z * d, x * a + y * d - z * c, y * a + z * b - x * d, z * a + x * c - y * b], -1) / 2
    xx, yy, zz, xy, xz, yz = own[:, STRAIN].unbind(-1)
    strain = torch.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz], -1).unflatten(-1, (3, 3))
    axes = rotation_matrices(quats)
    return own[:, SHIFT], turned, (axes * (strain @ axes)).sum(-2)


def nearest(points: Tensor, vertices: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Distances and rows [N, count] of the nearest of vertices [V, 3] to each of points [N, 3], nearest first."""
    parts = [torch.cdist(part, vertices).topk(count, largest=False) for part in points.split(8192)]
    if not parts:
        return points.new_zeros(0, count), torch.zeros(0, count, dtype=torch.long, device=points.device)
    return torch.cat([part.values for part in parts]), torch.cat([part.indices for part in parts])


def mode_sum(modes: Tensor, expression: Tensor) -> Tensor:
    """modes [E, V, 12] weighed by expression [E] -> the field [V, 12]."""
    return (expression @ modes.flatten(1)).unflatten(0, (-1, modes.shape[-1]))

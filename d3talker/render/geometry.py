"""Rotations, covariances and normals of Gaussians in torch, any dtype and device."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize


def rotation_matrices(quats: Tensor) -> Tensor:
    """[..., 4] wxyz of any length -> [..., 3, 3]; a zero quaternion gives the identity."""
    w, x, y, z = normalize(quats, dim=-1).unbind(-1)
    rows = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def covariances(quats: Tensor, scales: Tensor) -> Tensor:
    """R diag(s²) R^T, [..., 3, 3]."""
    half = rotation_matrices(quats) * scales[..., None, :]
    return half @ half.transpose(-1, -2)


def camera_normals(means: Tensor, quats: Tensor, scales: Tensor, viewmats: Tensor) -> Tensor:
    """Unit shortest axis of each Gaussian in camera axes, turned towards the camera, [C, N, 3].

    means [B, N, 3], quats [B, N, 4], scales [B, N, 3] with B = 1 or C; viewmats [C, 4, 4]. Differentiable in quats and
    viewmats; the choice of axis and of sign is piecewise constant.
    """
    shortest = scales.argmin(-1)[..., None, None].expand(*scales.shape[:-1], 3, 1)
    axes = rotation_matrices(quats)
    batch = max(axes.shape[0], shortest.shape[0])
    axes = axes.expand(batch, -1, -1, -1).gather(-1, shortest.expand(batch, -1, -1, -1))[..., 0]
    turn = viewmats[:, None, :3, :3]
    normals = (turn @ axes[..., None])[..., 0]
    centres = (turn @ means[..., None])[..., 0] + viewmats[:, None, :3, 3]
    away = (normals * centres).sum(-1, keepdim=True) > 0
    return torch.where(away, -normals, normals)

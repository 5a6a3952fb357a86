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


def rotate(quats: Tensor, vectors: Tensor) -> Tensor:
    """Vectors [..., 3] turned by quaternions [..., 4] wxyz of any length."""
    q = normalize(quats, dim=-1)
    w, axis = q[..., :1], q[..., 1:]
    twice = 2 * torch.linalg.cross(axis, vectors)
    return vectors + w * twice + torch.linalg.cross(axis, twice)


def covariances(quats: Tensor, scales: Tensor) -> Tensor:
    """R diag(s²) R^T, [..., 3, 3]."""
    half = rotation_matrices(quats) * scales[..., None, :]
    return half @ half.transpose(-1, -2)


def camera_normals(means: Tensor, quats: Tensor, scales: Tensor, viewmats: Tensor) -> Tensor:
    """Unit shortest axis of each Gaussian in camera axes, turned towards the camera, [C, N, 3].

    means [B, N, 3], quats [B, N, 4], scales [B, N, 3] with B = 1 or C; viewmats [C, 4, 4]. Differentiable in quats and
    viewmats; the choice of axis and of sign is piecewise constant.
    """
    shortest = torch.zeros_like(scales).scatter_(-1, scales.argmin(-1, keepdim=True), 1)
    batch = max(len(quats), len(scales))
    axes = rotate(quats.expand(batch, -1, -1), shortest.expand(batch, -1, -1))
    turn = viewmats[:, :3, :3].transpose(1, 2)
    normals = axes @ turn
    centres = means @ turn + viewmats[:, None, :3, 3]
    away = (normals * centres).sum(-1, keepdim=True) > 0
    return torch.where(away, -normals, normals)

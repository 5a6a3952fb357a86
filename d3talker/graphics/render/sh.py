"""Real spherical harmonics up to degree 3, as 3D Gaussian splatting stores colours."""

from __future__ import annotations

import torch
from torch import Tensor

from d3talker.errors import UserError


def sh_basis(degree: int, directions: Tensor) -> Tensor:
    """Real orthonormal basis with the Condon-Shortley phase, [..., (degree + 1)²], for unit directions [..., 3]."""
    if degree not in (0, 1, 2, 3):
        raise UserError(f"spherical harmonics are implemented for degrees 0 to 3, not {degree}")
    x, y, z = directions.unbind(-1)
    basis = [torch.full_like(x, 0.28209479177387814)]  # sqrt(1 / 4pi)
    if degree >= 1:
        k = 0.4886025119029199  # sqrt(3 / 4pi)
        basis += [-k * y, k * z, -k * x]
    if degree >= 2:
        k = 1.0925484305920792  # sqrt(15 / 4pi)
        basis += [k * x * y, -k * y * z, 0.31539156525252005 * (3 * z * z - 1), -k * x * z, 0.5 * k * (x * x - y * y)]
    if degree >= 3:
        k3, k2, k1, k0 = 0.5900435899266435, 2.890611442640554, 0.4570457994644658, 0.3731763325901154
        basis += [
            -k3 * y * (3 * x * x - y * y), k2 * x * y * z, -k1 * y * (5 * z * z - 1), k0 * z * (5 * z * z - 3),
            -k1 * x * (5 * z * z - 1), 0.5 * k2 * z * (x * x - y * y), -k3 * x * (x * x - 3 * y * y),
        ]  # fmt: skip
    return torch.stack(basis, dim=-1)


def eval_sh(degree: int, sh: Tensor, directions: Tensor) -> Tensor:
    """Colours seen along directions: 0.5 + sum_k Y_k sh_k, clamped to >= 0 (Kerbl et al. 2023).

    Args:
        degree: 0 to 3. sh: [..., K, 3] with K >= (degree + 1)², further coefficients are ignored.
        directions: [..., 3] from the camera to the Gaussian, of any length; unused for degree 0.
    Returns [..., 3]. Raises UserError where K is too small or the degree unknown.
    """
    count = (degree + 1) ** 2
    if sh.shape[-2] < count:
        raise UserError(f"eval_sh got {sh.shape[-2]} coefficients for degree {degree}; it needs {count}")
    basis = sh_basis(degree, torch.nn.functional.normalize(directions, dim=-1))
    return ((basis[..., None] * sh[..., :count, :]).sum(-2) + 0.5).clamp_min(0)

"""Static Gaussian field of one region: its parameters and their activations (paper 3.1, eq. 1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SH_C0 = 0.28209479177387814  # value of the zeroth spherical harmonic
START_OPACITY = 0.1  # 3DGS


class Gaussians(nn.Module):
    """N Gaussians in head-fixed coordinates, as raw parameters.

    means [N, 3] m; quats [N, 4] wxyz, normalised where used; raw_scales [N, 3] and raw_opacities [N], before softplus and sigmoid;
    sh [N, (degree + 1)^2, 3].
    """

    NAMES = ("means", "quats", "raw_scales", "raw_opacities", "sh")

    def __init__(self, means: Tensor, scales: Tensor, sh_degree: int, rgb: Tensor | None = None) -> None:
        """means, scales [N, 3] in metres; rgb [N, 3] in [0, 1], grey when absent."""
        super().__init__()
        count = means.shape[0]
        sh = means.new_zeros(count, (sh_degree + 1) ** 2, 3)
        if rgb is not None:
            sh[:, 0] = (rgb - 0.5) / SH_C0
        self.means = nn.Parameter(means.clone())
        self.quats = nn.Parameter(means.new_tensor([1.0, 0.0, 0.0, 0.0]).repeat(count, 1))
        self.raw_scales = nn.Parameter(inverse_softplus(scales))
        self.raw_opacities = nn.Parameter(torch.logit(means.new_full((count,), START_OPACITY)))
        self.sh = nn.Parameter(sh)

    @property
    def degree(self) -> int:
        """Degree of the spherical harmonics."""
        return int(self.sh.shape[1] ** 0.5) - 1

    def scales(self, delta: Tensor | None = None) -> Tensor:
        """Standard deviations [N, 3] in metres: softplus(s + delta), as InsTaG has it."""
        return F.softplus(self.raw_scales if delta is None else self.raw_scales + delta)

    def opacities(self, delta: Tensor | None = None) -> Tensor:
        """Opacity [N] in (0, 1): sigmoid(alpha + delta)."""
        return torch.sigmoid(self.raw_opacities if delta is None else self.raw_opacities + delta)


def inverse_softplus(value: Tensor) -> Tensor:
    """x with softplus(x) = value, for value > 0."""
    return value + torch.log(-torch.expm1(-value))


def neighbour_distance(means: Tensor, neighbours: int = 3) -> Tensor:
    """Root mean square distance [N] to the nearest neighbours, which 3DGS takes as a Gaussian's first size."""
    from scipy.spatial import cKDTree

    points = means.detach().cpu().double().numpy()
    distances, _ = cKDTree(points).query(points, k=neighbours + 1)
    rms = (distances[:, 1:] ** 2).mean(1) ** 0.5
    return torch.from_numpy(rms).to(means).clamp_min(1e-5)

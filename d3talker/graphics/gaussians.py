"""Static Gaussian field of one region: its parameters and their activations (paper 3.1, eq. 1)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SH_C0 = 0.28209479177387814  # value of the zeroth spherical harmonic
START_OPACITY = 0.1  # 3DGS


class Gaussians(nn.Module):
    """N Gaussians in head-fixed coordinates, as raw parameters.

    means [N, 3] m; quats [N, 4] wxyz, normalised where used; raw_scales [N, 3] and raw_opacities [N], before softplus (or exp) and
    sigmoid; spherical harmonics sh_dc [N, 1, 3] and sh_rest [N, (degree + 1)^2 - 1, 3], which learn at rates of their own.
    shown: bands up to this degree are drawn, all where it is None (3DGS begins with the zeroth and adds them one by one).
    """

    NAMES = ("means", "quats", "raw_scales", "raw_opacities", "sh_dc", "sh_rest")

    def __init__(
        self, means: Tensor, scales: Tensor, sh_degree: int, rgb: Tensor | None = None,
        activation: Literal["softplus", "exp"] = "softplus",
    ) -> None:
        """means, scales [N, 3] in metres; rgb [N, 3] in [0, 1], grey when absent; activation: of the scales, softplus in InsTaG
        and TalkingGaussian, exp in 3DGS and GaussianTalker."""
        super().__init__()
        self.exponential, self.shown = activation == "exp", None  # type: bool, int | None
        count = means.shape[0]
        sh = means.new_zeros(count, (sh_degree + 1) ** 2, 3)
        if rgb is not None:
            sh[:, 0] = (rgb - 0.5) / SH_C0
        self.means = nn.Parameter(means.clone())
        self.quats = nn.Parameter(means.new_tensor([1.0, 0.0, 0.0, 0.0]).repeat(count, 1))
        self.raw_scales = nn.Parameter(self.raw(scales))
        self.raw_opacities = nn.Parameter(torch.logit(means.new_full((count,), START_OPACITY)))
        self.sh_dc, self.sh_rest = nn.Parameter(sh[:, :1].clone()), nn.Parameter(sh[:, 1:].clone())

    @property
    def sh(self) -> Tensor:
        """All bands [N, (degree + 1)^2, 3]."""
        return torch.cat([self.sh_dc, self.sh_rest], 1)

    @property
    def degree(self) -> int:
        """Degree of the spherical harmonics that are drawn."""
        whole = int((1 + self.sh_rest.shape[1]) ** 0.5) - 1
        return whole if self.shown is None else min(self.shown, whole)

    def raw(self, scales: Tensor) -> Tensor:
        """What `scales` turns into these standard deviations in metres, all above 0."""
        return torch.log(scales) if self.exponential else inverse_softplus(scales)

    def scales(self, delta: Tensor | None = None) -> Tensor:
        """Standard deviations [N, 3] in metres: softplus(s + delta), as InsTaG has it, or exp."""
        raw = self.raw_scales if delta is None else self.raw_scales + delta
        return torch.exp(raw) if self.exponential else F.softplus(raw)

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

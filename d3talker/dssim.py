"""D-SSIM, the training loss 1 - mean SSIM: fused numba kernels on the CPU, torch elsewhere."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from d3talker.errors import UserError

WINDOW, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2


def window_weights() -> list[float]:
    """The normalised 1D Gaussian; its outer product is the window."""
    offsets = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    weights = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    return (weights / weights.sum()).tolist()


def dssim(pred: Tensor, target: Tensor) -> Tensor:
    """Scalar 1 - mean SSIM of two [B, H, W, 3] float images in [0, 1], differentiable in both.

    11x11 Gaussian window of sigma 1.5, zero padding, C1 = 0.01², C2 = 0.03², per channel, mean over everything
    (InsTaG's utils/loss_utils.py; the metric in `eval` is scikit-image's, which crops instead of padding).
    Raises UserError for shapes that differ or are not [B, H, W, 3].
    """
    if pred.shape != target.shape or pred.ndim != 4 or pred.shape[-1] != 3:
        shapes = f"{tuple(pred.shape)} and {tuple(target.shape)}"
        raise UserError(f"dssim got images of shapes {shapes}; pass two of one shape [B, H, W, 3]")
    single = pred.dtype == target.dtype == torch.float32 and pred.device.type == target.device.type == "cpu"
    if single and not target.requires_grad:
        from d3talker.dssim_kernels import fused_dssim

        return fused_dssim(pred, target)
    return dssim_torch(pred, target)


def dssim_torch(pred: Tensor, target: Tensor) -> Tensor:
    """The readable twin of `dssim` in torch, any dtype and device: two separable passes over 15 channels."""
    x, y = pred.permute(0, 3, 1, 2), target.permute(0, 3, 1, 2)
    maps = torch.cat([x, y, x * x, y * y, x * y], dim=1)
    weights = torch.tensor(window_weights(), dtype=maps.dtype, device=maps.device)
    for shape, padding in (((1, 1, WINDOW, 1), (WINDOW // 2, 0)), ((1, 1, 1, WINDOW), (0, WINDOW // 2))):
        maps = conv2d(maps, weights.view(shape).expand(15, -1, -1, -1), padding=padding, groups=15)
    mx, my, mxx, myy, mxy = maps.split(3, dim=1)
    vx, vy, vxy = mxx - mx * mx, myy - my * my, mxy - mx * my
    ssim = (2 * mx * my + C1) * (2 * vxy + C2) / ((mx * mx + my * my + C1) * (vx + vy + C2))
    return 1 - ssim.mean()

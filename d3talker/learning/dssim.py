"""D-SSIM, the training loss 1 - mean SSIM: fused numba kernels on the CPU, torch elsewhere."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d

from d3talker.errors import UserError
from d3talker.learning.ssim_window import C1, C2, WINDOW, window_weights


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
        from d3talker.learning.dssim_kernels import fused_dssim

        return fused_dssim(pred, target)
    return dssim_torch(pred, target) if target.requires_grad else _Dssim.apply(pred, target)


def dssim_torch(pred: Tensor, target: Tensor) -> Tensor:
    """The readable twin of `dssim` in torch, any dtype and device: two separable passes over 15 channels."""
    mx, my, mxx, myy, mxy = _moments(pred.permute(0, 3, 1, 2), target.permute(0, 3, 1, 2))
    vx, vy, vxy = mxx - mx * mx, myy - my * my, mxy - mx * my
    ssim = (2 * mx * my + C1) * (2 * vxy + C2) / ((mx * mx + my * my + C1) * (vx + vy + C2))
    return 1 - ssim.mean()


class _Dssim(torch.autograd.Function):
    """`dssim_torch` with the gradient in `pred` worked out at once, as in dssim_kernels: half the launches on a card."""

    @staticmethod
    def forward(ctx, pred, target):
        x, y = pred.permute(0, 3, 1, 2), target.permute(0, 3, 1, 2)
        mx, my, mxx, myy, mxy = _moments(x, y)
        both, squares = mx * my, torch.addcmul(mx * mx, my, my)
        a1, a2 = (2 * both).add_(C1), (mxy - both).mul_(2).add_(C2)
        b1, b2 = squares + C1, (mxx + myy).sub_(squares).add_(C2)
        inverse = (b1 * b2).reciprocal_()
        ssim = a1 * a2 * inverse
        if ctx.needs_input_grad[0]:
            by_mean = torch.addcmul((a2 - a1).mul_(my), mx * ssim, b1 - b2).mul_(inverse).mul_(2)
            by_square, by_product = (ssim / b2).neg_(), a1.mul_(inverse).mul_(2)
            p, q, r = _windowed(torch.cat([by_mean, by_square, by_product], 1)).split(3, dim=1)
            gradient = torch.addcmul(p, x, q, value=2).addcmul_(y, r).mul_(-1 / pred.numel())
            ctx.save_for_backward(gradient.permute(0, 2, 3, 1))
        return 1 - ssim.mean()

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        return ctx.saved_tensors[0] * grad, None


def _moments(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    """Windowed means of x, y, x², y² and xy, each [B, 3, H, W]."""
    return _windowed(torch.cat([x, y, x * x, y * y, x * y], dim=1)).split(3, dim=1)


def _windowed(maps: Tensor) -> Tensor:
    """Window means of [B, C, H, W], zeros beyond the edges."""
    weights, channels = _weights(maps.dtype, maps.device), maps.shape[1]
    for shape, padding in (((1, 1, WINDOW, 1), (WINDOW // 2, 0)), ((1, 1, 1, WINDOW), (0, WINDOW // 2))):
        maps = conv2d(maps, weights.view(shape).expand(channels, -1, -1, -1), padding=padding, groups=channels)
    return maps


@lru_cache(maxsize=8)
def _weights(dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.tensor(window_weights(), dtype=dtype).to(device)

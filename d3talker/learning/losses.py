"""Losses of both stages (paper 3.3, 3.5): L1, the region's mask, L_SC of eq. 10, InsTaG's L_C, L_Geo.  D-SSIM is in dssim.py."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from d3talker.graphics.layers import Layer

STILL = 1e-5  # metres: a shorter deformation has no direction that a loss should care for


def l1(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of two images [..., H, W, 3] in [0, 1]."""
    return (predicted - target).abs().mean()


def mask_loss(alpha: Tensor, mask: Tensor) -> Tensor:
    """Opacity where the region is not, transparency where it is (InsTaG train_face.py): alpha [H, W, 1] in [0, 1], mask bool."""
    return torch.where(mask, 1 - alpha, alpha).mean()


def negative_contrast(own: Tensor, others: Tensor) -> Tensor:
    """L_C of InsTaG (pretrain_face.py:215-229): other identities' Delta mu must not point along the own one.

    own [N, 3], others [K, N, 3] in metres; no gradient reaches the others.
    """
    return torch.relu((others.detach() * own).sum(-1)).mean(-1).sum()


def geometry(layer: Layer, normals: Tensor, depth: Tensor) -> tuple[Tensor, Tensor]:
    """L_Geo: (normal loss, depth loss) of a drawn face against priors, where these are known (InsTaG train_face.py).

    normals [H, W, 3] unit in camera axes, zero = unknown; depth [H, W], NaN = unknown, in any affine unit: each row is
    standardised on both sides before the L1.  InsTaG writes the normal term as 3 - n.n'; ours is 1 - n.n', the same but for a
    constant.
    """
    assert layer.normals is not None
    known = (normals * normals).sum(-1) > 0.5
    drawn = F.normalize(layer.normals, dim=-1, eps=1e-6)
    normal = torch.where(known, 1 - (drawn * normals).sum(-1), 0.0).sum() / known.sum().clamp_min(1)
    seen = torch.isfinite(depth) & (layer.alpha[..., 0] > 0.5)
    ours = layer.depth[..., 0] / layer.alpha[..., 0].clamp_min(0.5)
    difference = _standardise(ours, seen) - _standardise(torch.nan_to_num(depth), seen)  # 0 where not seen
    return normal, difference.abs().sum() / seen.sum().clamp_min(1)


def _standardise(values: Tensor, known: Tensor) -> Tensor:
    """Each row [W] minus its mean over known pixels, divided by its standard deviation there."""
    count = known.sum(-1, keepdim=True).clamp_min(1)
    masked = torch.where(known, values, 0.0)
    mean = masked.sum(-1, keepdim=True) / count
    centred = torch.where(known, values - mean, 0.0)
    return centred / ((centred**2).sum(-1, keepdim=True) / count + 1e-8).sqrt()

"""Losses of both stages (paper 3.3, 3.5): L1, the region's mask, L_SC of eq. 10, InsTaG's L_C.  D-SSIM is in dssim.py."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def l1(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of two images [..., H, W, 3] in [0, 1]."""
    return (predicted - target).abs().mean()


def mask_loss(alpha: Tensor, mask: Tensor) -> Tensor:
    """Opacity where the region is not, transparency where it is (InsTaG train_face.py): alpha, mask [H, W, 1] in [0, 1]."""
    return (alpha * (1 - mask)).mean() + ((1 - alpha) * mask).mean()


def similarity_contrast(general: Tensor, individuals: Sequence[Tensor], own: int, temperature: float) -> Tensor:
    """L_SC(k) (eq. 10): pull Delta mu_G to the own Individual Field's Delta mu, away from the others'.

    general [N, 3]; individuals: Delta mu of every identity's Individual Field [N, 3], queried with identity k's audio feature;
    own = k.  The similarity is the mean over Gaussians of the cosine.
    """
    similarities = torch.stack([F.cosine_similarity(general, other, dim=-1).mean() for other in individuals])
    return F.cross_entropy(similarities[None] / temperature, torch.tensor([own], device=general.device))


def negative_contrast(own: Tensor, others: Sequence[Tensor]) -> Tensor:
    """L_C of InsTaG (pretrain_face.py:215-229): other identities' Delta mu must not point along the own one.

    own, others [N, 3] in metres; no gradient reaches the others.
    """
    return torch.stack([torch.relu((other.detach() * own).sum(-1)).mean() for other in others]).sum()

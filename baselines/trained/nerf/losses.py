"""Losses that RAD-NeRF and ER-NeRF share, in their order of the sheet: entropy of opacity, LPIPS of squares."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from d3talker.learning.lpips import LPIPS, load_lpips
from d3talker.weights import MissingWeights

SMALLEST = 32  # px, of a square that LPIPS looks at; smaller ones get a black frame (ER-NeRF utils.py:807-815)


def entropy(alpha: Tensor) -> Tensor:
    """Mean of -A log2 A - (1 - A) log2 (1 - A), A cut to [1e-5, 1 - 1e-5] (RAD-NeRF utils.py:793-796)."""
    a = alpha.clamp(1e-5, 1 - 1e-5)
    return (-a * a.log2() - (1 - a) * (1 - a).log2()).mean()


def load_perceptual(device: torch.device) -> tuple[LPIPS | None, list[str]]:
    """LPIPS on AlexNet for training; where its weights are absent, None and a footnote."""
    try:
        return load_lpips("alex", device=str(device)).requires_grad_(False), []
    except MissingWeights as missing:
        return None, [f"trained without its LPIPS term: {missing}"]


def perceptual(model: LPIPS | None, picture: Tensor, true: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Mean LPIPS of patches given as rays [N, 3] in [0, 1]; 0 where there is no model."""
    if model is None:
        return picture.new_zeros(())
    return model(*(padded(rays.view(*shape, 3).permute(0, 3, 1, 2)) for rays in (picture, true))).mean()


def padded(pictures: Tensor) -> Tensor:
    """Pictures [B, 3, H, W] with zeros at the right and at the bottom up to SMALLEST."""
    height, width = pictures.shape[-2:]
    return F.pad(pictures, (0, max(SMALLEST - width, 0), 0, max(SMALLEST - height, 0)))

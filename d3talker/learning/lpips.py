"""LPIPS 0.1 (Zhang et al. 2018) on AlexNet, VGG-16 or SqueezeNet, equal to the `lpips` package without importing it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from d3talker.errors import UserError
from d3talker.learning.backbones import Backbone, pretrained
from d3talker.weights import load_state, packaged_file

Net = Literal["alex", "vgg", "squeeze"]
BACKBONES: dict[Net, str] = {"alex": "alexnet", "vgg": "vgg16", "squeeze": "squeezenet"}
EPSILON = 1e-10


class LPIPS(nn.Module):
    """Distance of two images: squared differences of unit feature vectors, weighed by the published linear layers."""

    def __init__(self, net: Net, backbone: Backbone) -> None:
        """net: which linear layers; they ship inside the `lpips` package, v0.1.  Raises MissingWeights without it."""
        super().__init__()
        # oneDNN's convolutions are fastest on interleaved channels, and sums over channels then read memory in order
        self.net, self.backbone = net, backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        path = packaged_file("lpips", f"weights/v0.1/{net}.pth", "lpips", "LPIPS")
        layers = load_state(path)
        weights = [layers[f"lin{number}.model.1.weight"].flatten() for number in range(len(backbone.taps))]
        self.linear = nn.ParameterList([nn.Parameter(weight, requires_grad=False) for weight in weights])

    def forward(self, a: Tensor, b: Tensor, masks: Tensor | None = None) -> Tensor:
        """a, b: [N, 3, H, W] in [0, 1] -> [N].

        masks: [N, 1, H, W] in [0, 1]; each layer's distances are then averaged with the mask's share of their cell as
        weight (an all-ones mask gives plain LPIPS; an empty one NaN).
        """
        total = torch.zeros(len(a), device=a.device)
        for features, weight in zip(self.backbone.stages(torch.cat([a, b])), self.linear):
            distance = _distance(features, weight)
            if masks is None:
                total = total + distance.mean((1, 2))
            else:
                share = F.adaptive_avg_pool2d(masks, (distance.shape[1], distance.shape[2]))[:, 0]
                total = total + (distance * share).sum((1, 2)) / share.sum((1, 2))
        return total


def load_lpips(net: Net = "alex", weights: Path | None = None, *, device: str = "cpu", download: bool = False) -> LPIPS:
    """LPIPS with pretrained weights, ready to use; raises MissingWeights naming the file that is not there."""
    if net not in BACKBONES:
        raise UserError(f"LPIPS has no network '{net}'; choose one of {', '.join(BACKBONES)}")
    backbone = pretrained(BACKBONES[net], weights, download=download)
    return LPIPS(net, backbone).to(device).eval()


def to_images(frames: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
    """uint8, or floats in 0 ... 255, [N, H, W, 3] -> float32 [N, 3, H, W] in [0, 1]."""
    return torch.from_numpy(frames).to(device).permute(0, 3, 1, 2).float() / 255


def _distance(features: Tensor, weight: Tensor) -> Tensor:
    """Features [2 N, C, h, w] of first and second images -> weighed squared distance of unit vectors [N, h, w]."""
    features = features.permute(0, 2, 3, 1)
    scale = 1 / (torch.linalg.vector_norm(features, dim=-1, keepdim=True) + EPSILON)
    first, second = (features * scale).chunk(2)
    return (first - second).square_() @ weight

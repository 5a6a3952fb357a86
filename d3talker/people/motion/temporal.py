"""Audio-to-motion for any speaker: a temporal convolutional network from rows of sound to the lips' main motions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from d3talker.people.motion.options import NetworkConfig


class Block(nn.Module):
    """Two convolutions over three frames, `dilation` apart, added to the input [B, C, T]."""

    def __init__(self, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation), nn.GELU(), nn.Dropout(dropout),
            nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation), nn.GELU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class MotionNetwork(nn.Module):
    """Sound [B, T, C] of unit variance, one row a frame -> the lips' components [B, T, K], for a speaker of unit amplitude."""

    def __init__(self, columns: int, components: int, config: NetworkConfig) -> None:
        super().__init__()
        self.columns = columns
        self.inlet = nn.Sequential(nn.Conv1d(columns, config.width, 3, padding=1), nn.GELU())
        self.blocks = nn.Sequential(*[Block(config.width, d, config.dropout) for d in config.dilations])
        self.outlet = nn.Conv1d(config.width, components, 1)
        nn.init.zeros_(self.outlet.weight)
        self.outlet.bias.data.zero_()  # type: ignore[union-attr]

    def hidden(self, x: Tensor) -> Tensor:
        """[B, T, C] -> [B, T, width]: what the components are a linear function of."""
        return self.blocks(self.inlet(x.transpose(1, 2))).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.outlet(self.hidden(x).transpose(1, 2)).transpose(1, 2)


def correlation(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """Pearson correlation along the last axis of [B, T] under weights [B, T]; near 0 where one of them hardly moves."""
    total = weight.sum(-1, keepdim=True)
    a = (a - (a * weight).sum(-1, keepdim=True) / total) * weight
    b = (b - (b * weight).sum(-1, keepdim=True) / total) * weight
    return (a * b).sum(-1) / torch.sqrt((a.square().sum(-1) + 1e-3) * (b.square().sum(-1) + 1e-3))


def lips_loss(found: Tensor, lips: Tensor, there: Tensor, opening: Tensor, weight: float) -> Tensor:
    """Squared error of components [B, T, K], and `weight` times what the opening's correlation lacks of 1, where there [B, T] is 1.

    opening [K]: what makes the lips' opening of components.
    """
    error = ((found - lips).square().sum(-1) * there).sum() / there.sum()
    return error + weight * (1 - correlation(found @ opening, lips @ opening, there)).mean()

"""The two control signals: facial motion from PNCC, speech from audio features, and the eyes (paper 3.2, eq. 3-4)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from d3talker.learning.encoders import SLOPE, he
from d3talker.method.config import SignalConfig


class DifferenceEncoder(nn.Module):
    """E_diff (eq. 3): PNCC minus canonical PNCC, [B, 3, S, S] in [-1, 1] -> F_Motion [B, width]."""

    def __init__(self, config: SignalConfig) -> None:
        super().__init__()
        channels = (3, *config.pncc_channels)
        layers: list[nn.Module] = []
        for wide_in, wide_out in pairwise(channels):
            layers += [nn.Conv2d(wide_in, wide_out, 3, stride=2, padding=1), nn.LeakyReLU(SLOPE, inplace=True)]
        side = config.pncc_size // 2 ** len(config.pncc_channels)
        self.body = he(nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels[-1] * side * side, config.width)))

    def forward(self, difference: Tensor) -> Tensor:
        return self.body(difference)


class TemporalConvolution(nn.Module):
    """TCN (eq. 4): F_Motion of 2j+1 adjacent frames [2j+1, width] -> F_M [width].

    Dilated convolutions (1, 2, ...) without padding until one frame is left, added to the middle frame's own feature.
    """

    def __init__(self, width: int, neighbours: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        left = neighbours
        dilation = 1
        while left > 0:
            dilation = min(dilation, left)
            layers += [nn.Conv1d(width, width, 3, dilation=dilation), nn.LeakyReLU(SLOPE, inplace=True)]
            left -= dilation
            dilation *= 2
        self.body = nn.Sequential(*layers[:-1])
        self.middle = neighbours

    def forward(self, features: Tensor) -> Tensor:
        middle = features[self.middle]
        return middle + self.body(features.T[None])[0, :, 0] if self.middle else middle


class MotionEncoder(nn.Module):
    """Facial-motion branch up to F_M: PNCC differences of 2j+1 frames [2j+1, 3, S, S] -> [width]."""

    def __init__(self, config: SignalConfig) -> None:
        super().__init__()
        self.difference = DifferenceEncoder(config)
        self.temporal = TemporalConvolution(config.width, config.neighbours)

    def forward(self, differences: Tensor) -> Tensor:
        return self.temporal(self.difference(differences))

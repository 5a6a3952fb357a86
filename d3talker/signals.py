"""The two control signals: facial motion from PNCC, speech from audio features, and the eyes (paper 3.2, eq. 3-4)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from d3talker.config import SignalConfig

EYE_WIDTH = 6  # five expression units through an MLP, and the blink as it is (InsTaG)
SLOPE = 0.02  # of leaky ReLU (AD-NeRF)


def mlp(*widths: int) -> nn.Sequential:
    """Bias-free linear layers with ReLU between them (InsTaG)."""
    layers: list[nn.Module] = []
    for wide_in, wide_out in pairwise(widths):
        layers += [nn.Linear(wide_in, wide_out, bias=False), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])


def he(net: nn.Module) -> nn.Module:
    """He initialisation: signals keep their size through the layers, so that gradients reach the first one from the start.

    With torch's default each layer shrinks them to about 0.4; a thousand steps of few-shot training then never wake an encoder.
    """
    for layer in net.modules():
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, a=SLOPE)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return net


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


class AudioEncoder(nn.Module):
    """Audio branch up to F_A: a window of audio features [window, 16, columns] -> [width].

    Convolutions along each row block, then attention over the window (AD-NeRF's AudioNet and AudioAttNet; InsTaG
    motion_net.py:29-86).
    """

    def __init__(self, config: SignalConfig, columns: int) -> None:
        super().__init__()
        channels = (columns, 32, 32, 64, 64)
        self.convolutions = he(nn.Sequential(*[
            layer
            for wide_in, wide_out in pairwise(channels)
            for layer in (nn.Conv1d(wide_in, wide_out, 3, stride=2, padding=1), nn.LeakyReLU(SLOPE, inplace=True))
        ]))
        self.head = he(nn.Sequential(nn.Linear(64, 64), nn.LeakyReLU(SLOPE, inplace=True), nn.Linear(64, config.width)))
        widths = (config.width, 16, 8, 4, 2, 1)
        self.attention = nn.Sequential(*[
            layer
            for wide_in, wide_out in pairwise(widths)
            for layer in (nn.Conv1d(wide_in, wide_out, 3, padding=1), nn.LeakyReLU(SLOPE, inplace=True))
        ])
        self.weights = nn.Linear(config.audio_window, config.audio_window)

    def forward(self, window: Tensor) -> Tensor:
        features = self.head(self.convolutions(window.transpose(1, 2)).mean(-1))
        scores = self.weights(self.attention(features.T[None])[0, 0])
        return torch.softmax(scores, 0) @ features


class EyeEncoder(nn.Module):
    """Eye control: AU 1, 4, 5, 6, 7 and the blink AU 45 [6] -> [6] (InsTaG: an MLP 5-16-5, the blink as it is)."""

    def __init__(self) -> None:
        super().__init__()
        self.expression = mlp(EYE_WIDTH - 1, 16, EYE_WIDTH - 1)

    def forward(self, units: Tensor) -> Tensor:
        return torch.cat([self.expression(units[:-1]), units[-1:]])


def window(rows: Tensor, center: int, before: int, after: int) -> Tensor:
    """rows[center - before : center + after + 1] of [T, ...], with zeros beyond the ends (ER-NeRF utils.py:56-72)."""
    first, last = center - before, center + after + 1
    inside = rows[max(first, 0):max(last, 0)]
    missing = (max(-first, 0), max(last - rows.shape[0], 0))
    if not any(missing):
        return inside
    flat = inside.reshape(inside.shape[0], -1)
    return F.pad(flat, (0, 0, *missing)).reshape(-1, *rows.shape[1:])

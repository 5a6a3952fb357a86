"""Encoders of the signals that drive a head, which several methods share: windows of audio features, and the eyes."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EYE_WIDTH = 6  # five expression units through an MLP, and the blink as it is (InsTaG)
SLOPE = 0.02  # of leaky ReLU (AD-NeRF)


def mlp(*widths: int) -> nn.Sequential:
    """Bias-free linear layers with ReLU between them (InsTaG)."""
    layers: list[nn.Module] = []
    for wide_in, wide_out in pairwise(widths):
        layers += [nn.Linear(wide_in, wide_out, bias=False), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])


def plain(net: nn.Module) -> nn.Module:
    """First weights as torch's layers draw them, which is what the official codes of the field have."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear):
            layer.reset_parameters()
    return net


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


class AudioEncoder(nn.Module):
    """Audio branch up to F_A: a window of audio features [window, 16, columns] -> [width].

    Convolutions along each row block, then attention over the window (AD-NeRF's AudioNet and AudioAttNet; InsTaG
    motion_net.py:29-86).  seen: channels that the attention looks at, the first; all if None (DFRF: half of them).
    """

    def __init__(self, columns: int, width: int, window: int, seen: int | None = None) -> None:
        super().__init__()
        self.seen = width if seen is None else seen
        channels = (columns, 32, 32, 64, 64)
        self.convolutions = he(nn.Sequential(*[
            layer
            for wide_in, wide_out in pairwise(channels)
            for layer in (nn.Conv1d(wide_in, wide_out, 3, stride=2, padding=1), nn.LeakyReLU(SLOPE, inplace=True))
        ]))
        self.head = he(nn.Sequential(nn.Linear(64, 64), nn.LeakyReLU(SLOPE, inplace=True), nn.Linear(64, width)))
        widths = (self.seen, 16, 8, 4, 2, 1)
        self.attention = nn.Sequential(*[
            layer
            for wide_in, wide_out in pairwise(widths)
            for layer in (nn.Conv1d(wide_in, wide_out, 3, padding=1), nn.LeakyReLU(SLOPE, inplace=True))
        ])
        self.weights = nn.Linear(window, window)

    def over_time(self) -> list[nn.Parameter]:
        """Parameters of the attention over the window, which the official codes give a rate of their own."""
        return [*self.attention.parameters(), *self.weights.parameters()]

    def forward(self, window: Tensor) -> Tensor:
        features = self.alone(window)
        scores = self.weights(self.attention(features[:, :self.seen].T[None])[0, 0])
        return torch.softmax(scores, 0) @ features

    def alone(self, frames: Tensor) -> Tensor:
        """Each frame's own code, without its neighbours: [N, 16, columns] -> [N, width]."""
        return self.head(self.convolutions(frames.transpose(1, 2)).mean(-1))


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

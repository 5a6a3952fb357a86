"""GaussianTalker's network: products of feature planes, a canonical head, and attention of each Gaussian over four tokens.

Shapes as in scene/{hexplane,canonical_tri_plane,deformation}.py and scene/transformer of the official code.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.trained.gaussiantalker.options import NetworkConfig
from d3talker.learning.encoders import AudioEncoder, mlp, plain

PLANES = ((0, 1), (0, 2), (1, 2))  # xy, xz, yz
SHIFT = 0.1  # the official unit of length is a tenth of a metre
CAMERA = 12  # nine numbers of rotation and three of translation
PERIOD = 10000.0  # of the eyes' sinusoid
NORM_EPSILON = 1e-12  # GT scene/transformer/transformer.py


class FeaturePlanes(nn.Module):
    """Dense planes of several scales over a box; a point's features are the product over its three planes, scale by scale."""

    low: Tensor
    high: Tensor

    def __init__(self, channels: int, resolutions: tuple[int, ...]) -> None:
        super().__init__()
        self.planes = nn.ParameterList([
            nn.Parameter(torch.empty(3, channels, side, side).uniform_(0.1, 0.5)) for side in resolutions
        ])
        self.register_buffer("low", torch.full((3,), -0.1))
        self.register_buffer("high", torch.full((3,), 0.1))

    def cover(self, points: Tensor) -> None:
        """Take the box of these points [N, 3], those that training starts with."""
        self.low.copy_(points.min(0).values)
        self.high.copy_(points.max(0).values)

    def forward(self, points: Tensor) -> Tensor:
        """points [N, 3] in metres -> [N, channels x scales]; beyond the box, what its border has."""
        unit = (points - self.low) / (self.high - self.low) * 2 - 1
        places = torch.stack([unit[:, list(axes)] for axes in PLANES])[:, :, None]  # [3, N, 1, 2]
        found = [F.grid_sample(p, places, align_corners=True, padding_mode="border").prod(0)[..., 0].T for p in self.planes]
        return torch.cat(found, 1)


class CanonicalHead(nn.Module):
    """Opacity and colour of a Gaussian before any speech, by its features; the first stage's.  (The official class also has heads
    of scale and rotation that nothing reads.)"""

    def __init__(self, width: int, hidden: int, bands: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, hidden))
        self.opacity, self.sh = (_head(hidden, hidden, outputs) for outputs in (1, 3 * bands))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """features [N, width] -> raw opacities [N], sh [N, bands, 3]."""
        hidden = self.trunk(features)
        return self.opacity(hidden)[:, 0], self.sh(hidden).view(len(features), -1, 3)


class CrossAttention(nn.Module):
    """One layer: Gaussians [N, D] ask four tokens [B, 4, D]; no attention among Gaussians."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        d, self.heads = config.width, config.attention_heads
        self.query, self.key, self.value, self.out = (nn.Linear(d, d) for _ in range(4))
        self.first_norm, self.second_norm = (nn.LayerNorm(d, eps=NORM_EPSILON) for _ in range(2))
        self.widen, self.narrow = nn.Linear(d, 2 * d), nn.Linear(2 * d, d)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, features: Tensor, tokens: Tensor) -> Tensor:
        """features [N, D] or [B, N, D], tokens [B, 4, D] -> [B, N, D]."""
        query, key, value = (self._split(x) for x in (self.query(features), self.key(tokens), self.value(tokens)))
        weights = torch.softmax(query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1]), -1)
        heard = self.out((weights @ value).transpose(-2, -3).flatten(-2))
        x = self.first_norm(features + self.dropout(heard))
        return self.second_norm(x + self.dropout(self.narrow(self.dropout(torch.relu(self.widen(x))))))

    def _split(self, x: Tensor) -> Tensor:
        """[..., L, D] -> [..., heads, L, D / heads]."""
        return x.unflatten(-1, (self.heads, -1)).transpose(-2, -3)


class Signals(NamedTuple):
    """What drives B frames: audio features [B, window, 16, C]; blinks [B] from 0 to 1; cameras [B, 12]."""

    audio: Tensor
    blinks: Tensor
    cameras: Tensor


class Deformed(NamedTuple):
    """What is added to the raw attributes of N Gaussians in B frames: means [B, N, 3] m, log-scales [B, N, 3], quats [B, N, 4],
    raw opacities [B, N], sh [B, N, bands, 3]."""

    means: Tensor
    scales: Tensor
    quats: Tensor
    opacities: Tensor
    sh: Tensor


class Network(nn.Module):
    """Everything but the Gaussians."""

    def __init__(self, config: NetworkConfig, columns: int, bands: int) -> None:
        """columns: of the audio features; bands: (SH degree + 1)^2."""
        super().__init__()
        d, a = config.width, config.audio_width
        self.planes = FeaturePlanes(config.channels, config.resolutions)
        self.canonical = CanonicalHead(d, config.hidden, bands)
        self.audio = AudioEncoder(columns, a, config.window)
        plain(self.audio)
        self.audio_token, self.eye_token = (mlp(a, d, d) if d != a else nn.Identity() for _ in range(2))  # GT deformation.py:169
        self.camera_token = mlp(CAMERA, d, d)
        self.null_token = nn.Parameter(torch.randn(d))
        self.layers = nn.ModuleList([CrossAttention(config) for _ in range(config.layers)])
        self.heads = nn.ModuleDict({
            name: _head(d, config.hidden, outputs)
            for name, outputs in (("means", 3), ("scales", 3), ("quats", 4), ("opacities", 1), ("sh", 3 * bands))
        })
        frequencies = PERIOD ** (2 * (torch.arange(a) // 2) / a)
        self.register_buffer("frequencies", frequencies, persistent=False)
        _xavier(self)

    def tokens(self, signals: Signals) -> Tensor:
        """Audio, eyes, camera and the learnt null token of B frames, [B, 4, D]."""
        audio = torch.stack([self.audio(one) for one in signals.audio])
        eyes = sinusoid(signals.blinks, self.frequencies)  # type: ignore[arg-type]
        null = self.null_token.expand(len(audio), -1)
        return torch.stack([self.audio_token(audio), self.eye_token(eyes), self.camera_token(signals.cameras), null], 1)

    def deform(self, features: Tensor, tokens: Tensor) -> Deformed:
        """The deformation of Gaussians with these features [N, D] by tokens [B, 4, D]."""
        x = features
        for layer in self.layers:
            x = layer(x, tokens)
        parts: Mapping[str, Tensor] = {name: head(x) for name, head in self.heads.items()}
        return Deformed(
            parts["means"] * SHIFT, parts["scales"], parts["quats"], parts["opacities"][..., 0], parts["sh"].unflatten(-1, (-1, 3))
        )


def sinusoid(values: Tensor, frequencies: Tensor) -> Tensor:
    """values [B] -> [B, width]: sines at even and cosines at odd places; values are multiplied, up to 5,623 rad (GT
    deformation.py:103-114)."""
    angles = values[:, None] * frequencies
    even = torch.arange(len(frequencies), device=values.device) % 2 == 0
    return torch.where(even, torch.sin(angles), torch.cos(angles))


def _head(width: int, hidden: int, outputs: int) -> nn.Sequential:
    """ReLU, width-hidden, ReLU, hidden-outputs."""
    return nn.Sequential(nn.ReLU(), nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


def _xavier(network: Network) -> None:
    """Xavier of gain 1, of .1 for their last layers, and zero biases for the deformation heads (GT deformation.py:414-418)."""
    for head in network.heads.values():
        assert isinstance(head, nn.Sequential)
        for index, gain in ((1, 1.0), (3, 0.1)):
            layer = head[index]
            assert isinstance(layer, nn.Linear)
            nn.init.xavier_uniform_(layer.weight, gain)
            nn.init.zeros_(layer.bias)

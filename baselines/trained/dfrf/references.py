"""Features of reference pictures, looked up where a sample falls in each, moved by what the sound says."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from d3talker.graphics.encoding.grid import frequency

COLOUR_LEVELS, CAMERA_LEVELS, POINT_LEVELS = 5, 5, 10
COLOUR, CAMERA, POINT = (3 * (1 + 2 * levels) for levels in (COLOUR_LEVELS, CAMERA_LEVELS, POINT_LEVELS))
LONGEST = 10.0  # px, of an offset (run_nerf_deform.py:254-295)
WARP = (128, 32)


class References(NamedTuple):
    """R pictures of one person: features [R, C, H, W], viewmats [R, 4, 4], K [3, 3]."""

    features: Tensor
    viewmats: Tensor
    K: Tensor

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.features.shape[2], self.features.shape[3]


class ReferenceEncoder(nn.Module):
    """CNN at full resolution on frequency-coded colours and camera position (helpers:476-488).

    The camera's channels are one number each over a picture, so that they enter as a bias; at the border that is replicate padding
    where the official code pads with zeros.
    """

    def __init__(self, channels: tuple[int, int, int]) -> None:
        super().__init__()
        first, second, third = channels
        self.first = nn.Conv2d(COLOUR + CAMERA, first, 3, padding=1)
        self.second = nn.Conv2d(first, second, 3, padding=1)
        self.third = nn.Conv2d(second, third, 1)

    def forward(self, pictures: Tensor, positions: Tensor) -> Tensor:
        """pictures [R, H, W, 3] in [0, 1], camera positions [R, 3] in metres -> [R, C, H, W]."""
        coded = frequency(pictures, COLOUR_LEVELS).permute(0, 3, 1, 2)
        by_colour, by_camera = self.first.weight.split([COLOUR, CAMERA], 1)
        shift = frequency(positions, CAMERA_LEVELS) @ by_camera.sum((2, 3)).T
        hidden = F.conv2d(coded, by_colour, self.first.bias, padding=1) + shift[..., None, None]
        return self.third(self.second(hidden.relu()).relu())


def gather(encoder: ReferenceEncoder, pictures: Tensor, viewmats: Tensor, K: Tensor) -> References:
    """References of pictures [R, H, W, 3] in [0, 1] with their cameras."""
    positions = -(viewmats[:, :3, 3][:, None] @ viewmats[:, :3, :3])[:, 0]
    return References(encoder(pictures, positions), viewmats, K)


def project(points: Tensor, references: References) -> Tensor:
    """points [M, 3] -> pixel indices (x, y) [R, M, 2] in each reference, clamped to it; a pixel's centre is its index."""
    view, K = references.viewmats, references.K
    seen = points @ view[:, :3, :3].transpose(1, 2) + view[:, None, :3, 3]
    flat = seen[..., :2] / seen[..., 2:].clamp_min(1e-6) * torch.stack([K[0, 0], K[1, 1]]) + K[:2, 2] - 0.5
    height, width = references.size
    return flat.clamp_min(0).minimum(flat.new_tensor([width - 1, height - 1]))


def nearest(references: References, pixels: Tensor) -> Tensor:
    """Features [R, M, C] at the rounded pixels [R, M, 2]."""
    _, width = references.size
    index = (pixels[..., 1].round() * width + pixels[..., 0].round()).long()
    flat = references.features.flatten(2).transpose(1, 2)
    return flat.gather(1, index[..., None].expand(-1, -1, flat.shape[2]))


def between(references: References, pixels: Tensor) -> Tensor:
    """Features [R, M, C] at pixels [R, M, 2] between the centres; those outside take the border's."""
    height, width = references.size
    unit = (2 * pixels + 1) / pixels.new_tensor([width, height]) - 1
    found = F.grid_sample(references.features, unit[:, :, None], padding_mode="border", align_corners=False)
    return found[..., 0].transpose(1, 2)


class FaceWarp(nn.Module):
    """Offsets in pixels by place, sound and the feature at hand (helpers:748-764); at first next to nothing."""

    def __init__(self, features: int, audio: int) -> None:
        super().__init__()
        first, second = WARP
        self.first = nn.Linear(POINT + audio + features, first)
        self.second, self.third = nn.Linear(first, second), nn.Linear(second, 2)
        for layer in (self.first, self.second, self.third):
            nn.init.normal_(layer.weight, 0, 1e-3)
            nn.init.zeros_(layer.bias)

    def forward(self, coded: Tensor, audio: Tensor, features: Tensor) -> Tensor:
        """Coded points [M, 63], audio code [A], features [R, M, C] -> offsets [R, M, 2]; the last two learn nothing here."""
        by_point, by_sound, by_feature = self.first.weight.split([POINT, len(audio), features.shape[-1]], 1)
        common = F.linear(coded, by_point, self.first.bias + by_sound @ audio.detach())
        hidden = (common + F.linear(features.detach(), by_feature)).relu()
        return self.third(self.second(hidden).relu()).clamp(-LONGEST, LONGEST)

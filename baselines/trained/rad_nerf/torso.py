"""RAD-NeRF's torso: a picture that a small net moves with the head's pose (network.py:158-167, 188-219), behind the head."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.trained.rad_nerf.options import NetConfig
from d3talker.graphics.encoding.grid import GridEncoder, frequency
from d3talker.learning.encoders import mlp

SHRINK = 0.8  # of coordinates, so that what moves in finds its place (main.py:46)
PIXEL_LEVELS, POSE_LEVELS = 10, 4
PIXEL, POSE = 2 * (1 + 2 * PIXEL_LEVELS), 6 * (1 + 2 * POSE_LEVELS)
WIDE, NARROW = 64, 32


class Torso(NamedTuple):
    """Of N pixels: colour [N, 3] and opacity [N], both in [0, 1]."""

    colour: Tensor
    alpha: Tensor

    def over(self, back: Tensor) -> Tensor:
        """Colours [N, 3] before the background [N, 3]."""
        return self.alpha[:, None] * self.colour + (1 - self.alpha[:, None]) * back


class TorsoNet(nn.Module):
    """individual [T, I]: a code for each training frame; test frames take the first."""

    def __init__(self, config: NetConfig, frames: int) -> None:
        super().__init__()
        sizes = config.levels, 2, config.base_resolution, config.desired_resolution, config.log2_table
        self.encoder = GridEncoder(2, "tiled", *sizes, 1.0)
        entering = PIXEL + POSE + config.torso_individual
        self.offset_net = mlp(entering, WIDE, WIDE, 2)
        self.net = mlp(self.encoder.width + entering, NARROW, NARROW, 4)
        self.individual = nn.Parameter(0.1 * torch.randn(frames, config.torso_individual))

    def forward(self, places: Tensor, pose: Tensor, index: int = 0) -> Torso:
        """places [N, 2] (row, column) in +-1, pose [6] as `pose_code` gives it."""
        places = places * SHRINK
        constant = torch.cat([frequency(pose, POSE_LEVELS), self.individual[index]])
        entering = torch.cat([frequency(places, PIXEL_LEVELS), constant.expand(len(places), -1)], 1)
        moved = (places + self.offset_net(entering)).clamp(-1, 1)
        out = torch.sigmoid(self.net(torch.cat([self.encoder(moved), entering], 1)))
        return Torso(out[:, 1:], out[:, 0])


def places_of(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """Centres of pixels (x, y) [N, 2] as (row, column) in +-1; size: height and width (utils.py:240-245)."""
    return (2 * (pixels.flip(-1) + 0.5) / torch.tensor(size, device=pixels.device) - 1).float()


def pose_code(viewmat: Tensor) -> Tensor:
    """Euler angles about x, y and z, in radians, of the camera in the world, and its place in 0.25 m, [6] (utils.py:231-237)."""
    turn = viewmat[:3, :3].T
    angles = torch.stack([
        torch.atan2(turn[2, 1], turn[2, 2]), torch.asin(-turn[2, 0].clamp(-1, 1)), torch.atan2(turn[1, 0], turn[0, 0]),
    ])
    return torch.cat([angles, -turn @ viewmat[:3, 3] / 0.25])


def torso_loss(torso: Torso, back: Tensor, true: Tensor, entropy: Tensor, weight: float) -> Tensor:
    """Squared error against the frame without its head, and the entropy of the opacity."""
    return F.mse_loss(torso.over(back), true) + weight * entropy

"""A radiance field driven frame by frame, and how its rays become pixels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from d3talker.graphics.layers import Camera
from d3talker.graphics.volume import Composite, OccupancyGrid, Rays, Samples, camera_rays, composite, march, pixel_grid, trace
from d3talker.learning.encoders import AudioEncoder


class Code(NamedTuple):
    """What one frame tells the field: audio code [A], eye signal [1], individual code [I]."""

    audio: Tensor
    eye: Tensor
    own: Tensor


class Found(NamedTuple):
    """Of M samples: density sigma [M]; values [M, 3 ...], colour first, summed with weights; extras [M, E], summed without."""

    sigma: Tensor
    values: Tensor
    extras: Tensor


class RadianceField(nn.Module, ABC):
    """Nets of one head.  individual [T, I]: a code for each training frame; test frames take the first (renderer.py:197-202)."""

    audio: AudioEncoder
    individual: nn.Parameter

    def code(self, window: Tensor, eye: Tensor, index: int = 0) -> Code:
        """Audio window [8, 16, C], eye signal [1], training frame `index` -> its code."""
        return Code(self.audio(window), eye, self.individual[index])

    @abstractmethod
    def density(self, positions: Tensor, code: Code) -> Tensor:
        """positions [M, 3] in metres -> sigma [M]."""

    @abstractmethod
    def found(self, positions: Tensor, along: Tensor, code: Code) -> Found:
        """All that training reads of samples; along: unit directions [M, 3]."""

    @abstractmethod
    def seen(self, positions: Tensor, along: Tensor, code: Code) -> tuple[Tensor, Tensor]:
        """sigma [M] and colour [M, 3], what a picture needs."""


def linear(net: nn.Sequential, number: int) -> nn.Linear:
    """The net's linear layer of this number, between which are its ReLUs."""
    return cast(nn.Linear, net[2 * number])


class Drawn(NamedTuple):
    """Rays in training: picture [N, 3] in [0, 1], what was composited, its samples and their directions [M, 3]."""

    picture: Tensor
    made: Composite
    samples: Samples
    along: Tensor


def draw(field: RadianceField, grid: OccupancyGrid, rays: Rays, code: Code, back: Tensor, jitter: Tensor) -> Drawn:
    """Rays over their background [N, 3]; jitter [N] in [0, 1) moves each ray's samples by a part of a step."""
    samples = march(rays, grid, jitter=jitter)
    along = rays.directions[samples.rays]
    sigma, values, extras = field.found(samples.positions, along, code)
    made = composite(sigma, values, samples, extras)
    picture = made.sums[:, :3] + (1 - made.alpha)[:, None] * back
    return Drawn(picture.clamp(0, 1), made, samples, along)


@torch.no_grad()
def picture(field: RadianceField, grid: OccupancyGrid, code: Code, camera: Camera, back: Tensor) -> Tensor:
    """One frame [H, W, 3] in [0, 1] over `back` [H, W, 3], without jitter."""
    pixels = pixel_grid(camera.height, camera.width, back.device)
    rays = camera_rays(camera.viewmat, camera.K, pixels)
    colour, alpha = trace(rays, grid, lambda positions, along: field.seen(positions, along, code))
    return (colour + (1 - alpha)[:, None] * back.flatten(0, 1)).clamp(0, 1).view_as(back)

"""Rays of a pinhole camera through pixels, in metres, and where they cross a box about the head."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from d3talker.errors import UserError

HALVES = (0.25, 0.25, 0.125)  # m; RAD-NeRF's box: bound 1 of 0.25 m, half of it along the axis out of the face (renderer.py:86)
UNIT = 0.25  # m; RAD-NeRF's unit of length (a scale of 4, main.py:53), in which densities are given
MIN_NEAR = 0.05 * UNIT  # RAD-NeRF main.py:58


class Rays(NamedTuple):
    """origins and unit directions [N, 3] in world axes; near and far [N] in metres along the ray, near >= far where it misses."""

    origins: Tensor
    directions: Tensor
    near: Tensor
    far: Tensor

    def take(self, chosen: Tensor | slice) -> Rays:
        """The rays that an index, a slice or a mask chooses."""
        return Rays(*(value[chosen] for value in (self.origins, self.directions, self.near, self.far)))


def pixel_grid(height: int, width: int, device: torch.device | str = "cpu") -> Tensor:
    """All pixels (x, y) of a picture row by row, int64 [H * W, 2]."""
    index = torch.arange(height * width, device=device)
    return torch.stack([index % width, index // width], -1)


def directions(viewmat: Tensor, K: Tensor, pixels: Tensor, centre: float = 0.5) -> Tensor:
    """World directions [N, 3] through pixels [N, 2] (x, y) at + centre, of length 1 along the camera's axis.

    viewmat [4, 4] world to camera, OpenCV axes; K [3, 3] in pixels.  Raises UserError for a camera that is not finite.
    """
    if not (torch.isfinite(viewmat).all() and torch.isfinite(K).all()):
        raise UserError("a camera holds NaN or infinity; prepare the subject again")
    points = pixels.to(K.dtype) + centre
    flat = (points - K[:2, 2]) / torch.stack([K[0, 0], K[1, 1]])
    return torch.cat([flat, torch.ones_like(flat[:, :1])], -1) @ viewmat[:3, :3]  # rows times R are R^T times columns


def camera_rays(viewmat: Tensor, K: Tensor, pixels: Tensor, halves: tuple[float, float, float] = HALVES) -> Rays:
    """Rays of pixels [N, 2] (x, y) cut by the box of half sides `halves` about the origin (RAD-NeRF utils.py:268-328)."""
    along = torch.nn.functional.normalize(directions(viewmat, K, pixels), dim=-1)
    origin = -viewmat[:3, 3] @ viewmat[:3, :3]
    origins = origin.expand_as(along).contiguous()
    return Rays(origins, along, *box_range(origins, along, halves))


def box_range(origins: Tensor, along: Tensor, halves: tuple[float, float, float]) -> tuple[Tensor, Tensor]:
    """Distances [N] at which rays enter and leave the box; near is at least MIN_NEAR, and a ray that misses has near >= far."""
    half = origins.new_tensor(halves)
    safe = torch.where(along.abs() < 1e-12, 1e-12, along)
    one, other = (-half - origins) / safe, (half - origins) / safe
    near, far = torch.minimum(one, other).amax(-1), torch.maximum(one, other).amin(-1)
    return near.clamp_min(MIN_NEAR), far

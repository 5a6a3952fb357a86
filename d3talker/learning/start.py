"""Where the Gaussians of a region start: in a cube, or on the surface of the subject's fitted head."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from d3talker.graphics.gaussians import Gaussians, neighbour_distance
from d3talker.graphics.options import GaussianConfig, Region
from d3talker.learning.views import Views
from d3talker.people.head.embedded import INSIDE, embedded_head

COLOR_FRAMES, MOUTH_FRAMES = 12, 100  # of most, the mouth is shut
DARK = (0.25, 0.1, 0.1)
MAX_SCALE = 0.01  # metres: a lonely point must not start as a cloud over the whole face


def start(
    region: Region | None, config: GaussianConfig, views: Views, identity: np.ndarray, rest: np.ndarray, generator: torch.Generator,
    activation: Literal["softplus", "exp"] = "softplus",
) -> Gaussians:
    """The first Gaussians of a region, or of a whole head with as many as a face; identity [I] and rest [E] are the fitted head's
    coefficients; activation: of the scales."""
    count = config.mouth_points if region == "mouth" else config.face_points
    rgb = None
    if config.start == "mesh":
        means = _on_head(region, identity, rest, count, generator)
        rgb = _inside_color(views).expand(count, 3) if region == "mouth" else _colors(means, views)
    else:
        means = (torch.rand(count, 3, generator=generator) * 2 - 1) * config.extent
        if region == "mouth":  # InsTaG: half the cube, 5 cm lower; ours about the fitted head's mouth, whose teeth that misses
            means = means * 0.5 + _mouth(identity, rest).mean(0)
    scales = neighbour_distance(means).clamp_max(MAX_SCALE)[:, None].expand(-1, 3)
    return Gaussians(means, scales, config.sh_degree, rgb, activation)


def _mouth(identity: np.ndarray, rest: np.ndarray) -> Tensor:
    """What lies inside the fitted head's mouth [V, 3]: teeth, tongue, and its walls."""
    model = embedded_head()
    return torch.from_numpy(model.vertices(identity, rest)[model.region_mask(*INSIDE)])


def _on_head(
    region: Region | None, identity: np.ndarray, rest: np.ndarray, count: int, generator: torch.Generator
) -> Tensor:
    """Points [count, 3] spread evenly over the head's skin, or over what lies inside its mouth, or over both."""
    model = embedded_head()
    inside = model.region_mask(*INSIDE)[model.triangles].any(1)
    triangles = model.triangles if region is None else model.triangles[inside if region == "mouth" else ~inside]
    corners = torch.from_numpy(model.vertices(identity, rest))[torch.from_numpy(triangles).long()]
    area = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).norm(dim=-1)
    chosen = corners[torch.multinomial(area, count, replacement=True, generator=generator)]
    u, v = torch.rand(2, count, 1, generator=generator)
    u, v = torch.where(u + v > 1, 1 - u, u), torch.where(u + v > 1, 1 - v, v)
    return chosen[:, 0] + u * (chosen[:, 1] - chosen[:, 0]) + v * (chosen[:, 2] - chosen[:, 0])


def _inside_color(views: Views) -> Tensor:
    """Mean colour [3] of the mouth's pixels: what no frame shows keeps it; a dark red where the mouth is always shut."""
    chosen = torch.linspace(0, len(views) - 1, min(MOUTH_FRAMES, len(views))).long().tolist()
    found = [image[mouth[..., 0]] for image, _, _, mouth, _ in map(views.host, chosen)]
    pixels = torch.cat(found).float() / 255
    return pixels.mean(0) if len(pixels) else torch.tensor(DARK)


def _colors(means: Tensor, views: Views) -> Tensor:
    """Mean colour [N, 3] of the pixels that the points fall on, over a few frames."""
    total = torch.zeros_like(means)
    chosen = torch.linspace(0, len(views) - 1, min(COLOR_FRAMES, len(views))).long().tolist()
    height, width = views.size
    K = views.K.cpu()
    for index in chosen:
        viewmat = views.viewmats[index].cpu()
        points = means @ viewmat[:3, :3].T + viewmat[:3, 3]
        pixels = (points @ K.T)[:, :2] / points[:, 2:]
        x, y = pixels[:, 0].long().clamp(0, width - 1), pixels[:, 1].long().clamp(0, height - 1)
        total += views.host(index).image[y, x].float() / 255
    return total / len(chosen)

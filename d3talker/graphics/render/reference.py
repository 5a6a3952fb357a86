"""The readable rasteriser in plain torch: any dtype, any device, gradients by autograd; the others are held to it.

EWA splatting (Zwicker et al. 2001; Kerbl et al. 2023, eq. 3-5) with gsplat's conventions.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from d3talker.graphics.render.geometry import covariances
from d3talker.graphics.render.scene import ALPHA_MAX, ALPHA_MIN, EPS2D, NEAR, T_STOP, Rendering, Scene

TILE = 16


class Projection(NamedTuple):
    """Gaussians of one camera in its image plane."""

    centres: Tensor  # [N, 2] px
    conics: Tensor  # [N, 3] xx, xy, yy of the inverse covariance
    depths: Tensor  # [N]
    reach: Tensor  # [N, 2] px: half the box outside which alpha < 1/255; 0 where culled


def project(
    means: Tensor, cov: Tensor, opacities: Tensor, viewmat: Tensor, K: Tensor, width: int, height: int
) -> Projection:
    """First-order projection of means [N, 3] and cov [N, 3, 3] through one pinhole camera."""
    turn = viewmat[:3, :3]
    camera = means @ turn.T + viewmat[:3, 3]
    seen = (camera[:, 2] > NEAR) & (opacities >= ALPHA_MIN)
    flat = flattened(camera, cov, turn, K, width, height)
    xx, xy, yy = flat[:, 0, 0], flat[:, 0, 1], flat[:, 1, 1]
    det = xx * yy - xy * xy
    seen = seen & (det > 0)
    det = torch.where(seen, det, torch.ones_like(det))
    z = torch.where(camera[:, 2] > NEAR, camera[:, 2], torch.ones_like(det))
    centres = torch.stack([K[0, 0] * camera[:, 0] / z + K[0, 2], K[1, 1] * camera[:, 1] / z + K[1, 2]], -1)
    with torch.no_grad():
        sigma = torch.log(opacities.clamp_min(ALPHA_MIN) / ALPHA_MIN)
        reach = torch.sqrt(2 * sigma[:, None] * torch.stack([xx, yy], -1)) * seen[:, None]
    return Projection(centres, torch.stack([yy, -xy, xx], -1) / det[:, None], camera[:, 2], reach)


def flattened(camera: Tensor, cov: Tensor, turn: Tensor, K: Tensor, width: int, height: int) -> Tensor:
    """Covariances [N, 2, 2] in px² of what the camera sees of cov [N, 3, 3]: centres `camera` [N, 3] in its axes, turn [3, 3]."""
    z = torch.where(camera[:, 2] > NEAR, camera[:, 2], torch.ones_like(camera[:, 2]))
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    # the Jacobian is taken no further out than 15 % of the image beyond its edge, where the linearisation still holds
    tx = torch.clamp(camera[:, 0] / z, -(cx + 0.15 * width) / fx, (1.15 * width - cx) / fx)
    ty = torch.clamp(camera[:, 1] / z, -(cy + 0.15 * height) / fy, (1.15 * height - cy) / fy)
    zero = torch.zeros_like(z)
    jacobian = torch.stack([fx / z, zero, -fx * tx / z, zero, fy / z, -fy * ty / z], -1).view(-1, 2, 3)
    lift = jacobian @ turn
    return lift @ cov @ lift.transpose(-1, -2) + EPS2D * torch.eye(2, dtype=cov.dtype, device=cov.device)


def composite(rows: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Blend depth-sorted Gaussians over pixels [P, 2]: rows [G, 6 + F] = centre, conic, opacity, features.

    Returns the features [P, F] and the accumulated alpha [P, 1].
    """
    dx, dy = (pixels[:, None] - rows[:, :2]).unbind(-1)
    a, b, c, opacity = rows[:, 2:6].unbind(-1)
    sigma = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
    alpha = (opacity * torch.exp(-sigma)).clamp_max(ALPHA_MAX)
    alpha = torch.where((alpha >= ALPHA_MIN) & (sigma >= 0), alpha, torch.zeros_like(alpha))
    after = torch.cumprod(1 - alpha, dim=1)
    before = torch.cat([torch.ones_like(after[:, :1]), after[:, :-1]], dim=1)
    weights = torch.where(after > T_STOP, alpha * before, torch.zeros_like(alpha))
    return weights @ rows[:, 6:], weights.sum(1, keepdim=True)


def tiles_of(projection: Projection, width: int, height: int) -> tuple[list[tuple[int, int]], list[Tensor]]:
    """Corners (x, y) of all TILE-sized squares, and for each the indices [n] of the Gaussians that reach it, nearest first."""
    order = torch.argsort(projection.depths, stable=True)
    order = order[projection.reach[order, 0] > 0]
    low, high = (projection.centres - projection.reach)[order], (projection.centres + projection.reach)[order]
    corners, members = [], []
    for y in range(0, height, TILE):
        band = (low[:, 1] < y + TILE) & (high[:, 1] > y)
        for x in range(0, width, TILE):
            corners.append((x, y))
            members.append(order[band & (low[:, 0] < x + TILE) & (high[:, 0] > x)])
    return corners, members


def render_camera(projection: Projection, opacities: Tensor, features: Tensor, width: int, height: int) -> Tensor:
    """Features [N, F] of one camera -> [H, W, F + 1], the last channel being alpha."""
    with torch.no_grad():
        corners, members = tiles_of(projection, width, height)
    table = torch.cat([projection.centres, projection.conics, opacities[:, None], features], dim=1)
    rows = table[torch.cat(members)].split([len(member) for member in members])
    strips: list[Tensor] = []
    strip: list[Tensor] = []
    for (x, y), row in zip(corners, rows):
        w, h = min(TILE, width - x), min(TILE, height - y)
        if len(row):
            ys, xs = torch.meshgrid(torch.arange(h) + y + 0.5, torch.arange(w) + x + 0.5, indexing="ij")
            pixels = torch.stack([xs, ys], -1).view(-1, 2).to(table)
            strip.append(torch.cat(composite(row, pixels), 1).view(h, w, -1))
        else:
            strip.append(table.new_zeros(h, w, features.shape[1] + 1))
        if x + TILE >= width:
            strips.append(torch.cat(strip, dim=1))
            strip = []
    return torch.cat(strips, dim=0)


def rasterize(scene: Scene, normals: Tensor | None) -> Rendering:
    """Render a Scene; normals [C, N, 3] are composited as further features where given."""
    cov = covariances(scene.quats, scene.scales)
    images = []
    for camera in range(scene.cameras):
        means, spread, opacities, colors = (
            value[min(camera, value.shape[0] - 1)] for value in (scene.means, cov, scene.opacities, scene.colors)
        )
        view, K, size = scene.viewmats[camera], scene.Ks[camera], (scene.width, scene.height)
        projection = project(means, spread, opacities, view, K, *size)
        features = [colors, projection.depths[:, None]] + ([] if normals is None else [normals[camera]])
        images.append(render_camera(projection, opacities, torch.cat(features, 1), *size))
    image = torch.stack(images)
    rgb, depth, alpha = image[..., :3], image[..., 3:4], image[..., -1:]
    if scene.background is not None:
        rgb = rgb + (1 - alpha) * scene.background
    return Rendering(rgb, alpha, depth, None if normals is None else image[..., 4:7])

"""What RAD-NeRF and ER-NeRF compare a step's rays with: pixels, the lips' square, patches; and which lie in the face's box."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from d3talker.learning.staging import send
from d3talker.learning.views import Views, image


class Target(NamedTuple):
    """N pixels (x, y) int64 [N, 2] of one frame: true and background colours [N, 3] in [0, 1], and whether they lie in the face's
    box [N].  shape: (patches, height, width) where they form patches, else None."""

    pixels: Tensor
    true: Tensor
    back: Tensor
    face: Tensor
    shape: tuple[int, int, int] | None = None


def random_pixels(count: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Pixels drawn with repetition (utils.py:306)."""
    index = torch.randint(size[0] * size[1], (count,), generator=generator)
    return torch.stack([index % size[1], index // size[1]], -1)


def box_pixels(box: Tensor) -> tuple[Tensor, tuple[int, int, int]]:
    """All pixels of a box x0, y0, x1, y1, row by row, and their shape."""
    x0, y0, x1, y1 = box.tolist()
    rows, columns = torch.meshgrid(torch.arange(y0, y1), torch.arange(x0, x1), indexing="ij")
    return torch.stack([columns, rows], -1).flatten(0, 1), (1, y1 - y0, x1 - x0)


def patch_pixels(count: int, side: int, size: tuple[int, int], generator: torch.Generator) -> tuple[Tensor, tuple[int, int, int]]:
    """`count` squares anywhere in the picture (utils.py:272-303)."""
    rows, columns = (torch.randint(max(whole - side, 0) + 1, (count,), generator=generator) for whole in size)
    side = min(side, *size)
    step = torch.arange(side)
    y = (rows[:, None, None] + step[:, None]).expand(-1, -1, side)
    x = (columns[:, None, None] + step).expand(-1, side, -1)
    return torch.stack([x, y], -1).flatten(0, 2), (count, side, side)


def target(views: Views, index: int, pixels: Tensor, face: Tensor, shape: tuple[int, int, int] | None = None) -> Target:
    """Colours of pixels (on the host) of frame `index`, on the device; face [4]: the face's box x0, y0, x1, y1."""
    view = views.host(index)
    x, y = pixels.unbind(-1)
    inside = (x >= face[0]) & (x < face[2]) & (y >= face[1]) & (y < face[3])
    sent = send([pixels, view.image[y, x], view.back[y, x], inside], views.viewmats.device)
    return Target(sent[0], image(sent[1]), image(sent[2]), sent[3], shape)


def point_boxes(landmarks: np.ndarray, points: Sequence[int], size: tuple[int, int]) -> Tensor:
    """Bounding boxes [T, 4] (x0, y0, x1, y1) of some of the landmarks [T, 68, 2], inside (height, width) and never empty."""
    chosen = landmarks[:, list(points)]
    first = np.floor(chosen.min(1)).astype(int).clip(0, np.array([size[1], size[0]]) - 1)
    last = np.ceil(chosen.max(1)).astype(int).clip(first + 1, [size[1], size[0]])
    return torch.from_numpy(np.concatenate([first, last], 1))


def lip_squares(landmarks: np.ndarray, size: tuple[int, int]) -> Tensor:
    """Squares [T, 4] about points 48-59, as wide as the longer side of their box, cut at the picture (provider.py:487-502)."""
    lips = landmarks[:, 48:60]
    low, high = lips.min(1), lips.max(1)
    half = np.maximum(np.ceil((high - low).max(1) / 2), 2)[:, None]
    middle = np.round((low + high) / 2)
    limit = np.array([size[1], size[0]])
    first = (middle - half).astype(int).clip(0, limit - 4)
    return torch.from_numpy(np.concatenate([first, (middle + half).astype(int).clip(first + 4, limit)], 1))

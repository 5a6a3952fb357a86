"""A subject's frames for training: pictures and masks on the host, and what one step reads of one frame, on the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from d3talker.graphics.layers import Camera
from d3talker.learning.staging import Shelf, room
from d3talker.people.subject.layout import Frame, Subject
from d3talker.people.subject.palette import Label


class View(NamedTuple):
    """One frame: image and back (torso over background) uint8 [H, W, 3]; head (face and hair), mouth and hair bool [H, W, 1]."""

    image: Tensor
    back: Tensor
    head: Tensor
    mouth: Tensor
    hair: Tensor


@dataclass(frozen=True)
class Views:
    """T frames of `size` (height, width), whose pictures stay on the host.

    lips [T, 4]: the mouth's box as x0, y0, x1, y1 in pixels, of one size for the whole clip, on the host; viewmats [T, 4, 4] and
    K [3, 3] on the device.
    """

    shelf: Shelf
    size: tuple[int, int]
    lips: Tensor
    viewmats: Tensor
    K: Tensor

    def __len__(self) -> int:
        return self.viewmats.shape[0]

    def host(self, index: int) -> View:
        """Frame `index` on the host."""
        return View(*self.shelf[index])

    def with_mouth(self, pixels: float) -> list[int]:
        """The frames that show the inside of the mouth with so many pixels of 512x512, in proportion; all where none does."""
        pixels = max(pixels * self.size[0] * self.size[1] / 512**2, 1)
        found = [index for index in range(len(self)) if int(self.host(index).mouth.sum()) >= pixels]
        return found or list(range(len(self)))

    def extent(self) -> float:
        """1.1 times the largest distance of a camera from their mean, in metres (3DGS): the head stands still, the camera moves."""
        rotations, shifts = self.viewmats[:, :3, :3], self.viewmats[:, :3, 3:]
        centers = -(rotations.transpose(1, 2) @ shifts)[..., 0]
        return 1.1 * float((centers - centers.mean(0)).norm(dim=1).max())

    def camera(self, index: int) -> Camera:
        """Camera of frame `index`."""
        return Camera(self.viewmats[index], self.K, self.size[1], self.size[0])


def load_views(subject: Subject, frames: Sequence[Frame], device: torch.device, share: float = 1.0) -> Views:
    """Read the pictures of `frames`, as many as `share` of the room for them holds; the others at each use.

    Raises UserError naming what is missing.
    """
    def read(indices: Sequence[int]) -> list[tuple[Tensor, ...]]:
        return [tuple(_view(subject, frames[index].img_id)) for index in indices]

    shelf = Shelf(read, len(frames), int(room() * share), f"reading {subject.name}")
    landmarks = subject.landmarks([frame.img_id for frame in frames])
    return Views(
        shelf, subject.size, torch.from_numpy(lip_boxes(landmarks, subject.size)),
        torch.from_numpy(Subject.viewmats(frames)).float().to(device), torch.from_numpy(subject.K).float().to(device),
    )


def _view(subject: Subject, img_id: int) -> View:
    labels = subject.labels(img_id)[..., None]
    parts = subject.gt(img_id), subject.torso_over_background(img_id), (labels == Label.FACE) | (labels == Label.HAIR)
    return View(*map(torch.from_numpy, (*parts, labels == Label.MOUTH, labels == Label.HAIR)))


def image(frame: Tensor) -> Tensor:
    """uint8 [..., 3] -> float32 in [0, 1]."""
    return frame / 255


def lip_boxes(landmarks: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Boxes [T, 4] (x0, y0, x1, y1) about points 48-67 of [T, 68, 2], a quarter wider, of one size, inside (height, width)."""
    points = landmarks[:, 48:]
    center = (points.min(1) + points.max(1)) / 2
    side = np.ceil(1.25 * (points.max(1) - points.min(1)).max(0)).astype(int).clip(1, [size[1], size[0]])
    first = np.round(center - side / 2).astype(int).clip(0, np.array([size[1], size[0]]) - side)
    return np.concatenate([first, first + side], 1)

"""The people that DFRF is trained on: frames, signals, boxes of faces, depths; and the references inside a budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from baselines.methods.dfrf_data import REFERENCES, bounds, with_boxes
from baselines.trained.shared.hearing import Hearing, SoundDrive
from d3talker.learning.views import Views, image, load_views
from d3talker.people.subject.layout import Frame, Subject


@dataclass(frozen=True)
class Person:
    """One identity.  faces [T, 4]: the face's box x0, y0, x1, y1; near, far: depths along the camera's axis in metres."""

    views: Views
    drive: SoundDrive
    faces: Tensor
    near: float
    far: float

    def pictures(self, chosen: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Pictures [R, H, W, 3] in [0, 1] of frames, and their viewmats [R, 4, 4], on the device."""
        device = self.views.viewmats.device
        pictures = torch.stack([self.views.host(index).image for index in chosen]).to(device)
        return image(pictures), self.views.viewmats[list(chosen)]


def load_person(subject: Subject, frames: Sequence[Frame], hearing: Hearing, device: torch.device, share: float = 1.0) -> Person:
    """Read what training needs of `frames`; share: of the memory for pictures."""
    rows = with_boxes({"frames": [{"img_id": frame.img_id} for frame in frames]}, subject)["frames"]
    boxes = np.array([row["face_rect"] for row in rows])  # x, y, width, height
    boxes[:, 2:] = boxes[:, :2] + boxes[:, 2:].clip(1)
    views, drive = load_views(subject, frames, device, share), hearing.trained(subject, frames).to(device)
    return Person(views, drive, torch.from_numpy(boxes), *bounds(frames))


def reference_rows(frames: int, count: int) -> list[int]:
    """Rows of the training frames that test frames look at: 50, 100, 150, 200 ... as far as the budget has them, else in turn."""
    wanted = [*REFERENCES, *range(REFERENCES[-1] + 50, 50 * count + 1, 50)][:count]
    return [row % frames for row in wanted]


def face_pixels(count: int, in_face: float, box: Tensor, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Pixels (x, y) int64 [count, 2], the share `in_face` of them from the box, the others from the whole picture."""
    inside = round(count * in_face)
    place = torch.rand(count, 2, generator=generator)
    low, high = box[:2], box[2:]
    first = low + (place[:inside] * (high - low)).long()
    rest = (place[inside:] * torch.tensor([size[1], size[0]])).long()
    return torch.cat([first, rest])

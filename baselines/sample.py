"""A tiny subject of drawn pictures, so that any adapter can be checked in a second without data."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from d3talker.files import write_json
from d3talker.people.media.video import write_wav
from d3talker.people.subject import palette
from d3talker.people.subject.layout import Frame, Label, Layout, Subject, transforms, write_image

SIZE = (48, 64)
FOCAL = 120.0


def sample_subject(root: Path, train: int = 60, val: int = 31) -> Subject:
    """Write a subject folder with lossless ground truth, parsing, sound (noise) and DeepSpeech-shaped features."""
    layout = Layout(root)
    rows = [Frame(i, i, pose(i)) for i in range(train + val)]
    write_json(layout.transforms("train"), transforms(FOCAL, SIZE, rows[:train]))
    write_json(layout.transforms("val"), transforms(FOCAL, SIZE, rows[train:]))
    for row in rows:
        image, parts = picture(row.img_id)
        write_image(layout.image("gt_imgs", row.img_id, ".png"), image)
        write_image(layout.image("parsing", row.img_id, ".png"), palette.encode(parts))
    noise = np.random.default_rng(0).standard_normal((train + val) * 640)
    write_wav(layout.audio, (0.3 * noise).astype(np.float32))
    np.save(root / "aud.npy", np.zeros((train + val, 16, 29), np.float32))
    return Subject(root)


def _sway(index: int) -> tuple[float, float]:
    return 6 * np.sin(0.9 * index) + 4 * np.sin(0.23 * index), 3 * np.cos(1.3 * index)


def picture(index: int) -> tuple[np.ndarray, np.ndarray]:
    """A textured head that sways and opens its mouth: uint8 RGB [48, 64, 3], and its labels uint8 [48, 64]."""
    y, x = np.mgrid[:SIZE[0], :SIZE[1]].astype(float)
    right, down = _sway(index)
    u, v = x - 32 - right, y - 22 - down
    head = (u / 13) ** 2 + (v / 16) ** 2 < 1
    mouth = (u / 6) ** 2 + ((v - 8) / (1 + 3 * abs(np.sin(0.7 * index)))) ** 2 < 1
    image = np.stack([90 + x, 110 + y, 140 + 0.3 * x], -1)
    skin = np.stack([200 + 20 * np.sin(u), 150 + 20 * np.cos(v), 130 + 10 * np.sin(u + v)], -1)
    image = np.where(head[..., None], skin, image)
    image[mouth] = (60, 10, 20)
    parts = np.full(SIZE, Label.BACKGROUND, np.uint8)
    hair = head & (v < -8)
    for where, label in ((y > 40, Label.TORSO), (head, Label.FACE), (hair, Label.HAIR), (mouth, Label.MOUTH)):
        parts[where] = label
    return np.clip(image, 0, 255).astype(np.uint8), parts


def pose(index: int) -> np.ndarray:
    """Camera-to-world [4, 4] whose rotation and height follow the sway."""
    right, down = _sway(index)
    c2w = np.eye(4)
    c2w[0, 0] = c2w[2, 2] = np.cos(0.02 * right)
    c2w[0, 2], c2w[2, 0] = np.sin(0.02 * right), -np.sin(0.02 * right)
    c2w[:3, 3] = c2w[:3, :3] @ (0, 0.003 * down, 1.0)
    return c2w

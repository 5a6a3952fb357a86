"""Tiny subjects, in the layout of the official codes, for the baselines' tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from d3talker.files import write_json
from d3talker.subject import palette
from d3talker.subject.layout import Frame, Label, Subject, transforms, write_image
from d3talker.video import VideoWriter, write_wav

SIZE = (48, 64)
TRAIN, VAL = 60, 31


def picture(index: int) -> np.ndarray:
    """A textured head that sways and opens its mouth before a still background; uint8 RGB [48, 64, 3]."""
    y, x = np.mgrid[:SIZE[0], :SIZE[1]].astype(float)
    sway, nod = 6 * np.sin(0.9 * index) + 4 * np.sin(0.23 * index), 3 * np.cos(1.3 * index)
    u, v = x - 32 - sway, y - 22 - nod
    image = np.stack([90 + x, 110 + y, 140 + 0.3 * x], -1)
    skin = np.stack([200 + 20 * np.sin(u), 150 + 20 * np.cos(v), 130 + 10 * np.sin(u + v)], -1)
    image = np.where((((u / 13) ** 2 + (v / 16) ** 2) < 1)[..., None], skin, image)
    mouth = (u / 6) ** 2 + ((v - 8) / (1 + 3 * abs(np.sin(0.7 * index)))) ** 2 < 1
    image[mouth] = (60, 10, 20)
    return np.clip(image, 0, 255).astype(np.uint8)


def labels(index: int) -> np.ndarray:
    """Parsing of `picture(index)`: uint8 labels [48, 64], hair on top of the head."""
    y, x = np.mgrid[:SIZE[0], :SIZE[1]].astype(float)
    sway, nod = 6 * np.sin(0.9 * index) + 4 * np.sin(0.23 * index), 3 * np.cos(1.3 * index)
    u, v = x - 32 - sway, y - 22 - nod
    out = np.full(SIZE, Label.BACKGROUND, np.uint8)
    out[y > 40] = Label.TORSO
    head = ((u / 13) ** 2 + (v / 16) ** 2) < 1
    out[head] = Label.FACE
    out[head & (v < -8)] = Label.HAIR
    out[(u / 6) ** 2 + ((v - 8) / (1 + 3 * abs(np.sin(0.7 * index)))) ** 2 < 1] = Label.MOUTH
    return out


def pose(index: int) -> np.ndarray:
    """Camera-to-world [4, 4] whose rotation follows the sway."""
    angle = 0.02 * (6 * np.sin(0.9 * index) + 4 * np.sin(0.23 * index))
    c2w = np.eye(4)
    c2w[0, 0] = c2w[2, 2] = np.cos(angle)
    c2w[0, 2], c2w[2, 0] = np.sin(angle), -np.sin(angle)
    c2w[:3, 3] = c2w[:3, :3] @ (0, 0.01 * np.cos(1.3 * index), 1.0)
    return c2w


@pytest.fixture(scope="session")
def make_subject():
    """make(folder, train=60, val=31) -> a Subject with PNG ground truth, parsing, sound and features."""

    def make(root: Path, train: int = TRAIN, val: int = VAL) -> Subject:
        rng = np.random.default_rng(0)
        rows = [Frame(i, i, pose(i)) for i in range(train + val)]
        root.mkdir(parents=True)
        write_json(root / "transforms_train.json", transforms(120.0, SIZE, rows[:train]))
        write_json(root / "transforms_val.json", transforms(120.0, SIZE, rows[train:]))
        for row in rows:
            write_image(root / "gt_imgs" / f"{row.img_id}.png", picture(row.img_id))
            write_image(root / "parsing" / f"{row.img_id}.png", palette.encode(labels(row.img_id)))
        write_wav(root / "aud.wav", 0.3 * rng.standard_normal((train + val) * 640).astype(np.float32))
        np.save(root / "aud.npy", np.zeros((train + val, 16, 29), np.float32))
        return Subject(root)

    return make


@pytest.fixture(scope="session")
def subject(make_subject, tmp_path_factory) -> Subject:
    """One shared tiny subject: 60 frames to train on, 31 to test on.  Tests must not write into it."""
    return make_subject(tmp_path_factory.mktemp("subjects") / "tiny")


def disturb(image: np.ndarray) -> np.ndarray:
    """What a trained model does to a picture, roughly: blur and a wrong tint."""
    padded = np.pad(image.astype(np.int64), ((1, 1), (1, 1), (0, 0)), mode="edge")
    blurred = sum(padded[a:a + image.shape[0], b:b + image.shape[1]] for a in range(3) for b in range(3)) // 9
    return np.clip(blurred + np.array([4, -3, 2]), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def rendering(subject):
    """rendering(ids) -> what a method would render for those frames: a list of uint8 RGB [48, 64, 3]."""
    return lambda ids: [disturb(subject.gt(i)) for i in ids]


@pytest.fixture(scope="session")
def write_h264():
    """write_h264(path, frames, sound=None, fps=25): an H.264 video, as imageio and ffmpeg write them."""

    def write(path: Path, frames: list[np.ndarray], sound: np.ndarray | None = None, fps: int = 25) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with VideoWriter(path, codec="h264", audio=sound, fps=fps) as video:
            for frame in frames:
                video.write(frame)
        return path

    return write

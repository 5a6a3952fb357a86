"""Tiny subjects and native videos for the baselines' tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from baselines.sample import sample_subject
from d3talker.people.media.video import VideoWriter
from d3talker.people.subject.layout import Subject


@pytest.fixture(scope="session")
def subject(tmp_path_factory) -> Subject:
    """One shared tiny subject: 60 frames to train on, 31 to test on.  Tests must not write into it."""
    return sample_subject(tmp_path_factory.mktemp("subjects") / "tiny")


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

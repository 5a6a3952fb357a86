"""Cameras of frames as transforms.json, in the form that nerfstudio, instant-ngp and their readers share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from d3talker.people.media.video import FPS
from d3talker.people.subject.layout import Frame, Subject


def camera_file(subject: Subject, frames: Sequence[Frame], files: Mapping[int, str]) -> dict[str, Any]:
    """Focal length, size and principal point in pixels; for each frame its camera to world in metres, OpenGL axes (x right, y up,
    z back).

    files: position in `frames` -> path of that frame's Gaussians.
    """
    K, (height, width) = subject.K, subject.size
    rows = []
    for at, frame in enumerate(frames):
        row = {"img_id": frame.img_id, "time": at / FPS, "transform_matrix": frame.c2w.tolist()}
        rows.append({**row, "ply_file_path": files[at]} if at in files else row)
    return {
        "camera_model": "OPENCV", "w": width, "h": height, "fl_x": float(K[0, 0]), "fl_y": float(K[1, 1]), "cx": float(K[0, 2]),
        "cy": float(K[1, 2]), "camera_angle_x": 2 * math.atan(width / 2 / float(K[0, 0])), "fps": FPS, "frames": rows,
    }

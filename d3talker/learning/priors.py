"""Depth and normals that the geometry loss compares with: Sapiens' folders where they are, else the fitted face model's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from d3talker.errors import UserError
from d3talker.files import read_npy
from d3talker.learning.staging import Shelf, room
from d3talker.people.head.embedded import embedded_head
from d3talker.people.head.zbuffer import rasterize
from d3talker.people.subject.layout import Frame, Subject

BATCH = 16  # frames rendered together
# Sapiens' normals have x right, y up, z towards the camera: its author says "camera coordinates, XYZ" (facebookresearch/sapiens,
# issue 50; "yz reverse" against Metric3D), and InsTaG compares them as they are with a world of those axes (train_face.py:199).
SAPIENS_AXES = np.array([1, -1, -1], np.float32)
FACE_PARTS = ("skin", "lips", "eye", "lid_rim")  # where the fitted model is close to the person: no scalp, neck, ears


class Prior(NamedTuple):
    """One frame on the host: depth [H, W], any unit, larger is farther, NaN = unknown; normals [H, W, 3], unit, OpenCV's
    camera axes, 0 = unknown."""

    depth: Tensor
    normals: Tensor


def load_priors(subject: Subject, frames: Sequence[Frame]) -> Shelf | None:
    """A `Prior` of each of `frames`, or None for a subject with neither Sapiens' output nor a fitted face model."""
    if _sapiens(subject, "normal", frames[0].img_id):
        make = _read_sapiens
    elif subject.layout.expression.exists() and subject.layout.identity.exists():
        make = _render
    else:
        return None

    def read(indices: Sequence[int]) -> list[tuple[Tensor, ...]]:
        depth, normals = make(subject, [frames[index] for index in indices])
        return [Prior(*pair) for pair in zip(torch.from_numpy(depth), torch.from_numpy(normals), strict=True)]

    return Shelf(read, len(frames), room(), f"depth and normals of {subject.name}", BATCH)


def _sapiens(subject: Subject, kind: str, img_id: int) -> list[Path]:
    """InsTaG's layout: sapiens/{normal,depth}/sapiens_*/{i}.npy."""
    return sorted((subject.root / "sapiens" / kind).glob(f"sapiens_*/{img_id}.npy"))


def _read_sapiens(subject: Subject, frames: Sequence[Frame]) -> tuple[np.ndarray, np.ndarray]:
    def read(kind: str, unknown: np.ndarray) -> np.ndarray:
        return np.stack([_sized(subject, _sapiens(subject, kind, frame.img_id), unknown) for frame in frames])

    depth, normals = read("depth", np.full((1, 1), np.nan)), read("normal", np.zeros((1, 1, 3)))
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    return depth, np.where(length > 0.5, normals / np.maximum(length, 1e-6), 0).astype(np.float32) * SAPIENS_AXES


def _sized(subject: Subject, found: list[Path], unknown: np.ndarray) -> np.ndarray:
    """The file's values at the pictures' size; unknown where it is missing: InsTaG makes the first 500 frames only."""
    values = read_npy(found[0]) if found else unknown
    if values.ndim != unknown.ndim or values.shape[2:] != unknown.shape[2:]:
        expected = "[H, W, 3]" if unknown.ndim == 3 else "[H, W]"
        raise UserError(f"{found[0]} is {list(values.shape)}, not {expected}; make it again with Sapiens")
    return cv2.resize(values.astype(np.float32), subject.size[::-1], interpolation=cv2.INTER_NEAREST)


def _render(subject: Subject, frames: Sequence[Frame]) -> tuple[np.ndarray, np.ndarray]:
    """The fitted face in the frames' poses, neutral but for each frame's own expression."""
    model, (height, width), K = embedded_head(), subject.size, subject.K
    face = model.region_mask(*FACE_PARTS)[model.triangles].all(1)
    identity, expression = subject.identity(), subject.expression()
    # one by one: in a larger product the last bits of a frame would depend on its company
    vertices = np.stack([model.vertices(identity, expression[frame.aud_id]) for frame in frames])
    views = subject.viewmats(frames)
    turned = views[:, :3, :3].transpose(0, 2, 1)
    points = vertices @ turned + views[:, None, :3, 3]
    pixels = points @ K.T
    projected = np.concatenate([pixels[..., :2] / pixels[..., 2:] - 0.5, points[..., 2:]], -1)  # pixel centres at integers here
    raster = rasterize(projected, model.triangles, height, width, perspective=True)
    known = (raster.triangle >= 0) & face[np.maximum(raster.triangle, 0)]
    normals = raster.interpolate(model.normals(vertices) @ turned, model.triangles)
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-6)
    return (
        np.where(known, raster.depth, np.nan).astype(np.float32),
        np.where(known[..., None], normals, 0).astype(np.float32),
    )

"""Depth and normals that the geometry loss compares with: Sapiens' folders where they are, else the fitted face model's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from d3talker.errors import UserError
from d3talker.files import read_npy
from d3talker.motion.head import embedded_head
from d3talker.motion.zbuffer import rasterize
from d3talker.subject.layout import Frame, Subject

BATCH = 16  # frames rendered together
FACE_PARTS = ("skin", "lips", "eye", "lid_rim")  # where the fitted model is close to the person: no scalp, neck, ears


@dataclass(frozen=True)
class Priors:
    """depth [T, H, W], any unit, larger is farther, NaN = unknown; normals [T, H, W, 3], unit, camera axes, 0 = unknown."""

    depth: Tensor
    normals: Tensor


def load_priors(subject: Subject, frames: Sequence[Frame], device: torch.device) -> Priors | None:
    """Priors of `frames`, or None for a subject with neither Sapiens' output nor a fitted face model."""
    if _sapiens(subject, "normal", frames[0].img_id):
        read = (_read_sapiens(subject, frame.img_id) for frame in frames)
        depth, normals = (np.stack(values) for values in zip(*read, strict=True))
    elif subject.layout.expression.exists() and subject.layout.identity.exists():
        batches = (_render(subject, frames[start : start + BATCH]) for start in range(0, len(frames), BATCH))
        depth, normals = (np.concatenate(values) for values in zip(*batches, strict=True))
    else:
        return None
    return Priors(torch.from_numpy(depth).to(device), torch.from_numpy(normals).to(device))


def _sapiens(subject: Subject, kind: str, img_id: int) -> list[Path]:
    """InsTaG's layout: sapiens/{normal,depth}/sapiens_*/{i}.npy."""
    return sorted((subject.root / "sapiens" / kind).glob(f"sapiens_*/{img_id}.npy"))


def _read_sapiens(subject: Subject, img_id: int) -> tuple[np.ndarray, np.ndarray]:
    depth = _sized(subject, _sapiens(subject, "depth", img_id), np.full((1, 1), np.nan))
    normals = _sized(subject, _sapiens(subject, "normal", img_id), np.zeros((1, 1, 3)))
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    return depth, np.where(length > 0.5, normals / np.maximum(length, 1e-6), 0).astype(np.float32)


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
    vertices = model.vertices(subject.identity(), subject.expression()[[frame.aud_id for frame in frames]])
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

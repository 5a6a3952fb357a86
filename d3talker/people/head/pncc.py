"""PNCC: the face at zero pose, coloured by its mean shape, so that only motion changes it (Real3D-Portrait's SECC)."""

from __future__ import annotations

import numpy as np

from d3talker.people.head.face import FaceModel
from d3talker.people.head.zbuffer import rasterize

MARGIN = 0.72  # half the frame's side over the larger extent of the mean landmarks: an open jaw stays inside
BATCH = 128


def frame(model: FaceModel) -> tuple[np.ndarray, float]:
    """Centre (x, y) and half side in metres of the square that PNCC images show; depends on the mean face alone."""
    points = model.mean[model.landmarks][:, :2]
    low, high = points.min(0), points.max(0)
    return (low + high) / 2, float(MARGIN * (high - low).max())


def project_frontal(model: FaceModel, vertices: np.ndarray, size: int) -> np.ndarray:
    """Orthographic projection at zero pose [T,V,3] metres -> pixel x, pixel y, depth (smaller is nearer)."""
    (cx, cy), half = frame(model)
    scale = size / (2 * half)
    x, y = (vertices[..., 0] - cx) * scale, (cy - vertices[..., 1]) * scale
    return np.stack([x + (size - 1) / 2, y + (size - 1) / 2, -vertices[..., 2]], -1).astype(np.float32)


def pncc(model: FaceModel, identity: np.ndarray, expression: np.ndarray, size: int) -> np.ndarray:
    """Images [T,size,size,3] float32 in [0,1] for one identity [I] and expressions [T,E]; background black.

    Colour = the vertex's mean-face xyz scaled to [0,1] (ncc_colors), pose zero, z-buffered, as in Real3D-Portrait's
    deep_3drecon/secc_renderer.py, whose output is 2c - 1 and whose camera is perspective where ours is orthographic.
    """
    colours = model.ncc_colors()
    expression = np.atleast_2d(expression)
    out = np.zeros((len(expression), size, size, 3), np.float32)
    for start in range(0, len(expression), BATCH):
        part = expression[start : start + BATCH]
        raster = rasterize(project_frontal(model, model.vertices(identity, part), size), model.triangles, size, size)
        out[start : start + BATCH] = raster.interpolate(colours, model.triangles)
    return out


def canonical(model: FaceModel, identity: np.ndarray, size: int) -> np.ndarray:
    """The PNCC image [size,size,3] of an identity at expression 0."""
    return pncc(model, identity, np.zeros((1, len(model.expression_names))), size)[0]

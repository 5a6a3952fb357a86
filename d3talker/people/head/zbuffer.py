"""A z-buffer triangle rasteriser on the CPU: triangle ids, barycentrics and depth for a batch of projected meshes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit, prange


@dataclass(frozen=True)
class Raster:
    """What each pixel sees: triangle [B,H,W] (-1: nothing), barycentric [B,H,W,3], depth [B,H,W] (inf: nothing)."""

    triangle: np.ndarray
    barycentric: np.ndarray
    depth: np.ndarray

    def interpolate(self, attributes: np.ndarray, triangles: np.ndarray, background: float = 0.0) -> np.ndarray:
        """Per-vertex attributes [V,C] or [B,V,C] -> image [B,H,W,C] float32; empty pixels hold `background`."""
        attributes = np.ascontiguousarray(attributes, np.float32)
        if attributes.ndim == 2:
            attributes = attributes[None]
        out = np.full((*self.triangle.shape, attributes.shape[-1]), background, np.float32)
        _interpolate(self.triangle, self.barycentric, attributes, np.ascontiguousarray(triangles, np.int32), out)
        return out


def rasterize(points: np.ndarray, triangles: np.ndarray, height: int, width: int, perspective: bool = False) -> Raster:
    """Rasterise meshes whose vertices are already projected.

    points [B,V,3]: pixel x, pixel y (centre of the top-left pixel at (0,0)) and depth (smaller is nearer; with
    `perspective` the camera-space z > 0, and barycentrics and depth are then perspective-correct).  triangles [F,3],
    both windings drawn.  Triangles with a non-finite corner, or with perspective a corner at z <= 0, are skipped.
    """
    points = np.ascontiguousarray(points, np.float32)
    if points.ndim != 3 or points.shape[-1] != 3:
        raise ValueError(f"points must be [B,V,3], not {points.shape}")
    batch = len(points)
    ids = np.full((batch, height, width), -1, np.int32)
    barycentric = np.zeros((batch, height, width, 3), np.float32)
    depth = np.full((batch, height, width), np.inf, np.float32)
    _rasterize(points, np.ascontiguousarray(triangles, np.int32), perspective, ids, barycentric, depth)
    return Raster(ids, barycentric, depth)


@njit(cache=True, fastmath=False, parallel=True)
def _rasterize(points, triangles, perspective, ids, barycentric, depth):  # type: ignore[no-untyped-def]
    for b in prange(points.shape[0]):
        for f in range(triangles.shape[0]):
            _draw(points[b], triangles[f], f, perspective, ids[b], barycentric[b], depth[b])


@njit(cache=True)
def _draw(points, corners, face, perspective, ids, barycentric, depth):  # type: ignore[no-untyped-def]
    height, width = depth.shape
    a, b, c = points[corners[0]], points[corners[1]], points[corners[2]]
    # In double precision: rounding in single leaves cracks between triangles (numba's float() keeps float32).
    ax, ay, za = np.float64(a[0]), np.float64(a[1]), np.float64(a[2])
    bx, by, zb = np.float64(b[0]), np.float64(b[1]), np.float64(b[2])
    cx, cy, zc = np.float64(c[0]), np.float64(c[1]), np.float64(c[2])
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    if not np.isfinite(area * za * zb * zc) or abs(area) < 1e-12 or (perspective and min(za, zb, zc) <= 0):
        return
    # Float bounds are clipped before the conversion: a huge coordinate must not wrap round.
    x0, x1 = int(np.ceil(max(min(ax, bx, cx), 0.0))), int(np.floor(min(max(ax, bx, cx), width - 1.0)))
    y0, y1 = int(np.ceil(max(min(ay, by, cy), 0.0))), int(np.floor(min(max(ay, by, cy), height - 1.0)))
    for y in range(y0, y1 + 1):
        for x in range(x0, x1 + 1):
            wb = ((x - ax) * (cy - ay) - (y - ay) * (cx - ax)) / area
            wc = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / area
            wa = 1.0 - wb - wc
            if wa < -1e-9 or wb < -1e-9 or wc < -1e-9:
                continue
            if perspective:
                wa, wb, wc = wa / za, wb / zb, wc / zc
                z = 1.0 / (wa + wb + wc)
                wa, wb, wc = wa * z, wb * z, wc * z
            else:
                z = wa * za + wb * zb + wc * zc
            if z < depth[y, x]:
                depth[y, x] = z
                ids[y, x] = face
                barycentric[y, x, 0], barycentric[y, x, 1], barycentric[y, x, 2] = wa, wb, wc


@njit(cache=True, parallel=True)
def _interpolate(ids, barycentric, attributes, triangles, out):  # type: ignore[no-untyped-def]
    for b in prange(ids.shape[0]):
        if attributes.shape[0] == 1:
            _fill(ids[b], barycentric[b], attributes[0], triangles, out[b])
        else:
            _fill(ids[b], barycentric[b], attributes[b], triangles, out[b])


@njit(cache=True)
def _fill(ids, barycentric, values, triangles, out):  # type: ignore[no-untyped-def]
    for y in range(ids.shape[0]):
        for x in range(ids.shape[1]):
            face = ids[y, x]
            if face >= 0:
                for c in range(values.shape[1]):
                    total = 0.0
                    for k in range(3):
                        total += barycentric[y, x, k] * values[triangles[face, k], c]
                    out[y, x, c] = total

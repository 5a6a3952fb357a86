"""Vertex normals of a batch of meshes."""

from __future__ import annotations

import numpy as np
from numba import njit, prange


def vertex_normals(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Unit normals [...,V,3] float32 of vertices [...,V,3], area-weighted over their triangles [F,3]; 0 where none."""
    flat = np.ascontiguousarray(vertices, np.float32).reshape(-1, *vertices.shape[-2:])
    out = np.zeros_like(flat)
    _normals(flat, np.ascontiguousarray(triangles, np.int32), out)
    return out.reshape(vertices.shape)


@njit(cache=True, parallel=True)
def _normals(vertices, triangles, out):  # type: ignore[no-untyped-def]
    for b in prange(vertices.shape[0]):
        _mesh_normals(vertices[b], triangles, out[b])


@njit(cache=True)
def _mesh_normals(points, triangles, out):  # type: ignore[no-untyped-def]
    for f in range(triangles.shape[0]):
        i, j, k = triangles[f]
        ax, ay, az = points[j, 0] - points[i, 0], points[j, 1] - points[i, 1], points[j, 2] - points[i, 2]
        bx, by, bz = points[k, 0] - points[i, 0], points[k, 1] - points[i, 1], points[k, 2] - points[i, 2]
        nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        for v in triangles[f]:
            out[v, 0] += nx
            out[v, 1] += ny
            out[v, 2] += nz
    for v in range(out.shape[0]):
        length = np.sqrt(np.float64(out[v, 0]) ** 2 + np.float64(out[v, 1]) ** 2 + np.float64(out[v, 2]) ** 2)
        if length > 0:
            out[v] /= length

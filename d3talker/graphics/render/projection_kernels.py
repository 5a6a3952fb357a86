"""Numba kernels: project Gaussians to splats.

All arithmetic is float64 inside; only what is stored is float32.
"""

from __future__ import annotations

import math

import numpy as np
from numba import prange

from d3talker.graphics.render.scene import ALPHA_MIN, EPS2D, NEAR
from d3talker.jit import inner, parallel_kernel

LOG2E = math.log2(math.e)

# one splat, float32: what the tile kernels read of a Gaussian in one camera
MX, MY, QXX, QXY, QYY, LOG_OPACITY, TIP, BEND, ROOM, HALF_WIDTH, DEPTH, REACH_X, REACH_Y, RED, GREEN, BLUE = range(16)
NORMAL = 16  # and two more, where normals are asked for
CUT = math.log2(ALPHA_MIN) - 1e-3  # a pixel is skipped unseen only if rounding cannot lift it over the threshold


@inner
def rotation(q0, q1, q2, q3):
    """Unit quaternion (normalised here) and the nine entries of its matrix, row by row."""
    length = max(math.sqrt(q0 * q0 + q1 * q1 + q2 * q2 + q3 * q3), 1e-12)
    w, x, y, z = q0 / length, q1 / length, q2 / length, q3 / length
    return (
        length, w, x, y, z,
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    )  # fmt: skip


@inner
def lens(V, K, centre, width, height):
    """Camera position x, y, z of one centre, slopes x/z and y/z, and the same clamped for the Jacobian."""
    px, py, pz = centre
    x = V[0, 0] * px + V[0, 1] * py + V[0, 2] * pz + V[0, 3]
    y = V[1, 0] * px + V[1, 1] * py + V[1, 2] * pz + V[1, 3]
    z = V[2, 0] * px + V[2, 1] * py + V[2, 2] * pz + V[2, 3]
    xz, yz = x / z, y / z
    tx = min(max(xz, -(K[0, 2] + 0.15 * width) / K[0, 0]), (1.15 * width - K[0, 2]) / K[0, 0])
    ty = min(max(yz, -(K[1, 2] + 0.15 * height) / K[1, 1]), (1.15 * height - K[1, 2]) / K[1, 1])
    return x, y, z, xz, yz, tx, ty


@inner
def footprint(V, K, z, tx, ty, R):
    """Rows a, b of J W, rows e, h of J W R, where J is the projection's Jacobian, W the camera's rotation."""
    jx, jxz, jy, jyz = K[0, 0] / z, -K[0, 0] * tx / z, K[1, 1] / z, -K[1, 1] * ty / z
    a0, a1, a2 = jx * V[0, 0] + jxz * V[2, 0], jx * V[0, 1] + jxz * V[2, 1], jx * V[0, 2] + jxz * V[2, 2]
    b0, b1, b2 = jy * V[1, 0] + jyz * V[2, 0], jy * V[1, 1] + jyz * V[2, 1], jy * V[1, 2] + jyz * V[2, 2]
    e = (a0 * R[0] + a1 * R[3] + a2 * R[6], a0 * R[1] + a1 * R[4] + a2 * R[7], a0 * R[2] + a1 * R[5] + a2 * R[8])
    h = (b0 * R[0] + b1 * R[3] + b2 * R[6], b0 * R[1] + b1 * R[4] + b2 * R[7], b0 * R[2] + b1 * R[5] + b2 * R[8])
    return (jx, jxz, jy, jyz), (a0, a1, a2), (b0, b1, b2), e, h


@inner
def covariance2d(e, h, s):
    """Entries xx, xy, yy of the projected covariance with EPS2D, from rows e, h of J W R and squared scales s."""
    return (
        e[0] * e[0] * s[0] + e[1] * e[1] * s[1] + e[2] * e[2] * s[2] + EPS2D,
        e[0] * h[0] * s[0] + e[1] * h[1] * s[1] + e[2] * h[2] * s[2],
        h[0] * h[0] * s[0] + h[1] * h[1] * s[1] + h[2] * h[2] * s[2] + EPS2D,
    )


@inner
def load3(array, c, n):
    """Row n of [B, N, 3], B = 1 or C, as three float64."""
    row = array[min(c, array.shape[0] - 1), n]
    return np.float64(row[0]), np.float64(row[1]), np.float64(row[2])


@inner
def load_rotation(quats, c, n):
    """Length, unit quaternion and matrix of quats[c or 0, n]."""
    q = quats[min(c, quats.shape[0] - 1), n]
    return rotation(np.float64(q[0]), np.float64(q[1]), np.float64(q[2]), np.float64(q[3]))


@inner
def project_one(V, K, centre, turned, scale, opacity, width, height, out):
    """Fill the geometry of one splat unless it is culled."""
    _, _, z, xz, yz, tx, ty = lens(V, K, centre, width, height)
    if not (z > NEAR and opacity >= ALPHA_MIN):
        return
    e, h = footprint(V, K, z, tx, ty, turned[5:])[3:]
    s0, s1, s2 = scale
    xx, xy, yy = covariance2d(e, h, (s0 * s0, s1 * s1, s2 * s2))
    det = xx * yy - xy * xy
    mx, my = K[0, 0] * xz + K[0, 2], K[1, 1] * yz + K[1, 2]
    sigma = math.log(opacity / ALPHA_MIN)
    rx, ry = math.sqrt(2 * sigma * xx), math.sqrt(2 * sigma * yy)
    if not (mx + rx > 0 and mx - rx < width and my + ry > 0 and my - ry < height and det > 0):
        return
    out[MX], out[MY], out[DEPTH], out[LOG_OPACITY] = mx, my, z, math.log2(opacity)
    # log2(alpha) = LOG_OPACITY + QXX dx² + QXY dx dy + QYY dy², over CUT at dx for dy between
    # HALF_WIDTH (QXY dx -+ sqrt(BEND dx² + ROOM)); the ellipse's ends in y lie at dx = -+TIP
    qyy = -0.5 * LOG2E * xx / det
    out[QXX], out[QXY], out[QYY] = -0.5 * LOG2E * yy / det, LOG2E * xy / det, qyy
    out[TIP], out[HALF_WIDTH] = xy / yy * ry, -0.5 / qyy
    out[BEND], out[ROOM] = -LOG2E * LOG2E / det, -4 * qyy * (out[LOG_OPACITY] - CUT)
    out[REACH_X], out[REACH_Y] = max(rx, 1e-6), ry


@parallel_kernel
def project(means, quats, scales, opacities, colors, normals, viewmats, Ks, width, height, splats):
    """Fill splats [C, N, 16 or, with normals, 19]; a culled Gaussian has REACH_X 0. normals is [0, 0, 3] where not asked."""
    cameras, count = splats.shape[0], splats.shape[1]
    for index in prange(count):
        n = np.int64(index)  # the loop's own index is uint64 in the parallel copy alone: all below would compile twice
        for c in range(cameras):
            out = splats[c, n]
            out[REACH_X] = 0.0
            opacity = np.float64(opacities[min(c, opacities.shape[0] - 1), n])
            centre, scale, turned = load3(means, c, n), load3(scales, c, n), load_rotation(quats, c, n)
            project_one(viewmats[c], Ks[c], centre, turned, scale, opacity, width, height, out)
            if out[REACH_X] > 0:
                out[RED], out[GREEN], out[BLUE] = load3(colors, c, n)
                if normals.shape[0] > 0:
                    out[NORMAL], out[NORMAL + 1], out[NORMAL + 2] = load3(normals, c, n)

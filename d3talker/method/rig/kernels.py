"""Numba kernels of the skinning: values, and the gradient of the quaternions; float64 inside."""

from __future__ import annotations

import numpy as np
from numba import prange

from d3talker.graphics.render.projection_gradients import rotation_gradient
from d3talker.graphics.render.projection_kernels import rotation
from d3talker.jit import inner, parallel_kernel


@inner
def gathered(field, rows, weights, n, column):
    """One column of the mesh's field at Gaussian n."""
    total = 0.0
    for k in range(rows.shape[1]):
        total += np.float64(weights[n, k]) * np.float64(field[rows[n, k], column])
    return total


@inner
def strain_at(field, rows, weights, n):
    """xx, yy, zz, xy, xz, yz at Gaussian n."""
    return (
        gathered(field, rows, weights, n, 6), gathered(field, rows, weights, n, 7), gathered(field, rows, weights, n, 8),
        gathered(field, rows, weights, n, 9), gathered(field, rows, weights, n, 10), gathered(field, rows, weights, n, 11),
    )  # fmt: skip


@inner
def times(s, x, y, z):
    """The symmetric matrix s = (xx, yy, zz, xy, xz, yz) times a vector."""
    return s[0] * x + s[3] * y + s[4] * z, s[3] * x + s[1] * y + s[5] * z, s[4] * x + s[5] * y + s[2] * z


@inner
def quaternion(quats, n):
    return np.float64(quats[n, 0]), np.float64(quats[n, 1]), np.float64(quats[n, 2]), np.float64(quats[n, 3])


@parallel_kernel
def skin(field, rows, weights, quats, shifts, turned, stretches):
    """Fill shifts [N, 3], turned [N, 4] and stretches [N, 3]; see reference.skin."""
    for index in prange(quats.shape[0]):
        n = np.int64(index)  # as in render.projection_kernels
        for k in range(3):
            shifts[n, k] = gathered(field, rows, weights, n, k)
        x, y, z = (gathered(field, rows, weights, n, 3), gathered(field, rows, weights, n, 4),
                   gathered(field, rows, weights, n, 5))
        a, b, c, d = quaternion(quats, n)
        turned[n, 0], turned[n, 1] = -0.5 * (x * b + y * c + z * d), 0.5 * (x * a + y * d - z * c)
        turned[n, 2], turned[n, 3] = 0.5 * (y * a + z * b - x * d), 0.5 * (z * a + x * c - y * b)
        R, s = rotation(a, b, c, d)[5:], strain_at(field, rows, weights, n)
        u = times(s, R[0], R[3], R[6])
        stretches[n, 0] = R[0] * u[0] + R[3] * u[1] + R[6] * u[2]
        u = times(s, R[1], R[4], R[7])
        stretches[n, 1] = R[1] * u[0] + R[4] * u[1] + R[7] * u[2]
        u = times(s, R[2], R[5], R[8])
        stretches[n, 2] = R[2] * u[0] + R[5] * u[1] + R[8] * u[2]


@parallel_kernel
def quaternion_gradient(field, rows, weights, quats, gturned, gstretches, out):
    """Fill out [N, 4] with the quaternions' gradient from those of turned [N, 4] and stretches [N, 3]."""
    for index in prange(quats.shape[0]):
        n = np.int64(index)
        x, y, z = (gathered(field, rows, weights, n, 3), gathered(field, rows, weights, n, 4),
                   gathered(field, rows, weights, n, 5))
        a, b, c, d = quaternion(quats, n)
        frame, s = rotation(a, b, c, d), strain_at(field, rows, weights, n)
        R = frame[5:]
        g0, g1, g2 = 2 * np.float64(gstretches[n, 0]), 2 * np.float64(gstretches[n, 1]), 2 * np.float64(gstretches[n, 2])
        u, v, w = times(s, R[0], R[3], R[6]), times(s, R[1], R[4], R[7]), times(s, R[2], R[5], R[8])
        matrix = (
            g0 * u[0], g1 * v[0], g2 * w[0], g0 * u[1], g1 * v[1], g2 * w[1], g0 * u[2], g1 * v[2], g2 * w[2],
        )  # fmt: skip
        ga, gb, gc, gd = rotation_gradient(frame, matrix)
        a, b, c, d = quaternion(gturned, n)
        out[n, 0], out[n, 1] = ga + 0.5 * (x * b + y * c + z * d), gb - 0.5 * (x * a + y * d - z * c)
        out[n, 2], out[n, 3] = gc - 0.5 * (y * a + z * b - x * d), gd - 0.5 * (z * a + x * c - y * b)

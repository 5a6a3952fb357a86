"""Numba kernels of the 2D and 3D grid encoders: values, table gradients and position gradients."""

from __future__ import annotations

import numpy as np
from numba import prange

from d3talker.jit import inner, parallel_kernel

f32, u64 = np.float32, np.uint64
HALF, ONE, ZERO = f32(0.5), f32(1), f32(0)
CHUNK = 256  # as in encoding.kernels
SCALE, START, MASK, ALONG_X, ALONG_Y, ALONG_Z, HASHED = range(7)  # columns of the level table, float64 [L, 7]
_SECOND, _THIRD = u64(2654435761), u64(805459861)


@inner
def row_of(x, y, z, level):
    """Row of a corner in the whole table; masks are 32 bits, so products may run over."""
    start, mask = u64(level[START]), u64(level[MASK])
    if level[HASHED] > 0:
        return start + ((x ^ (y * _SECOND) ^ (z * _THIRD)) & mask)
    return start + ((x * u64(level[ALONG_X]) + y * u64(level[ALONG_Y]) + z * u64(level[ALONG_Z])) & mask)


@inner
def locate(u, level):
    """Cell and fraction of a coordinate in [0, 1]."""
    x = u * f32(level[SCALE]) + HALF
    cell = np.floor(x)
    return u64(np.int64(cell)), x - cell


@inner
def inside(u):
    return u >= ZERO and u <= ONE


@inner
def rows_2d(x, y, level):
    one, none = u64(1), u64(0)
    return (
        row_of(x, y, none, level), row_of(x + one, y, none, level), row_of(x, y + one, none, level),
        row_of(x + one, y + one, none, level),
    )


@inner
def rows_3d(x, y, z, level):
    one = u64(1)
    return (
        row_of(x, y, z, level), row_of(x + one, y, z, level), row_of(x, y + one, z, level), row_of(x + one, y + one, z, level),
        row_of(x, y, z + one, level), row_of(x + one, y, z + one, level), row_of(x, y + one, z + one, level),
        row_of(x + one, y + one, z + one, level),
    )


@inner
def mix(table, a, b, c, d, f, fx, fy):
    """Bilinear mean of four rows' feature f."""
    low = table[a, f] + fx * (table[b, f] - table[a, f])
    high = table[c, f] + fx * (table[d, f] - table[c, f])
    return low + fy * (high - low)


@inner
def chunk_2d(unit, table, levels, chunk, out):
    """All levels of CHUNK positions."""
    features = table.shape[1]
    for k in range(len(levels)):
        for n in range(chunk * CHUNK, min((chunk + 1) * CHUNK, len(unit))):
            if not (inside(unit[n, 0]) and inside(unit[n, 1])):
                out[k * features:(k + 1) * features, n] = ZERO
                continue
            x, fx = locate(unit[n, 0], levels[k])
            y, fy = locate(unit[n, 1], levels[k])
            a, b, c, d = rows_2d(x, y, levels[k])
            for f in range(features):
                out[k * features + f, n] = mix(table, a, b, c, d, f, fx, fy)


@parallel_kernel
def encode_2d(unit, table, levels, out):
    """Fill out [L * F, N] from unit [N, 2] and table [rows, F]."""
    for index in prange((len(unit) + CHUNK - 1) // CHUNK):
        chunk_2d(unit, table, levels, np.int64(index), out)  # as in render.projection_kernels


@inner
def chunk_3d(unit, table, levels, chunk, out):
    """All levels of CHUNK positions."""
    features = table.shape[1]
    for k in range(len(levels)):
        for n in range(chunk * CHUNK, min((chunk + 1) * CHUNK, len(unit))):
            if not (inside(unit[n, 0]) and inside(unit[n, 1]) and inside(unit[n, 2])):
                out[k * features:(k + 1) * features, n] = ZERO
                continue
            x, fx = locate(unit[n, 0], levels[k])
            y, fy = locate(unit[n, 1], levels[k])
            z, fz = locate(unit[n, 2], levels[k])
            a, b, c, d, e, g, h, i = rows_3d(x, y, z, levels[k])
            for f in range(features):
                near = mix(table, a, b, c, d, f, fx, fy)
                out[k * features + f, n] = near + fz * (mix(table, e, g, h, i, f, fx, fy) - near)


@parallel_kernel
def encode_3d(unit, table, levels, out):
    """Fill out [L * F, N] from unit [N, 3] and table [rows, F]."""
    for index in prange((len(unit) + CHUNK - 1) // CHUNK):
        chunk_3d(unit, table, levels, np.int64(index), out)  # as in render.projection_kernels


@inner
def share(out, a, b, c, d, f, fx, fy, value):
    """Add a gradient to four rows by their bilinear weights."""
    high = value * fy
    low, right = value - high, high * fx
    left = low * fx
    out[a, f] += low - left
    out[b, f] += left
    out[c, f] += high - right
    out[d, f] += right


@parallel_kernel
def table_gradient_2d(unit, levels, grad, out):
    """Add grad [L * F, N] into out [rows, F]; one thread takes a whole level, in order."""
    features = out.shape[1]
    for k in prange(len(levels)):
        for n in range(len(unit)):
            if not (inside(unit[n, 0]) and inside(unit[n, 1])):
                continue
            x, fx = locate(unit[n, 0], levels[k])
            y, fy = locate(unit[n, 1], levels[k])
            a, b, c, d = rows_2d(x, y, levels[k])
            for f in range(features):
                share(out, a, b, c, d, f, fx, fy, grad[k * features + f, n])


@parallel_kernel
def table_gradient_3d(unit, levels, grad, out):
    """Add grad [L * F, N] into out [rows, F]; one thread takes a whole level, in order."""
    features = out.shape[1]
    for k in prange(len(levels)):
        for n in range(len(unit)):
            if not (inside(unit[n, 0]) and inside(unit[n, 1]) and inside(unit[n, 2])):
                continue
            x, fx = locate(unit[n, 0], levels[k])
            y, fy = locate(unit[n, 1], levels[k])
            z, fz = locate(unit[n, 2], levels[k])
            a, b, c, d, e, g, h, i = rows_3d(x, y, z, levels[k])
            for f in range(features):
                value = grad[k * features + f, n]
                share(out, a, b, c, d, f, fx, fy, value * (ONE - fz))
                share(out, e, g, h, i, f, fx, fy, value * fz)


@inner
def slopes(table, a, b, c, d, f, fx, fy):
    """Derivatives of `mix` by fx and by fy."""
    low, high = table[b, f] - table[a, f], table[d, f] - table[c, f]
    left, right = table[c, f] - table[a, f], table[d, f] - table[b, f]
    return low + fy * (high - low), left + fx * (right - left)


@parallel_kernel
def position_gradient_2d(unit, table, levels, grad, out):
    """Fill out [N, 2] with the gradient of unit, zero outside."""
    features = table.shape[1]
    for n in prange(len(unit)):
        if not (inside(unit[n, 0]) and inside(unit[n, 1])):
            continue
        gx, gy = ZERO, ZERO
        for k in range(len(levels)):
            x, fx = locate(unit[n, 0], levels[k])
            y, fy = locate(unit[n, 1], levels[k])
            a, b, c, d = rows_2d(x, y, levels[k])
            for f in range(features):
                g = grad[k * features + f, n] * f32(levels[k, SCALE])
                sx, sy = slopes(table, a, b, c, d, f, fx, fy)
                gx += g * sx
                gy += g * sy
        out[n, 0], out[n, 1] = gx, gy


@parallel_kernel
def position_gradient_3d(unit, table, levels, grad, out):
    """Fill out [N, 3] with the gradient of unit, zero outside."""
    features = table.shape[1]
    for n in prange(len(unit)):
        if not (inside(unit[n, 0]) and inside(unit[n, 1]) and inside(unit[n, 2])):
            continue
        gx, gy, gz = ZERO, ZERO, ZERO
        for k in range(len(levels)):
            x, fx = locate(unit[n, 0], levels[k])
            y, fy = locate(unit[n, 1], levels[k])
            z, fz = locate(unit[n, 2], levels[k])
            a, b, c, d, e, q, h, i = rows_3d(x, y, z, levels[k])
            for f in range(features):
                g = grad[k * features + f, n] * f32(levels[k, SCALE])
                near_x, near_y = slopes(table, a, b, c, d, f, fx, fy)
                far_x, far_y = slopes(table, e, q, h, i, f, fx, fy)
                gx += g * (near_x + fz * (far_x - near_x))
                gy += g * (near_y + fz * (far_y - near_y))
                gz += g * (mix(table, e, q, h, i, f, fx, fy) - mix(table, a, b, c, d, f, fx, fy))
        out[n, 0], out[n, 1], out[n, 2] = gx, gy, gz

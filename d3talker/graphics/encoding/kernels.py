"""Numba kernels of the tri-plane encoder: values, table gradients and position gradients."""

from __future__ import annotations

import numpy as np
from numba import prange

from d3talker.jit import inner, parallel_kernel

f32, u64 = np.float32, np.uint64
HALF, ONE, ZERO = f32(0.5), f32(1), f32(0)
CHUNK = 256  # points handled together: their coordinates stay in the first-level cache over all levels
SCALE, SIDE, START, ROWS, DENSE = range(5)  # columns of the level table, float64 [L, 5]
_PRIME, _LOW = u64(2654435761), u64(0xFFFFFFFF)


@inner
def rows_of(x, y, level):
    """Table rows of the vertices (x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1)."""
    start = u64(level[START])
    if level[DENSE] > 0:
        side = u64(level[SIDE])
        first = start + x + y * side
        return first, first + u64(1), first + side, first + side + u64(1)
    rows, one = u64(level[ROWS]), u64(1)
    low, high = (y * _PRIME) & _LOW, ((y + one) * _PRIME) & _LOW
    a, b, c, d = (x ^ low) % rows, ((x + one) ^ low) % rows, (x ^ high) % rows, ((x + one) ^ high) % rows
    return start + a, start + b, start + c, start + d


@inner
def locate(u, v, level):
    """Cell and fraction of a position in [0, 1]² on one level."""
    scale = f32(level[SCALE])
    x, y = u * scale + HALF, v * scale + HALF
    cx, cy = np.floor(x), np.floor(y)
    return u64(np.int64(cx)), u64(np.int64(cy)), x - cx, y - cy


@inner
def inside(u, v):
    return u >= ZERO and u <= ONE and v >= ZERO and v <= ONE


@inner
def unit(means, bound, n, plane):
    """Coordinates in [0, 1] of a centre in plane 0 xy, 1 yz, 2 xz."""
    b = f32(bound)
    first, second = (1, 2) if plane == 1 else (0, 1 if plane == 0 else 2)
    return (means[n, first] + b) / (b + b), (means[n, second] + b) / (b + b)


@parallel_kernel
def encode(means, bound, table, levels, out):
    """Fill out [3 * L * F, N] from means [N, 3] and table [3, rows, F]."""
    count, features = means.shape[0], table.shape[2]
    for index in prange((count + CHUNK - 1) // CHUNK):
        chunk = np.int64(index)  # as in render.projection_kernels
        for plane in range(3):
            for level in range(len(levels)):
                first = (plane * len(levels) + level) * features
                encode_chunk(means, bound, table[plane], levels[level], plane, chunk, out[first : first + features])


@inner
def encode_chunk(means, bound, table, level, plane, chunk, out):
    """One plane, one level, CHUNK points."""
    for n in range(chunk * CHUNK, min((chunk + 1) * CHUNK, means.shape[0])):
        u, v = unit(means, bound, n, plane)
        if not inside(u, v):
            out[:, n] = ZERO
            continue
        x, y, fx, fy = locate(u, v, level)
        a, b, c, d = rows_of(x, y, level)
        for f in range(table.shape[1]):
            top = table[a, f] + fx * (table[b, f] - table[a, f])
            bottom = table[c, f] + fx * (table[d, f] - table[c, f])
            out[f, n] = top + fy * (bottom - top)


@parallel_kernel
def table_gradient(means, bound, levels, grad, out):
    """Add grad [N, 3 * L * F] into out [3, rows, F]; one thread takes a whole (plane, level), in order."""
    features = out.shape[2]
    for job in prange(3 * len(levels)):
        plane, level = job // len(levels), job % len(levels)
        scatter(means, bound, levels[level], grad, plane, job * features, out[plane])


@inner
def scatter(means, bound, level, grad, plane, first, out):
    """Table gradient of one plane and level."""
    for n in range(len(means)):
        u, v = unit(means, bound, n, plane)
        if not inside(u, v):
            continue
        x, y, fx, fy = locate(u, v, level)
        a, b, c, d = rows_of(x, y, level)
        for f in range(out.shape[1]):
            g = grad[n, first + f]
            high = g * fy
            low, right = g - high, high * fx
            left = low * fx
            out[a, f] += low - left
            out[b, f] += left
            out[c, f] += high - right
            out[d, f] += right


@parallel_kernel
def position_gradient(means, bound, table, levels, grad, out):
    """Fill out [N, 3] with the gradient of means."""
    features = table.shape[2]
    for n in prange(len(means)):
        gx, gy, gz = ZERO, ZERO, ZERO
        for plane in range(3):
            u, v = unit(means, bound, n, plane)
            if not inside(u, v):
                continue
            gu, gv = ZERO, ZERO
            for k in range(len(levels)):
                scale = f32(levels[k, SCALE])
                x, y, fx, fy = locate(u, v, levels[k])
                a, b, c, d = rows_of(x, y, levels[k])
                for f in range(features):
                    ta, tb, tc, td = table[plane, a, f], table[plane, b, f], table[plane, c, f], table[plane, d, f]
                    g = grad[n, (plane * len(levels) + k) * features + f] * scale
                    gu += g * ((tb - ta) + fy * ((td - tc) - (tb - ta)))
                    gv += g * ((tc - ta) + fx * ((td - tb) - (tc - ta)))
            if plane == 0:
                gx, gy = gx + gu, gy + gv
            elif plane == 1:
                gy, gz = gy + gu, gz + gv
            else:
                gx, gz = gx + gu, gz + gv
        width = f32(2) * f32(bound)
        out[n, 0], out[n, 1], out[n, 2] = gx / width, gy / width, gz / width

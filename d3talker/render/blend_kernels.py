"""Numba kernels, forward: blend the splats of each 16x16 tile front to back, a row of 16 pixels at a time.

A row's pixels are lanes of one interleaved buffer indexed with uint64, which is what lets LLVM turn the inner loops
into vector code (tests/d3talker/render/test_vectorised.py holds it to that). An argument `normal` that is None compiles
the kernels without normals.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from d3talker.jit import kernel, parallel_kernel
from d3talker.render.binning_kernels import TILE
from d3talker.render.projection_kernels import BLUE, DEPTH, GREEN, MX, MY, NORMAL, RED
from d3talker.render.row_kernels import (
    CAP,
    FLOOR,
    HALF,
    LANES,
    LOG_MIN,
    ONE,
    STOP,
    ZERO,
    exp2,
    f32,
    live_rows,
    row_quadratic,
    row_range,
    tile_box,
    u64,
)  # fmt: skip

# a row of the buffer: transmittance (negative where stopped), depth, red, green, blue, three of the normal
ROW = u64(8 * TILE)
_L1, _L2, _L3, _L4, _L5, _L6, _L7 = (u64(k * TILE) for k in range(1, 8))


@kernel
def blend_splat(splat, buffer, left, top, bottom, alive, span, normal):
    """Blend one splat into the rows of a tile still alive; span gets the first and past-last row it reached."""
    first, last = row_range(splat, top, bottom)
    dx0 = left + HALF - splat[MX]
    red, green, blue, depth = splat[RED], splat[GREEN], splat[BLUE], splat[DEPTH]
    n0, n1, n2 = splat[NORMAL], splat[NORMAL + 1], splat[NORMAL + 2]
    low, high = TILE, 0
    for y in range(first, last):
        k0, k1, k2, reaches = row_quadratic(splat, f32(y) + HALF - splat[MY], dx0)
        if not reaches or not (alive >> (y - top)) & 1:
            continue
        low, high = min(low, y - top), y - top + 1
        row = u64(y - top) * ROW
        for lane in range(LANES):
            i = row + lane
            dx = dx0 + f32(lane)
            power = k0 + dx * (k1 + k2 * dx)
            alpha = min(exp2(max(power, FLOOR)), CAP)
            t = buffer[i]
            after = t - t * alpha
            counts = power >= LOG_MIN
            weight = t * alpha if counts and after > STOP else ZERO
            buffer[i] = (after if after > STOP else -abs(t)) if counts else t
            buffer[i + _L1] += weight * depth
            buffer[i + _L2] += weight * red
            buffer[i + _L3] += weight * green
            buffer[i + _L4] += weight * blue
            if normal is not None:
                buffer[i + _L5] += weight * n0
                buffer[i + _L6] += weight * n1
                buffer[i + _L7] += weight * n2
    span[0], span[1] = low, high


@kernel
def clear(buffer, spans):
    """Start a tile: nothing blended, nothing reached. Whole-array stores stay out of prange: numba lost some there."""
    buffer[:] = ZERO
    for y in range(TILE):
        buffer[y * ROW : y * ROW + LANES] = ONE
    spans[:] = 0


@kernel
def store_tile(buffer, box, background, through, rgb, depths, normal):
    """Write a tile's pixels, the background behind them."""
    c, left, right, top, bottom = box
    bc = min(c, background.shape[0] - 1)
    for y in range(top, bottom):
        for x in range(left, right):
            i = u64(y - top) * ROW + u64(x - left)
            behind = background[bc, min(y, background.shape[1] - 1), min(x, background.shape[2] - 1)]
            t = abs(buffer[i])
            through[c, y, x], depths[c, y, x] = t, buffer[i + _L1]
            for k in range(3):
                rgb[c, y, x, k] = buffer[i + u64(k + 2) * LANES] + t * behind[k]
                if normal is not None:
                    normal[c, y, x, k] = buffer[i + u64(k + 5) * LANES]


@parallel_kernel
def blend(workers, splats, tile_start, ids, background, spans, through, rgb, depths, normal):
    """Fill through and depths [C, H, W], rgb and normal [C, H, W, 3] from binned splats.

    spans [ids, 2] uint8 gets the tile rows [first, last) that each splat reached before they stopped, (0, 0) for none.
    """
    cameras, height, width = through.shape
    columns, rows = (width + TILE - 1) // TILE, (height + TILE - 1) // TILE
    for worker in prange(workers):
        buffer = np.empty(TILE * ROW, np.float32)
        for tile in range(worker, cameras * rows * columns, workers):
            box = tile_box(tile, columns, rows, width, height)
            c, left, _, top, bottom = box
            clear(buffer, spans[tile_start[tile] : tile_start[tile + 1]])
            alive = (1 << (bottom - top)) - 1
            for k in range(tile_start[tile], tile_start[tile + 1]):
                blend_splat(splats[c, ids[k]], buffer, f32(left), top, bottom, alive, spans[k], normal)
                if (k - tile_start[tile]) & 15 == 15:
                    alive = live_rows(buffer, ROW, bottom - top)
                    if alive == 0:
                        break
            store_tile(buffer, box, background, through, rgb, depths, normal)
